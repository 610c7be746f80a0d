"""The tables of the zoo and of the decoders."""

from __future__ import annotations

import hgzoo
from docs.make.pages import Make
from hgzoo.cli.benchmark import decoders_table
from hgzoo.cli.zoo import zoo_table

WHOLE: dict[str, Make] = {}


def table() -> str:
    """Return the table that `hgzoo list --markdown` prints."""
    return zoo_table(hgzoo.list_models(), markdown=True)


PARTS: dict[tuple[str, str], Make] = {
    ("README.md", "zoo"): table,
    ("docs/decoding.md", "decoders"): decoders_table,
}
