"""What boxes cost that nobody gave: the table of `hgzoo benchmark search`."""

from __future__ import annotations

import json

from docs.make.pages import ROOT, Make
from hgzoo.benchmark import WayFound
from hgzoo.cli.benchmark import search_table

SEARCH = "docs/results/search.json"
"""Written by `hgzoo benchmark search --json`."""


def table() -> str:
    """Return the table that the command printed."""
    rows = json.loads((ROOT / SEARCH).read_text(encoding="utf-8"))
    return search_table([WayFound(**row) for row in rows])


WHOLE: dict[str, Make] = {}

PARTS: dict[tuple[str, str], Make] = {("docs/boxes.md", "search"): table}
