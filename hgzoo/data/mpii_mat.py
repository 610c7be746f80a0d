"""MPII's annotations as its authors publish them: mpii_human_pose_v1_u12_1.mat.

One MATLAB struct, RELEASE, holds for each picture a list of people (annorect): a box around the
head, mostly a place and a scale (objpos, scale) and, in training pictures, mostly the keypoints
(annopoints). Any of them may be missing or empty. Coordinates are 1-based; the keypoints' ids are
0-based, in the order of the "mpii" skeleton.

The file tells training pictures from test pictures, and nothing of a validation part. That of
Tompson et al. (CVPR 2015), which everybody uses, is a list of people: 2,958 of the 6,637 with
keypoints in 2,729 pictures. The others in these pictures are in neither part, lest one picture be
trained on and judged by. `mpii_validation.json` is that list: by place among a picture's people,
counted from 1, the numbers that the pictures are named by.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgzoo.data.arrays import read_arrays
from hgzoo.data.h5 import from_1_based
from hgzoo.data.references import head_size
from hgzoo.data.samples import Sample
from hgzoo.errors import DataError
from hgzoo.skeletons import SKELETONS

CENTER_SHIFT = 15.0
"""MPII's center lies too high for whole bodies: everybody moves it down by so much times scale."""

HEAD_BOX = ("x1", "y1", "x2", "y2")

Struct = np.void
"""One struct of MATLAB: each field a number, a text, a struct, or an array of any of them."""


def from_mat(path: Path, images: Path) -> list[tuple[Sample, bool]]:
    """Read the published file; that takes some twenty seconds.

    People without keypoints, place or scale are left out, and of the validation pictures all who
    are not in the validation part. Keypoints without a visibility flag are to be seen: neck and
    head top have none.

    Args:
        path: The file.
        images: The folder of the pictures.

    Returns:
        Each person in the file's order, and whether it belongs to the validation part.

    Raises:
        DataError: Missing, damaged, or another file.
    """
    arrays = read_arrays(path)
    if "RELEASE" not in arrays:
        raise DataError(f"{path} has no RELEASE; give MPII's mpii_human_pose_v1_u12_1.mat")
    validation = validation_people()
    try:
        (release,) = _structs(arrays["RELEASE"])
        pictures = zip(_structs(release["annolist"]), np.ravel(release["img_train"]), strict=True)
        return [
            person
            for index, (picture, train) in enumerate(pictures)
            if train
            for person in _people(picture, index, images, validation)
        ]
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(
            f"{path} is no annotation file of MPII: {error!r}; expected RELEASE with annolist and "
            "img_train, as in mpii_human_pose_v1_u12_1.mat"
        ) from error


def validation_people() -> dict[str, set[int]]:
    """Read who is in the validation part of Tompson et al.

    Returns:
        By the name of each picture's file, the places among its people, counted from 1.
    """
    table = json.loads((files("hgzoo.data") / "mpii_validation.json").read_text(encoding="utf-8"))
    people: dict[str, set[int]] = {}
    for place, numbers in table.items():
        for number in numbers:
            people.setdefault(f"{number:09d}.jpg", set()).add(int(place))
    return people


def _people(
    picture: Struct, index: int, images: Path, validation: Mapping[str, set[int]]
) -> Iterator[tuple[Sample, bool]]:
    """Yield a picture's people, but for those in neither part."""
    (image,) = _structs(picture["image"])
    name = str(image["name"])
    people = dict(enumerate(_inner(picture, "annorect"), start=1))
    points = {place: _points(person) for place, person in people.items()}
    annotated = [place for place in people if points[place]]
    for place in annotated:
        center, scale = _center(people[place]), _number(people[place], "scale")
        if place in validation.get(name, annotated) and np.isfinite([*center, scale]).all():
            keypoints, seen = _keypoints(points[place])
            sample = from_1_based(
                images / name,
                keypoints,
                seen=seen,
                center=(center[0], center[1] + CENTER_SHIFT * scale),
                scale=scale,
                reference=_head_size(people[place]),
                others=len(annotated) - 1,
                picture_id=index,
                person_id=place - 1,
            )
            yield sample, name in validation


def _points(person: Struct) -> list[Struct]:
    return [point for one in _inner(person, "annopoints") for point in _inner(one, "point")]


def _keypoints(points: list[Struct]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return (x, y), [K, 2], 1-based, 0 where not annotated, and which are to be seen, [K]."""
    keypoints = np.zeros((SKELETONS["mpii"].num_keypoints, 2))
    seen = np.ones(len(keypoints), bool)
    for point in points:
        index = int(_number(point, "id"))
        if index not in range(len(keypoints)):
            raise ValueError(f"a keypoint has the id {index}")
        keypoints[index] = _number(point, "x"), _number(point, "y")
        seen[index] = _number(point, "is_visible") != 0  # without a flag NaN, which is not 0
    return np.nan_to_num(keypoints), seen


def _center(person: Struct) -> tuple[float, float]:
    """Return (x, y) as published; NaN where nobody says."""
    for place in _inner(person, "objpos"):
        return _number(place, "x"), _number(place, "y")
    return np.nan, np.nan


def _head_size(person: Struct) -> float:
    """Return the head's size, picture pixels; 0 where there is no box."""
    box = np.array([[_number(person, corner) for corner in HEAD_BOX]])
    return float(np.nan_to_num(head_size(box)[0]))


def _inner(struct: Struct, field: str) -> list[Struct]:
    """Return the structs in a field; none where it is empty or not there."""
    return _structs(struct[field]) if field in _names(struct) else []


def _structs(value: NDArray[Any]) -> list[Struct]:
    """Return one struct or an array of them as a list; an empty list for anything else."""
    flat = np.ravel(value)
    return list(flat) if flat.dtype.names else []


def _number(struct: Struct, field: str) -> float:
    """Return a number, written as such or as text; NaN where it is empty or not there."""
    value = np.ravel(struct[field] if field in _names(struct) else [])
    return float(value[0]) if value.size else np.nan


def _names(struct: Struct) -> tuple[str, ...]:
    return struct.dtype.names or ()
