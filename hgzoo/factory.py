"""create_model, list_models, model_info: the zoo's counter."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import torch
from torch import nn

from hgzoo import hub, recipes
from hgzoo.config import InputSpec, Recipe, Weights
from hgzoo.errors import ConfigError, UnknownNameError, WeightsError, names_near_misses
from hgzoo.model import StackedHourglass

logger = logging.getLogger(__name__)


@names_near_misses
def create_model(
    name: str | Path,
    *,
    pretrained: bool = False,
    num_keypoints: int | None = None,
    in_chans: int | None = None,
    checkpoint_path: str | Path | None = None,
) -> StackedHourglass:
    """Build a network by name.

    Args:
        name: A variant ("hg8"), a variant and the tag of its weights ("hg2_tiny.lsp"), or the path
            of a recipe ("my/own.toml").
        pretrained: Load weights: those of the tag, else the variant's default ones. Without it,
            weights are random, and no file but the recipe is touched.
        num_keypoints: K; other than the weights' own, every stack gets new heatmap layers.
        in_chans: Channels of the picture; other than the weights' own, the first convolution is
            adapted: summed for one channel, repeated for more.
        checkpoint_path: A safetensors file of ours to load instead.

    Returns:
        The network in float32, on the CPU: in evaluation mode with weights, else in training mode.

    Raises:
        UnknownNameError: No such variant or tag; the message names the near ones.
        ConfigError: The recipe cannot be read, or an argument cannot be used.
        WeightsError: There are no such weights, or they are damaged or of another architecture.
    """
    recipe, _ = _find(name)
    output = recipe.output
    if pretrained or checkpoint_path:
        path = checkpoint_path or weights_path(name)
        model = StackedHourglass(recipe.model, input=recipe.input, output=output)
        hub.load_into(model, path)
        _adapt(model, num_keypoints=num_keypoints, in_chans=in_chans)
        return model.eval()
    config = replace(
        recipe.model,
        num_keypoints=recipe.model.num_keypoints if num_keypoints is None else num_keypoints,
        in_channels=recipe.model.in_channels if in_chans is None else in_chans,
    )
    spec = _spec_for(recipe.input, config.in_channels)
    return StackedHourglass(config, input=spec, output=output)


@names_near_misses
def list_models(
    filter: str | Sequence[str] = "*",
    *,
    pretrained: bool = False,
    exclude: str | Sequence[str] = (),
) -> list[str]:
    """List the zoo.

    Args:
        filter: Wildcard, or several, of which a name must match one.
        pretrained: List weights ("hg2_tiny.lsp") instead of variants ("hg2_tiny").
        exclude: Wildcard, or several, of which a name must match none.

    Returns:
        Names, sorted.
    """
    wanted = [filter] if isinstance(filter, str) else list(filter)
    unwanted = [exclude] if isinstance(exclude, str) else list(exclude)
    all_names = recipes.names()
    if pretrained:
        all_names = [f"{name}.{tag}" for name in all_names for tag in recipes.read(name).weights]
    return sorted(
        name
        for name in all_names
        if any(fnmatch(name, one) for one in wanted)
        and not any(fnmatch(name, one) for one in unwanted)
    )


def model_info(name: str | Path) -> Recipe:
    """Return all that the zoo knows of a variant: its recipe.

    Args:
        name: As for `create_model`.

    Raises:
        UnknownNameError: No such variant or tag.
        ConfigError: The recipe cannot be read.
    """
    return _find(name)[0]


def num_parameters(recipe: Recipe) -> int:
    """Count a variant's trainable numbers, without building it in memory."""
    with torch.device("meta"):
        model = StackedHourglass(recipe.model)
    return sum(parameter.numel() for parameter in model.parameters())


def _find(name: str | Path) -> tuple[Recipe, str]:
    """Return a recipe and the tag that a name gives, "" for none.

    Raises:
        UnknownNameError: No such variant or tag.
        ConfigError: The recipe cannot be read.
    """
    if Path(name).suffix in recipes.SUFFIXES:
        return recipes.read(name), ""
    variant, _, tag = str(name).partition(".")
    recipe = recipes.read(variant)
    if tag and tag not in recipe.weights:
        known = [f"{variant}.{known}" for known in recipe.weights]
        raise UnknownNameError("weights", str(name), known or list_models(pretrained=True))
    return recipe, tag


def weights_path(name: str | Path) -> Path:
    """Return the weights file that a name means.

    Args:
        name: A variant, a variant and a tag, or the path of a .safetensors file.

    Raises:
        UnknownNameError: No such variant or tag.
        WeightsError: The variant has no weights, or they are damaged.
    """
    path = Path(name)
    return path if path.suffix == ".safetensors" else hub.packaged(weights_info(name)[1])


def weights_info(name: str | Path) -> tuple[str, Weights]:
    """Return the full name of the weights that a name means, and what is known of them.

    Args:
        name: A variant, or a variant and a tag.

    Raises:
        UnknownNameError: No such variant or tag.
        WeightsError: The variant has none; the message names what exists.
    """
    recipe, tag = _find(name)
    tag = tag or recipe.default_weights
    if not tag:
        raise WeightsError(
            f"{recipe.name} has no pretrained weights; these exist: "
            f"{', '.join(list_models(pretrained=True))}. "
            f'For random weights: create_model("{recipe.name}")'
        )
    return f"{recipe.name}.{tag}", recipe.weights[tag]


def _adapt(model: StackedHourglass, *, num_keypoints: int | None, in_chans: int | None) -> None:
    """Fit loaded weights to another number of keypoints or channels, and say so once."""
    if num_keypoints not in (None, model.config.num_keypoints):
        model.reset_classifier(num_keypoints)
        logger.warning("new random heatmap layers for %d keypoints, in every stack", num_keypoints)
    if in_chans not in (None, model.config.in_channels):
        model.config = replace(model.config, in_channels=in_chans)
        old = model.stem.conv
        weight = _adapted(old.weight.detach(), in_chans)
        new = nn.Conv2d(in_chans, old.out_channels, 7, stride=2, padding=3)
        new.load_state_dict({**old.state_dict(), "weight": weight})
        model.stem.conv = new
        model.input = _spec_for(model.input, in_chans)
        logger.warning("the first convolution was adapted to %d channels", in_chans)


def _adapted(weight: torch.Tensor, in_chans: int) -> torch.Tensor:
    """Sum the RGB filters for one channel; repeat and rescale them for other numbers."""
    if in_chans == 1:
        return weight.sum(1, keepdim=True)
    old = weight.shape[1]
    index = torch.arange(in_chans) % old
    return weight[:, index] * (old / in_chans)


def _spec_for(spec: InputSpec, in_chans: int) -> InputSpec:
    """Give each channel a mean and std: the average for one, repeated for others."""
    if len(spec.mean) == in_chans:
        return spec
    if in_chans < 1:
        raise ConfigError(f"in_chans must be at least 1, got {in_chans}")
    old = len(spec.mean)
    if in_chans == 1:
        return replace(spec, mean=(sum(spec.mean) / old,), std=(sum(spec.std) / old,))
    index = [i % old for i in range(in_chans)]
    mean, std = (tuple(v[i] for i in index) for v in (spec.mean, spec.std))
    return replace(spec, mean=mean, std=std)
