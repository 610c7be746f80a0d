"""Leeds Sports Pose and its extended training set, as published (Johnson and Everingham).

Two folders, each with `images/` and `joints.mat`: "lsp" (BMVC 2010; pictures im0001.jpg on) and
"lspet" (CVPR 2011; im00001.jpg on). Keypoints in the files are 1-based. Their flags have opposite
senses: in LSP 1 marks a hidden joint, whose place is still known; in LSPET 1 marks a labeled one,
and the others hold junk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hgzoo.data.arrays import UNREADABLE
from hgzoo.data.references import torso_size
from hgzoo.data.samples import Sample, sample_from_keypoints
from hgzoo.errors import DataError, require
from hgzoo.skeletons import SKELETONS

TORSO = tuple(SKELETONS["lsp"].keypoints.index(name) for name in ("left_shoulder", "right_hip"))

TEST_COPIES = frozenset({175, 210, 285, 371, 412, 483, 492, 535, 550, 670})
"""LSP training pictures that nearly repeat a test picture: never trained on."""


def lsp_train(root: Path) -> list[Sample]:
    """Read LSP pictures 1 to 800, less the near copies of test pictures.

    Args:
        root: The folder that holds "lsp".

    Raises:
        DataError: joints.mat is missing or damaged.
    """
    return _lsp(root, (n for n in range(1, 801) if n not in TEST_COPIES))


def lsp_validation(root: Path) -> list[Sample]:
    """Read LSP training pictures 801 to 1000, held out to choose by.

    Args:
        root: The folder that holds "lsp".

    Raises:
        DataError: joints.mat is missing or damaged.
    """
    return _lsp(root, range(801, 1001))


def lspet_train(root: Path) -> list[Sample]:
    """Read LSPET pictures 1 to 9700; people with fewer than two labeled joints are left out.

    Args:
        root: The folder that holds "lspet".

    Raises:
        DataError: joints.mat is missing or damaged.
    """
    return _lspet(root, range(1, 9701))


def lspet_held_out(root: Path) -> list[Sample]:
    """Read LSPET pictures 9701 to 10000, on which nothing is trained; see `lspet_train`."""
    return _lspet(root, range(9701, 10001))


def _lspet(root: Path, numbers: range) -> list[Sample]:
    folder = root / "lspet"
    joints = _joints(folder, axes=(2, 0, 1))  # [N, K, 3]
    samples = []
    for number in numbers:
        if number > len(joints):
            break
        keypoints, flag = joints[number - 1, :, :2] - 1, joints[number - 1, :, 2]
        visible = (flag == 1) & np.isfinite(keypoints).all(1)
        if visible.sum() >= 2 and np.ptp(keypoints[visible], axis=0).max() > 0:
            path = folder / "images" / f"im{number:05d}.jpg"
            torso = _torso(keypoints) if visible[list(TORSO)].all() else 0.0
            samples.append(sample_from_keypoints(path, keypoints, visible, reference=torso))
    return samples


def lspet_cleaned_train(root: Path) -> list[Sample]:
    """Read the same pictures with the corrections that hgzoo keeps for them.

    `lspet_corrections.json` names people whose left and right were exchanged by the annotator
    (they are changed back) and keypoints that are doubtful (they are not visible any more).
    docs/training.md tells how both were found.

    Args:
        root: The folder that holds "lspet".

    Raises:
        DataError: joints.mat is missing or damaged.
    """
    corrections = json.loads((files("hgzoo.data") / "lspet_corrections.json").read_text())
    swapped, doubtful = set(corrections["swapped"]), corrections["doubtful"]
    mirrored = SKELETONS["lsp"].flip_index
    samples = []
    for sample in lspet_train(root):
        number = int(sample.path.stem[2:])
        keypoints, visible = sample.keypoints, sample.visible.copy()
        if number in swapped:
            keypoints, visible = keypoints[mirrored], visible[mirrored]
        visible[doubtful.get(str(number), [])] = False
        samples.append(replace(sample, keypoints=keypoints, visible=visible))
    return samples


def _lsp(root: Path, numbers: Iterable[int]) -> list[Sample]:
    folder = root / "lsp"
    joints = _joints(folder, axes=(2, 1, 0))  # [N, K, 3]
    everyone = np.ones(joints.shape[1], bool)
    samples = []
    for number in numbers:
        if number <= len(joints):
            path = folder / "images" / f"im{number:04d}.jpg"
            keypoints, hidden = joints[number - 1, :, :2] - 1, joints[number - 1, :, 2] == 1
            samples.append(
                sample_from_keypoints(
                    path, keypoints, everyone, hidden=hidden, reference=_torso(keypoints)
                )
            )
    return samples


def _torso(keypoints: NDArray[np.float64]) -> float:
    shoulder, hip = TORSO
    return float(torso_size(keypoints[None], left_shoulder=shoulder, right_hip=hip)[0])


def _joints(folder: Path, *, axes: tuple[int, int, int]) -> NDArray[np.float64]:
    """Read joints.mat as [N, K, 3]."""
    path = folder / "joints.mat"
    matlab = require("scipy.io.matlab", extra="train")
    if not path.is_file():
        raise DataError(
            f"{path} is missing; give the folder that holds {folder.name}/joints.mat and "
            f"{folder.name}/images, as published"
        )
    try:
        joints = np.asarray(matlab.loadmat(path)["joints"], np.float64).transpose(axes)
    except (*UNREADABLE, matlab.MatReadError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    if joints.shape[1:] != (14, 3):
        raise DataError(f"{path} should hold 14 joints of 3 numbers, has {joints.shape[1:]}")
    return joints
