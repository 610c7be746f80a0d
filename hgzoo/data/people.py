"""People of everyday photographs, annotated by hand or by another network.

One folder, "people", with `images/` and `people.json` in COCO's format: 17 keypoints, 0-based. Each
image of the file says where it comes from, and who annotated its people: "by hand", or "MoveNet". A
distance is judged by the torso, as in LSP.

`people_held_out.json` names the images that people are judged by, chosen so that all near copies of
an image are on one side, and those left out of both parts for they may show a held-out scene.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from hgzoo.data.coco import read_coco
from hgzoo.data.references import torso_size
from hgzoo.data.samples import Sample
from hgzoo.errors import DataError
from hgzoo.skeletons import SKELETONS

Labels = Literal["by hand", "MoveNet"]

KEYPOINTS = SKELETONS["coco"].keypoints
TORSO = tuple(KEYPOINTS.index(name) for name in ("left_shoulder", "right_hip"))
TRUNK = tuple(
    KEYPOINTS.index(f"{side}_{part}") for part in ("shoulder", "hip") for side in ("left", "right")
)

LEAST_TRAINED, LEAST_JUDGED = 4, 10
"""People with fewer annotated keypoints are not trained on, or not judged by."""


def people_by_hand_train(root: Path) -> list[Sample]:
    """Read the people annotated by hand, less the held-out images.

    Args:
        root: The folder that holds "people".

    Returns:
        Those with four annotated keypoints or more.

    Raises:
        DataError: people.json is missing or damaged, or does not say who annotated an image.
    """
    return _train(root, "by hand")


def people_by_hand_validation(root: Path) -> list[Sample]:
    """Read the people annotated by hand in the held-out images.

    Args:
        root: The folder that holds "people".

    Returns:
        Those with ten annotated keypoints or more, among them both shoulders and both hips.

    Raises:
        DataError: people.json is missing or damaged, or does not say who annotated an image.
    """
    return _validation(root, "by hand")


def people_movenet_train(root: Path) -> list[Sample]:
    """Read the people annotated by MoveNet; see `people_by_hand_train`."""
    return _train(root, "MoveNet")


def people_movenet_validation(root: Path) -> list[Sample]:
    """Read the people annotated by MoveNet in the held-out images.

    They tell how near a network comes to MoveNet, not how near to the truth; see
    `people_by_hand_validation`.
    """
    return _validation(root, "MoveNet")


@cache
def held_out() -> frozenset[str]:
    """Return the names of the images that people are judged by."""
    return frozenset(_split()["held_out"])


@cache
def never_trained_on() -> frozenset[str]:
    """Return the names of the held-out images, and of those that may show a held-out scene."""
    return held_out() | frozenset(_split()["left_out"])


def _split() -> dict[str, list[str]]:
    text = (files("hgzoo.data") / "people_held_out.json").read_text(encoding="utf-8")
    split: dict[str, list[str]] = json.loads(text)
    return split


def _train(root: Path, labels: Labels) -> list[Sample]:
    return [
        sample
        for sample in read_people(root, labels)
        if sample.path.name not in never_trained_on() and sample.visible.sum() >= LEAST_TRAINED
    ]


def _validation(root: Path, labels: Labels) -> list[Sample]:
    return [
        sample
        for sample in read_people(root, labels)
        if sample.path.name in held_out()
        and sample.visible.sum() >= LEAST_JUDGED
        and sample.visible[list(TRUNK)].all()
    ]


def read_people(root: Path, labels: Labels) -> list[Sample]:
    """Read everybody whose image is annotated one way, held out or not.

    Args:
        root: The folder that holds "people".
        labels: Who annotated the image.

    Raises:
        DataError: people.json is missing or damaged, or does not say who annotated an image.
    """
    path = people_annotations(root)
    if not path.is_file():
        raise DataError(
            f"{path} is missing; give the folder that holds people/people.json and people/images"
        )
    samples, skeleton = read_coco(path, path.parent / "images")
    if skeleton is not SKELETONS["coco"]:
        raise DataError(f"{path} should have COCO's 17 keypoints, has {skeleton.keypoints}")
    sources = _sources(path, labels)
    return [
        replace(sample, reference=_torso(sample), source=sources[sample.path.name])
        for sample in samples
        if sample.path.name in sources
    ]


def people_annotations(root: Path) -> Path:
    """Find the file of everyday people in the folder that holds "people"."""
    return root / "people" / "people.json"


def _sources(path: Path, labels: Labels) -> dict[str, str]:
    """Return where each image comes from whose people are annotated one way, by its name."""
    content = json.loads(path.read_text(encoding="utf-8"))
    for image in content["images"]:
        if image.get("labels") not in get_args(Labels):
            raise DataError(
                f"{path}: labels of image {image['id']} should be one of "
                f"{', '.join(map(repr, get_args(Labels)))}, not {image.get('labels')!r}"
            )
    return {
        image["file_name"]: str(image.get("source", ""))
        for image in content["images"]
        if image["labels"] == labels
    }


def _torso(sample: Sample) -> float:
    """Return the torso's length, image pixels; 0 where an end of it is not annotated."""
    shoulder, hip = TORSO
    if not sample.visible[[shoulder, hip]].all():
        return 0.0
    size = torso_size(sample.keypoints[None], left_shoulder=shoulder, right_hip=hip)
    return float(size[0])
