"""Finds and reads recipes: the files of zoo_configs, and a user's own."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hgzoo import skeletons
from hgzoo.config import EvalConfig, OutputSpec, Recipe, TrainConfig
from hgzoo.errors import ConfigError, UnknownNameError
from hgzoo.skeletons import Skeleton

SUFFIXES = (".toml", ".json")
"""A recipe of your own: TOML, or the JSON that a training run leaves."""


def folder() -> Path:
    """Return the folder of the zoo's recipes: in the installed package, else in the checkout.

    Examples:
        >>> from hgzoo.recipes import folder
        >>> (folder() / "hg8.toml").is_file()
        True
    """
    installed = Path(str(files("hgzoo"))) / "zoo_configs"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "zoo_configs"


def names() -> list[str]:
    """Return the names of the zoo's variants, sorted.

    Examples:
        >>> from hgzoo.recipes import names
        >>> names()[:3]
        ['hg1', 'hg1_b8', 'hg1_b8_int']
    """
    return sorted(path.stem for path in folder().glob("*.toml"))


def read(name: str | Path) -> Recipe:
    """Read one recipe.

    Args:
        name: A variant of the zoo ("hg2_tiny"), or the path of a TOML or JSON file.

    Returns:
        The recipe.

    Raises:
        UnknownNameError: No such variant, or a key that no table has.
        ConfigError: No such file, damaged, or a value that cannot be used.

    Examples:
        >>> import json
        >>> from pathlib import Path
        >>> from hgzoo.recipes import read
        >>> read("hg8").model.num_stacks
        8
        >>> mine = {"summary": "Three stacks.", "model": {"num_stacks": 3}}
        >>> _ = Path("hg3.json").write_text(json.dumps(mine))  # TOML does as well
        >>> read("hg3.json").name, read("hg3.json").model.num_feats
        ('hg3', 256)
    """
    path = Path(name)
    if path.suffix not in SUFFIXES:
        if str(name) not in names():
            raise UnknownNameError("model", str(name), names())
        path = folder() / f"{name}.toml"
    parse = json.loads if path.suffix == ".json" else tomllib.loads
    try:
        table = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the recipe {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not {path.suffix[1:].upper()}: {error}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path} must hold a table, not a {type(table).__name__}")
    recipe: Recipe = from_table(Recipe, {"name": path.stem, **table}, where=path.name)
    return recipe


def trainings() -> list[str]:
    """Return the names of the training recipes that fit any variant, sorted.

    Examples:
        >>> from hgzoo.recipes import trainings
        >>> trainings()
        ['modern', 'paper', 'princeton']
    """
    return sorted(path.stem for path in (folder() / "train").glob("*.toml"))


def trained_by(recipe: Recipe, name: str) -> Recipe:
    """Return a variant with another way to train it.

    Args:
        recipe: The variant.
        name: One of `trainings()`: a file of zoo_configs/train with the tables [train], [eval]
            and [output]; keys of [output] that it does not name stay the variant's.

    Raises:
        UnknownNameError: There is no such training.
        ConfigError: The file cannot be read.

    Examples:
        >>> from hgzoo.recipes import read, trained_by
        >>> trained_by(read("hg4"), "paper").train.optimizer
        'rmsprop'
    """
    if name not in trainings():
        raise UnknownNameError("training", name, trainings())
    table = tomllib.loads((folder() / "train" / f"{name}.toml").read_text(encoding="utf-8"))
    output = {**to_table(recipe.output), **table.get("output", {})}
    return dataclasses.replace(
        recipe,
        output=from_table(OutputSpec, output, where=f"{name}: output"),
        train=from_table(TrainConfig, table["train"], where=f"{name}: train"),
        eval=from_table(EvalConfig, table["eval"], where=f"{name}: eval"),
    )


def changed(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """Return a recipe with other values in its [train] table.

    Args:
        recipe: The recipe.
        changes: "KEY=VALUE" words, the value in TOML ("lr=5e-4", "augment.color=[0.8, 1.2]"); what
            is no TOML is a string ("optimizer=sgd").

    Raises:
        UnknownNameError: The table has no such key.
        ConfigError: Not such a word, or a value that cannot be used.

    Examples:
        >>> from hgzoo.recipes import changed, read
        >>> recipe = changed(read("hg2_tiny"), ["lr=5e-4", "optimizer=sgd"])
        >>> recipe.train.lr, recipe.train.optimizer
        (0.0005, 'sgd')
        >>> changed(read("hg2_tiny"), ["learning_rate=1"])
        Traceback (most recent call last):
            ...
        hgzoo.errors.UnknownNameError: unknown key in [train] 'learning_rate'; did you ...
    """
    return dataclasses.replace(recipe, train=changed_training(recipe.train, changes))


def changed_training(config: TrainConfig, changes: Sequence[str]) -> TrainConfig:
    """Return a [train] table with other values; `changes` and errors as for `changed`.

    Examples:
        >>> from hgzoo.config import TrainConfig
        >>> from hgzoo.recipes import changed_training
        >>> changed_training(TrainConfig(), ["augment.color=[0.8, 1.2]"]).augment.color
        (0.8, 1.2)
    """
    train = to_table(config)
    for change in changes:
        key, sign, text = change.partition("=")
        *parents, last = key.split(".")
        table = train
        for parent in parents:
            table = table.get(parent, {}) if isinstance(table, dict) else {}
        if not sign or not table:
            raise ConfigError(f"a change is KEY=VALUE, with a key of [train]; got {change!r}")
        try:
            table[last] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            table[last] = text
    result: TrainConfig = from_table(TrainConfig, train, where="[train]")
    return result


def from_table(record: type[Any], table: Mapping[str, Any], *, where: str) -> Any:
    """Build a frozen record from a TOML or JSON table, strictly.

    Args:
        record: A dataclass of `hgzoo.config`.
        table: Its keys and values; lists become tuples, tables become records.
        where: What an error calls the table.

    Returns:
        The record. (Any: the caller names the type.)

    Raises:
        UnknownNameError: A key that the record does not have.
        ConfigError: A key is missing, or a value has another type than the record says.

    Examples:
        >>> from hgzoo.config import ModelConfig
        >>> from hgzoo.recipes import from_table
        >>> from_table(ModelConfig, {"num_stacks": 2}, where="mine").num_stacks
        2
        >>> from_table(ModelConfig, {"num_stack": 2}, where="mine")
        Traceback (most recent call last):
            ...
        hgzoo.errors.UnknownNameError: unknown key in mine 'num_stack'; did you mean ...
    """
    types_of = get_type_hints(record)
    for key in table:
        if key not in types_of:
            raise UnknownNameError(f"key in {where}", key, types_of)
    needed = {
        field.name
        for field in dataclasses.fields(record)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if missing := sorted(needed - table.keys()):
        raise ConfigError(f"{where} lacks {', '.join(missing)}")
    values = {k: _value(types_of[k], v, where=f"{where}: {k}") for k, v in table.items()}
    return record(**values)


def to_table(record: Any) -> dict[str, Any]:
    """Turn a record into plain tables that JSON can hold; `from_table` reads them back.

    Examples:
        >>> from hgzoo.config import EvalConfig
        >>> from hgzoo.recipes import to_table
        >>> to_table(EvalConfig())
        {'metric': 'pck', 'threshold': 0.2, 'flip': True}
    """
    table: dict[str, Any] = dataclasses.asdict(record)
    return table


def _value(kind: Any, value: Any, *, where: str) -> Any:  # Any: kinds are type hints
    """Check one value against its type hint, and make tuples and records of lists and tables."""
    origin, args = get_origin(kind), get_args(kind)
    if kind is Skeleton and isinstance(value, str):
        return skeletons.get(value)
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return from_table(kind, value, where=where)  # type: ignore[arg-type]
    if origin is Literal:
        if value not in args:
            raise UnknownNameError(f"value of {where}", str(value), map(str, args))
        return value
    if origin is tuple and isinstance(value, list | tuple):
        each = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(each) != len(value):
            raise ConfigError(f"{where} needs {len(each)} values, got {len(value)}")
        return tuple(_value(k, v, where=where) for k, v in zip(each, value, strict=True))
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {k: _value(args[1], v, where=f"{where}.{k}") for k, v in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise ConfigError(f"{where} must be {getattr(kind, '__name__', kind)}, got {value!r}")
