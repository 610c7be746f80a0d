"""The tables of the zoo and of the decoders."""

from __future__ import annotations

import hgzoo
from docs.make.pages import Make
from hgzoo.cli.benchmark import decoders_table
from hgzoo.cli.zoo import zoo_table
from hgzoo.factory import weights_info

WHOLE: dict[str, Make] = {}


def table() -> str:
    """Return the table that `hgzoo list --markdown` prints."""
    return zoo_table(hgzoo.list_models(), markdown=True)


def terms() -> str:
    """Return the terms of all weights, as a table."""
    rows = []
    for name in hgzoo.list_models(pretrained=True):
        weights = weights_info(name)[1]
        on = "yes" if weights.redistributable else "no: fetched from their publisher"
        rows.append(f"| {name} | {weights.licence} | {on} |")
    return "\n".join(["| weights | terms | passed on by hgzoo |\n| --- | --- | --- |", *rows])


PARTS: dict[tuple[str, str], Make] = {
    ("README.md", "zoo"): table,
    ("docs/decoding.md", "decoders"): decoders_table,
    ("docs/guides/publishing.md", "terms"): terms,
}
