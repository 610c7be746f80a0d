"""Keypoints in COCO's JSON: COCO itself (Lin et al., ECCV 2014), and anybody's own.

The category says how the keypoints are called and joined; K is any number. Coordinates are 0-based.
Left and right are told by the names: "left_eye" and "right_eye", "eye_l" and "eye_r", "LEye" and
"REye".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hgzoo.data.samples import Sample
from hgzoo.errors import ConfigError, DataError, UnknownNameError
from hgzoo.geometry import MPII_PERSON_PIXELS
from hgzoo.skeletons import SKELETONS, Skeleton

Table = Mapping[str, Any]  # Any: JSON

ANNOTATIONS = ("annotations/person_keypoints_{part}2017.json", "person_keypoints_{part}2017.json")
SIDES = (("left", "right"), ("Left", "Right"), ("l", "r"), ("L", "R"))


def coco_train(root: Path) -> list[Sample]:
    """Read COCO's training people (2017).

    Args:
        root: The folder that holds "coco".

    Raises:
        DataError: The annotations are missing or damaged.
    """
    return _coco(root / "coco", "train")


def coco_validation(root: Path) -> list[Sample]:
    """Read COCO's validation people (2017), each in its true box.

    Args:
        root: The folder that holds "coco".

    Raises:
        DataError: The annotations are missing or damaged.
    """
    return _coco(root / "coco", "val")


def _coco(folder: Path, part: str) -> list[Sample]:
    places = [folder / name.format(part=part) for name in ANNOTATIONS]
    path = next((place for place in places if place.is_file()), places[0])
    return read_coco(path, folder / f"{part}2017")[0]


def read_coco(path: Path, images: Path, *, category: str = "") -> tuple[list[Sample], Skeleton]:
    """Read annotated keypoints in COCO's format.

    Crowds and annotations without keypoints are left out. A box gives center and extent; where
    there is none, the keypoints do.

    Args:
        path: The JSON file.
        images: The folder of the pictures.
        category: Name of the category; "" takes the only one that has keypoints.

    Returns:
        The samples, and the skeleton that the category describes.

    Raises:
        DataError: The file is missing or damaged, or an annotation has another number of
            keypoints.
        UnknownNameError: There is no such category.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        chosen = _category(content["categories"], category, path)
        skeleton = _skeleton(chosen)
        files = {image["id"]: images / image["file_name"] for image in content["images"]}
        people = [one for one in content["annotations"] if one["category_id"] == chosen["id"]]
        crowd = Counter(one["image_id"] for one in people)
        samples = [
            _sample(one, files[one["image_id"]], skeleton, others=crowd[one["image_id"]] - 1)
            for one in people
            if not one.get("iscrowd") and _has_keypoints(one, skeleton)
        ]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnknownNameError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is not in COCO's format: {error!r}") from error
    return samples, skeleton


def _category(categories: Sequence[Table], name: str, path: Path) -> Table:
    with_keypoints = {one["name"]: one for one in categories if one.get("keypoints")}
    if name and name not in with_keypoints:
        raise UnknownNameError("category", name, with_keypoints)
    if not name and len(with_keypoints) != 1:
        known = ", ".join(with_keypoints) or "none"
        raise DataError(
            f"{path} must have one category with keypoints, or name one; it has {known}"
        )
    return with_keypoints[name] if name else next(iter(with_keypoints.values()))


def _skeleton(category: Table) -> Skeleton:
    """Read names and limbs; pairs are those names that differ by their side only."""
    names = tuple(str(name) for name in category["keypoints"])
    if names == SKELETONS["coco"].keypoints:
        return SKELETONS["coco"]
    limbs = tuple((int(a) - 1, int(b) - 1) for a, b in category.get("skeleton", ()))
    try:
        return Skeleton(
            name=str(category["name"]), keypoints=names, flip_pairs=flip_pairs(names), limbs=limbs
        )
    except ConfigError as error:
        raise ValueError(str(error)) from error


def flip_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Find the keypoints that a mirror swaps, by their names.

    Args:
        names: K names.

    Returns:
        Index pairs: left, right.
    """
    index = {name: number for number, name in enumerate(names)}
    pairs = {}
    for name, number in index.items():
        for left, right in SIDES:
            for mirrored in _other_side(name, left, right):
                if mirrored in index and number not in pairs:
                    pairs[number] = index[mirrored]
    return tuple(pairs.items())


def _other_side(name: str, left: str, right: str) -> list[str]:
    """Return the names that differ from one by "left" turned into "right", as a word of its own."""
    if len(left) == 1 and left.isupper():  # LEye, EyeL
        patterns = [rf"^{left}(?=[A-Z])", rf"(?<=[a-z]){left}$"]
    elif len(left) == 1:  # eye_l, l-eye
        patterns = [rf"(?<![A-Za-z]){left}(?![A-Za-z])"]
    else:
        patterns = [left]
    turned = [re.sub(pattern, right, name) for pattern in patterns]
    return [one for one in turned if one != name]


def _has_keypoints(annotation: Table, skeleton: Skeleton) -> bool:
    numbers = annotation["keypoints"]
    if len(numbers) != 3 * skeleton.num_keypoints:
        raise ValueError(
            f"annotation {annotation.get('id')} has {len(numbers) / 3:g} keypoints, its category "
            f"{skeleton.num_keypoints}"
        )
    return any(numbers[2::3])


def _sample(annotation: Table, path: Path, skeleton: Skeleton, *, others: int) -> Sample:
    numbers = np.asarray(annotation["keypoints"], np.float64)
    x, y, flag = numbers.reshape(-1, 3).T
    visible = flag > 0
    if annotation.get("bbox"):
        left, top, width, height = (float(number) for number in annotation["bbox"])
    else:
        left, top = float(x[visible].min()), float(y[visible].min())
        width, height = float(np.ptp(x[visible])) + 1, float(np.ptp(y[visible])) + 1
    area = float(annotation.get("area") or width * height)
    return Sample(
        path=path,
        keypoints=np.stack([x, y], axis=1),
        visible=visible,
        center=(left + (width - 1) / 2, top + (height - 1) / 2),
        scale=max(width, height) / MPII_PERSON_PIXELS,
        hidden=flag == 1,
        reference=area**0.5,
        others=others,
    )
