"""FLIC (Sapp and Taskar, CVPR 2013) in the h5 files of the paper's authors, 11 keypoints.

A folder "flic" with `images/` and, in it or in `annot/`, train.h5 and valid.h5. Coordinates are
1-based, the reference length is the torso.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hgzoo.data.arrays import array, read_arrays
from hgzoo.data.mpii import H5_PADDING
from hgzoo.data.samples import Sample
from hgzoo.errors import DataError
from hgzoo.skeletons import SKELETONS


def flic_train(root: Path) -> list[Sample]:
    """Read the training people.

    Args:
        root: The folder that holds "flic".

    Raises:
        DataError: train.h5 is missing or damaged.
    """
    return _read(root / "flic", "train.h5")


def flic_validation(root: Path) -> list[Sample]:
    """Read the 1,016 test people.

    Args:
        root: The folder that holds "flic".

    Raises:
        DataError: valid.h5 is missing or damaged.
    """
    return _read(root / "flic", "valid.h5")


def _read(folder: Path, name: str) -> list[Sample]:
    places = [folder / name, folder / "annot" / name]
    path = next((place for place in places if place.is_file()), places[0])
    arrays = read_arrays(path)
    part, scale, center, normalize, seen = (
        array(arrays, key, path) for key in ("part", "scale", "center", "normalize", "visible")
    )
    if part.shape[1:] != (SKELETONS["flic"].num_keypoints, 2) or "imgname" not in arrays:
        raise DataError(f"{path} is no annotation file of FLIC")
    samples = []
    for index, raw in enumerate(arrays["imgname"]):
        visible = np.asarray((part[index] > 1).all(-1))
        samples.append(
            Sample(
                path=folder / "images" / (raw.decode() if isinstance(raw, bytes) else str(raw)),
                keypoints=part[index] - 1,
                visible=visible,
                center=(float(center[index, 0]) - 1, float(center[index, 1]) - 1),
                scale=float(scale[index]) / H5_PADDING,
                hidden=visible & ~(seen[index] > 0),
                reference=float(normalize[index]),
            )
        )
    return samples
