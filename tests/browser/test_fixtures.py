"""The browser that the tests use notices what it is there to notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.chromium import PHONE, Browser
from tests.browser.served import serve

START = (
    "<!doctype html><html lang=en><title>Page</title>"
    "<meta name=viewport content='width=device-width'><link rel=icon href=data:,>"
)


@pytest.fixture
def complaints(browser: Browser, tmp_path: Path) -> Callable[[str], list[str]]:
    """Load a page with this body and return what the browser complains of."""

    def opened(body: str) -> list[str]:
        (tmp_path / "index.html").write_text(START + body)
        with serve(tmp_path) as site:
            browser.open(site.url)
            return browser.complaints()

    return opened


def test_a_sound_page_gives_no_complaint(complaints: Callable[[str], list[str]]) -> None:
    assert complaints("<h1>Hello</h1>") == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<script>console.error('broken')</script>", "broken"),
        ("<script>nothing.at.all</script>", "nothing is not defined"),
        ("<img src=missing.png>", "answered 404"),
        ("<img src=https://example.com/pixel.png>", "leaves the machine: https://example.com"),
        ("<script>new WebSocket('ws://example.com')</script>", "leaves the machine: ws://"),
    ],
)
def test_what_is_wrong_is_a_complaint(
    complaints: Callable[[str], list[str]], body: str, complaint: str
) -> None:
    assert complaint in "\n".join(complaints(body))


def test_axe_finds_what_cannot_be_read(
    browser: Browser, complaints: Callable[[str], list[str]]
) -> None:
    complaints("<main><h1>Title</h1><h4>Deep</h4><p style='color:#ccc'>Pale<img src=data:,></main>")
    rules = {finding.split(":")[0] for finding in browser.axe()}
    assert {"color-contrast", "heading-order", "image-alt"} <= rules
    assert [f.split(":")[0] for f in browser.axe(only=["color-contrast"])] == ["color-contrast"]
    assert "image-alt" not in "".join(browser.axe(without=["image-alt"]))


def test_what_is_too_wide_for_a_phone_is_named(
    browser: Browser, complaints: Callable[[str], list[str]]
) -> None:
    complaints("<p>narrow<pre style='width:500px'>wide</pre>")
    browser.resize(PHONE)
    assert any("<pre" in element for element in browser.too_wide(PHONE[0]))
    complaints("<p>narrow<div style='overflow:auto'><pre style='width:500px'>wide</pre></div>")
    assert browser.too_wide(PHONE[0]) == []
