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


def with_company(
    draw: DrawTarget,
    xy: Tensor,
    visible: Tensor,
    company: Tensor,
    size: tuple[int, int],
    sigma: float,
) -> tuple[Tensor, Tensor]:
    """Draw a person and those beside: each pixel takes the highest of their heights.

    Args:
        draw: An entry of `TARGETS`.
        xy: The person's keypoints (x, y), [B, K, 2], heatmap pixels.
        visible: Which of them are drawn, [B, K] bool.
        company: Those of N others, [B, N, K, 2], heatmap pixels; far outside where there is none.
        size: (height, width) of the heatmaps.
        sigma: As for `gaussian`.

    Returns:
        Two tensors:

        - target: [B, K, H, W], 0..1.
        - visible: Which heatmaps show anybody's keypoint, [B, K] bool.

    Examples:
        >>> import torch
        >>> from hgzoo.targets import gaussian, with_company
        >>> one, other = torch.tensor([[[0.0, 0.0]]]), torch.tensor([[[[3.0, 0.0]]]])
        >>> seen = torch.tensor([[True]])
        >>> target, _ = with_company(gaussian, one, seen, other, size=(1, 4), sigma=1.0)
        >>> [round(height, 3) for height in target.flatten().tolist()]
        [1.0, 0.607, 0.607, 1.0]
    """
    target = draw(xy, size, sigma)
    if not company.shape[1]:
        return target, visible
    drawn = draw(company.flatten(0, 1), size, sigma)  # [B * P, K, H, W]
    others = drawn.reshape(*company.shape[:2], *drawn.shape[1:]).amax(1)
    target = torch.maximum(target * visible[..., None, None], others)
    return target, visible | (others.amax((2, 3)) > 0)


TARGETS: dict[str, DrawTarget] = {"gaussian": gaussian, "gaussian_rounded": gaussian_rounded}
"""Every way of drawing a target by name."""


def _pixels(size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Return row and column numbers, [H] and [W], float32."""
    height, width = size
    return (
        torch.arange(height, dtype=torch.float32, device=like.device),
        torch.arange(width, dtype=torch.float32, device=like.device),
    )
