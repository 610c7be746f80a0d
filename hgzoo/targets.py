"""Keypoints to heatmaps. `hgzoo.decoders` goes the other way."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

DrawTarget = Callable[[Tensor, tuple[int, int], float], Tensor]
"""Draws [B, K, H, W] from keypoints [B, K, 2], (height, width) and sigma."""


def gaussian(xy: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Draw a Gaussian of height 1 round each keypoint, at its exact position.

    The unbiased form: the keypoint need not lie on a pixel, and the peak's height is 1 there.

    Args:
        xy: Keypoints (x, y), [B, K, 2], heatmap pixels; outside the heatmap is allowed.
        size: (height, width) of the heatmaps.
        sigma: Standard deviation, heatmap pixels.

    Returns:
        [B, K, H, W], 0..1, float32, on the keypoints' device.

    Examples:
        >>> import torch
        >>> from hgzoo.targets import gaussian
        >>> xy = torch.tensor([[[2.0, 1.0]]])  # one picture, one keypoint: third column, second row
        >>> gaussian(xy, size=(3, 5), sigma=1.0)[0, 0, 1, 2].item()
        1.0
        >>> round(gaussian(xy + 0.5, size=(3, 5), sigma=1.0).max().item(), 3)  # between pixels
        0.779
    """
    xy = xy.float()
    rows, columns = _pixels(size, xy)
    across = (columns - xy[..., 0, None]).square()  # [B, K, W]
    down = (rows - xy[..., 1, None]).square()  # [B, K, H]
    scale = -0.5 / sigma**2
    return (down * scale).exp()[..., :, None] * (across * scale).exp()[..., None, :]


def gaussian_rounded(xy: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Draw a Gaussian round the nearest pixel, cut off at three sigma: the older form.

    What the authors' code and the first ports draw for the paper's Section 3.4. The position loses
    up to half a heatmap pixel; it is here to repeat their training exactly. A keypoint whose
    window misses the heatmap gives an empty one.

    Args:
        xy: Keypoints (x, y), [B, K, 2], heatmap pixels.
        size: (height, width) of the heatmaps.
        sigma: Standard deviation, heatmap pixels.

    Returns:
        [B, K, H, W], 0..1, float32, on the keypoints' device.

    Examples:
        >>> import torch
        >>> from hgzoo.targets import gaussian, gaussian_rounded
        >>> xy = torch.tensor([[[2.3, 1.0]]])
        >>> drawn = gaussian_rounded(xy, (3, 5), 1.0)
        >>> torch.equal(drawn, gaussian(xy.round(), (3, 5), 1.0))
        True
    """
    center = xy.float().round()
    rows, columns = _pixels(size, xy)
    reach = int(3 * sigma)
    near_x = (columns - center[..., 0, None]).abs() <= reach  # [B, K, W]
    near_y = (rows - center[..., 1, None]).abs() <= reach  # [B, K, H]
    return gaussian(center, size, sigma) * (near_y[..., :, None] & near_x[..., None, :])


TARGETS: dict[str, DrawTarget] = {"gaussian": gaussian, "gaussian_rounded": gaussian_rounded}
"""Every way of drawing a target by name."""


def _pixels(size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Return row and column numbers, [H] and [W], float32."""
    height, width = size
    return (
        torch.arange(height, dtype=torch.float32, device=like.device),
        torch.arange(width, dtype=torch.float32, device=like.device),
    )
