"""FLIC (Sapp and Taskar, CVPR 2013) in the h5 files of the paper's authors, 11 keypoints.

A folder "flic" with `images/` and, in it or in `annot/`, train.h5 and valid.h5. Coordinates are
1-based, the reference length is the torso.
"""

from __future__ import annotations

from pathlib import Path

from hgzoo.data.h5 import read_h5
from hgzoo.data.samples import Sample
from hgzoo.files import first_file
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
    return read_h5(first_file(places) or places[0], folder / "images", SKELETONS["flic"])
