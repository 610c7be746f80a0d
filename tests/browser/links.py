"""The links of built pages, and whether each leads somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

from tests.browser.served import Site

POINTING = ("href", "xlink:href", "src", "data", "poster")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if value and (key == "id" or (tag == "a" and key == "name")):
                self.names.add(value)
            elif value and key in POINTING:
                self.links.append(value)


@cache
def _read(path: Path) -> _Reader:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def internal_links(site: Site) -> Iterator[tuple[str, str]]:
    """Give (page, address) of all that pages and drawings of the site point to within it."""
    drawings = (path.relative_to(site.folder).as_posix() for path in site.folder.rglob("*.svg"))
    for page in (*site.pages, *drawings):
        for link in _read(site.file(page)).links:
            address = urljoin(site.url + page, link)
            if address.startswith(site.url):
                yield page, address


def is_dead(site: Site, address: str) -> bool:
    """Tell whether an address of the site has no file, or its file no such anchor."""
    address, anchor = urldefrag(address)
    path = site.file(unquote(address.removeprefix(site.url)))
    if not path.is_file():
        return True
    if not anchor or path.suffix not in (".html", ".svg"):
        return False
    return unquote(anchor) not in _read(path).names
