"""Files and marked parts of pages that come from the code, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from hgzoo.files import atomic

ROOT = Path(__file__).parent.parent.parent

Make = Callable[[], str]


def marked(mark: str) -> re.Pattern[str]:
    """Match a marked part of a page: what stands between its two comments."""
    return re.compile(
        rf"(?<=<!-- begin {re.escape(mark)} -->\n\n).*?(?=\n\n<!-- end {re.escape(mark)} -->)",
        re.DOTALL,
    )


def current(
    whole: dict[str, Make], parts: dict[tuple[str, str], Make]
) -> Iterator[tuple[str, str]]:
    """Make every file anew.

    Args:
        whole: Path from the root of the repository to what makes the whole file.
        parts: (path, mark) to what makes a marked part of a page.

    Yields:
        Path and text of each file.
    """
    for path, make in whole.items():
        yield path, make()
    pages = {page: (ROOT / page).read_text(encoding="utf-8") for page, _ in parts}
    for (page, mark), make in parts.items():
        text = make()
        pages[page], found = marked(mark).subn(lambda _, text=text: text, pages[page])
        if found != 1:
            raise ValueError(f"{page} needs one part between <!-- begin {mark} --> and its end")
    yield from pages.items()


def stale(files: Iterator[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the files that differ from what lies in the repository."""
    return [(path, text) for path, text in files if _read(ROOT / path) != text]


def write(path: str, text: str) -> None:
    """Write a file, and the folder it lies in."""
    with atomic(ROOT / path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
