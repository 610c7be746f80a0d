"""From the height of a peak to the probability that the keypoint is right, and how true that is.

Readers and detectors deal in heights of peaks. Where a `Pose` is made or a network is judged, they
become probabilities, if the weights know how (`OutputSpec.calibration`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hgzoo.config import Calibration

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

KNOTS = 8
"""Points of a fitted line; more do not make it truer (docs/results.md)."""

BINS = 10


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How true scores are: what they promise and what holds, in bins of equal width from 0 to 1.

    Attributes:
        error: Expected calibration error, percent: the mean distance between score and share right
            over the bins, each with the weight of its keypoints; nan where there are none.
        scores: Mean score of each bin that holds any keypoint.
        right: Share of its keypoints that are right, 0..1.
        counts: How many keypoints it holds.
    """

    error: float
    scores: list[float]
    right: list[float]
    counts: list[int]


def calibrated(peaks: Floats, calibration: Calibration) -> Floats:
    """Turn heights of peaks into probabilities of being right.

    Args:
        peaks: Any shape.
        calibration: What the weights know of them; where it is not known, they stay as they are.

    Returns:
        The same shape: 0..1, on the straight line between two points of the calibration, and as
        its first or last point beyond these. nan stays.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.calibration import calibrated
        >>> from hgzoo.config import Calibration
        >>> known = Calibration(peaks=(0.0, 0.5), right=(0.0, 1.0))
        >>> calibrated(np.array([-0.1, 0.2, 0.7]), known).tolist()
        [0.0, 0.4, 1.0]
    """
    if not calibration.known:
        return peaks
    probabilities: Floats = np.interp(peaks, calibration.peaks, calibration.right)
    return probabilities


def fit(peaks: Floats, right: Bools, *, knots: int = KNOTS) -> Calibration:
    """Measure how likely keypoints are right, by the height of their peak.

    Keypoints are parted by height into groups of equal number. A group's mean height and its share
    of right keypoints make a point of the line; shares that fall are averaged (isotonic
    regression). A peak without height is never right.

    Args:
        peaks: [N], at least one.
        right: [N].
        knots: Groups at most; equal heights stay in one.

    Returns:
        The line, rounded to 4 digits.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.calibration import fit
        >>> peaks = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
        >>> fit(peaks, np.array([False, True, False, False, True, True]), knots=3)
        Calibration(peaks=(0.0, 0.15, 0.35, 0.55), right=(0.0, 0.25, 0.25, 1.0))
    """
    edges = np.unique(np.quantile(peaks, np.linspace(0.0, 1.0, knots + 1)[1:-1]))
    _, group = np.unique(np.searchsorted(edges, peaks, side="right"), return_inverse=True)
    counts = np.bincount(group)
    heights = np.bincount(group, peaks) / counts
    shares = rising(np.bincount(group, right) / counts, counts)
    # Heights that are one number in 4 digits would be no rising line.
    heights, first = np.unique(heights.round(4), return_index=True)
    points = list(zip(heights.tolist(), shares[first].round(4).tolist(), strict=True))
    if points[0][0] > 0.0:
        points.insert(0, (0.0, 0.0))
    return Calibration(
        peaks=tuple(height for height, _ in points), right=tuple(share for _, share in points)
    )


def rising(values: Floats, weights: NDArray[np.int_]) -> Floats:
    """Return the closest numbers that do not fall: isotonic regression by pooling neighbors.

    Args:
        values: [N].
        weights: What each counts, [N], above 0.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.calibration import rising
        >>> rising(np.array([0.1, 0.6, 0.3, 0.9]), np.array([1, 2, 1, 1])).tolist()
        [0.1, 0.5, 0.5, 0.9]
    """
    pools: list[tuple[float, int, int]] = []  # mean, weight, how many
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, before, number = pools.pop()
            total = before + pool[1]
            pool = ((mean * before + pool[0] * pool[1]) / total, total, number + pool[2])
        pools.append(pool)
    return np.repeat([mean for mean, _, _ in pools], [number for _, _, number in pools])


def reliability(scores: Floats, right: Bools, *, bins: int = BINS) -> Reliability:
    """Compare what scores promise with what holds.

    Args:
        scores: [N]; below 0 or above 1 they count in the outer bins, nan counts as 0.
        right: [N].
        bins: Between 0 and 1, of equal width.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.calibration import reliability
        >>> scores = np.array([0.75, 0.75, 0.75, 0.75, 0.25])
        >>> found = reliability(scores, np.array([True, True, True, False, False]))
        >>> found.error, found.right, found.counts
        (5.0, [0.0, 0.75], [1, 4])
    """
    scores = np.nan_to_num(scores)
    place = np.clip((scores * bins).astype(int), 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    some = counts > 0
    promised = np.bincount(place, scores, bins)[some] / counts[some]
    holds = np.bincount(place, right, bins)[some] / counts[some]
    off = np.abs(promised - holds) @ counts[some] / len(scores) if len(scores) else np.nan
    return Reliability(
        error=float(100.0 * off),
        scores=promised.tolist(),
        right=holds.tolist(),
        counts=counts[some].tolist(),
    )


def halves(pictures: Sequence[str], *, seed: int = 0) -> Bools:
    """Part people into two halves, such that all of one picture are in one.

    Args:
        pictures: Name of each person's picture, [N].
        seed: Of the chance that parts them.

    Returns:
        Who is in the first half, [N].

    Examples:
        >>> from hgzoo.calibration import halves
        >>> first = halves(["a", "a", "b"])
        >>> bool(first[0] == first[1]), int(first.sum()) in (1, 2)
        (True, True)
    """
    names = sorted(set(pictures))
    order = np.random.default_rng(seed).permutation(len(names))
    chosen = {names[index] for index in order[: (len(names) + 1) // 2].tolist()}
    return np.array([picture in chosen for picture in pictures])
