"""The picture of the demo page: `python -m docs.make.screenshot` starts the page and takes it.

It needs chromium and its driver, and takes seconds; so it is no part of `python -m docs.make`.
"""

from __future__ import annotations

import io

from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from docs.make.pages import ROOT
from hgzoo.files import atomic
from hgzoo.webdemo.networks import Networks
from hgzoo.webdemo.server import running
from tests.browser.chromium import Browser

PATH = ROOT / "docs" / "images" / "demo_page.png"
WINDOW = (1180, 1000)
COLORS = 256


def take(browser: Browser, url: str) -> bytes:
    """Find the keypoints of the shipped picture, go to the last hourglass, and return a PNG."""
    browser.resize(WINDOW)
    browser.open(url)
    browser.wait("document.querySelector('#picture img')?.naturalWidth > 0")
    browser.driver.find_element(By.ID, "find").click()
    browser.wait("document.querySelector('#heatmap img')?.naturalWidth > 0")
    first = browser.wait("document.querySelector('#heatmap img').src")
    slider = browser.driver.find_element(By.CSS_SELECTOR, "#stack input[type=range]")
    slider.send_keys(Keys.END)
    browser.wait("document.querySelector('#heatmap img').src !== arguments[0]", first)
    browser.wait("document.querySelector('#heatmap img')?.complete")
    browser.driver.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    return browser.driver.get_screenshot_as_png()


def main() -> None:
    """Write the picture."""
    with running(Networks(["hg2_tiny"])) as url, Browser() as browser:
        picture = Image.open(io.BytesIO(take(browser, url))).convert("RGB")
    palette = picture.quantize(COLORS, Image.Quantize.MAXCOVERAGE)
    small = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    with atomic(PATH) as temporary:
        small.save(temporary, format="PNG", optimize=True)


if __name__ == "__main__":
    main()
