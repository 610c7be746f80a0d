"""The same last heatmaps with less work: what a network can spare once nothing is learned any more.

In evaluation a batch norm is one multiplication and one addition a channel, so a batch norm after
a convolution is part of that convolution. Between two stacks, heatmaps are linear in the features,
and so is what both feed back: heatmap layer and both feedback layers are one convolution. Doubling
to the nearest neighbor and adding is one addition. Everything is in channels_last order, and
written over what is not needed any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from hgzoo.blocks import (
    Feedback,
    Hourglass,
    PreActBottleneck,
    Stem,
    SupervisionHead,
    add_upsampled,
)
from hgzoo.errors import ConfigError
from hgzoo.model import StackedHourglass, check_images

TOGETHER = 256 * 256
"""Pixels of pictures that pass the network at a time on a CPU, or one picture if it has more."""


class LeanHourglass(nn.Module):
    """Gives the last heatmaps of a network, for use only: it cannot be trained.

    Args:
        model: The network; keeps its own numbers. Residuals that hgzoo does not know run as they
            are.
        num_stacks: Read the heatmaps after so many stacks; None takes all.
        dtype: Number format of the work, torch.float32 or torch.bfloat16. The heatmaps themselves
            are always made in float32.
        exported: Made for an exporter, which knows torch's own way of doubling and adding best.

    Shape:
        - Input: [B, C, H, W], float32, normalized
        - Output: one tensor in a list, [B, K, H/4, W/4], float32

    Raises:
        ConfigError: There are not so many stacks.

    Examples:
        >>> import hgzoo
        >>> import torch
        >>> from hgzoo.lean import LeanHourglass
        >>> lean = LeanHourglass(hgzoo.create_model("hg2_tiny", pretrained=True), num_stacks=1)
        >>> [list(heatmaps.shape) for heatmaps in lean(torch.zeros(1, 3, 128, 192))]
        [[1, 19, 32, 48]]
    """

    def __init__(
        self,
        model: StackedHourglass,
        *,
        num_stacks: int | None = None,
        dtype: torch.dtype = torch.float32,
        exported: bool = False,
    ) -> None:
        super().__init__()
        stacks = model.config.num_stacks
        num_stacks = stacks if num_stacks is None else num_stacks
        if not 1 <= num_stacks <= stacks:
            raise ConfigError(f"num_stacks must be 1 to {stacks} here, got {num_stacks}")
        self.config = replace(model.config, num_stacks=num_stacks, inner_supervision=0)
        self.input = model.input
        self.output = model.output
        self.stem = _LeanStem(model.stem)
        heads = [cast(SupervisionHead, head) for head in model.heads][:num_stacks]
        self.hourglasses = nn.ModuleList(map(_lean, model.hourglasses[:num_stacks]))
        self.heads = nn.ModuleList(map(_LeanHead, heads))
        pairs = zip(heads[:-1], model.feedbacks, strict=False)
        self.feedbacks = nn.ModuleList(_merged(head, cast(Feedback, back)) for head, back in pairs)
        self.heatmaps = deepcopy(heads[-1].heatmaps)
        self.to(dtype).to(memory_format=torch.channels_last)
        self.heatmaps.float()
        self.requires_grad_(False).eval()
        for part in self.modules():
            if isinstance(part, _LeanHourglass):
                part.in_place = part.in_place and not exported

    @property
    def device(self) -> torch.device:
        """Where it takes its pictures."""
        return self.heatmaps.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The number format in which it takes them."""
        return torch.float32

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the last heatmaps.

        On a CPU, a few pictures at a time: their features then stay below the size from which the C
        library hands memory back to the system after every use.
        """
        check_images(images, self.config)
        height, width = images.shape[-2:]
        together = max(1, TOGETHER // (height * width))
        if images.device.type != "cpu" or len(images) <= together:
            return [self.one(images)]
        return [torch.cat([self.one(few) for few in torch.split(images, together)])]

    def one(self, images: Tensor) -> Tensor:
        """Run all pictures at once, [B, C, H, W] to [B, K, H/4, W/4]; their size is not checked."""
        for feats in self.stacks(images):  # noqa: B007 - the last one counts
            pass
        heatmaps: Tensor = self.heatmaps(feats.float())
        return heatmaps.contiguous()

    def stacks(self, images: Tensor) -> Iterator[Tensor]:
        """Give the features of each stack, which its heatmaps are read from, as they are made.

        A stack runs when its features are asked for: who stops early saves the rest.

        Args:
            images: Normalized pictures, [B, C, H, W]; their size is not checked.

        Yields:
            [B, num_feats, H/4, W/4], first stack to last, in the number format of the work.
        """
        x = images.to(self.stem.conv.weight.dtype, memory_format=torch.channels_last)
        x = self.stem(x)
        for number, (hourglass, head) in enumerate(zip(self.hourglasses, self.heads, strict=True)):
            feats = head(hourglass(x))
            yield feats
            if number < len(self.feedbacks):
                x = self.feedbacks[number](feats).add_(x)


class _LeanStem(nn.Module):
    """The stem, its first batch norm folded."""

    def __init__(self, stem: Stem) -> None:
        super().__init__()
        self.conv = _folded(stem.conv, stem.bn)
        self.residual1, self.residual2, self.residual3 = map(
            _lean, (stem.residual1, stem.residual2, stem.residual3)
        )

    def forward(self, images: Tensor) -> Tensor:
        x = max_pool2d(self.residual1(self.conv(images).relu_()), 2)
        return cast(Tensor, self.residual3(self.residual2(x)))


class _LeanBottleneck(nn.Module):
    """A residual of whose batch norms only the first is left: a ReLU follows it."""

    def __init__(self, block: PreActBottleneck) -> None:
        super().__init__()
        gain, shift = _gain_and_shift(block.bn1)
        self.register_buffer("gain", gain[:, None, None])
        self.register_buffer("shift", shift[:, None, None])
        self.conv1 = _folded(block.conv1, block.bn2)
        self.conv2 = _folded(block.conv2, block.bn3)
        self.conv3 = deepcopy(block.conv3)
        self.skip = deepcopy(block.skip)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.addcmul(self.get_buffer("shift"), x, self.get_buffer("gain")).relu_()
        out = self.conv1(out).relu_()
        out = self.conv2(out).relu_()
        out = self.conv3(out)
        return cast(Tensor, out.add_(self.skip(x)))


class _LeanHourglass(nn.Module):
    """The recursion, which drops what it has used, and doubles and adds in one step."""

    def __init__(self, hourglass: Hourglass) -> None:
        super().__init__()
        self.skip, self.down, self.inner, self.up = map(
            _lean, (hourglass.skip, hourglass.down, hourglass.inner, hourglass.up)
        )
        skips = [*self.skip] if isinstance(self.skip, nn.Sequential) else [self.skip]
        self.in_place = isinstance(skips[-1], _LeanBottleneck)  # others may return their input

    def forward(self, x: Tensor) -> Tensor:
        low = self.up(self.inner(self.down(max_pool2d(x, 2))))
        high = self.skip(x)
        return _add_upsampled_into(high, low) if self.in_place else add_upsampled(high, low)


class _LeanHead(nn.Module):
    """A head without its heatmaps."""

    def __init__(self, head: SupervisionHead) -> None:
        super().__init__()
        self.residuals = _lean(head.residuals)
        self.conv = _folded(head.conv, head.bn)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conv(self.residuals(x)).relu_())


def _lean(part: nn.Module) -> nn.Module:
    """Return a copy of a part that does less, or the plain copy of a part nobody knows."""
    if isinstance(part, Hourglass):
        return _LeanHourglass(part)
    if isinstance(part, PreActBottleneck):
        return _LeanBottleneck(part)
    if isinstance(part, nn.Sequential):
        return nn.Sequential(*map(_lean, part))
    return deepcopy(part)


def _gain_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return what a batch norm multiplies by and adds in evaluation, each [C]."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
    return gain, norm.bias.detach() - norm.running_mean * gain


@torch.no_grad()
def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return one convolution for a convolution and the batch norm that follows it."""
    gain, shift = _gain_and_shift(norm)
    out = deepcopy(conv)
    assert out.bias is not None
    out.weight.mul_(gain[:, None, None, None])
    out.bias.mul_(gain).add_(shift)
    return out


@torch.no_grad()
def _merged(head: SupervisionHead, feedback: Feedback) -> nn.Conv2d:
    """Return one convolution for heatmaps, and for features and heatmaps on their way back."""
    out, back = deepcopy(feedback.feats), feedback.heatmaps
    assert out.bias is not None
    assert back.bias is not None
    assert head.heatmaps.bias is not None
    out.weight.add_(torch.einsum("okhw,kihw->oihw", back.weight, head.heatmaps.weight))
    out.bias.add_(back.bias + back.weight[..., 0, 0] @ head.heatmaps.bias)
    return out


def _add_upsampled_into(high: Tensor, low: Tensor) -> Tensor:
    """Add a tensor of half the resolution, doubled to the nearest neighbor, to `high` itself."""
    small = low.permute(0, 2, 3, 1)  # [B, H/2, W/2, C]
    batch, height, width, channels = small.shape
    cells = high.permute(0, 2, 3, 1).view(batch, height, 2, width, 2, channels)
    cells += small[:, :, None, :, None]
    return high
