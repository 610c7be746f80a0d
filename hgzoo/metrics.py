"""How good keypoints are: plain functions of numpy arrays, in the picture's pixels.

A keypoint is a hit when it lies within a fraction of a reference length of the true one. The
reference is the torso (PCK, as LSP and FLIC are judged) or the head (PCKh, as MPII is).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hgzoo.errors import InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def hits(
    predicted: Floats,
    keypoints: Floats,
    visible: Bools,
    reference: Floats,
    *,
    threshold: float,
) -> Bools:
    """Tell which keypoints are correct.

    Args:
        predicted: [N, K, 2], picture pixels; nan is a miss.
        keypoints: True ones, [N, K, 2], picture pixels.
        visible: Which true ones count, [N, K].
        reference: [N], picture pixels, above 0.
        threshold: Fraction of the reference length; the distance may equal it.

    Returns:
        [N, K]; False where a keypoint does not count.

    Raises:
        InputError: The shapes do not fit together.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.metrics import hits
        >>> true = np.zeros((1, 2, 2))
        >>> found = np.array([[[2.0, 0.0], [2.1, 0.0]]])
        >>> hits(found, true, np.ones((1, 2), bool), np.array([10.0]), threshold=0.2).tolist()
        [[True, False]]
    """
    if (
        predicted.shape != keypoints.shape
        or visible.shape != keypoints.shape[:2]
        or reference.shape != keypoints.shape[:1]
    ):
        raise InputError(
            f"predicted {predicted.shape}, keypoints {keypoints.shape}, visible {visible.shape} "
            f"and reference {reference.shape} must be [N, K, 2], [N, K, 2], [N, K] and [N]"
        )
    distance = np.linalg.norm(predicted - keypoints, axis=-1)
    near: Bools = (distance <= threshold * reference[:, None]) & visible
    return near


def pck(
    predicted: Floats,
    keypoints: Floats,
    visible: Bools,
    reference: Floats,
    *,
    threshold: float = 0.2,
) -> Floats:
    """Percentage of correct keypoints, for each keypoint; arguments as for `hits`.

    With head sizes for reference and a threshold of 0.5 this is PCKh@0.5.

    Returns:
        [K], percent; nan for a keypoint that counts nowhere.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.metrics import pck
        >>> true = np.zeros((2, 1, 2))
        >>> found = np.array([[[1.0, 0.0]], [[9.0, 0.0]]])
        >>> pck(found, true, np.ones((2, 1), bool), np.array([10.0, 10.0])).tolist()
        [50.0]
    """
    return percent(hits(predicted, keypoints, visible, reference, threshold=threshold), visible)


def percent(hit: Bools, visible: Bools) -> Floats:
    """Share of hits among the keypoints that count.

    Args:
        hit: [N, K].
        visible: Which count, [N, K].

    Returns:
        [K], percent; nan for a keypoint that counts nowhere.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.metrics import percent
        >>> hit = np.array([[True, False], [False, False]])
        >>> percent(hit, np.array([[True, False], [True, False]])).tolist()
        [50.0, nan]
    """
    share: Floats = 100.0 * _share((hit & visible).sum(0), visible.sum(0))
    return share


def pooled(hit: Bools, visible: Bools) -> float:
    """Share of hits among all keypoints that count, every one with the same weight; percent.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.metrics import pooled
        >>> hit, visible = np.array([[True, False]]), np.array([[True, True]])
        >>> pooled(hit, visible)
        50.0
    """
    return float(100.0 * _share((hit & visible).sum(), visible.sum()))


def _share(part: NDArray[np.int_], whole: NDArray[np.int_]) -> Floats:
    share: Floats = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return share


def means(hit: Bools, visible: Bools, *, trunk: Sequence[int] = ()) -> dict[str, float]:
    """Compute every mean that papers and libraries call "the" PCK or PCKh.

    They differ by up to two points on the same predictions, so a figure is worth little without
    its name. "Pooled" counts every annotated keypoint once; "plain" averages the percentages of
    the keypoints.

    Args:
        hit: [N, K].
        visible: Which count, [N, K].
        trunk: Keypoints that some leave out: pelvis and thorax in MPII.

    Returns:
        Names such as "14 pooled" (mmpose, HRNet, FPD, the paper's total), "14 plain" (bearpaw,
        anibali), "16 pooled" (princeton-vl) and "16 plain", percent.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.metrics import means
        >>> hit = np.array([[True, True], [True, False]])
        >>> means(hit, np.ones((2, 2), bool), trunk=(1,))
        {'1 pooled': 100.0, '1 plain': 100.0, '2 pooled': 75.0, '2 plain': 75.0}
    """
    every = list(range(hit.shape[1]))
    limbs = [index for index in every if index not in trunk]
    named = {}
    for chosen in [limbs, every] if trunk else [every]:
        some, count = hit[:, chosen], visible[:, chosen]
        named[f"{len(chosen)} pooled"] = pooled(some, count)
        named[f"{len(chosen)} plain"] = mean(percent(some, count))
    return named


def area_under(thresholds: Floats, values: Floats) -> Floats:
    """Mean height of curves over their thresholds, by the trapezoid rule.

    Args:
        thresholds: Rising, [T], at least two.
        values: [T, ...].

    Returns:
        [...], in the unit of the values.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.metrics import area_under
        >>> float(area_under(np.array([0.0, 0.25, 0.5]), np.array([0.0, 50.0, 100.0])))
        50.0
    """
    steps = np.diff(thresholds).reshape(-1, *[1] * (values.ndim - 1))
    total = ((values[1:] + values[:-1]) / 2 * steps).sum(0)
    mean: Floats = total / (thresholds[-1] - thresholds[0])
    return mean


def precision_recall(scores: Floats, positive: Bools) -> tuple[Floats, Floats]:
    """Precision and recall of "score at least as high as the n-th highest", for every n.

    Args:
        scores: [N], any range.
        positive: [N], at least one.

    Returns:
        Two arrays:

        - precision: One number for each different score, from the highest down, 0..1.
        - recall: The same, 0..1.

    Raises:
        InputError: There is no positive one.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.metrics import precision_recall
        >>> scores, positive = np.array([0.9, 0.8, 0.1]), np.array([True, False, True])
        >>> precision, recall = precision_recall(scores, positive)
        >>> precision.round(2).tolist(), recall.tolist()
        ([1.0, 0.5, 0.67], [0.5, 0.5, 1.0])
    """
    if not positive.any():
        raise InputError("precision and recall need at least one positive example")
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(positive[order])
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores pass together
    precision, recall = right / np.arange(1, len(order) + 1), right / right[-1]
    return precision[last], recall[last]


def average_precision(scores: Floats, positive: Bools) -> float:
    """Area under the precision-recall curve as a sum of steps; arguments as there. 0..1.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.metrics import average_precision
        >>> average_precision(np.array([0.9, 0.8]), np.array([True, False]))
        1.0
        >>> average_precision(np.array([0.9, 0.8]), np.array([False, True]))
        0.5
    """
    precision, recall = precision_recall(scores, positive)
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def grouped(values: Floats, groups: Mapping[str, tuple[int, ...]]) -> dict[str, float]:
    """Average keypoints into the rows of a table, and those rows into a mean.

    Args:
        values: One number a keypoint, [K].
        groups: Row labels and their keypoints (`Skeleton.groups`); where empty, the mean is that
            of the keypoints.

    Returns:
        Row label to plain mean of its keypoints, then "mean": the plain mean of the rows.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.metrics import grouped
        >>> grouped(np.array([90.0, 80.0, 60.0]), {"hip": (0, 1), "knee": (2,)})
        {'hip': 85.0, 'knee': 60.0, 'mean': 72.5}
    """
    rows = {label: mean(values[list(index)]) for label, index in groups.items()}
    return {**rows, "mean": mean(np.array(list(rows.values())) if rows else values)}


def mean(values: Floats) -> float:
    """Average what is known; nan where nothing is.

    Args:
        values: [N]; nan for a keypoint that counts nowhere.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.metrics import mean
        >>> mean(np.array([80.0, np.nan, 90.0]))
        85.0
    """
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
