"""Lengths that distances are divided by when keypoints are evaluated: torso and head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HEAD_SHARE = 0.6
"""MPII's head size over the diagonal of the head's box (Andriluka et al., CVPR 2014)."""


def torso_size(keypoints: Floats, *, left_shoulder: int, right_hip: int) -> Floats:
    """Length from left shoulder to right hip: LSP's reference.

    Args:
        keypoints: True ones, [N, K, 2], picture pixels.
        left_shoulder: Index of that keypoint.
        right_hip: Index of that keypoint.

    Returns:
        [N], picture pixels.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.data.references import torso_size
        >>> torso_size(np.array([[[0.0, 0.0], [3.0, 4.0]]]), left_shoulder=0, right_hip=1).tolist()
        [5.0]
    """
    length: Floats = np.linalg.norm(keypoints[:, left_shoulder] - keypoints[:, right_hip], axis=-1)
    return length


def head_size(boxes: Floats) -> Floats:
    """0.6 times the diagonal of the head's box: MPII's reference.

    Args:
        boxes: (x0, y0, x1, y1), [N, 4], picture pixels.

    Returns:
        [N], picture pixels.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.data.references import head_size
        >>> head_size(np.array([[0.0, 0.0, 30.0, 40.0]])).tolist()
        [30.0]
    """
    size: Floats = HEAD_SHARE * np.linalg.norm(boxes[:, 2:] - boxes[:, :2], axis=-1)
    return size
