"""From a crop's bytes to the numbers a network expects."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in the gray of a color (ITU-R BT.601)."""


def to_tensor(crops: NDArray[np.uint8]) -> Tensor:
    """Turn crops into a tensor the network's first step can take.

    Args:
        crops: [B, H, W, C], 0..255.

    Returns:
        [B, C, H, W], 0..255, uint8, a view in channels_last order.
    """
    return torch.from_numpy(crops).permute(0, 3, 1, 2)


def normalize(
    images: Tensor, mean: tuple[float, ...], std: tuple[float, ...], *, stretch: bool = False
) -> Tensor:
    """Bring bytes to the range a network expects.

    Args:
        images: [B, C, H, W], 0..255; RGB for a network of one channel becomes gray.
        mean: C numbers, range 0..1.
        std: C numbers.
        stretch: First bring each picture's darkest number to 0 and its brightest to 255, all
            channels together.

    Returns:
        (images / 255 - mean) / std, [B, C, H, W], float32.
    """
    if images.shape[1] == 3 and len(mean) == 1:
        luma = images.new_tensor(LUMA, dtype=torch.float32).view(1, 3, 1, 1)
        images = (images.float() * luma).sum(1, keepdim=True)
    if stretch:
        images = _stretched(images)
    scale = 1.0 / (255.0 * images.new_tensor(std, dtype=torch.float32).view(1, -1, 1, 1))
    shift = images.new_tensor(mean, dtype=torch.float32).view(1, -1, 1, 1)
    return images.float() * scale - shift * 255.0 * scale


def _stretched(images: Tensor) -> Tensor:
    """Stretch each picture's contrast; a picture of one color stays as it is."""
    images = images.float()
    darkest, brightest = (edge.view(-1, 1, 1, 1) for edge in images.flatten(1).aminmax(dim=1))
    span = brightest - darkest
    return torch.where(span > 0, (images - darkest) * (255.0 / span.clamp(min=1e-6)), images)
