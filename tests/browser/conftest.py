"""What tests in a browser share: the built site, a window of Chromium, and a place for pictures.

    def test_something(site: Site, browser: Browser) -> None:
        browser.open(site.url + "quickstart/")
        browser.driver.find_element(By.LINK_TEXT, "Training").click()
        assert browser.complaints() == []

`browser` opens whatever is served on the loopback, not only the site.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.browser.chromium import CHROMEDRIVER, CHROMIUM, DESKTOP, Browser
from tests.browser.served import ROOT, Site, build, serve


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The whole site, built once, though several processes share the tests."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # each process has a folder of its own in it
    folder = shared / "site"
    with FileLock(shared / "site.lock"):
        if not folder.exists():
            build(folder)
    with serve(folder) as site:
        yield site


@pytest.fixture(scope="session")
def one_browser() -> Iterator[Browser]:
    """One window for all tests of this process: to start it takes a second."""
    if not (CHROMIUM and CHROMEDRIVER):
        reason = "no chromium with its driver: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(one_browser: Browser) -> Browser:
    """A window of a desktop's size, with an empty page and no complaints."""
    one_browser.resize(DESKTOP)
    one_browser.open("about:blank")
    return one_browser


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Where screenshots are kept to be looked at: `HGZOO_ARTIFACTS`, or artifacts/."""
    return Path(os.environ.get("HGZOO_ARTIFACTS") or ROOT / "artifacts").resolve()
