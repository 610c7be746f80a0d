"""The h5 annotation files of the paper's authors: one form for MPII and FLIC, 1-based."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hgzoo.data.arrays import Arrays, array, read_arrays
from hgzoo.data.samples import Sample
from hgzoo.errors import DataError
from hgzoo.skeletons import Skeleton

PADDING = 1.25
"""The files hold the scale times this already; ours is the person's own."""


def read_h5(path: Path, images: Path, skeleton: Skeleton) -> list[Sample]:
    """Read one file.

    Args:
        path: The file.
        images: The folder of the pictures.
        skeleton: What its keypoints are.

    Raises:
        DataError: Missing, damaged, or another file.
    """
    arrays = read_arrays(path)
    part, scale, center, normalize, seen = (
        array(arrays, name, path) for name in ("part", "scale", "center", "normalize", "visible")
    )
    if part.shape[1:] != (skeleton.num_keypoints, 2) or "imgname" not in arrays:
        raise DataError(
            f"{path} is no annotation file of {skeleton.name.upper()}; one has imgname, and part "
            f"as [N, {skeleton.num_keypoints}, 2]; this has part as {list(part.shape)}, beside "
            f"{', '.join(name for name in arrays if name != 'part')}"
        )
    pictures, people = (_numbers(arrays, name, path, len(part)) for name in ("index", "person"))
    return [
        from_1_based(
            images / (name.decode() if isinstance(name, bytes) else str(name)),
            part[index],
            seen=seen[index] > 0,
            center=(center[index, 0], center[index, 1]),
            scale=float(scale[index]) / PADDING,
            reference=float(normalize[index]),
            picture_id=int(pictures[index]),
            person_id=int(people[index]),
        )
        for index, name in enumerate(arrays["imgname"])
    ]


def from_1_based(
    path: Path,
    keypoints: NDArray[np.float64],
    *,
    seen: NDArray[np.bool_],
    center: tuple[float, float],
    scale: float,
    reference: float,
    others: int = 0,
    picture_id: int = -1,
    person_id: int = -1,
) -> Sample:
    """Turn 1-based numbers into a sample; a keypoint is annotated where both are above 1."""
    visible: NDArray[np.bool_] = np.asarray((keypoints > 1).all(-1))
    return Sample(
        path=path,
        keypoints=keypoints - 1,
        visible=visible,
        center=(float(center[0]) - 1, float(center[1]) - 1),
        scale=scale,
        hidden=visible & ~seen,
        reference=reference,
        others=others,
        picture_id=picture_id,
        person_id=person_id,
    )


def _numbers(arrays: Arrays, name: str, path: Path, people: int) -> NDArray[np.float64]:
    """Return whole numbers of N people, -1 where the file does not have them."""
    return array(arrays, name, path) if name in arrays else np.full(people, -1.0)
