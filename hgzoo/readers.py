"""What a Predictor asks: crops in, keypoints out. Nothing here needs torch.

`hgzoo.inference.NetworkReader` asks a network of torch.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hgzoo.config import Calibration, InputSpec
from hgzoo.skeletons import Skeleton


class Found(NamedTuple):
    """What was read in a batch of crops.

    Attributes:
        xy: Keypoints (x, y), [B, K, 2], crop pixels, float64.
        scores: Heights of the peaks, [B, K], float64; in 0..1 for networks whose heatmaps are
            logits.
        heatmaps: Heatmaps as heights, first stack to last, [S, B, K, H, W], float32, where they
            were asked for.
    """

    xy: NDArray[np.float64]
    scores: NDArray[np.float64]
    heatmaps: NDArray[np.float32] | None = None


class Reader(Protocol):
    """Reads keypoints in crops.

    Attributes:
        input: The crops it expects.
        skeleton: Names and pairs of its K keypoints.
        calibration: What the heights of its peaks are worth, if that is known.
    """

    input: InputSpec
    skeleton: Skeleton
    calibration: Calibration

    def __call__(self, crops: NDArray[np.uint8], *, heatmaps: bool = False) -> Found:
        """Read the keypoints of the person in each crop.

        Args:
            crops: [B, *input.size, 3], RGB, 0..255; B at least 1.
            heatmaps: Return the heatmaps too.
        """

    def without_flip(self) -> Reader:
        """Return a reader that does not look at the mirror image too, where there is a choice."""
