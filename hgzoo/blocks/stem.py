"""The stem: from pixels to features at a quarter of the resolution."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from hgzoo.blocks.residual import MakeResidual, run_block


class Stem(nn.Module):
    """A 7x7 convolution of stride 2, a residual, a pooling, two residuals (paper, Section 3.2).

    The public networks differ in the widths alone, so four numbers tell them apart: with F
    features, the original authors use (F/4, F/2, F/2, F), the later ports (F/4, F/2, F, F).

    With `grad_checkpointing` on, each residual keeps only its input for the backward pass: see
    `run_block`. At twice the resolution, the first one weighs more than any other.

    Args:
        in_channels: Channels of the picture, 3 for RGB.
        channels: Outgoing channels of the 7x7 convolution and of the three residuals.
        make_residual: Builds one residual from (in_channels, out_channels).

    Shape:
        - Input: [B, in_channels, H, W], H and W divisible by 4
        - Output: [B, channels[3], H/4, W/4]

    Examples:
        >>> import torch
        >>> from hgzoo.blocks import PreActBottleneck, Stem
        >>> stem = Stem(3, (4, 8, 8, 16), PreActBottleneck)
        >>> stem(torch.zeros(1, 3, 64, 48)).shape
        torch.Size([1, 16, 16, 12])
    """

    def __init__(
        self, in_channels: int, channels: Sequence[int], make_residual: MakeResidual
    ) -> None:
        super().__init__()
        first, second, third, last = channels
        self.conv = nn.Conv2d(in_channels, first, 7, stride=2, padding=3)
        self.bn = nn.BatchNorm2d(first)
        self.residual1 = make_residual(first, second)
        self.residual2 = make_residual(second, third)
        self.residual3 = make_residual(third, last)
        self.grad_checkpointing = False

    def forward(self, images: Tensor) -> Tensor:
        """Return features at a quarter of the pictures' resolution."""
        x = self.bn(self.conv(images)).relu()  # [B, first, H/2, W/2]
        forget = self.grad_checkpointing
        x = max_pool2d(run_block(self.residual1, x, forget=forget), 2)  # [B, second, H/4, W/4]
        x = run_block(self.residual2, x, forget=forget)
        return run_block(self.residual3, x, forget=forget)
