"""Links from a page to the API reference."""

from __future__ import annotations

from pkgutil import resolve_name

PRIVATE = ("inference", "normalization")
"""Modules without a page of the reference."""


def address(name: str) -> str:
    """Return where the reference tells of something, as seen from a page of the docs.

    Args:
        name: Its full name, such as "hgzoo.blocks.Hourglass".

    Raises:
        AttributeError: There is no such thing.
    """
    resolve_name(name)
    return f"../reference/{name.split('.')[1]}/#{name}"


def reference(name: str) -> str:
    """Return a name as Markdown that leads to the reference, or as code where it has no page.

    Args:
        name: A full name, such as "hgzoo.blocks.Hourglass".

    Raises:
        AttributeError: There is no such thing.
    """
    resolve_name(name)
    short = f"`{name.removeprefix('hgzoo.')}`"
    return short if name.split(".")[1] in PRIVATE else f"[{short}][{name}]"
