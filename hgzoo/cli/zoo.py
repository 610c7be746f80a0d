"""hgzoo list, hgzoo info."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from hgzoo.cli.shared import command
from hgzoo.errors import UnknownNameError

HEAD = ("name", "stacks", "features", "input", "keypoints", "parameters", "weights")


def add_commands(commands: Any) -> None:
    """Add `list` and `info`."""
    examples = 'hgzoo list\nhgzoo list "hg2*" --pretrained'
    add = command(commands, "list", _list, "list the zoo", examples=examples).add_argument
    add("filter", nargs="?", default="*", help="wildcard for names")
    add("--pretrained", action="store_true", help="only variants that have weights")
    add("--markdown", action="store_true", help="as a Markdown table")
    examples = "hgzoo info hg8\nhgzoo info my/own.toml\nhgzoo info hg2_tiny.people --card"
    text = "print all that a variant's recipe says, as JSON"
    add = command(commands, "info", _info, text, examples=examples).add_argument
    add("model", help="a variant, the name of weights, or the path of a recipe")
    add("--card", action="store_true", help="print the model card of the weights instead")


def zoo_table(names: Sequence[str], *, markdown: bool = False) -> str:
    """Return the zoo's table.

    Args:
        names: Variants, a row each.
        markdown: As the README has it, else aligned for a terminal.
    """
    rows = [_row(name) for name in names]
    if markdown:
        lines = [HEAD, ("---", *["---:"] * 5, "---"), *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (HEAD, *rows)
    )


def _row(name: str) -> tuple[str, ...]:
    from hgzoo import factory

    recipe = factory.model_info(name)
    height, width = recipe.input.size
    return (
        recipe.name,
        str(recipe.model.num_stacks),
        str(recipe.model.num_feats),
        f"{height}x{width}",
        str(recipe.model.num_keypoints),
        f"{factory.num_parameters(recipe):,}",
        ", ".join(f"{recipe.name}.{tag}" for tag in recipe.weights) or "none",
    )


def _list(options: argparse.Namespace) -> int:
    from hgzoo import factory

    names = factory.list_models(options.filter)
    if not names:
        raise UnknownNameError("model or wildcard", options.filter, factory.list_models())
    if options.pretrained:
        names = [name for name in names if factory.model_info(name).weights]
    print(zoo_table(names, markdown=options.markdown))
    return 0


def _info(options: argparse.Namespace) -> int:
    from hgzoo import factory, recipes

    if options.card:
        print(factory.model_card(options.model), end="")
        return 0
    recipe = factory.model_info(options.model)
    table = {**recipes.to_table(recipe), "num_parameters": factory.num_parameters(recipe)}
    print(json.dumps(table, indent=2))
    return 0
