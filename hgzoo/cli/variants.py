"""hgzoo benchmark zoo: how long the variants take for a picture, compared with each other."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgzoo.cli.shared import add_quiet, at_least, command, set_threads
from hgzoo.errors import UnknownNameError
from hgzoo.files import write_text

if TYPE_CHECKING:
    from hgzoo.benchmark import Variant

EXAMPLES = """\
hgzoo benchmark zoo
hgzoo benchmark zoo "hg2*" my/own.toml --threads 1 --json speed.json"""

HEAD = """\
| variant | parameters | 10⁹ multiplications a picture | times the seconds of {base} |
| --- | ---: | ---: | ---: |"""


def add_commands(parts: Any) -> None:
    """Add `zoo` to the parts of `hgzoo benchmark`."""
    text = "the zoo's variants against each other: a picture each, in turns"
    parser = command(parts, "zoo", _zoo, text, examples=EXAMPLES)
    add = parser.add_argument
    add("models", nargs="*", metavar="MODEL", help="wildcards or paths of recipes (the whole zoo)")
    add("--threads", type=at_least(1), help="threads (torch's default)")
    add("--repeats", type=at_least(1), default=5, help="rounds that count (%(default)s)")
    add("--json", metavar="FILE", help="write the figures there, with each round's seconds")
    add_quiet(parser)


def _zoo(options: argparse.Namespace) -> int:
    from hgzoo.benchmark import BASE, conditions, variant_speeds

    names = dict.fromkeys([BASE, *_names(options.models or ["*"])])
    set_threads(options.threads)
    rows = variant_speeds(list(names), repeats=options.repeats, progress=not options.quiet)
    now = conditions()
    print(", ".join(f"{name} {value}" for name, value in now.items()))
    print(f"\n{variants_table(rows)}")
    if options.json:
        table = {**now, "base": BASE, "variants": [asdict(row) for row in rows]}
        write_text(Path(options.json), json.dumps(table, indent=2))
    return 0


def _names(asked: Sequence[str]) -> list[str]:
    """Put the variants in the place of their wildcards; paths stay."""
    from hgzoo import factory, recipes

    names = []
    for one in asked:
        is_path = Path(one).suffix in recipes.SUFFIXES
        found = [one] if is_path else factory.list_models(one)
        if not found:
            raise UnknownNameError("model or wildcard", one, factory.list_models())
        names += found
    return names


def variants_table(rows: Sequence[Variant]) -> str:
    """Return what each variant comes to, as a Markdown table; the first row is the base."""
    from hgzoo.benchmark import times_faster

    base = rows[0]
    lines = [
        f"| {row.name} | {row.parameters:,} | {row.macs / 1e9:.2f} "
        f"| {times_faster(base, row):.2f} |"
        for row in rows
    ]
    return "\n".join([HEAD.format(base=base.name), *lines])
