"""The other libraries' networks, run straight from a state dict under their own keys.

Written from what is known of their graphs, and checked against the golden files; so full-size
conversions can be compared with something that is not our own network.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, interpolate, max_pool2d, relu

from hgzoo import convert
from hgzoo.model import StackedHourglass

State = Mapping[str, Tensor]


def _conv(state: State, name: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = state[f"{name}.weight"]
    return conv2d(x, weight, state[f"{name}.bias"], stride, padding=weight.shape[-1] // 2)


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    parts = ("running_mean", "running_var", "weight", "bias")
    return relu(batch_norm(x, *(state[f"{name}.{part}"] for part in parts)))


def _residual(state: State, name: str, x: Tensor, conv: str, skip: str) -> Tensor:
    y = x
    for number in (1, 2, 3):
        layer = conv.format(number)
        y = _conv(state, f"{name}.{layer}", _norm(state, f"{name}.bn{number}", y))
    changes = x.shape[1] != y.shape[1]
    return y + (_conv(state, f"{name}.{skip}", x) if changes else x)


def bearpaw(state: State, images: Tensor) -> list[Tensor]:
    """Run bearpaw's (and anibali's, and FPD's) network."""

    def blocks(name: str, x: Tensor) -> Tensor:
        block = 0
        while f"{name}.{block}.conv1.weight" in state:
            x = _residual(state, f"{name}.{block}", x, "conv{}", "downsample.0")
            block += 1
        return x

    def hourglass(name: str, level: int, x: Tensor) -> Tensor:
        low = blocks(f"{name}.{level}.1", max_pool2d(x, 2))
        low = hourglass(name, level - 1, low) if level else blocks(f"{name}.0.3", low)
        low = blocks(f"{name}.{level}.2", low)
        return blocks(f"{name}.{level}.0", x) + interpolate(low, scale_factor=2.0)

    x = _norm(state, "bn1", _conv(state, "conv1", images, stride=2))
    x = blocks("layer3", blocks("layer2", max_pool2d(blocks("layer1", x), 2)))
    heatmaps: list[Tensor] = []
    while f"score.{len(heatmaps)}.weight" in state:
        stack = len(heatmaps)
        y = blocks(f"res.{stack}", hourglass(f"hg.{stack}.hg", 3, x))
        y = _norm(state, f"fc.{stack}.1", _conv(state, f"fc.{stack}.0", y))
        heatmaps.append(_conv(state, f"score.{stack}", y))
        if f"fc_.{stack}.weight" in state:
            x = x + _conv(state, f"fc_.{stack}", y)
            x = x + _conv(state, f"score_.{stack}", heatmaps[-1])
    return heatmaps


def princeton(state: State, images: Tensor) -> list[Tensor]:
    """Run princeton-vl's network."""

    def residual(name: str, x: Tensor) -> Tensor:
        return _residual(state, name, x, "conv{}.conv", "skip_layer.conv")

    def hourglass(name: str, x: Tensor) -> Tensor:
        low = residual(f"{name}.low1", max_pool2d(x, 2))
        deeper = f"{name}.low2.low1.bn1.weight" in state
        low = (hourglass if deeper else residual)(f"{name}.low2", low)
        return residual(f"{name}.up1", x) + interpolate(
            residual(f"{name}.low3", low), scale_factor=2.0
        )

    x = _norm(state, "pre.0.bn", _conv(state, "pre.0.conv", images, stride=2))
    x = residual("pre.4", residual("pre.3", max_pool2d(residual("pre.1", x), 2)))
    heatmaps: list[Tensor] = []
    while f"outs.{len(heatmaps)}.conv.weight" in state:
        stack = len(heatmaps)
        y = residual(f"features.{stack}.0", hourglass(f"hgs.{stack}.0", x))
        y = _norm(state, f"features.{stack}.1.bn", _conv(state, f"features.{stack}.1.conv", y))
        heatmaps.append(_conv(state, f"outs.{stack}.conv", y))
        if f"merge_features.{stack}.conv.conv.weight" in state:
            x = x + _conv(state, f"merge_preds.{stack}.conv.conv", heatmaps[-1])
            x = x + _conv(state, f"merge_features.{stack}.conv.conv", y)
    return heatmaps


def as_theirs(model: StackedHourglass, layout: convert.Layout) -> dict[str, Tensor]:
    """Give a network's tensors the names another library would, idle skips and all."""
    state = model.state_dict()
    theirs = {other: state[ours] for ours, other in convert.names(layout, model.config)}
    return theirs | {key: torch.zeros(1) for key in convert.idle(layout, model.config)}
