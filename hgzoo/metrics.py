"""How good keypoints are: plain functions of numpy arrays, in the picture's pixels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hgzoo.errors import InputError

Floats = NDArray[np.float64]


def torso_size(keypoints: Floats, *, left_shoulder: int, right_hip: int) -> Floats:
    """Length from left shoulder to right hip: LSP's reference.

    Args:
        keypoints: True ones, [N, K, 2], picture pixels.
        left_shoulder: Index of that keypoint.
        right_hip: Index of that keypoint.

    Returns:
        [N], picture pixels.
    """
    length: Floats = np.linalg.norm(keypoints[:, left_shoulder] - keypoints[:, right_hip], axis=-1)
    return length


def pck(
    predicted: Floats,
    keypoints: Floats,
    visible: NDArray[np.bool_],
    reference: Floats,
    *,
    threshold: float = 0.2,
) -> Floats:
    """Percentage of correct keypoints, for each keypoint.

    A keypoint is correct when it lies within `threshold` times the reference length of the true
    one (the distance may equal it).

    Args:
        predicted: [N, K, 2], picture pixels.
        keypoints: True ones, [N, K, 2], picture pixels.
        visible: Which true ones count, [N, K].
        reference: [N], picture pixels, above 0.
        threshold: Fraction of the reference length.

    Returns:
        [K], percent; nan for a keypoint that counts nowhere.

    Raises:
        InputError: The shapes do not fit together.
    """
    if predicted.shape != keypoints.shape or visible.shape != keypoints.shape[:2]:
        raise InputError(
            f"predicted {predicted.shape}, keypoints {keypoints.shape} and visible {visible.shape} "
            "must be [N, K, 2], [N, K, 2] and [N, K]"
        )
    distance = np.linalg.norm(predicted - keypoints, axis=-1)
    correct = (distance <= threshold * reference[:, None]) & visible
    total = visible.sum(0)
    share = np.divide(correct.sum(0), total, out=np.full(total.shape, np.nan), where=total > 0)
    percent: Floats = 100.0 * share
    return percent


def grouped(values: Floats, groups: Mapping[str, tuple[int, ...]]) -> dict[str, float]:
    """Average keypoints into the rows of a table, and those rows into a mean.

    Args:
        values: One number a keypoint, [K].
        groups: Row labels and their keypoints (`Skeleton.groups`); where empty, the mean is that
            of the keypoints.

    Returns:
        Row label to plain mean of its keypoints, then "mean": the plain mean of the rows.
    """
    rows = {label: float(np.mean(values[list(index)])) for label, index in groups.items()}
    return {**rows, "mean": float(np.mean(list(rows.values()) if rows else values))}
