"""The page of `hgzoo demo`, used as a visitor would: upload, box, find, slide, take home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from hgzoo.pictures import load
from tests.browser.chromium import DESKTOP, PHONE, Browser
from tests.browser.served import ROOT
from tests.people import WALKING

EDGES = ("x0", "y0", "x1", "y1")

FOUND = "document.querySelector('#details table')"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The command on a free port, and nothing of it left in the end."""
    folder = tmp_path_factory.mktemp("demo")
    process = subprocess.Popen(
        [sys.executable, "-m", "hgzoo", "demo", "--no-browser"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(folder),
            "OMP_NUM_THREADS": "1",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert list(folder.iterdir()) == []


class Page:
    """The page in the browser, with the demo picture that it opens with.

    Args:
        browser: Shows it.
        url: Its address.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser = browser
        browser.open(url)
        browser.wait("document.querySelector('#picture img')?.naturalWidth > 0")
        browser.wait("document.querySelector('#x0 input')?.value === ''")

    def click(self, selector: str) -> None:
        self.browser.driver.find_element(By.CSS_SELECTOR, selector).click()

    def upload(self, path: Path) -> None:
        """Give a file to the field that a dropped file also goes to."""
        field = self.browser.driver.find_element(By.CSS_SELECTOR, "#file input[type=file]")
        field.send_keys(str(path))

    def type(self, edges: tuple[float, ...]) -> None:
        for name, edge in zip(EDGES, edges, strict=True):
            field = self.browser.driver.find_element(By.CSS_SELECTOR, f"#{name} input")
            field.send_keys(Keys.CONTROL, "a")
            field.send_keys(str(edge))

    def choose(self, name: str, choice: str) -> None:
        field = self.browser.driver.find_element(By.CSS_SELECTOR, f"#{name} input")
        field.click()
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(choice, Keys.ENTER)
        self.browser.wait(f"document.querySelector('#{name} input').value === arguments[0]", choice)

    def typed(self) -> list[float]:
        script = "return [...document.querySelectorAll('#edges input')].map(e => e.value)"
        return [float(value) for value in self.browser.driver.execute_script(script)]

    def find(self) -> str:
        """Ask the network, and return the table as text."""
        self.click("#find")
        self.browser.wait(FOUND)
        self.browser.wait("document.querySelector('#heatmap img')?.naturalWidth > 0")
        return str(self.browser.wait(f"{FOUND}.innerText"))

    def said(self, part: str) -> str:
        """Wait until the message has a part, and return it."""
        script = "document.querySelector('#message p')?.innerText"
        self.browser.wait(f"{script}?.includes(arguments[0])", part)
        return str(self.browser.driver.execute_script(f"return {script}"))

    def click_picture(self, x: float, y: float) -> None:
        """Click at a place of the demo picture, in its own pixels."""
        image = self.browser.driver.find_element(By.CSS_SELECTOR, "#picture img")
        left, top, scale = self.browser.driver.execute_script(
            "const image = arguments[0]; image.scrollIntoView({block: 'center'});"
            "const box = image.getBoundingClientRect();"
            "const scale = Math.min(box.width / image.naturalWidth,"
            " box.height / image.naturalHeight);"
            "return [-image.naturalWidth * scale / 2, -image.naturalHeight * scale / 2, scale];",
            image,
        )
        place = round(left + x * scale), round(top + y * scale)
        ActionChains(self.browser.driver).move_to_element_with_offset(
            image, *place
        ).click().perform()

    def take(self, folder: Path) -> tuple[dict[str, Any], Path]:
        """Take the result home; return the record, and where the picture is."""
        folder.mkdir()
        self.browser.driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
        )
        self.click("#json")
        self.click("#png")
        for _ in range(200):
            done = sorted(folder.glob("*.pose.*g")) + sorted(folder.glob("*.pose.json"))
            if len(done) == 2:
                break
            time.sleep(0.05)
        drawn, record = done
        return json.loads(record.read_text()), drawn

    def source(self, name: str) -> str:
        return str(self.browser.wait(f"document.querySelector('#{name} img')?.src"))


@pytest.fixture
def page(browser: Browser, served: str) -> Page:
    return Page(browser, served)


def test_the_page_opens_without_an_error_and_asks_no_other_host(page: Page) -> None:
    assert page.browser.complaints() == []
    assert "Two clicks" in page.said("Two clicks")


def test_the_browser_is_told_to_ask_no_other_host(page: Page) -> None:
    page.browser.driver.execute_script("new Image().src = 'https://example.com/pixel.png'")
    time.sleep(0.2)
    complaints = page.browser.complaints()
    assert any("Content Security Policy" in complaint for complaint in complaints)


def test_the_demo_picture_gives_a_person(page: Page) -> None:
    table = page.find()
    assert page.said("found") == "One person found, 19 of 19 keypoints drawn."
    assert len(table.splitlines()) >= 20
    assert "left wrist" in table
    assert page.browser.complaints() == []


def test_the_slider_shows_every_hourglass(page: Page) -> None:
    page.find()
    first = page.source("heatmap")
    slider = page.browser.driver.find_element(By.CSS_SELECTOR, "#stack input[type=range]")
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("1", "2")
    slider.send_keys(Keys.ARROW_RIGHT)
    page.browser.wait(
        "document.querySelector('#caption').innerText.startsWith('Hourglass 2 of 2.')"
    )
    page.browser.wait("document.querySelector('#heatmap img').src !== arguments[0]", first)
    assert page.browser.complaints() == []


def test_one_keypoint_can_be_chosen(page: Page) -> None:
    page.find()
    page.choose("keypoint", "neck")
    page.browser.wait("document.querySelector('#caption').innerText.includes('Peak of neck')")
    assert page.browser.complaints() == []


def test_another_network_and_decoder_can_be_chosen(page: Page) -> None:
    page.choose("network", "hg1_nano.people")
    page.choose("decoder", "argmax")
    page.find()
    page.browser.wait("document.querySelector('#caption').innerText.startsWith('The last')")
    assert not page.browser.driver.find_elements(By.CSS_SELECTOR, "#stack input[type=range]")
    assert page.browser.complaints() == []


def test_a_typed_box_is_drawn_and_used(page: Page, tmp_path: Path) -> None:
    without = page.source("picture")
    page.type((100, 80, 300, 480))
    page.browser.wait("document.querySelector('#picture img').src !== arguments[0]", without)
    page.find()
    record, _ = page.take(tmp_path / "taken")
    assert record["poses"][0]["box"] == [100, 80, 300, 480]


def test_two_clicks_draw_a_box_and_fill_the_fields(page: Page, tmp_path: Path) -> None:
    page.click_picture(100, 80)
    page.said("opposite corner")
    page.click_picture(300, 480)
    page.said("drawn")
    np.testing.assert_allclose(page.typed(), (100, 80, 300, 480), atol=2)
    page.find()
    record, _ = page.take(tmp_path / "taken")
    assert record["poses"][0]["box"] == page.typed()
    page.click("#clear")
    page.browser.wait("document.querySelector('#x0 input').value === ''")
    assert page.browser.complaints() == []


def test_each_of_several_people_can_be_looked_at(page: Page, tmp_path: Path) -> None:
    picture = load(WALKING)
    Image.fromarray(np.hstack([picture, picture[:, ::-1]])).save(tmp_path / "two.png")
    before = page.source("picture")
    page.upload(tmp_path / "two.png")
    page.browser.wait("document.querySelector('#picture img')?.src !== arguments[0]", before)
    assert "Person 1 of 2" in page.find()
    skeletons = page.source("skeletons")
    page.choose("person", "Person 2 of 2")
    page.browser.wait(f"{FOUND}.innerText.includes('Person 2 of 2')")
    page.browser.wait("document.querySelector('#skeletons img').src !== arguments[0]", skeletons)
    assert page.browser.complaints() == []


def test_a_new_picture_takes_the_old_result_away(page: Page) -> None:
    page.find()
    page.click("#demo")
    page.browser.wait(f"!{FOUND}")
    page.browser.wait("!document.querySelector('#skeletons img')")


def test_half_a_box_is_a_message(page: Page) -> None:
    page.browser.driver.find_element(By.CSS_SELECTOR, "#x0 input").send_keys("5")
    page.click("#find")
    assert "all four edges" in page.said("needs")
    assert page.browser.complaints() == []


def test_an_uploaded_picture_is_shown_upright_and_its_result_taken_home(
    page: Page, tmp_path: Path
) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    path = tmp_path / "my photo.jpg"
    Image.fromarray(np.rot90(load(WALKING)).copy()).save(path, exif=turned)
    before = page.source("picture")
    page.upload(path)
    page.browser.wait("document.querySelector('#picture img')?.src !== arguments[0]", before)
    page.find()
    record, drawn = page.take(tmp_path / "taken")
    assert (record["picture"], record["height"]) == ("my photo.jpg", len(load(WALKING)))
    assert drawn.name == record["drawn"] == "my_photo.jpg.pose.png"
    assert load(drawn).shape == load(WALKING).shape
    assert page.browser.complaints() == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.jpg", b"only a text", "text.jpg is not a picture"),
        ("empty.png", b"", "empty.png is not a picture"),
        ("half.jpg", WALKING.read_bytes()[:3000], "cannot read half.jpg"),
    ],
)
def test_a_bad_file_is_a_message(
    page: Page, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    page.upload(path)
    assert message in page.said(name)
    page.browser.wait("document.querySelector('#message p').getAttribute('role') === 'alert'")
    assert not page.browser.driver.find_elements(By.CSS_SELECTOR, "#picture img")
    page.click("#find")
    page.said("Choose a picture first.")
    page.click("#demo")
    page.browser.wait("document.querySelector('#picture img')")
    assert page.browser.complaints() == []


def test_a_file_that_is_too_large_is_refused(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    path.touch()
    os.truncate(path, 33 * 2**20)
    page.upload(path)
    page.browser.wait("/max|exceed|large/i.test(document.body.innerText)")
    toast = "document.querySelector('.toast-wrap, .toast-body')?.innerText"
    assert page.browser.wait(f"/exceed|size/i.test({toast}) && {toast}")


def test_the_page_fits_a_phone(page: Page) -> None:
    page.find()
    page.browser.resize(PHONE)
    assert page.browser.too_wide(PHONE[0]) == []
    page.browser.resize(DESKTOP)


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_amiss(page: Page, dark: bool) -> None:
    page.find()
    if dark:
        page.browser.driver.execute_script("document.body.classList.add('dark')")
    assert page.browser.axe() == []


def test_the_keyboard_is_enough(page: Page) -> None:
    """From the first field to the button by Tab alone; then the slider by arrows."""
    driver = page.browser.driver
    driver.execute_script("document.querySelector('#demo').focus()")
    reached = set()
    for _ in range(12):
        ActionChains(driver).send_keys(Keys.TAB).perform()
        reached.add(driver.execute_script("return document.activeElement.closest('[id]')?.id"))
    assert "find" in reached
    driver.execute_script("document.querySelector('#find').focus()")
    ActionChains(driver).send_keys(Keys.ENTER).perform()
    page.browser.wait(FOUND)


def test_the_page_is_kept_to_be_looked_at(page: Page, artifacts: Path) -> None:
    page.find()
    page.browser.resize((1280, 1500))
    page.browser.screenshot(artifacts / "demo-desktop.png")
    page.browser.driver.execute_script("document.body.classList.add('dark')")
    page.browser.screenshot(artifacts / "demo-dark.png")
    page.browser.resize((390, 3200))
    page.browser.screenshot(artifacts / "demo-phone.png")
