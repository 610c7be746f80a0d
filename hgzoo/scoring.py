"""Scoring predictions that anybody made: files in, every figure in use out.

Files keep their dataset's own convention (MPII's coordinates are 1-based): annotations and
predictions are compared as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from hgzoo import metrics
from hgzoo.errors import DataError, UnknownNameError, require
from hgzoo.metrics import Bools, Floats
from hgzoo.skeletons import SKELETONS, Skeleton

CURVE_STEPS = 51
"""Thresholds of a curve, from 0 to the one that is reported."""

UNREADABLE = (OSError, ValueError, TypeError, LookupError, EOFError, BadZipFile, RecursionError)
"""What the readers raise for damaged files."""

TRUNK = ("pelvis", "thorax")
"""Keypoints of MPII that most tables leave out."""

NAMES = ("preds", "predicted", "predictions", "keypoints", "pos_pred_src")
"""Under which names predictions are looked for in a file that holds several arrays."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """What annotators say of N people.

    Attributes:
        keypoints: [N, K, 2], pixels in the dataset's own convention.
        visible: Which count, [N, K]: annotated, whether to be seen or not.
        hidden: Annotated, but not to be seen in the picture, [N, K]; None where nobody says.
        reference: Length that distances are divided by, [N], pixels.
        skeleton: Names and groups of the K keypoints.
    """

    keypoints: Floats
    visible: Bools
    hidden: Bools | None
    reference: Floats
    skeleton: Skeleton


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """How a dataset is scored.

    Attributes:
        read: Reads its annotation file.
        metric: "PCKh" (over the head) or "PCK" (over the torso).
        threshold: The one that is reported.
        strict: A smaller one, where only exact predictions count.
    """

    read: Callable[[Path], Truth]
    metric: str
    threshold: float
    strict: float


@dataclass(frozen=True, kw_only=True)
class Score:
    """Every figure of one set of predictions, percent.

    Attributes:
        metric: Name and threshold, such as "PCKh@0.5".
        people: N.
        keypoints: By keypoint.
        groups: By row of the usual table.
        means: Every mean in use, by name; see `hgzoo.metrics.means`.
        strict: The means at the smaller threshold, by names such as "14 pooled, PCKh@0.1".
        area: Area under the curve of each mean from 0 to the threshold.
        visibility: The pooled mean over the keypoints that are to be seen ("seen") and over those
            that are not ("hidden"); empty where nobody says which are.
        curve: "thresholds", and for each of them every row of the table.
    """

    metric: str
    people: int
    keypoints: dict[str, float]
    groups: dict[str, float]
    means: dict[str, float]
    strict: dict[str, float]
    area: dict[str, float]
    visibility: dict[str, float]
    curve: dict[str, list[float]]


def read_mpii(path: Path) -> Truth:
    """Read MPII annotations: the authors' h5 (valid.h5), or detections_our_format.mat.

    In the h5 a keypoint counts when x and y are above 1; the visibility flag only tells whether it
    is to be seen. The head's size is `normalize`, or 0.6 times the diagonal of the head's box.

    Raises:
        DataError: Missing, damaged, or another file.
    """
    arrays = read_arrays(path)
    if "pos_gt_src" in arrays:
        keypoints = _array(arrays, "pos_gt_src", path).transpose(2, 0, 1)  # [N, K, 2]
        boxes = _array(arrays, "headboxes_src", path)  # [2 corners, 2, N]
        visible: Bools = np.asarray(_array(arrays, "jnt_missing", path).T == 0)
        return Truth(
            keypoints=keypoints,
            visible=visible,
            hidden=None,
            reference=metrics.head_size(boxes.reshape(4, -1).T),
            skeleton=SKELETONS["mpii"],
        )
    return _from_h5(arrays, path, SKELETONS["mpii"])


def read_flic(path: Path) -> Truth:
    """Read FLIC annotations in the h5 of the paper's authors (valid.h5).

    Raises:
        DataError: Missing, damaged, or another file.
    """
    return _from_h5(read_arrays(path), path, SKELETONS["flic"])


def _from_h5(arrays: Mapping[str, NDArray[Any]], path: Path, skeleton: Skeleton) -> Truth:
    keypoints = _array(arrays, "part", path)
    if keypoints.shape[1:] != (skeleton.num_keypoints, 2):
        raise DataError(
            f"{path} holds keypoints {keypoints.shape}, {skeleton.name} has "
            f"[N, {skeleton.num_keypoints}, 2]"
        )
    visible: Bools = np.asarray((keypoints > 1).all(-1))
    seen = _array(arrays, "visible", path) > 0
    return Truth(
        keypoints=keypoints,
        visible=visible,
        hidden=visible & ~seen,
        reference=_array(arrays, "normalize", path),
        skeleton=skeleton,
    )


BENCHMARKS: dict[str, Benchmark] = {
    "flic": Benchmark(read=read_flic, metric="PCK", threshold=0.2, strict=0.1),
    "mpii": Benchmark(read=read_mpii, metric="PCKh", threshold=0.5, strict=0.1),
}
"""Every dataset whose predictions can be scored by distance; COCO has its own tool."""


def read_predictions(path: Path, *, people: int, num_keypoints: int) -> Floats:
    """Read predicted keypoints from h5, mat, npz, npy or JSON.

    Args:
        path: The file. Of several arrays the one named "preds" (or the like) is taken; axes may
            stand in any order that people, keypoints and coordinates tell.
        people: N.
        num_keypoints: K.

    Returns:
        [N, K, 2].

    Raises:
        DataError: Missing, damaged, or nothing in it has N people and K keypoints.
    """
    arrays = read_arrays(path)
    known = [arrays[name] for name in NAMES if name in arrays]
    for array in [*known, *arrays.values()]:
        for turned in _turned(array, people, num_keypoints):
            return turned
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    raise DataError(
        f"{path} holds no predictions for {people} people of {num_keypoints} keypoints; it holds "
        f"{shapes or 'nothing'}"
    )


def _turned(array: NDArray[Any], people: int, num_keypoints: int) -> Iterator[Floats]:
    """Bring an array to [N, K, 2] in each way its shape allows; a third column is a score."""
    if array.ndim != 3 or not np.issubdtype(array.dtype, np.number):
        return
    for axes in permutations(range(3)):
        turned = array.transpose(axes)
        if turned.shape[:2] == (people, num_keypoints) and turned.shape[2] in (2, 3):
            yield np.asarray(turned[..., :2], np.float64)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:  # Any: whatever the file holds
    """Read every array of an h5, mat, npz, npy or JSON file by name.

    Raises:
        DataError: Missing, damaged, or of another kind.
        MissingExtraError: The package that reads it is not installed.
    """
    readers = {
        ".h5": _read_h5,
        ".hdf5": _read_h5,
        ".mat": _read_mat,
        ".npz": _read_npz,
        ".npy": _read_npz,
        ".json": _read_json,
    }
    if path.suffix not in readers:
        raise UnknownNameError("kind of file", path.suffix, readers)
    if not path.is_file():
        raise DataError(f"{path} is missing")
    try:
        return readers[path.suffix](path)
    except UNREADABLE as error:
        raise DataError(f"{path} is damaged: {error}") from error


def _read_h5(path: Path) -> dict[str, NDArray[Any]]:
    h5py = require("h5py", extra="train")
    arrays = {}

    def keep(name: str, item: Any) -> None:  # Any: h5py has no types
        if isinstance(item, h5py.Dataset):
            arrays[name] = np.asarray(item)

    with h5py.File(path, "r") as file:
        file.visititems(keep)
    return arrays


def _read_mat(path: Path) -> dict[str, NDArray[Any]]:
    matlab = require("scipy.io.matlab", extra="train")
    try:
        content = matlab.loadmat(path, squeeze_me=True)
    except (matlab.MatReadError, NotImplementedError) as error:
        raise ValueError(str(error)) from error
    return {name: np.asarray(v) for name, v in content.items() if not name.startswith("__")}


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    with path.open("rb") as file:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return {"preds": content}
        with content:
            return {name: content[name] for name in content.files}


def _read_json(path: Path) -> dict[str, NDArray[Any]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    table = content if isinstance(content, dict) else {"preds": content}
    return {name: np.asarray(v, np.float64) for name, v in table.items() if isinstance(v, list)}


def _array(arrays: Mapping[str, NDArray[Any]], name: str, path: Path) -> Floats:
    if name not in arrays:
        raise DataError(f"{path} has no {name}; it holds {', '.join(arrays) or 'nothing'}")
    return np.asarray(arrays[name], np.float64)


def score(truth: Truth, predicted: Floats, benchmark: Benchmark) -> Score:
    """Compute every figure of one set of predictions.

    Args:
        truth: What annotators say.
        predicted: [N, K, 2], pixels in the same convention.
        benchmark: An entry of `BENCHMARKS`.

    Raises:
        InputError: The shapes do not fit together.
    """
    skeleton, visible = truth.skeleton, truth.visible
    trunk = [index for index, name in enumerate(skeleton.keypoints) if name in TRUNK]

    def hits(threshold: float) -> Bools:
        return metrics.hits(
            predicted, truth.keypoints, visible, truth.reference, threshold=threshold
        )

    hit = hits(benchmark.threshold)
    values = metrics.percent(hit, visible)
    exact = metrics.means(hits(benchmark.strict), visible, trunk=trunk)
    thresholds = np.linspace(0.0, benchmark.threshold, CURVE_STEPS)
    every = [metrics.means(hits(float(one)), visible, trunk=trunk) for one in thresholds]
    heights = {name: np.array([one[name] for one in every]) for name in exact}
    each = metrics.curve(
        predicted, truth.keypoints, visible, truth.reference, thresholds=thresholds
    )
    tables = [metrics.grouped(values, skeleton.groups) for values in each]
    rows = metrics.grouped(values, skeleton.groups)
    return Score(
        metric=f"{benchmark.metric}@{benchmark.threshold}",
        people=len(predicted),
        keypoints=dict(zip(skeleton.keypoints, values.tolist(), strict=True)),
        groups={label: value for label, value in rows.items() if label != "mean"},
        means=metrics.means(hit, visible, trunk=trunk),
        strict={f"{name}, {benchmark.metric}@{benchmark.strict}": v for name, v in exact.items()},
        area={
            name: float(metrics.area_under(thresholds, height)) for name, height in heights.items()
        },
        visibility=_by_visibility(hit, visible, truth.hidden),
        curve={
            "thresholds": thresholds.tolist(),
            **{label: [one[label] for one in tables] for label in rows if label != "mean"},
        },
    )


def _by_visibility(hit: Bools, visible: Bools, hidden: Bools | None) -> dict[str, float]:
    if hidden is None:
        return {}
    return {
        "seen": metrics.pooled(hit, visible & ~hidden),
        "hidden": metrics.pooled(hit, visible & hidden),
    }
