"""Heatmaps to keypoints and scores. `hgzoo.targets` goes the other way.

A network's heatmaps first become heights (`heights`), whatever they meant before; then one of the
decoders reads a position and a score from each. All positions are in heatmap pixels, (0, 0) being
the center of the top-left pixel; `hgzoo.geometry` leads them back to the picture.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from hgzoo.config import HeatmapKind

Decode = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Reads positions [B, K, 2] and scores [B, K] from heights [B, K, H, W]."""

MASS_RADIUS = 1
SOFT_RADIUS = 4
SMOOTH_SIGMA = 1.0
SMOOTH_REACH = 3
SMALLEST = 1e-10


def heights(heatmaps: Tensor, kind: HeatmapKind) -> Tensor:
    """Turn a network's heatmaps into heights that decoders and people can compare.

    Args:
        heatmaps: [B, K, H, W], as the network gave them.
        kind: "heights" are returned as they are. "logits" become a probability by a softmax over
            the pixels; each pixel then gets the probability mass of the 3x3 pixels around it, so
            that a peak's height says how likely the keypoint is near. "log_odds" become a
            probability pixel by pixel, by a sigmoid.

    Returns:
        [B, K, H, W], float32; in 0..1 but for "heights".

    Examples:
        >>> import torch
        >>> from hgzoo.decoders import heights
        >>> logits = torch.zeros(1, 1, 5, 5)
        >>> round(heights(logits, "logits")[0, 0, 2, 2].item(), 2)  # 9 of 25 equal pixels
        0.36
        >>> heights(logits, "heights") is logits
        True
    """
    heatmaps = heatmaps.float()
    if kind == "heights":
        return heatmaps
    if kind == "log_odds":
        return heatmaps.sigmoid()
    probability = heatmaps.flatten(2).softmax(2).view_as(heatmaps)
    window = 2 * MASS_RADIUS + 1
    mean = avg_pool2d(probability, window, stride=1, padding=MASS_RADIUS)
    return mean * window**2


def argmax(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Take the highest pixel of each heatmap.

    Ties go to the first pixel in reading order.

    Args:
        heatmaps: Heights, [B, K, H, W], any range.

    Returns:
        Two tensors:

        - xy: Keypoints (x, y), [B, K, 2], heatmap pixels, float32.
        - score: Height of each peak, [B, K], in the heatmaps' own unit.

    Examples:
        >>> import torch
        >>> from hgzoo.decoders import argmax
        >>> from hgzoo.targets import gaussian
        >>> xy, score = argmax(gaussian(torch.tensor([[[7.0, 4.0]]]), (16, 16), 1.0))
        >>> xy.tolist(), score.tolist()
        ([[[7.0, 4.0]]], [[1.0]])
    """
    # The highest row, then the pixel in it: torch finds maxima alone far faster than their places.
    y = heatmaps.amax(3).argmax(2)  # [B, K]
    place = y[..., None, None].expand(-1, -1, 1, heatmaps.shape[-1])
    score, x = heatmaps.gather(2, place).squeeze(2).max(2)  # both [B, K]
    return torch.stack((x, y), dim=-1).float(), score


def quarter_offset(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Move a quarter pixel from the highest pixel towards its higher neighbor (Section 3.4).

    In x and y alike; equal neighbors do not move it. A peak on the border stays where it is, as in
    the authors' code.

    Args:
        heatmaps: Heights, [B, K, H, W], any range.

    Returns:
        Two tensors:

        - xy: Keypoints (x, y), [B, K, 2], heatmap pixels, float32.
        - score: Height of each peak, [B, K], in the heatmaps' own unit.

    Examples:
        >>> import torch
        >>> from hgzoo.decoders import quarter_offset
        >>> from hgzoo.targets import gaussian
        >>> xy, score = quarter_offset(gaussian(torch.tensor([[[7.3, 4.0]]]), (16, 16), 1.0))
        >>> xy.tolist()
        [[[7.25, 4.0]]]
    """
    xy, score = argmax(heatmaps)
    around = _windows(heatmaps, xy, radius=1)  # [B, K, 3, 3]
    across = around[..., 1, 2] - around[..., 1, 0]
    down = around[..., 2, 1] - around[..., 0, 1]
    step = 0.25 * torch.stack((across, down), dim=-1).sign()
    return xy + step * _inside(xy, heatmaps.shape[-2:])[..., None], score


def taylor(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Step to the top of the parabola through the logarithm round the highest pixel (DARK).

    The heatmaps are smoothed first (sigma 1 heatmap pixel), as DARK does (Zhang et al., CVPR 2020,
    Section 3.2). The step is at most one pixel in x and y, and none at a peak on the border or
    where the surface is no hill.

    Args:
        heatmaps: Heights, [B, K, H, W], any range; what is below 1e-10 counts as 1e-10.

    Returns:
        Two tensors:

        - xy: Keypoints (x, y), [B, K, 2], heatmap pixels, float32.
        - score: Height of each peak, [B, K], in the heatmaps' own unit.

    Examples:
        >>> import torch
        >>> from hgzoo.decoders import taylor
        >>> from hgzoo.targets import gaussian
        >>> xy, score = taylor(gaussian(torch.tensor([[[7.3, 4.0]]]), (16, 16), 1.0))
        >>> [round(number, 2) for number in xy.flatten().tolist()]
        [7.3, 4.0]
    """
    xy, score = argmax(heatmaps)
    around = _windows(heatmaps.float(), xy, radius=1 + SMOOTH_REACH)  # [B, K, 9, 9]
    log = _smooth(around).clamp_min(SMALLEST).log()  # [B, K, 3, 3]
    dx = (log[..., 1, 2] - log[..., 1, 0]) / 2
    dy = (log[..., 2, 1] - log[..., 0, 1]) / 2
    dxx = log[..., 1, 2] - 2 * log[..., 1, 1] + log[..., 1, 0]
    dyy = log[..., 2, 1] - 2 * log[..., 1, 1] + log[..., 0, 1]
    dxy = (log[..., 2, 2] - log[..., 2, 0] - log[..., 0, 2] + log[..., 0, 0]) / 4
    determinant = dxx * dyy - dxy * dxy
    hill = (determinant > SMALLEST) & (dxx < 0)
    safe = determinant.where(hill, torch.ones_like(determinant))
    step = torch.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), dim=-1) / safe[..., None]
    inside = _inside(xy, heatmaps.shape[-2:])
    return xy + step.clamp(-1, 1) * (hill & inside)[..., None], score


def soft_argmax(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Average the positions round the highest pixel, weighted by height.

    The window reaches 4 heatmap pixels from the peak, so that far clutter does not pull; negative
    heights weigh nothing.

    Args:
        heatmaps: Heights, [B, K, H, W], any range.

    Returns:
        Two tensors:

        - xy: Keypoints (x, y), [B, K, 2], heatmap pixels, float32.
        - score: Height of each peak, [B, K], in the heatmaps' own unit.

    Examples:
        >>> import torch
        >>> from hgzoo.decoders import soft_argmax
        >>> from hgzoo.targets import gaussian
        >>> xy, score = soft_argmax(gaussian(torch.tensor([[[7.3, 4.0]]]), (16, 16), 1.0))
        >>> [round(number, 2) for number in xy.flatten().tolist()]
        [7.3, 4.0]
    """
    xy, score = argmax(heatmaps)
    around = _windows(heatmaps.float(), xy, radius=SOFT_RADIUS)
    offset = torch.arange(-SOFT_RADIUS, SOFT_RADIUS + 1, device=xy.device, dtype=torch.float32)
    x, y = (xy[..., None] + offset).unbind(-2)  # both [B, K, 9]
    there_x, there_y = (x >= 0) & (x < heatmaps.shape[-1]), (y >= 0) & (y < heatmaps.shape[-2])
    weight = around.clamp_min(0) * (there_y[..., :, None] & there_x[..., None, :])
    total = weight.sum((-2, -1)).clamp_min(SMALLEST)
    dx = (weight.sum(-2) * offset).sum(-1) / total
    dy = (weight.sum(-1) * offset).sum(-1) / total
    return xy + torch.stack((dx, dy), dim=-1), score


DECODERS: dict[str, Decode] = {
    "argmax": argmax,
    "quarter_offset": quarter_offset,
    "soft_argmax": soft_argmax,
    "taylor": taylor,
}
"""Every decoder by name."""


def _windows(heatmaps: Tensor, xy: Tensor, *, radius: int) -> Tensor:
    """Cut the square round each whole-numbered position; beyond the border, its pixels repeat.

    Args:
        heatmaps: [B, K, H, W].
        xy: [B, K, 2], whole numbers inside the heatmap.
        radius: Pixels to each side.

    Returns:
        [B, K, 2 * radius + 1, 2 * radius + 1].
    """
    height, width = heatmaps.shape[-2:]
    reach = torch.arange(-radius, radius + 1, device=xy.device)
    columns, rows = (xy.long()[..., None] + reach).unbind(-2)  # both [B, K, 2 * radius + 1]
    pixels = rows.clamp(0, height - 1)[..., :, None] * width
    pixels = pixels + columns.clamp(0, width - 1)[..., None, :]  # in reading order
    return heatmaps.flatten(2).gather(2, pixels.flatten(2)).view(pixels.shape)


def _smooth(squares: Tensor) -> Tensor:
    """Blur by a Gaussian that is cut off at its reach; the squares lose that at each side."""
    offset = torch.arange(-SMOOTH_REACH, SMOOTH_REACH + 1, device=squares.device)
    kernel = (-0.5 * (offset / SMOOTH_SIGMA) ** 2).exp()
    kernel = kernel / kernel.sum()
    across = (squares.unfold(-1, len(kernel), 1) * kernel).sum(-1)
    return (across.unfold(-2, len(kernel), 1) * kernel).sum(-1)


def _inside(xy: Tensor, size: torch.Size) -> Tensor:
    """Tell which positions have all eight neighbors, [B, K]."""
    height, width = size
    x, y = xy.unbind(-1)
    return (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
