"""On what terms the zoo's weights may be used."""

from __future__ import annotations

import hgzoo
from docs.make.pages import Make
from hgzoo.factory import weights_info

HEAD = "| weights | terms | passed on by hgzoo |\n| --- | --- | --- |"

WHOLE: dict[str, Make] = {}


def terms() -> str:
    """Return the terms of all weights, as a Markdown table."""
    rows = []
    for name in hgzoo.list_models(pretrained=True):
        weights = weights_info(name)[1]
        passed_on = "yes" if weights.redistributable else "no: fetched from their publisher"
        rows.append(f"| {name} | {weights.licence} | {passed_on} |")
    return "\n".join([HEAD, *rows])


PARTS: dict[tuple[str, str], Make] = {("docs/guides/publishing.md", "terms"): terms}
