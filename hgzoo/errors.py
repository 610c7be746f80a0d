"""Every error that hgzoo raises on purpose.

Whoever catches one catches those under it:

    HgzooError
    ├── ConfigError          a recipe or an argument that cannot be used
    │   └── UnknownNameError a name that stands in no table; the message tells the near ones
    │       └── UnknownArgumentError  a keyword that a function does not take
    ├── InputError           a picture, box or tensor that cannot be used
    ├── OutputError          a file that cannot be written
    ├── DataError            a dataset folder that is missing or damaged
    ├── WeightsError         weights that are missing, damaged or of another shape
    │   └── DownloadError    an address that did not give the file
    └── MissingExtraError    an optional package that is not installed
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class HgzooError(Exception):
    """The root: catch this to catch everything hgzoo raises on purpose."""


class ConfigError(HgzooError, ValueError):
    """A recipe or an argument cannot be used."""


class UnknownNameError(ConfigError):
    """A name stands in no table.

    Args:
        kind: What the name was meant to be, such as "model".
        name: The name as given.
        known: The names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=3) or names
        hint = f"did you mean {', '.join(near)}?" if near else "there are none"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class UnknownArgumentError(UnknownNameError, TypeError):
    """A keyword that a function does not take."""


class InputError(HgzooError, ValueError):
    """A picture, a box or a tensor cannot be used."""


class OutputError(HgzooError):
    """A file cannot be written."""


class DataError(HgzooError):
    """A dataset folder is missing or damaged."""


class WeightsError(HgzooError):
    """Weights are missing, damaged or of another shape."""


class DownloadError(WeightsError):
    """An address did not give the file."""


class MissingExtraError(HgzooError, ImportError):
    """An optional package is not installed."""


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional module, or say which extra of hgzoo brings it.

    Args:
        module: The module's full name, such as "scipy.io".
        extra: The extra of hgzoo that installs it, such as "train".

    Returns:
        The module.

    Raises:
        MissingExtraError: The module is not installed.

    Examples:
        >>> from hgzoo.errors import require
        >>> require("json", extra="train").__name__
        'json'
        >>> require("nowhere", extra="train")
        Traceback (most recent call last):
            ...
        hgzoo.errors.MissingExtraError: this needs nowhere, which is not installed: pip ...
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"this needs {module.partition('.')[0]}, which is not installed: "
            f'pip install "hgzoo[{extra}]"'
        ) from error


def names_near_misses(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function answer a misspelled keyword with the one that was meant.

    Args:
        function: Takes no `**kwargs`.

    Returns:
        The same function, raising UnknownArgumentError where Python would only say "unexpected".

    Examples:
        >>> from hgzoo.errors import names_near_misses
        >>> @names_near_misses
        ... def double(number: int) -> int:
        ...     return 2 * number
        ...
        >>> double(number=2)
        4
        >>> double(numbr=2)
        Traceback (most recent call last):
            ...
        hgzoo.errors.UnknownArgumentError: unknown argument of double 'numbr'; did you ...
    """
    known = inspect.signature(function).parameters

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                raise UnknownArgumentError(f"argument of {function.__qualname__}", name, known)
        return function(*args, **kwargs)

    return checked
