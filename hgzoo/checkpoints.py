"""Weights on disk: any checkpoint in, safetensors out. No pickle is ever executed.

Our own file is safetensors whose metadata hold, as JSON under the key "hgzoo", the architecture,
the input and output contracts, and the terms; a file alone is enough to build its network.
"""

from __future__ import annotations

import json
import pickle
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hgzoo.config import (
    InputSpec,
    ModelConfig,
    OutputSpec,
    Recipe,
    Weights,
    check_together,
)
from hgzoo.convert import convert
from hgzoo.errors import ConfigError, HgzooError, WeightsError
from hgzoo.files import atomic
from hgzoo.recipes import from_table, to_table

METADATA_KEY = "hgzoo"

WRAPPERS = ("state_dict", "model_state_dict", "model", "state_dict_ema", "model_ema")
"""Where training scripts put the tensors inside their checkpoint."""

PREFIXES = ("module.", "model.", "net.", "_orig_mod.")
"""What wrappers of a network put before its keys."""

UNREADABLE = (
    *(RuntimeError, EOFError, KeyError, ValueError, TypeError, IndexError, AttributeError),
    *(pickle.UnpicklingError, BadZipFile, MemoryError, OverflowError, AssertionError, struct.error),
)
"""What torch.load raises for a damaged file."""


@dataclass(frozen=True)
class Origin:
    """What the weights of a network were when they were read.

    Attributes:
        name: What the zoo calls them; "" for one's own.
        weights: Their terms, training data and figures.
        fingerprint: Of the network as it was read: figures hold for that one only.

    Examples:
        >>> import hgzoo
        >>> model = hgzoo.create_model("hg1_nano", pretrained=True)
        >>> model.origin.name
        'hg1_nano.people'
        >>> model.origin.passed_on().source.split(",")[0]
        'Trained further by its owner'
    """

    name: str
    weights: Weights
    fingerprint: str

    def passed_on(self) -> Weights:
        """Return what holds for weights that began as these: the terms, not the figures."""
        began = f"Trained further by its owner, beginning from {self.name or 'other weights'}. "
        return replace(
            self.weights,
            file="",
            hub_id="",
            sha256="",
            url="",
            url_sha256="",
            source=began + self.weights.source.removeprefix(began),
            measured=(),
            reported=(),
        )


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A network as plain data: what it is, and its numbers.

    Attributes:
        model: The architecture.
        input: The pictures it expects.
        output: What its heatmaps mean.
        tensors: Its state dict, under our keys.
        name: What the zoo calls it ("hg8.bearpaw_mpii"); "" for one's own.
        weights: Terms, training data and figures, as far as the file tells.
        layout: Whose layout the file had.
        path: Where it was read from.
    """

    model: ModelConfig
    input: InputSpec
    output: OutputSpec
    tensors: Mapping[str, Tensor]
    name: str = ""
    weights: Weights | None = None
    layout: str = METADATA_KEY
    path: Path | None = None

    def __post_init__(self) -> None:
        """Refuse contracts that contradict the architecture.

        Raises:
            ConfigError: Channels or size do not fit.
        """
        check_together(self.model, self.input, where=str(self.path or "this network"))


def read(path: Path, *, like: Recipe | None = None, contract: str = "") -> Checkpoint:
    """Read a weights file of ours, or any checkpoint of a known layout.

    Args:
        path: .safetensors, or anything that torch.save wrote (.pth, .pt, .tar, .bin).
        like: Says what pictures are expected and what the heatmaps mean, where the file does not.
        contract: A key of `hgzoo.convert.CONTRACTS`, for files of other libraries whose keys do
            not tell what pictures they expect.

    Raises:
        WeightsError: No such file, damaged, in need of pickles, or of no known layout.
        UnknownNameError: There is no such contract.

    Examples:
        >>> from pathlib import Path
        >>> import hgzoo
        >>> from hgzoo import checkpoints
        >>> model = hgzoo.create_model("hg1_nano", num_keypoints=5)
        >>> checkpoints.write(model.checkpoint(), Path("mine.safetensors"))
        >>> checkpoint = checkpoints.read(Path("mine.safetensors"))
        >>> checkpoint.model == model.config, len(checkpoint.tensors) == len(model.state_dict())
        (True, True)
    """
    if path.suffix == ".safetensors":
        tensors, metadata = _read_safetensors(path)
        if METADATA_KEY in metadata:
            if contract:
                raise ConfigError(
                    f"{path} says itself what pictures it expects; leave contract out"
                )
            described = _described(metadata[METADATA_KEY], where=str(path))
            return Checkpoint(tensors=tensors, path=path, **described)
    else:
        tensors = dict(_read_pickle(path))
    converted = convert(_stripped(tensors), contract=contract, where=str(path))
    if not (converted.input or like):
        raise WeightsError(
            f"{path} does not say what pictures it expects; name a recipe that does: "
            f'create_model(RECIPE, checkpoint_path="{path.name}"), or hgzoo convert --like RECIPE'
        )
    spec = like.input if like else InputSpec()
    if converted.input:
        spec = replace(spec, mean=converted.input.mean, std=converted.input.std)
    spec = spec.for_channels(converted.config.in_channels)
    return Checkpoint(
        model=converted.config,
        input=spec,
        output=like.output.uncalibrated() if like else OutputSpec(),
        tensors=converted.tensors,
        layout=converted.layout,
        path=path,
    )


def write(checkpoint: Checkpoint, path: Path, *, half: bool = False) -> None:
    """Write a network as one safetensors file.

    Args:
        checkpoint: The network.
        path: Where to; an older file is replaced only by a whole new one.
        half: Store the weights in half precision (half the size).

    Raises:
        WeightsError: It cannot be written.

    Examples:
        >>> from pathlib import Path
        >>> import hgzoo
        >>> from hgzoo import checkpoints
        >>> checkpoint = hgzoo.create_model("hg1_nano").checkpoint()
        >>> checkpoints.write(checkpoint, Path("full.safetensors"))
        >>> checkpoints.write(checkpoint, Path("half.safetensors"), half=True)
        >>> Path("half.safetensors").stat().st_size < 0.6 * Path("full.safetensors").stat().st_size
        True
    """
    tensors = {name: _stored(name, value, half=half) for name, value in checkpoint.tensors.items()}
    tensors = _separate(tensors)
    metadata = {METADATA_KEY: json.dumps(describe(checkpoint))}
    try:
        with atomic(path) as temporary:
            save_file(tensors, temporary, metadata=metadata)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot write {path}: {error}") from error


def describe(checkpoint: Checkpoint) -> dict[str, Any]:  # Any: JSON
    """Return all but the tensors as plain tables; `from_description` reads them back.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.checkpoints import describe
        >>> list(describe(hgzoo.create_model("hg1_nano").checkpoint()))
        ['name', 'model', 'input', 'output']
    """
    weights = checkpoint.weights
    return {
        "name": checkpoint.name,
        "model": to_table(checkpoint.model),
        "input": to_table(checkpoint.input),
        "output": to_table(checkpoint.output),
        **({"weights": to_table(weights)} if weights else {}),
    }


def from_description(table: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Read what `describe` wrote: the arguments of a Checkpoint but its tensors.

    Raises:
        ConfigError: A key is unknown or missing, or a value cannot be used.
        KeyError: A table is missing.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.checkpoints import describe, from_description
        >>> checkpoint = hgzoo.create_model("hg1_nano").checkpoint()
        >>> records = from_description(describe(checkpoint), where="this network")
        >>> records["model"] == checkpoint.model
        True
    """
    kinds = {"model": ModelConfig, "input": InputSpec, "output": OutputSpec}
    if "weights" in table:
        kinds["weights"] = Weights
    records = {
        name: from_table(kind, table[name], where=f"{where}: {name}")
        for name, kind in kinds.items()
    }
    return {"name": str(table.get("name", "")), **records}


def fill(model: nn.Module, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Fill a network with tensors, every one of them.

    Args:
        model: The network; left as it was where the tensors do not fit. On the meta device it
            takes the tensors themselves, else a copy.
        tensors: Its state dict, in any precision.
        where: What an error calls the file.

    Raises:
        WeightsError: Missing, unexpected or differently shaped keys; lists them.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from hgzoo.checkpoints import fill
        >>> layer = nn.Linear(2, 1)
        >>> fill(layer, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, where="mine")
        >>> layer(torch.tensor([2.0, 3.0])).item()
        5.0
        >>> fill(layer, {"weight": torch.ones(1, 3)}, where="mine")
        Traceback (most recent call last):
            ...
        hgzoo.errors.WeightsError: mine does not fit the network (2 keys):
          missing: bias
          weight: [1, 3] in the file, [1, 2] in the network
    """
    wanted: dict[str, Tensor] = model.state_dict()
    problems = [
        *(f"missing: {name}" for name in wanted.keys() - tensors.keys()),
        *(f"unexpected: {name}" for name in tensors.keys() - wanted.keys()),
        *(
            f"{name}: {list(tensors[name].shape)} in the file, "
            f"{list(wanted[name].shape)} in the network"
            for name in wanted.keys() & tensors.keys()
            if tensors[name].shape != wanted[name].shape
        ),
    ]
    if problems:
        shown = "\n  ".join([*sorted(problems)[:20], *(["…"] if len(problems) > 20 else [])])
        raise WeightsError(f"{where} does not fit the network ({len(problems)} keys):\n  {shown}")
    for name, value in tensors.items():
        _check_numbers(name, value, where)
    ready = _separate({name: value.to(wanted[name].dtype) for name, value in tensors.items()})
    model.load_state_dict(ready, assign=next(model.parameters()).is_meta)


def fingerprint(checkpoint: Checkpoint) -> str:
    """Return a short text that is another one as soon as numbers or contracts change.

    It is quick rather than safe against forgery: it tells trained-on weights from those that were
    read, and costs a pass over memory.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.checkpoints import fingerprint
        >>> model = hgzoo.create_model("hg1_nano")
        >>> before = fingerprint(model.checkpoint())
        >>> model.stem.conv.bias.data += 1.0
        >>> fingerprint(model.checkpoint()) == before
        False
    """
    total = sum(
        (number + 1) * int(value.detach().cpu().contiguous().float().view(torch.int32).sum())
        for number, (_, value) in enumerate(sorted(checkpoint.tensors.items()))
    )
    return f"{total}|{checkpoint.model}|{checkpoint.input}|{checkpoint.output}"


def _check_numbers(name: str, value: Tensor, where: str) -> None:
    """Refuse tensors that are no plain numbers."""
    plain = value.layout == torch.strided and not (value.is_quantized or value.is_complex())
    if not plain or value.is_meta:
        raise WeightsError(f"{where}: {name} is not a plain tensor of numbers")
    # A finite sum proves every number finite, at half the price; only another one tells
    # nothing yet, because large numbers may overflow it.
    if value.is_floating_point() and not (
        torch.isfinite(value.sum()) or torch.isfinite(value).all()
    ):
        raise WeightsError(
            f"{where}: {name} holds numbers that are not finite: the training diverged, or the "
            "file is damaged; take an earlier checkpoint"
        )


def _separate(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give each tensor memory of its own, where two share it or one repeats itself."""
    seen: set[int] = set()
    apart = {}
    for name, value in tensors.items():
        place = value.untyped_storage().data_ptr() if value.numel() else 0
        whole = value.is_contiguous() and place not in seen
        apart[name] = value if whole or value.is_meta else value.clone().contiguous()
        seen.add(place)
    return apart


def _stored(name: str, value: Tensor, *, half: bool) -> Tensor:
    """Bring a tensor to the form it is stored in.

    Raises:
        WeightsError: It is too large for half precision.
    """
    stored = value.detach().cpu()
    if half and stored.is_floating_point():
        stored = stored.half()
        if torch.isinf(stored).any():
            raise WeightsError(
                f"{name} holds numbers too large for half precision, above 65504; save it in full "
                "precision, without half"
            )
    return stored


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error}") from error
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged, or not a safetensors file: {error}") from error


def _read_pickle(path: Path) -> Mapping[str, Tensor]:
    """Read what torch.save wrote, as long as it holds tensors and plain values only."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")  # an error tells more
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error}") from error
    except UNREADABLE as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsError(
            f"{path} is refused: it is damaged, or needs pickled code to be executed, which hgzoo "
            "never does. Where you trust it, load it once in a place of its own and save its "
            f"state_dict with safetensors.torch.save_file. ({reason[0]})"
        ) from error
    while inner := _unwrapped(content):
        content = inner
    if not isinstance(content, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        raise WeightsError(
            f"{path} holds no state dict: a table of tensors, perhaps under "
            f"{' or '.join(map(repr, WRAPPERS))}; it holds {_told(content)}"
        )
    return content


def _unwrapped(content: object) -> Mapping[str, Any] | None:
    """Return the state dict inside a training script's checkpoint."""
    if not isinstance(content, Mapping):
        return None
    inside = (content[name] for name in WRAPPERS if isinstance(content.get(name), Mapping))
    return next(inside, None)


def _told(content: object) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    return f"the keys {', '.join(map(repr, list(content)[:8])) or '(none)'}"


def _stripped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off what wrappers put before every key."""
    stripped = dict(tensors)
    while stripped and (found := _common(stripped)):
        stripped = {key.removeprefix(found): value for key, value in stripped.items()}
    return stripped


def _common(tensors: Mapping[str, Tensor]) -> str:
    fitting = (prefix for prefix in PREFIXES if all(key.startswith(prefix) for key in tensors))
    return next(fitting, "")


def _described(text: str, *, where: str) -> dict[str, Any]:
    try:
        return from_description(json.loads(text), where=where)
    except HgzooError as error:
        raise WeightsError(f"{where} describes its network wrongly: {error}") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{where} describes its network wrongly: {error!r}") from error
