"""create_model, list_models, model_info: the zoo's counter."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hgzoo import cards, checkpoints, directories, download, recipes, sources
from hgzoo.checkpoints import Checkpoint
from hgzoo.config import ModelConfig, Recipe, Weights
from hgzoo.errors import ConfigError, UnknownNameError, WeightsError, names_near_misses
from hgzoo.files import is_folder
from hgzoo.model import StackedHourglass
from hgzoo.skeletons import Skeleton, matching

HEATMAPS = re.compile(r"(inner_)?heads\.\d+\.heatmaps\.(weight|bias)")
FED_BACK = re.compile(r"feedbacks\.\d+\.heatmaps\.weight")
"""Layers whose outgoing, and whose incoming channels are the keypoints'."""

CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pt", ".tar", ".bin", ".ckpt")
"""What counts as a checkpoint file where a name is expected."""

logger = logging.getLogger(__name__)


@names_near_misses
def create_model(
    name: str | Path,
    *,
    pretrained: bool = False,
    num_keypoints: int | None = None,
    in_chans: int | None = None,
    checkpoint_path: str | Path | None = None,
    cache_dir: str | Path | None = None,
) -> StackedHourglass:
    """Build a network by name.

    Args:
        name: A variant ("hg8"), a variant and the tag of its weights ("hg2_tiny.people"), the path
            of a recipe ("my/own.toml"), a repository on the Hugging Face Hub
            ("hf-hub:owner/name@revision"), or a folder that `save_pretrained` wrote
            ("local-dir:path").
        pretrained: Load weights: those of the tag, else the variant's default ones. Without it,
            weights are random, and no file but the recipe (or config.json) is touched.
        num_keypoints: K; other than the weights' own, every stack gets new heatmap layers.
        in_chans: Channels of the picture; other than the weights' own, the first convolution is
            adapted: summed for one channel, repeated for more.
        checkpoint_path: Weights to load instead: a file or folder of ours, or a checkpoint of
            bearpaw, anibali, FPD or princeton-vl. How its pictures are normalized comes with it.
        cache_dir: Folder for what is downloaded; None takes the Hugging Face cache.

    Returns:
        The network in float32, on the CPU: in evaluation mode with weights, else in training mode.

    Raises:
        UnknownNameError: No such variant or tag; the message names the near ones.
        ConfigError: The recipe cannot be read, or an argument cannot be used.
        WeightsError: There are no such weights, they cannot be had, or they are damaged or of
            another architecture.

    Examples:
        >>> import hgzoo
        >>> model = hgzoo.create_model("hg1_nano", num_keypoints=5)  # random weights
        >>> model.config.num_stacks, model.config.num_keypoints
        (1, 5)
        >>> hgzoo.create_model("hg1_nano.people", pretrained=True).output.skeleton.name
        'people'
        >>> hgzoo.create_model("hg1_nan")
        Traceback (most recent call last):
            ...
        hgzoo.errors.UnknownNameError: unknown model 'hg1_nan'; did you mean hg1_nano, ...
    """
    found = _find(name, cache_dir=cache_dir, weights=pretrained and checkpoint_path is None)
    recipe = found.recipe
    if not pretrained and checkpoint_path is None:
        config = _asked(recipe.model, num_keypoints=num_keypoints, in_chans=in_chans)
        spec = recipe.input.for_channels(config.in_channels)
        return StackedHourglass(config, input=spec, output=recipe.output.uncalibrated())
    if checkpoint_path is None:
        checkpoint = _weights_of(found, cache_dir=cache_dir)
    else:
        checkpoint = read_checkpoint(checkpoint_path, like=recipe)
    # The recipe's architecture is what was asked for; another one is an error that lists keys. A
    # file may have the keypoints and channels of the recipe, or those asked for.
    config = recipe.model
    if checkpoint.model.num_keypoints == num_keypoints:
        config = replace(config, num_keypoints=num_keypoints)
    if checkpoint.model.in_channels == in_chans:
        config = replace(config, in_channels=in_chans)
    spec = checkpoint.input.for_channels(config.in_channels)
    checkpoint = replace(checkpoint, model=config, input=spec)
    model = StackedHourglass.from_checkpoint(checkpoint, where=str(checkpoint.path))
    _adapt(model, num_keypoints=num_keypoints, in_chans=in_chans)
    return model


def load_model(name: str | Path) -> StackedHourglass:
    """Load a network with its weights.

    Args:
        name: A name of the zoo ("hg2_tiny", "hg2_tiny.people", "hf-hub:owner/name"), or the path of
            a checkpoint file, of a folder that `save_pretrained` wrote, or of a run folder of
            `hgzoo train`.

    Raises:
        UnknownNameError: No such variant or weights.
        WeightsError: The variant has no weights, they cannot be had, or they are damaged.

    Examples:
        >>> from hgzoo.factory import load_model
        >>> load_model("hg1_nano").save_pretrained("mine")
        >>> load_model("mine").config.num_feats
        64
    """
    return StackedHourglass.from_checkpoint(find_weights(name), where=str(name))


def begin_from(model: StackedHourglass, name: str | Path) -> None:
    """Let a network begin with other weights of its architecture.

    Where those are for other keypoints, layers that make heatmaps, and feed them back, are taken
    over for keypoints of the same name, and are random for the others, as in a new network. Where
    they have fewer stacks, the further ones are random.

    Args:
        model: The network; changed in place.
        name: As for `find_weights`.

    Raises:
        UnknownNameError: No such variant or tag.
        WeightsError: There are no such weights, or they are of another architecture.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.factory import begin_from
        >>> model = hgzoo.create_model("hg1_nano", num_keypoints=5)
        >>> begin_from(model, "hg1_nano.people")
        >>> model.config.num_keypoints
        5
    """
    begin = find_weights(name)
    fewer = begin.model.num_stacks < model.config.num_stacks
    source = begin.output.skeleton_for(begin.model.num_keypoints)
    target = model.output.skeleton_for(model.config.num_keypoints)
    if source.keypoints == target.keypoints and not fewer:
        model.take(begin, where=str(name))
        return
    donor = StackedHourglass.from_checkpoint(begin, where=str(name))
    old = donor.state_dict()
    named = bool(source.name and target.name) and source.keypoints != target.keypoints
    if named or source.num_keypoints != target.num_keypoints:
        _renew_heatmaps(donor, target.num_keypoints)
    new = donor.state_dict()
    if named:
        _take_named(new, old, source, target)
    further = model.state_dict() if fewer else {}
    checkpoints.fill(model, {**further, **new}, where=str(name))


def _take_named(
    new: dict[str, Tensor], old: Mapping[str, Tensor], source: Skeleton, target: Skeleton
) -> None:
    """Take what makes and feeds back the heatmaps of keypoints with the same name."""
    columns = matching(source, target)
    taken = [index for index, column in enumerate(columns) if column >= 0]
    given = [columns[index] for index in taken]
    for key in new:
        if HEATMAPS.fullmatch(key):
            new[key][taken] = old[key][given]
        elif FED_BACK.fullmatch(key):
            new[key][:, taken] = old[key][:, given]
    logger.info("heatmap layers of %d of %d keypoints are taken over", len(taken), len(columns))


def find_weights(name: str | Path) -> Checkpoint:
    """Find pretrained weights, wherever they are, and read them.

    Args:
        name: As for `create_model`, or the path of a checkpoint file or folder.

    Raises:
        UnknownNameError: No such variant or tag.
        WeightsError: The variant has no weights, they cannot be had, or they are damaged.

    Examples:
        >>> from hgzoo.factory import find_weights
        >>> checkpoint = find_weights("hg1_nano")
        >>> checkpoint.name, checkpoint.layout, checkpoint.weights.spdx
        ('hg1_nano.people', 'hgzoo', 'apache-2.0')
        >>> list(checkpoint.tensors["stem.conv.weight"].shape)
        [16, 3, 7, 7]
    """
    if _is_checkpoint(name):
        return read_checkpoint(name)
    return _weights_of(_find(name, weights=True), cache_dir=None)


def read_checkpoint(
    path: str | Path, *, like: Recipe | None = None, contract: str = ""
) -> Checkpoint:
    """Read a checkpoint file or folder; an original of the zoo is recognized by its SHA-256.

    Args:
        path: The file or folder, also as "local-dir:path".
        like: As for `hgzoo.checkpoints.read`.
        contract: As for `hgzoo.checkpoints.read`.

    Raises:
        WeightsError: There are no weights, or they are damaged or of no known layout.
        ConfigError: No file is named, or a config.json cannot be read.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.factory import read_checkpoint
        >>> hgzoo.create_model("hg1_nano", num_keypoints=5).save_pretrained("mine")
        >>> read_checkpoint("mine").model.num_keypoints
        5
    """
    text = str(path).removeprefix(sources.FOLDER)
    if not text:
        raise ConfigError("name the checkpoint to load")
    checkpoint = directories.read(Path(text), like=like, contract=contract)
    known = None if checkpoint.weights else _recognize(Path(text))
    return replace(checkpoint, name=known[0], weights=known[1]) if known else checkpoint


def _asked(config: ModelConfig, *, num_keypoints: int | None, in_chans: int | None) -> ModelConfig:
    """Return an architecture with other keypoints and channels, where they are asked for."""
    return replace(
        config,
        num_keypoints=config.num_keypoints if num_keypoints is None else num_keypoints,
        in_channels=config.in_channels if in_chans is None else in_chans,
    )


def _weights_of(found: _Found, *, cache_dir: str | Path | None) -> Checkpoint:
    """Fetch and read the weights that a name means."""
    if found.folder:
        return directories.read(found.folder)
    recipe = found.recipe
    full, weights = _default_weights(found)
    path = sources.fetch(full, weights, like=recipe, cache_dir=cache_dir)
    checkpoint = checkpoints.read(path, like=recipe)
    # What is in the cache may be older than the recipe, which knows best what its weights expect.
    default = full == f"{recipe.name}.{recipe.default_weights}"
    output = recipe.output if default else recipe.output.uncalibrated()
    return replace(checkpoint, input=recipe.input, output=output, name=full, weights=weights)


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
        pretrained: List weights ("hg2_tiny.people") instead of variants ("hg2_tiny").
        exclude: Wildcard, or several, of which a name must match none.

    Returns:
        Names, sorted.

    Examples:
        >>> import hgzoo
        >>> hgzoo.list_models("hg2*", exclude="*_original")
        ['hg2', 'hg2_b4', 'hg2_tiny']
        >>> hgzoo.list_models("hg2*", pretrained=True)
        ['hg2.bearpaw_mpii', 'hg2_original.princeton_mpii', 'hg2_tiny.people']
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

    Examples:
        >>> import hgzoo
        >>> recipe = hgzoo.model_info("hg8")
        >>> recipe.model.num_stacks, recipe.input.size, recipe.default_weights
        (8, (256, 256), 'bearpaw_mpii')
    """
    return _find(name).recipe


def model_card(name: str | Path) -> str:
    """Write the card of pretrained weights, as Markdown, without fetching them.

    Args:
        name: A variant that has weights, a variant and a tag, a folder, or a repository.

    Raises:
        UnknownNameError: No such variant or tag.
        WeightsError: The variant has no weights.

    Examples:
        >>> from hgzoo.factory import model_card
        >>> print(model_card("hg2_tiny").splitlines()[0])
        # hg2_tiny.people
    """
    found = _find(name, weights=True)
    if found.folder:
        return cards.card(directories.read(found.folder), address=str(name))
    full, weights = _default_weights(found)
    recipe = found.recipe
    with torch.device("meta"):
        model = StackedHourglass(recipe.model, input=recipe.input, output=recipe.output)
    return cards.card(
        replace(model.checkpoint(), name=full, weights=weights),
        address=full,
        summary=recipe.summary,
        train=recipe.train if recipe.train.datasets else None,
    )


def num_parameters(recipe: Recipe) -> int:
    """Count a variant's trainable numbers, without building it in memory.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.factory import num_parameters
        >>> num_parameters(hgzoo.model_info("hg1_nano"))
        231859
    """
    return _num_parameters(recipe.model)


@cache
def _num_parameters(config: ModelConfig) -> int:
    with torch.device("meta"):
        model = StackedHourglass(config)
    return cards.num_parameters(model.state_dict())


class _Found(NamedTuple):
    """What a name means: a recipe, the tag it gives ("" for none), and the folder of weights."""

    recipe: Recipe
    tag: str = ""
    folder: Path | None = None


def _find(
    name: str | Path, *, cache_dir: str | Path | None = None, weights: bool = False
) -> _Found:
    """Find out what a name means.

    Args:
        name: As for `create_model`, or a folder.
        cache_dir: For what is downloaded.
        weights: Whether the weights of a repository on the Hub are needed too.

    Raises:
        UnknownNameError: No such variant or tag.
        ConfigError: The recipe cannot be read.
        DownloadError: The repository cannot be had.
    """
    if not isinstance(name, str | Path) or not str(name):
        raise ConfigError(f"a network is named by a text or a path, got {name!r}")
    text = str(name)
    if text.startswith(sources.HUB):
        repo_id, _, revision = text.removeprefix(sources.HUB).partition("@")
        return _in_folder(
            sources.hub_folder(
                repo_id, revision=revision or "main", cache_dir=cache_dir, weights=weights
            )
        )
    if text.startswith(sources.FOLDER):
        return _in_folder(sources.folder_of(name))
    variant, dot, tag = text.partition(".")
    recipe = recipes.read(variant) if variant in recipes.names() else None
    if recipe and (not dot or tag in recipe.weights):
        return _Found(recipe, tag)
    if is_folder(name):
        return _in_folder(Path(name))
    if Path(name).suffix in recipes.SUFFIXES:
        return _Found(recipes.read(name))
    if _is_checkpoint(name):
        raise ConfigError(
            f"{text} is a checkpoint; name its variant too: create_model(VARIANT, "
            f'checkpoint_path="{text}"), or hgzoo.Predictor("{text}")'
        )
    if recipe:
        known = [f"{variant}.{one}" for one in recipe.weights]
        raise UnknownNameError("weights", text, known or list_models(pretrained=True))
    return _Found(recipes.read(variant))  # says which names are near


def _is_checkpoint(name: str | Path) -> bool:
    """Tell the path of a checkpoint file from a name."""
    if not isinstance(name, str | Path) or str(name).startswith((sources.HUB, sources.FOLDER)):
        return False
    return Path(name).suffix in CHECKPOINT_SUFFIXES and not is_folder(name)


def _in_folder(folder: Path) -> _Found:
    if (folder / directories.CONFIG_FILE).is_file():
        return _Found(directories.read_config(folder / directories.CONFIG_FILE), folder=folder)
    checkpoint = directories.read(folder)
    recipe = Recipe(
        name=folder.name,
        summary=f"A network from {folder}.",
        model=checkpoint.model,
        input=checkpoint.input,
        output=checkpoint.output,
    )
    return _Found(recipe, folder=folder)


def weights_info(name: str | Path) -> tuple[str, Weights]:
    """Return the full name of the weights that a name means, and what is known of them.

    Args:
        name: A variant, or a variant and a tag.

    Raises:
        UnknownNameError: No such variant or tag.
        WeightsError: The variant has none; the message names what exists.

    Examples:
        >>> from hgzoo.factory import weights_info
        >>> name, weights = weights_info("hg2_tiny")
        >>> name, weights.file
        ('hg2_tiny.people', 'hg2_tiny.people.safetensors')
        >>> weights_info("hg4")[0]
        Traceback (most recent call last):
            ...
        hgzoo.errors.WeightsError: hg4 has no pretrained weights; these exist: ...
    """
    return _default_weights(_find(name))


def _default_weights(found: _Found) -> tuple[str, Weights]:
    recipe, tag = found.recipe, found.tag or found.recipe.default_weights
    if not tag:
        raise WeightsError(
            f"{recipe.name} has no pretrained weights; these exist: "
            f"{', '.join(list_models(pretrained=True))}. "
            f'For random weights: create_model("{recipe.name}")'
        )
    return f"{recipe.name}.{tag}", recipe.weights[tag]


def _recognize(path: Path) -> tuple[str, Weights] | None:
    """Return the name of an original checkpoint of the zoo by its SHA-256, and its terms."""
    if not path.is_file():
        return None
    sha256 = download.sha256_of(path)
    for name in list_models(pretrained=True):
        weights = weights_info(name)[1]
        if weights.url_sha256 and sha256.startswith(weights.url_sha256):
            return name, weights
    return None


def _adapt(model: StackedHourglass, *, num_keypoints: int | None, in_chans: int | None) -> None:
    """Fit loaded weights to another number of keypoints or channels, and say so once."""
    if num_keypoints not in (None, model.config.num_keypoints):
        _renew_heatmaps(model, num_keypoints)
    if in_chans not in (None, model.config.in_channels):
        model.config = replace(model.config, in_channels=in_chans)
        old = model.stem.conv
        weight = _adapted(old.weight.detach(), in_chans)
        new = nn.Conv2d(in_chans, old.out_channels, 7, stride=2, padding=3)
        new.load_state_dict({**old.state_dict(), "weight": weight})
        model.stem.conv = new
        model.input = model.input.for_channels(in_chans)
        logger.warning("the first convolution was adapted to %d channels", in_chans)


def _renew_heatmaps(model: StackedHourglass, num_keypoints: int) -> None:
    """Give a network random heatmap layers, and say so."""
    model.reset_classifier(num_keypoints)
    logger.warning("new random heatmap layers for %d keypoints, in every stack", num_keypoints)


def _adapted(weight: torch.Tensor, in_chans: int) -> torch.Tensor:
    """Sum the RGB filters for one channel; repeat and rescale them for other numbers."""
    if in_chans == 1:
        return weight.sum(1, keepdim=True)
    old = weight.shape[1]
    index = torch.arange(in_chans) % old
    return weight[:, index] * (old / in_chans)
