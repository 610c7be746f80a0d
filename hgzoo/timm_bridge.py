"""The zoo under timm's names: an opt-in bridge from timm's registry to hgzoo's loader.

timm is imported inside the functions: it pulls torchvision in, which takes longer than torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from types import ModuleType
from typing import Any

from torch import nn

from hgzoo import factory, recipes, sources
from hgzoo.config import InputSpec, ModelConfig, Recipe, Weights
from hgzoo.directories import GENERIC, timm_record
from hgzoo.errors import ConfigError, UnknownArgumentError, WeightsError
from hgzoo.model import StackedHourglass

NAMESPACE = f"{__name__}.hgzoo"
"""Where the entry points stand. timm lists a module under its last word, so as "hgzoo"."""

TIMM_NAMES = {"num_keypoints": "num_classes", "in_channels": "in_chans"}
"""What timm calls fields of ModelConfig; the others have one name."""

ARCHITECTURE = {TIMM_NAMES.get(field.name, field.name): field.name for field in fields(ModelConfig)}
"""Arguments of an entry point that say what to build, and the fields they set."""

FEATURES = ("features_only", "out_indices")
SOURCES = ("pretrained_cfg", "pretrained_cfg_overlay", "pretrained_model_args", "cache_dir")

NEUTRAL = {"drop_rate": 0.0, "drop_path_rate": 0.0, "global_pool": "", "feature_cls": "getter"}
"""Arguments that timm's scripts pass to any model, and the only value they can have here."""

OVERLAYS = ("file", "hf_hub_id", "num_classes")
"""What an overlay may say: where other weights are. The rest comes with the weights."""


def register_with_timm() -> None:
    """Make the zoo known to timm: afterwards `timm.create_model("hg8", pretrained=True)` works.

    Every variant is registered with the tags of its weights, and `stacked_hourglass`, which takes
    the architecture as arguments. A network comes as `hgzoo.create_model` makes it, so with
    weights it is in evaluation mode. Calling this again does nothing.

    Examples:
        >>> import hgzoo
        >>> import timm
        >>> hgzoo.register_with_timm()
        >>> model = timm.create_model("hg1_nano.people", pretrained=True)
        >>> model.num_classes, timm.is_model("hg8")
        (19, True)
    """
    from timm.models import generate_default_cfgs, is_model, register_model

    if is_model(GENERIC):
        return
    zoo = [recipes.read(name) for name in recipes.names()]
    # `register_model` looks its function's module up, reads the records of weights from the
    # module's `default_cfgs`, and appends to its `__all__`. It gets a module of its own to edit.
    namespace = ModuleType(NAMESPACE, "Entry points of the zoo for timm.")
    sys.modules[NAMESPACE] = namespace
    records: dict[str, Any] = {GENERIC: timm_record(ModelConfig(num_stacks=1), InputSpec())}
    for recipe in zoo:
        records |= _records(recipe)
    vars(namespace)["default_cfgs"] = generate_default_cfgs(records)
    for name in (*(recipe.name for recipe in zoo), GENERIC):
        vars(namespace)[name] = register_model(_entry_point(name))


def _records(recipe: Recipe) -> dict[str, dict[str, Any]]:  # Any: timm's own types
    """Describe a variant to timm once for each of its weights, the default ones first."""
    record = {
        **timm_record(recipe.model, recipe.input),
        "description": recipe.summary,
        "paper_ids": recipe.paper or None,
    }
    tags = sorted(recipe.weights, key=lambda tag: tag != recipe.default_weights)
    tagged = {
        f"{recipe.name}.{tag}": {
            **record,
            **_addresses(recipe.weights[tag]),
            "license": recipe.weights[tag].spdx,
            "origin_url": recipe.weights[tag].url or None,
        }
        for tag in tags
    }
    return tagged or {recipe.name: record}


def _addresses(weights: Weights) -> dict[str, str | None]:
    """Say where weights are, as timm writes it. hgzoo's loader fetches them, timm's never does."""
    revision = "" if weights.revision == "main" else f"@{weights.revision}"
    hub_id = f"{weights.hub_id}{revision}" if weights.hub_id else None
    return {"hf_hub_id": hub_id, "url": None if hub_id else weights.url or None}


def _entry_point(name: str) -> Callable[..., nn.Module]:
    """Make what timm calls to build an architecture: a function of that name."""

    def entry_point(pretrained: bool = False, **arguments: Any) -> nn.Module:  # as timm requires
        return _create(name, pretrained=pretrained, arguments=arguments)

    entry_point.__name__ = entry_point.__qualname__ = name
    entry_point.__module__ = NAMESPACE
    return entry_point


def _create(name: str, *, pretrained: bool, arguments: Mapping[str, Any]) -> nn.Module:
    """Build what timm asks for: a network, or timm's wrapper that returns its features."""
    from timm.models import build_model_with_cfg, resolve_pretrained_cfg

    given = {key: value for key, value in arguments.items() if value is not None}
    _check(name, given)
    record = resolve_pretrained_cfg(
        name, given.get("pretrained_cfg"), given.get("pretrained_cfg_overlay")
    )
    network = _network(name, record, pretrained=pretrained, given=given)
    return build_model_with_cfg(
        lambda **_: network,
        name,
        pretrained=False,  # it has its weights
        pretrained_cfg=asdict(record),
        feature_cfg=_feature_cfg(network, given),
        features_only=given.get("features_only", False),
    )


def _feature_cfg(network: StackedHourglass, given: Mapping[str, Any]) -> dict[str, Any]:
    """Say how timm wraps a network to get its features, and of which stacks.

    Only the wrapper named "getter" can: the others take the network apart or its heatmap layers
    off, and each stack needs the heatmaps of the one before.
    """
    stacks = network.config.num_stacks
    chosen = given.get("out_indices", stacks)
    if not isinstance(chosen, int | list | tuple):
        raise ConfigError(f"out_indices must be a number or a list of stacks, got {chosen!r}")
    indices = tuple(range(-chosen, 0) if isinstance(chosen, int) else chosen)
    if not indices or not all(-stacks <= index < stacks for index in indices):
        raise ConfigError(f"out_indices must name stacks 0 to {stacks - 1}, got {chosen}")
    return {"feature_cls": "getter", "out_indices": indices}


def _check(name: str, given: Mapping[str, Any]) -> None:
    """Refuse arguments that would have no effect."""
    known = (*ARCHITECTURE, *FEATURES, *SOURCES, *NEUTRAL)
    for key, value in given.items():
        if key not in known:
            raise UnknownArgumentError(f"argument of {name}", key, known)
        if key in NEUTRAL and value != NEUTRAL[key]:
            raise ConfigError(f"{name} knows no {key} but {NEUTRAL[key]!r}, got {value!r}")
    if "out_indices" in given and not given.get("features_only"):
        raise ConfigError("out_indices needs features_only=True")
    for key in given.get("pretrained_cfg_overlay", {}):
        if key not in OVERLAYS:
            raise UnknownArgumentError("key of pretrained_cfg_overlay", key, OVERLAYS)


def _network(
    name: str,
    record: Any,  # timm's PretrainedCfg
    *,
    pretrained: bool,
    given: Mapping[str, Any],
) -> StackedHourglass:
    """Build the network with hgzoo's loader."""
    changes = {field: given[key] for key, field in ARCHITECTURE.items() if key in given}
    source, file = _source(name, record, pretrained=pretrained)
    if source == GENERIC:
        config = recipes.from_table(ModelConfig, changes, where=GENERIC)
        mean, std = (0.0,) * config.in_channels, (1.0,) * config.in_channels
        return StackedHourglass(config, input=InputSpec(mean=mean, std=std))
    network = factory.create_model(
        source,
        pretrained=pretrained,
        num_keypoints=given.get("num_classes"),
        in_chans=given.get("in_chans"),
        checkpoint_path=file,
        cache_dir=given.get("cache_dir"),
    )
    table = {**recipes.to_table(network.config), **changes}
    config = recipes.from_table(ModelConfig, table, where=name)
    if config == network.config:
        return network
    if pretrained:
        raise ConfigError(f"the weights {file or source} are of {network.config}, not {config}")
    return StackedHourglass(config, input=network.input, output=network.output)


def _source(name: str, record: Any, *, pretrained: bool) -> tuple[str, str | None]:
    """Say what timm's record of weights means to `hgzoo.create_model`: name, checkpoint_path."""
    if record.source == "hf-hub":
        return sources.HUB + record.hf_hub_id, None
    if record.source == "local-dir":
        return sources.FOLDER + record.file, None
    if not pretrained:
        return name, None
    if record.file and name != GENERIC:
        return name, record.file
    ours = {} if name == GENERIC else recipes.read(name).weights
    asked = {"hf_hub_id": record.hf_hub_id, "url": record.url}
    if record.tag in ours and asked == _addresses(ours[record.tag]):
        return f"{name}.{record.tag}", None
    if record.hf_hub_id:
        return sources.HUB + record.hf_hub_id, None
    if record.url or ours or name == GENERIC:
        raise WeightsError(
            f"nothing tells where pretrained weights of {name} are; name a folder (local-dir:PATH) "
            "or a repository (hf-hub:OWNER/NAME) instead, or a checkpoint_path"
        )
    return name, None  # it has no weights, and hgzoo's error names those that exist
