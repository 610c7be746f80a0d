"""The API reference: a page for each public module, and the tree of all modules.

`PUBLIC` is the list. What a module offers is what mkdocstrings shows of it and what
`tests/test_reference.py` holds to the rules: its `__all__`, else the names without an underscore
that it defines and tells of.
"""

from __future__ import annotations

import tomllib
from functools import cache, partial
from pathlib import Path

import griffe

import hgzoo
from docs.make.pages import ROOT, Make

PUBLIC: dict[str, tuple[str, ...]] = {
    "Predicting": (
        *("predict", "detectors", "readers", "pictures", "skeletons", "visualize"),
        *("videos", "streams", "smoothing", "records"),
    ),
    "Networks": ("factory", "model", "blocks", "config", "recipes"),
    "Coordinates": ("geometry", "targets", "decoders"),
    "Training": ("data", "losses", "engine", "run", "finetuning"),
    "Judging": ("metrics", "oks", "scoring", "sides", "calibration", "results"),
    "Weights": ("checkpoints", "convert", "hub", "timm_bridge"),
    "Speed": ("backends", "lean", "anytime", "export"),
    "Errors": ("errors",),
}
"""Modules that users may import from, by what they are for."""


@cache
def package() -> griffe.Module:
    """Read the whole package without importing it."""
    found = griffe.load("hgzoo", search_paths=[ROOT], docstring_parser="google")
    assert isinstance(found, griffe.Module)
    return found


def public_names(module: str) -> list[str]:
    """Return what a module offers, in the order of its source.

    Args:
        module: Its name within hgzoo, such as "decoders".
    """
    members = package()[module].members.values()
    return [
        one.name for one in members if one.is_public and not one.is_module and one.has_docstring
    ]


def summary(path: str) -> str:
    """Return the first sentence that something says of itself.

    Args:
        path: Its name within hgzoo, such as "decoders.argmax".
    """
    docstring = package()[path].docstring
    return docstring.value.split("\n\n")[0].replace("\n", " ") if docstring else ""


def page(module: str) -> str:
    """Return the page of a module; mkdocstrings fills it."""
    return f"# hgzoo.{module}\n\n::: hgzoo.{module}\n"


def index() -> str:
    """Return the page that leads to all others."""
    lines = [
        "# API reference",
        "",
        "Tensors are told with axes, unit, range and frame; types stand in the signatures. Every",
        "example on these pages is run by the tests. Names with an underscore, and modules that",
        "are not listed here, may change without notice.",
        "",
        "The names of `hgzoo` itself:",
        "",
        "| name | what it is |",
        "| --- | --- |",
    ]
    for name in sorted(set(hgzoo.__all__) - {"__version__"}, key=str.lower):
        home = f"{hgzoo._HOMES[name]}.{name}"
        lines.append(f"| [`hgzoo.{name}`][hgzoo.{home}] | {summary(home)} |")
    for group, modules in PUBLIC.items():
        lines += ["", f"## {group}", "", "| module | what it holds |", "| --- | --- |"]
        lines += [f"| [hgzoo.{name}]({name}.md) | {summary(name)} |" for name in modules]
    return "\n".join(lines) + "\n"


def tree() -> str:
    """Return every module of the package and its first sentence, as a list."""
    lines = []
    for path in sorted((ROOT / "hgzoo").rglob("*.py"), key=_order):
        parts = path.relative_to(ROOT / "hgzoo").with_suffix("").parts
        if parts[-1] not in ("__init__", "__main__") or len(parts) > 1:
            name = ".".join(parts).removesuffix(".__init__")
            indent = "    " * (len(parts) - 1 - path.name.startswith("__init__"))
            kind = "/" if path.name == "__init__.py" else ".py"
            lines.append(f"{indent}- `{name.rpartition('.')[2]}{kind}`: {summary(name)}")
    return "\n".join(lines)


def layers() -> str:
    """Return the import contract as pyproject.toml has it, the highest line first."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = content["tool"]["importlinter"]["contracts"]
    return "\n".join(["```text", *contract["layers"], "```"])


def _order(path: Path) -> tuple[str, ...]:
    """Put a package before its modules, and all by name."""
    return tuple("" if part == "__init__.py" else part.removesuffix(".py") for part in path.parts)


WHOLE: dict[str, Make] = {
    "docs/reference/index.md": index,
    **{
        f"docs/reference/{name}.md": partial(page, name)
        for modules in PUBLIC.values()
        for name in modules
    },
}

PARTS: dict[tuple[str, str], Make] = {
    ("docs/contributing.md", "tree"): tree,
    ("docs/contributing.md", "layers"): layers,
}
