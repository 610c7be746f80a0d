"""Scoring predictions that anybody made: files in, every figure in use out.

Files keep their dataset's own convention (MPII's coordinates are 1-based): annotations and
predictions are compared as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgzoo import metrics
from hgzoo.data.arrays import array, read_arrays
from hgzoo.data.references import head_size
from hgzoo.errors import DataError
from hgzoo.metrics import Bools, Floats
from hgzoo.skeletons import SKELETONS, Skeleton

CURVE_STEPS = 51
"""Thresholds of a curve, from 0 to the one that is reported."""

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
    """

    read: Callable[[Path], Truth]
    metric: str
    threshold: float


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
            that are not ("hidden"), where there are any; empty where nobody says which are.
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

    Examples:
        >>> from pathlib import Path
        >>> import h5py
        >>> import numpy as np
        >>> from hgzoo.scoring import read_mpii
        >>> with h5py.File("valid.h5", "w") as file:  # three people
        ...     file["part"] = np.full((3, 16, 2), 50.0)
        ...     file["visible"] = np.ones((3, 16))
        ...     file["normalize"] = np.full(3, 20.0)
        ...
        >>> truth = read_mpii(Path("valid.h5"))
        >>> truth.keypoints.shape, truth.reference.tolist()
        ((3, 16, 2), [20.0, 20.0, 20.0])
    """
    arrays = read_arrays(path)
    if "pos_gt_src" in arrays:
        keypoints = array(arrays, "pos_gt_src", path).transpose(2, 0, 1)  # [N, K, 2]
        boxes = array(arrays, "headboxes_src", path)  # [2 corners, 2, N]
        visible: Bools = np.asarray(array(arrays, "jnt_missing", path).T == 0)
        return Truth(
            keypoints=keypoints,
            visible=visible,
            hidden=None,
            reference=head_size(boxes.reshape(4, -1).T),
            skeleton=SKELETONS["mpii"],
        )
    return _from_h5(arrays, path, SKELETONS["mpii"])


def read_flic(path: Path) -> Truth:
    """Read FLIC annotations in the h5 of the paper's authors (valid.h5).

    Raises:
        DataError: Missing, damaged, or another file.

    Examples:
        >>> from pathlib import Path
        >>> import h5py
        >>> import numpy as np
        >>> from hgzoo.scoring import read_flic
        >>> with h5py.File("valid.h5", "w") as file:  # three people
        ...     file["part"] = np.full((3, 11, 2), 50.0)
        ...     file["visible"] = np.ones((3, 11))
        ...     file["normalize"] = np.full(3, 90.0)
        ...
        >>> truth = read_flic(Path("valid.h5"))
        >>> truth.keypoints.shape, truth.skeleton.name
        ((3, 11, 2), 'flic')
    """
    return _from_h5(read_arrays(path), path, SKELETONS["flic"])


def _from_h5(arrays: Mapping[str, NDArray[Any]], path: Path, skeleton: Skeleton) -> Truth:
    keypoints = array(arrays, "part", path)
    if keypoints.shape[1:] != (skeleton.num_keypoints, 2):
        raise DataError(
            f"{path} holds keypoints {keypoints.shape}, {skeleton.name} has "
            f"[N, {skeleton.num_keypoints}, 2]"
        )
    visible: Bools = np.asarray((keypoints > 1).all(-1))
    seen = array(arrays, "visible", path) > 0
    return Truth(
        keypoints=keypoints,
        visible=visible,
        hidden=visible & ~seen,
        reference=array(arrays, "normalize", path),
        skeleton=skeleton,
    )


BENCHMARKS: dict[str, Benchmark] = {
    "flic": Benchmark(read=read_flic, metric="PCK", threshold=0.2),
    "mpii": Benchmark(read=read_mpii, metric="PCKh", threshold=0.5),
}
"""Every dataset whose predictions can be scored by distance; `hgzoo.oks` scores COCO's."""


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

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from hgzoo.scoring import read_predictions
        >>> np.savez("found.npz", preds=np.zeros((16, 2, 5)))  # axes in another order
        >>> read_predictions(Path("found.npz"), people=5, num_keypoints=16).shape
        (5, 16, 2)
    """
    arrays = read_arrays(path)
    known = [arrays[name] for name in NAMES if name in arrays]
    for found in [*known, *arrays.values()]:
        for turned in _turned(found, people, num_keypoints):
            return turned
    shapes = ", ".join(f"{name} {found.shape}" for name, found in arrays.items())
    raise DataError(
        f"{path} holds no predictions for {people} people of {num_keypoints} keypoints; it holds "
        f"{shapes or 'nothing'}"
    )


def _turned(found: NDArray[Any], people: int, num_keypoints: int) -> Iterator[Floats]:
    """Bring an array to [N, K, 2] in each way its shape allows; a third column is a score."""
    if found.ndim != 3 or not np.issubdtype(found.dtype, np.number):
        return
    for axes in permutations(range(3)):
        turned = found.transpose(axes)
        if turned.shape[:2] == (people, num_keypoints) and turned.shape[2] in (2, 3):
            yield np.asarray(turned[..., :2], np.float64)


def score(
    truth: Truth, predicted: Floats, *, metric: str, threshold: float, strict: float = 0.1
) -> Score:
    """Compute every figure of one set of predictions.

    Args:
        truth: What annotators say.
        predicted: [N, K, 2], pixels in the same convention; nan is a miss.
        metric: What to call the figures, "PCK" or "PCKh".
        threshold: The one that is reported.
        strict: A smaller one, where only exact predictions count.

    Raises:
        InputError: The shapes do not fit together.

    Examples:
        >>> import numpy as np
        >>> from hgzoo import SKELETONS
        >>> from hgzoo.scoring import Truth, score
        >>> truth = Truth(
        ...     keypoints=np.zeros((3, 14, 2)),
        ...     visible=np.ones((3, 14), bool),
        ...     hidden=None,
        ...     reference=np.full(3, 10.0),
        ...     skeleton=SKELETONS["lsp"],
        ... )
        >>> found = np.zeros((3, 14, 2))
        >>> found[0] = 5.0  # one of three people is wholly wrong
        >>> figures = score(truth, found, metric="PCK", threshold=0.2)
        >>> figures.metric, round(figures.means["14 pooled"], 2)
        ('PCK@0.2', 66.67)
    """
    skeleton, visible = truth.skeleton, truth.visible
    trunk = [index for index, name in enumerate(skeleton.keypoints) if name in TRUNK]

    def hits(threshold: float) -> Bools:
        return metrics.hits(
            predicted, truth.keypoints, visible, truth.reference, threshold=threshold
        )

    hit = hits(threshold)
    values = metrics.percent(hit, visible)
    exact = metrics.means(hits(strict), visible, trunk=trunk)
    thresholds = np.linspace(0.0, threshold, CURVE_STEPS)
    near = [hits(float(one)) for one in thresholds]
    every = [metrics.means(one, visible, trunk=trunk) for one in near]
    heights = {name: np.array([one[name] for one in every]) for name in exact}
    tables = [metrics.grouped(metrics.percent(one, visible), skeleton.groups) for one in near]
    rows = metrics.grouped(values, skeleton.groups)
    return Score(
        metric=f"{metric}@{threshold}",
        people=len(predicted),
        keypoints=dict(zip(skeleton.keypoints, values.tolist(), strict=True)),
        groups={label: value for label, value in rows.items() if label != "mean"},
        means=metrics.means(hit, visible, trunk=trunk),
        strict={f"{name}, {metric}@{strict}": v for name, v in exact.items()},
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
    kinds = {"seen": visible & ~hidden, "hidden": visible & hidden}
    return {name: metrics.pooled(hit, kind) for name, kind in kinds.items() if kind.any()}
