"""Weights on disk: safe to read, never half written, and they say what they are.

A weights file is safetensors. Its metadata hold, as JSON under the key "hgzoo", the architecture
and the input and output contracts, so that a file alone is enough to build its network.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hgzoo.config import InputSpec, ModelConfig, OutputSpec, Weights
from hgzoo.errors import WeightsError
from hgzoo.files import atomic
from hgzoo.model import StackedHourglass
from hgzoo.recipes import from_table, to_table

METADATA_KEY = "hgzoo"


def save(model: StackedHourglass, path: str | Path, *, half: bool = False) -> None:
    """Write a network's weights and contracts to one safetensors file.

    Args:
        model: The network.
        path: Where to; an older file is replaced only by a whole new one.
        half: Store the weights in half precision (half the size).
    """
    described = {
        "model": to_table(model.config),
        "input": to_table(model.input),
        "output": to_table(model.output),
    }
    tensors = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous().cpu()
        for name, value in model.state_dict().items()
    }
    with atomic(Path(path)) as temporary:
        save_file(tensors, temporary, metadata={METADATA_KEY: json.dumps(described)})


def load(path: str | Path) -> StackedHourglass:
    """Build the network that a weights file of ours describes, with its weights.

    Args:
        path: A file that `save` wrote.

    Returns:
        The network in float32 and evaluation mode, on the CPU.

    Raises:
        WeightsError: No such file, damaged, or not one of ours.
    """
    tensors, metadata = _read(Path(path))
    if METADATA_KEY not in metadata:
        raise WeightsError(f"{path} does not say which network it belongs to; it is not hgzoo's")
    try:
        described = json.loads(metadata[METADATA_KEY])
        config, spec, output = (
            from_table(record, described[name], where=f"{path}: {name}")
            for name, record in (
                ("model", ModelConfig),
                ("input", InputSpec),
                ("output", OutputSpec),
            )
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} describes its network wrongly: {error}") from error
    with torch.device("meta"):
        model = StackedHourglass(config, input=spec, output=output)
    _fill(model, tensors, where=str(path))
    return model.eval()


def load_into(model: StackedHourglass, path: str | Path) -> None:
    """Fill a network with the weights of a file, every one of them.

    Args:
        model: The network; left as it was where the file does not fit.
        path: A safetensors file with our key names.

    Raises:
        WeightsError: No such file, damaged, or of another architecture; lists the keys.
    """
    _fill(model, _read(Path(path))[0], where=str(path))


def packaged(weights: Weights) -> Path:
    """Return the path of weights that came with the package, after checking them.

    Raises:
        WeightsError: The file is missing or damaged.
    """
    path = Path(str(files("hgzoo"))) / "weights" / weights.file
    if not path.is_file():
        raise WeightsError(f"{path} is missing; install hgzoo again")
    if hashlib.sha256(path.read_bytes()).hexdigest() != weights.sha256:
        raise WeightsError(f"{path} is damaged (its SHA-256 differs); install hgzoo again")
    return path


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error}") from error
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged, or not a safetensors file: {error}") from error


def _fill(model: StackedHourglass, tensors: dict[str, torch.Tensor], *, where: str) -> None:
    wanted: dict[str, Any] = model.state_dict()
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
    kinds = {name: value.dtype for name, value in wanted.items()}
    ready = {name: value.to(kinds[name]) for name, value in tensors.items()}
    model.load_state_dict(ready, assign=next(model.parameters()).is_meta)
