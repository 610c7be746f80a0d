"""The built site as its readers get it: links, console, search, both themes, a phone, pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.browser.chromium import DESKTOP, PHONE, Browser
from tests.browser.links import internal_links, is_dead
from tests.browser.served import Site

SCHEMES = {"light": "default", "dark": "slate"}
TOGGLE = "label.md-header__button[for^=__palette]:not([hidden])"
SCHEME = "document.body.getAttribute('data-md-color-scheme')"
SWITCH = f"""
for (let clicks = 0; clicks < 3 && {SCHEME} !== arguments[0]; clicks++)
  document.querySelector("{TOGGLE}").click();
"""

# Pictures of the text that a reader who cannot see them learns nothing of. Icons stand by words.
NAMELESS = """
const nameless = element => {
  if (element.closest("[aria-hidden=true], .twemoji, .md-icon")) return false;
  const title = element.querySelector(":scope > title");
  const name = element.getAttribute("alt") || element.getAttribute("aria-label")
    || element.getAttribute("aria-labelledby") || title?.textContent || element.textContent;
  const role = element.getAttribute("role");  // a drawing whose parts are links is a group
  return !name.trim() || (element.tagName === "svg" && !["img", "group"].includes(role));
};
return [...document.querySelectorAll("article :is(img, svg, object, embed, canvas)")]
  .filter(nameless).map(element => element.outerHTML.slice(0, 120));
"""


def scheme(browser: Browser) -> str:
    return str(browser.driver.execute_script(f"return {SCHEME}"))


def show(browser: Browser, theme: str) -> None:
    """Let the switch of the theme be clicked by a script until the page is light, or dark."""
    browser.driver.execute_script(SWITCH, SCHEMES[theme])
    assert scheme(browser) == SCHEMES[theme], f"the switch does not lead to a {theme} page"


def keeps_a_picture(page: str) -> bool:
    """Leave out the many pages that look alike."""
    return not page.startswith(("reference/", "models/"))


@pytest.fixture(scope="module")
def found(site: Site, one_browser: Browser, artifacts: Path) -> Mapping[str, list[str]]:
    """What is amiss, by kind of check, on all pages: each is opened once."""
    findings: defaultdict[str, list[str]] = defaultdict(list)

    def add(kind: str, page: str, amiss: list[str]) -> None:
        findings[kind] += [f"/{page}: {what}" for what in amiss]

    for page in site.pages:
        picture = artifacts / "site" / (page.strip("/").replace("/", "-") or "home")
        one_browser.resize(DESKTOP)
        one_browser.open(site.url + page)
        add("pictures", page, one_browser.driver.execute_script(NAMELESS))
        for theme in SCHEMES:
            show(one_browser, theme)
            add(theme, page, one_browser.axe(only=["color-contrast"] if theme == "dark" else []))
            if keeps_a_picture(page):
                one_browser.screenshot(picture.with_name(f"{picture.name}.{theme}.png"))
        one_browser.resize(PHONE)
        add("phone", page, one_browser.too_wide(PHONE[0]))
        if keeps_a_picture(page):
            one_browser.screenshot(picture.with_name(f"{picture.name}.phone.png"))
        add("console", page, one_browser.complaints())
    return findings


def test_the_site_has_pages(site: Site) -> None:
    assert {"", "404.html", "training/"} <= set(site.pages)


def test_every_link_and_anchor_leads_somewhere(site: Site) -> None:
    links = set(internal_links(site))
    assert len(links) > len(site.pages)
    assert sorted(f"/{page}: {address}" for page, address in links if is_dead(site, address)) == []


def test_a_dead_link_is_noticed(site: Site) -> None:
    assert not is_dead(site, site.url + "training/")
    assert is_dead(site, site.url + "no-such-page/")
    assert is_dead(site, site.url + "training/#no-such-section")


def test_pages_load_without_error_and_without_leaving_the_machine(
    found: Mapping[str, list[str]],
) -> None:
    assert found["console"] == []


def test_light_pages_pass_axe(found: Mapping[str, list[str]]) -> None:
    assert found["light"] == []


def test_dark_pages_have_contrast(found: Mapping[str, list[str]]) -> None:
    assert found["dark"] == []


def test_no_page_scrolls_sideways_on_a_phone(found: Mapping[str, list[str]]) -> None:
    assert found["phone"] == []


def test_every_picture_has_alternative_text(found: Mapping[str, list[str]]) -> None:
    assert found["pictures"] == []


def test_the_theme_can_be_switched_and_is_kept(site: Site, browser: Browser) -> None:
    browser.open(site.url)
    show(browser, "light")
    backgrounds = {}
    for _ in range(3):  # light, dark, and what the system prefers
        browser.driver.find_element(By.CSS_SELECTOR, TOGGLE).click()
        chosen = scheme(browser)
        browser.open(site.url + "training/")
        assert scheme(browser) == chosen
        body = browser.driver.find_element(By.TAG_NAME, "body")
        backgrounds[chosen] = body.value_of_css_property("background-color")
    assert backgrounds.keys() == set(SCHEMES.values())
    assert len({*backgrounds.values()}) == 2


def test_the_search_finds_create_model(site: Site, browser: Browser) -> None:
    browser.open(site.url)
    box = browser.driver.find_element(By.CSS_SELECTOR, ".md-search__input")
    box.click()
    box.send_keys("create_model")
    result = "a.md-search-result__link[href$='.create_model']"
    browser.wait("document.querySelector(arguments[0])", result).click()
    browser.wait("location.hash.endsWith('.create_model')")
    heading = browser.wait("document.getElementById(location.hash.slice(1))")
    assert heading.is_displayed()
    assert "create_model" in heading.text
    assert browser.complaints() == []
