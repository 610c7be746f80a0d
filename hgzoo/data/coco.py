"""Keypoints in COCO's JSON: COCO itself (Lin et al., ECCV 2014), and anybody's own.

The category says how the keypoints are called and joined; K is any number. Coordinates are 0-based.
Left and right are told by the names: "left_eye" and "right_eye", "eye_l" and "eye_r", "LEye" and
"REye".
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgzoo.data.samples import Sample
from hgzoo.errors import ConfigError, DataError, UnknownNameError
from hgzoo.files import first_file
from hgzoo.geometry import MPII_PERSON_PIXELS
from hgzoo.skeletons import SKELETONS, Skeleton

Table = Mapping[str, Any]  # Any: JSON

ANNOTATIONS = ("annotations/person_keypoints_{part}2017.json", "person_keypoints_{part}2017.json")
SIDES = (("left", "right"), ("Left", "Right"), ("l", "r"), ("L", "R"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Annotation:
    """One person, thing or crowd.

    Attributes:
        number: Its number; -1 where the file gives none, or no whole one.
        image: Number (or name) of the picture, as the file has it.
        keypoints: (x, y, flag), [K, 3], picture pixels; flag 0: not annotated, 1: hidden, 2: seen.
        box: (left, top, width, height), picture pixels; that of the keypoints where the file has
            none.
        area: Square picture pixels; the box's where the file has none.
        crowd: Several people at once, whom nobody told apart.
        weight: How much the labels count in training, 0 and more: hgzoo's own key, 1 elsewhere.
    """

    number: int
    image: int | str
    keypoints: NDArray[np.float64]
    box: tuple[float, float, float, float]
    area: float
    crowd: bool
    weight: float

    @property
    def labeled(self) -> bool:
        """Whether it has keypoints; the others are only to be left in peace."""
        return not self.crowd and bool((self.keypoints[:, 2] > 0).any())


@dataclass(frozen=True, kw_only=True, eq=False)
class Annotations:
    """What a file in COCO's format says of one category.

    Attributes:
        path: The file.
        category: Number of the category.
        categories: Name of every category, by number.
        skeleton: What the keypoints are.
        images: File name of every picture, by number.
        people: Everybody, also crowds and people without keypoints.
    """

    path: Path
    category: int
    categories: Mapping[int, str]
    skeleton: Skeleton
    images: Mapping[int | str, str]
    people: Sequence[Annotation]


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


def coco_annotations(root: Path) -> Path:
    """Find the file of COCO's validation people (2017).

    Args:
        root: The folder that holds "coco".
    """
    return _find(root / "coco", "val")


def _coco(folder: Path, part: str) -> list[Sample]:
    return read_coco(_find(folder, part), folder / f"{part}2017")[0]


def _find(folder: Path, part: str) -> Path:
    places = [folder / name.format(part=part) for name in ANNOTATIONS]
    return first_file(places) or places[0]


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

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.data import read_coco
        >>> samples, skeleton = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> len(samples), skeleton.name, samples[0].keypoints.shape
        (6, 'coco', (17, 2))
    """
    content = read_annotations(path, category=category)
    crowd = Counter(one.image for one in content.people)
    samples = [
        _sample(one, images / content.images[one.image], others=crowd[one.image] - 1)
        for one in content.people
        if one.labeled
    ]
    return samples, content.skeleton


def read_annotations(path: Path, *, category: str = "") -> Annotations:
    """Read everything that a file in COCO's format says of one category.

    Args:
        path: The JSON file.
        category: Name of the category; "" takes the only one that has keypoints.

    Raises:
        DataError: The file is missing or damaged, or an annotation has another number of
            keypoints.
        UnknownNameError: There is no such category.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        chosen = _category(content["categories"], category, path)
        skeleton = _skeleton(chosen)
        images = {image["id"]: str(image["file_name"]) for image in content["images"]}
        people = [one for one in content["annotations"] if one["category_id"] == chosen["id"]]
        return Annotations(
            path=path,
            category=chosen["id"],
            categories={one["id"]: str(one["name"]) for one in content["categories"]},
            skeleton=skeleton,
            images=images,
            people=[_annotation(one, images, skeleton) for one in people if _has_place(one)],
        )
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnknownNameError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is not in COCO's format: {error!r}") from error


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


def _has_place(annotation: Table) -> bool:
    """Tell whether an annotation says where it is: by its box or its keypoints."""
    return bool(annotation.get("bbox")) or any(annotation["keypoints"][2::3])


def _annotation(annotation: Table, images: Mapping[Any, str], skeleton: Skeleton) -> Annotation:
    image, number = annotation["image_id"], annotation.get("id")
    if image not in images:
        raise ValueError(f"annotation {number} is of picture {image}, which is not in the list")
    crowd = bool(annotation.get("iscrowd"))
    nothing = [0] * (3 * skeleton.num_keypoints)
    numbers = (annotation.get("keypoints") or nothing) if crowd else annotation["keypoints"]
    if len(numbers) != 3 * skeleton.num_keypoints:
        raise ValueError(
            f"annotation {number} has {len(numbers) / 3:g} keypoints, its category "
            f"{skeleton.num_keypoints}"
        )
    keypoints = np.asarray(numbers, np.float64).reshape(-1, 3)
    box = _box(annotation, keypoints)
    return Annotation(
        number=number if isinstance(number, int) else -1,
        image=image,
        keypoints=keypoints,
        box=box,
        area=float(annotation.get("area") or box[2] * box[3]),
        crowd=crowd,
        weight=_weight(annotation),
    )


def _weight(annotation: Table) -> float:
    """Return how much an annotation counts: its own "weight", or 1."""
    weight = float(annotation.get("weight", 1.0))
    if not 0.0 <= weight < math.inf:
        raise ValueError(f"annotation {annotation.get('id')} has the weight {weight}")
    return weight


def _box(annotation: Table, keypoints: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Return the annotated box, or that of the annotated keypoints."""
    if annotation.get("bbox"):
        left, top, width, height = (float(number) for number in annotation["bbox"])
        return left, top, width, height
    seen = keypoints[keypoints[:, 2] > 0, :2]
    (left, top), (width, height) = seen.min(0).tolist(), (np.ptp(seen, axis=0) + 1).tolist()
    return left, top, width, height


def _sample(one: Annotation, path: Path, *, others: int) -> Sample:
    left, top, width, height = one.box
    flag = one.keypoints[:, 2]
    return Sample(
        path=path,
        keypoints=one.keypoints[:, :2],
        visible=flag > 0,
        center=(left + (width - 1) / 2, top + (height - 1) / 2),
        scale=max(width, height) / MPII_PERSON_PIXELS,
        hidden=flag == 1,
        reference=one.area**0.5,
        others=others,
        weight=one.weight,
        picture_id=one.image if isinstance(one.image, int) else -1,
        person_id=one.number,
    )
