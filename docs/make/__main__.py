"""Write what README and the pages take from the code.

    python -m docs.make           writes what has changed
    python -m docs.make --check   names what has changed, and fails if there is any

A page's tables, its figures, and whole pages are made by the modules beside this file: each has
`WHOLE` (path to what makes the file) and `PARTS` ((path, mark) to what makes that part).
"""

from __future__ import annotations

import sys

from docs.make import (
    anatomy,
    boxes,
    cards,
    decoding,
    keys,
    notebooks,
    paper,
    printed,
    reference,
    results,
    scores,
    speed,
    terms,
    zoo,
)
from docs.make.pages import current, stale, write

MAKERS = (
    anatomy,
    boxes,
    cards,
    decoding,
    keys,
    notebooks,
    paper,
    printed,
    reference,
    results,
    scores,
    speed,
    terms,
    zoo,
)


def changed() -> list[tuple[str, str]]:
    """Return path and text of each file that is not what the code makes now."""
    whole = {path: make for maker in MAKERS for path, make in maker.WHOLE.items()}
    parts = {place: make for maker in MAKERS for place, make in maker.PARTS.items()}
    return stale(current(whole, parts))


def main(arguments: list[str]) -> int:
    """Write or check; see the module."""
    files = changed()
    for path, text in files:
        if "--check" not in arguments:
            write(path, text)
        print(path)
    return int(bool(files) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
