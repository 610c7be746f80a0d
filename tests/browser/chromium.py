"""Headless Chromium that remembers what its pages say and what they ask for.

`Browser.open` loads a page; `Browser.complaints` tells what went wrong since: errors on the
console, answers of 400 and above, and requests that would have left the machine. Names other than
127.0.0.1 do not resolve in it, so nothing does leave. `Browser.driver` is selenium's own driver,
for clicking and typing.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")

DESKTOP = (1280, 900)
PHONE = (390, 844)

OFFLINE = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # a root user, as in containers, has none
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-first-run",
    f"--host-resolver-rules={OFFLINE}",
)

# Colours that fade would be judged half way.
STILL = """
addEventListener("DOMContentLoaded", () => {
  const style = document.createElement("style");
  style.textContent = "*, *::before, *::after { transition: none !important; }";
  document.head.append(style);
});
"""

AXE = """
const [only, without, done] = arguments;
const options = {resultTypes: ["violations"]};
if (only.length) options.runOnly = only;
options.rules = Object.fromEntries(without.map(rule => [rule, {enabled: false}]));
axe.run(document, options).then(
  found => done(found.violations), error => done([{id: String(error), nodes: []}]));
"""

# What sticks out on the right, unless a box around it scrolls by itself.
TOO_WIDE = """
const width = arguments[0];
if (document.documentElement.scrollWidth <= width) return [];
const contained = element => {
  for (let box = element.parentElement; box && box !== document.body; box = box.parentElement)
    if (getComputedStyle(box).overflowX !== "visible") return true;
  return false;
};
const wide = [...document.body.querySelectorAll("*")].filter(
  element => element.getBoundingClientRect().right > width && !contained(element));
return [`${document.documentElement.scrollWidth} pixels wide`].concat(
  wide.slice(-3).map(element => element.cloneNode(false).outerHTML.slice(0, 120)));
"""


class Browser:
    """A window of headless Chromium, to be closed with `with`.

    Attributes:
        driver: Selenium's driver of the window.
    """

    def __init__(self) -> None:
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        for flag in (*FLAGS, f"--user-data-dir={self._profile}"):
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options, Service(executable_path=str(CHROMEDRIVER)))
        self.driver.set_script_timeout(60)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": STILL})
        self.resize(DESKTOP)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.driver.quit()
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, url: str) -> None:
        """Load a page and wait until it stands; forget what was said before."""
        self.complaints()
        self.driver.get(url)

    def complaints(self) -> list[str]:
        """Return what went wrong since the last call: console, answers, requests."""
        console = [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE"
        ]
        events = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        return console + [complaint for event in events for complaint in _complaints(event)]

    def resize(self, size: tuple[int, int]) -> None:
        """Show the page in (width, height) pixels, as `PHONE`'s screen or `DESKTOP`'s window."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        mobile = size == PHONE
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {**metrics, "mobile": mobile}
        )

    def too_wide(self, width: int) -> list[str]:
        """Return what makes the page scroll sideways in a window of this many pixels."""
        return list(self.driver.execute_script(TOO_WIDE, width))

    def wait(self, script: str, *arguments: Any, seconds: float = 20) -> Any:
        """Wait until an expression of JavaScript is true, and return it."""
        return WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(
            lambda driver: driver.execute_script(f"return {script}", *arguments),
            f"never true: {script}",
        )

    def axe(self, *, only: Sequence[str] = (), without: Sequence[str] = ()) -> list[str]:
        """Return what axe-core finds amiss in the page as it is shown.

        Args:
            only: Names of the rules to apply; all that axe-core applies by itself when empty.
            without: Names of rules to leave out.
        """
        if not self.driver.execute_script("return Boolean(window.axe)"):
            self.driver.execute_script(axe_source())
        violations = self.driver.execute_async_script(AXE, list(only), list(without))
        return [
            f"{violation['id']}: {node['html'][:160]} ({_summary(node)})"
            for violation in violations
            for node in violation["nodes"] or [{"html": ""}]
        ]

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(path))


def axe_source() -> str:
    """Return axe-core's script, which a package for another driver ships; it is not imported."""
    package = importlib.util.find_spec("axe_playwright_python")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8")


def is_local(url: str) -> bool:
    """Tell whether a request stays in the page or on this machine."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ws", "wss", "ftp"):
        return parts.hostname == "127.0.0.1"
    return True


def _complaints(event: dict[str, Any]) -> list[str]:
    parameters = event["params"]
    match event["method"]:
        case "Network.requestWillBeSent" if not is_local(parameters["request"]["url"]):
            return [f"leaves the machine: {parameters['request']['url']}"]
        case "Network.webSocketCreated" if not is_local(parameters["url"]):
            return [f"leaves the machine: {parameters['url']}"]
        case "Network.responseReceived" if parameters["response"]["status"] >= 400:
            response = parameters["response"]
            return [f"answered {response['status']}: {response['url']}"]
    return []


def _summary(node: dict[str, Any]) -> str:
    return " ".join(node.get("failureSummary", "").split())[:200]
