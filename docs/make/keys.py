"""The keys of a recipe: a table for each of its records, from `hgzoo/config.py`."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from docs.make.pages import Make
from hgzoo import config
from hgzoo.skeletons import Skeleton

HEAD = "| key | default | what |\n| --- | --- | --- |"

RECORDS = {
    "model": config.ModelConfig,
    "input": config.InputSpec,
    "output": config.OutputSpec,
    "calibration": config.Calibration,
    "weights": config.Weights,
    "train": config.TrainConfig,
    "augment": config.AugmentConfig,
    "eval": config.EvalConfig,
}


def table(record: type[Any]) -> str:
    """Return a record's keys, their defaults and meanings, as a Markdown table.

    Args:
        record: A dataclass whose docstring has a paragraph for each attribute. (Any: dataclasses
            have no type of their own.)
    """
    meanings = dict(_attributes(inspect.getdoc(record) or ""))
    rows = [
        f"| `{field.name}` | {_default(field)} | {meanings[field.name]} |"
        for field in dataclasses.fields(record)
    ]
    return "\n".join([HEAD, *rows])


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    """Find "name: what it is" under "Attributes:", over several lines."""
    told = text.partition("Attributes:\n")[2]
    for found in re.finditer(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", told, re.MULTILINE):
        yield found[1], " ".join(found[2].split()).replace("|", "\\|")


def _default(field: dataclasses.Field[Any]) -> str:
    """Say what a key is where a recipe leaves it out, as TOML has it."""
    if field.default_factory is not dataclasses.MISSING:
        return "empty"
    value = field.default
    if value is dataclasses.MISSING:
        return "(must be said)"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    if isinstance(value, Skeleton):
        value = value.name
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


WHOLE: dict[str, Make] = {}

PARTS: dict[tuple[str, str], Make] = {
    ("docs/guides/variant.md", name): partial(table, record) for name, record in RECORDS.items()
}
