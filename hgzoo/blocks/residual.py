"""The residual module of the paper, and what a module must offer to stand in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

MakeResidual = Callable[[int, int], nn.Module]
"""Builds one residual from (in_channels, out_channels); it must keep height and width."""


class PreActBottleneck(nn.Module):
    """Add a 1x1, 3x3, 1x1 correction to the input (paper, Section 3.2).

    Batch norm and ReLU come before each convolution. The inner convolutions have half of the
    outgoing channels. Where the number of channels changes, the input passes a bare 1x1
    convolution; elsewhere it is added as it is, and no such layer exists.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out; even.

    Shape:
        - Input: [B, in_channels, H, W]
        - Output: [B, out_channels, H, W]

    Examples:
        >>> import torch
        >>> from hgzoo.blocks import PreActBottleneck
        >>> PreActBottleneck(8, 16)(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 16, 4, 4])
        >>> PreActBottleneck(8, 16).skip
        Conv2d(8, 16, kernel_size=(1, 1), stride=(1, 1))
        >>> PreActBottleneck(16, 16).skip
        Identity()
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        middle = out_channels // 2
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, middle, 1)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, out_channels, 1)
        changes = in_channels != out_channels
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the input plus its correction."""
        out = self.conv1(self.bn1(x).relu())
        out = self.conv2(self.bn2(out).relu())
        out = self.conv3(self.bn3(out).relu())
        corrected: Tensor = self.skip(x) + out
        return corrected


class Residuals(nn.Sequential):
    """Residuals one after another, which can forget their insides while training.

    With `grad_checkpointing` on, each residual keeps only its input for the backward pass: see
    `run_block`.

    Args:
        blocks: The residuals, first to last.

    Shape:
        - Input: what the first takes
        - Output: what the last gives

    Examples:
        >>> import torch
        >>> from hgzoo.blocks import PreActBottleneck, Residuals
        >>> residuals = Residuals(PreActBottleneck(8, 16), PreActBottleneck(16, 16))
        >>> residuals.grad_checkpointing = True  # less memory in training, the same gradients
        >>> residuals(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 16, 4, 4])
    """

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__(*blocks)
        self.grad_checkpointing = False

    def forward(self, x: Tensor) -> Tensor:
        """Run the residuals in turn."""
        for block in self:
            x = run_block(block, x, forget=self.grad_checkpointing)
        return x


def run_block(block: nn.Module, x: Tensor, *, forget: bool) -> Tensor:
    """Run a block; in training it can forget its insides, and compute them again when needed.

    Args:
        block: The block.
        x: Its input.
        forget: Keep only the input for the backward pass: less memory, more time, the same
            gradients and running statistics.

    Returns:
        The block's output.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from hgzoo.blocks.residual import run_block
        >>> run_block(nn.ReLU(), torch.tensor([-1.0, 2.0]), forget=True).tolist()
        [0.0, 2.0]
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _frozen_statistics(block)

    out: Tensor
    if forget and block.training and torch.is_grad_enabled():
        out = checkpoint(block, x, use_reentrant=False, context_fn=contexts)
    else:
        out = block(x)
    return out


@contextmanager
def _frozen_statistics(block: nn.Module) -> Iterator[None]:
    """Keep the second forward pass from counting the same batch twice."""
    norms = [m for m in block.modules() if isinstance(m, nn.BatchNorm2d) and m.track_running_stats]
    kept = [{name: buffer.clone() for name, buffer in norm.named_buffers()} for norm in norms]
    try:
        yield
    finally:
        with torch.no_grad():
            for norm, buffers in zip(norms, kept, strict=True):
                for name, buffer in buffers.items():
                    norm.get_buffer(name).copy_(buffer)
