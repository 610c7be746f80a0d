"""The model cards: a page for each of the zoo's weights."""

from __future__ import annotations

from functools import partial

import hgzoo
from docs.make.pages import Make
from hgzoo.factory import model_card

WHOLE: dict[str, Make] = {
    f"docs/models/{name}.md": partial(model_card, name)
    for name in hgzoo.list_models(pretrained=True)
}

PARTS: dict[tuple[str, str], Make] = {}
