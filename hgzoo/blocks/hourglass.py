"""The hourglass: the paper's Figure 3 as a recursion."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

MakeBlock = Callable[[], nn.Module]
"""Builds what stands at one place of the hourglass; channels, height and width are kept."""


class Hourglass(nn.Module):
    """Halve, recurse, double, add (paper, Section 3.1).

    At depth 1 the recursion is a plain block: the bottom of the hourglass.

    Args:
        depth: How many times the resolution is halved, 1 or more.
        make_block: Called for every place, so that each has weights of its own.

    Shape:
        - Input: [B, C, H, W], H and W divisible by 2**depth
        - Output: [B, C, H, W]

    Examples:
        >>> import torch
        >>> from hgzoo.blocks import Hourglass, PreActBottleneck
        >>> hourglass = Hourglass(depth=3, make_block=lambda: PreActBottleneck(8, 8))
        >>> hourglass(torch.zeros(1, 8, 16, 24)).shape
        torch.Size([1, 8, 16, 24])
        >>> [list(feats.shape[-2:]) for feats in hourglass.pyramid(torch.zeros(1, 8, 16, 24))]
        [[2, 3], [4, 6], [8, 12], [16, 24]]
    """

    def __init__(self, depth: int, make_block: MakeBlock) -> None:
        super().__init__()
        self.skip = make_block()
        self.down = make_block()
        self.inner = Hourglass(depth - 1, make_block) if depth > 1 else make_block()
        self.up = make_block()

    def forward(self, x: Tensor) -> Tensor:
        """Run down and up again; return features of the input's shape."""
        return self.pyramid(x)[-1]

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Return the features of every resolution on the way up.

        Returns:
            depth + 1 tensors, coarsest first: [B, C, H/2**depth, W/2**depth] to [B, C, H, W].
        """
        low = self.down(max_pool2d(x, 2))  # [B, C, H/2, W/2]
        inner = self.inner
        below = inner.pyramid(low) if isinstance(inner, Hourglass) else [inner(low)]
        return [*below, add_upsampled(self.skip(x), self.up(below[-1]))]


def add_upsampled(high: Tensor, low: Tensor) -> Tensor:
    """Add a tensor of half the resolution, doubled to the nearest neighbor.

    Args:
        high: [B, C, H, W].
        low: [B, C, H/2, W/2].

    Returns:
        [B, C, H, W].

    Examples:
        >>> import torch
        >>> from hgzoo.blocks import add_upsampled
        >>> add_upsampled(torch.zeros(1, 1, 2, 4), torch.tensor([[[[1.0, 2.0]]]]))[0, 0].tolist()
        [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]
    """
    return high + interpolate(low, scale_factor=2.0, mode="nearest")
