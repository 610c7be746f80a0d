"""MPII Human Pose (Andriluka et al., CVPR 2014), in the forms people have it.

A folder "mpii" with `images/` and, in it, in `annot/` or in `mpii_human_pose_v1_u12_2/`, one of

- the h5 files of the paper's authors (train.h5, valid.h5; neck and head top are cut to whole
  pixels), which published figures are computed with;
- the published mpii_human_pose_v1_u12_1.mat;
- a JSON of other ports: the list with `joint_self`, or the one with `joints_vis`. It lacks the
  head's box, so that the head's size is estimated.

Where there are several, the first of these is read. All are 1-based, and split as Tompson et al.
do (CVPR 2015).
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hgzoo.data.h5 import from_1_based, read_h5
from hgzoo.data.mpii_mat import CENTER_SHIFT, from_mat
from hgzoo.data.samples import Sample
from hgzoo.errors import DataError
from hgzoo.files import first_file
from hgzoo.skeletons import SKELETONS

NECK_TO_HEAD_SIZE = 0.75
"""The head's size over the distance from upper neck to head top: 0.75 within 3 % for 98 of 100
people of valid.h5. For JSON files, which lack the head's box."""

MAT = "mpii_human_pose_v1_u12_1.mat"
PLACES = ("", "annot", "mpii_human_pose_v1_u12_2")
JSONS = ("mpii_annotations.json", "mpii_annotations.json.gz", "MPI_annotations.json")


def mpii_train(root: Path) -> list[Sample]:
    """Read the training part: train.h5, the .mat, train.json, or a JSON of all people.

    Args:
        root: The folder that holds "mpii".

    Raises:
        DataError: No annotations are there, or they are damaged.
    """
    return _read(root / "mpii", "train")


def mpii_validation(root: Path) -> list[Sample]:
    """Read the 2,958 people of the validation part, from one of the same files.

    Args:
        root: The folder that holds "mpii".

    Raises:
        DataError: No annotations are there, or they are damaged.
    """
    return _read(root / "mpii", "valid")


def _read(folder: Path, part: str) -> list[Sample]:
    names = (f"{part}.h5", MAT, f"{part}.json", *JSONS)
    places = [folder / inside / name for name in names for inside in PLACES]
    found = first_file(places)
    if found is None:
        raise DataError(
            f"{folder} holds no annotations; looked for {', '.join(names)}, there, in "
            f"{' and in '.join(PLACES[1:])}"
        )
    if found.suffix == ".h5":
        return from_h5(found, folder / "images")
    people = _everybody(found, folder / "images", found.stat().st_mtime_ns)
    if found.name in (MAT, *JSONS):
        people = [(sample, valid) for sample, valid in people if valid == (part == "valid")]
    return [sample for sample, _ in people]


@lru_cache(maxsize=1)
def _everybody(path: Path, images: Path, written: int) -> list[tuple[Sample, bool]]:
    """Read a file, and keep what is in it: most who ask for one part then ask for the other.

    Args:
        path: The file.
        images: The folder of the pictures.
        written: When the file was written; another time, it is read again.
    """
    return (from_mat if path.name == MAT else from_json)(path, images)


def from_h5(path: Path, images: Path) -> list[Sample]:
    """Read an h5 file of the paper's authors.

    Args:
        path: The file.
        images: The folder of the pictures.

    Raises:
        DataError: Damaged, or another file.
    """
    people = read_h5(path, images, SKELETONS["mpii"])
    crowd = Counter(person.path for person in people)
    return [replace(person, others=crowd[person.path] - 1) for person in people]


def from_json(path: Path, images: Path) -> list[tuple[Sample, bool]]:
    """Read a JSON of other ports.

    Args:
        path: The file, perhaps gzipped.
        images: The folder of the pictures.

    Returns:
        Each person, and whether it belongs to the validation part (as far as the file tells).

    Raises:
        DataError: Damaged, or another file.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            people = json.load(file)
        return [_person(person, images) for person in people]
    except (OSError, ValueError, LookupError, TypeError, EOFError, RecursionError) as error:
        raise DataError(
            f"{path} is no annotation file of MPII: {error!r}; expected a list of people, each "
            "with joint_self, img_paths, objpos and scale_provided, or with joints, joints_vis, "
            "image, center and scale"
        ) from error


def _person(person: dict[str, Any], images: Path) -> tuple[Sample, bool]:  # Any: JSON
    if "joint_self" in person:
        joints = np.asarray(person["joint_self"], np.float64)
        keypoints, seen = joints[:, :2], joints[:, 2] > 0
        name, center, scale = person["img_paths"], person["objpos"], person["scale_provided"]
    else:
        keypoints = np.asarray(person["joints"], np.float64)
        seen = np.asarray(person["joints_vis"]) > 0
        name, center, scale = person["image"], person["center"], person["scale"]
    names = SKELETONS["mpii"].keypoints
    neck, top = keypoints[names.index("upper_neck")], keypoints[names.index("head_top")]
    sample = from_1_based(
        images / name,
        keypoints,
        seen=seen,
        center=(center[0], center[1] + CENTER_SHIFT * scale),
        scale=float(scale),
        reference=NECK_TO_HEAD_SIZE * float(np.linalg.norm(neck - top)),
        others=int(person.get("numOtherPeople", 0)),
        picture_id=int(person.get("annolist_index", 0)) - 1,
        person_id=int(person.get("people_index", 0)) - 1,
    )
    return sample, bool(person.get("isValidation", True))
