"""A real Chromium for the reports, and what a reader of a page can tell about it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tarfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from converge.sandbox.packages import cached

_FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars")
_AXE = "axe-core@4.14.1"
_WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_NO_SCRIPTS = {"profile.managed_default_content_settings.javascript": 2}


class Browser:
    """One tab. Questions are asked through the debugger, so they work without JavaScript in the page too."""

    def __init__(self, driver: webdriver.Chrome, *, scripted: bool) -> None:
        self.driver = driver
        self.scripted = scripted
        """Whether pages may run scripts."""

    def open(self, file: Path, *, width: int = 1280, height: int = 900) -> None:
        """Shows a file in a window of this size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._tell("Emulation.setDeviceMetricsOverride", size)
        self.driver.get("about:blank")
        for kind in ("performance", "browser"):
            self._log(kind)
        self.driver.get(file.as_uri())

    def emulate(self, *, media: str = "", scheme: str = "light") -> None:
        """The reader's colour scheme, or the printer."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._tell("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def requests(self) -> list[str]:
        """The addresses of all requests since the page was opened."""
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def console(self) -> list[str]:
        """What the browser's console says."""
        return [entry["message"] for entry in self._log("browser")]

    def ask(self, expression: str) -> Any:
        return self.driver.execute_script(f"return {expression}")

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def shown(self, selector: str) -> bool:
        """Whether the element is neither folded away nor hidden."""
        return bool(
            self.ask(
                f"document.querySelector({json.dumps(selector)})"
                ".checkVisibility({contentVisibilityAuto: false, visibilityProperty: true})"
            )
        )

    def height(self) -> int:
        return int(self.ask("document.documentElement.scrollHeight"))

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.ask("document.documentElement.scrollWidth - innerWidth"))

    def brightness(self, selector: str) -> float:
        """Of the background, from 0 to 255."""
        element = f"document.querySelector({json.dumps(selector)})"
        colour: str = self.ask(f"getComputedStyle({element}).backgroundColor")
        parts = [float(part) for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
        return sum(parts) / 3

    def violations(self) -> list[str]:
        """What axe-core finds against WCAG 2.2 A and AA on the page, with the first element of each."""
        # By the debugger: the page's policy lets no other script than its own run.
        self._tell("Runtime.evaluate", {"expression": _axe()})
        options = json.dumps({"runOnly": _WCAG, "resultTypes": ["violations"]})
        expression = f"axe.run({options}).then((found) => JSON.stringify(found.violations))"
        parameters = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        found = json.loads(self._tell("Runtime.evaluate", parameters)["result"]["value"])
        return [f"{one['id']}: {one['nodes'][0]['html']}: {one['help']}" for one in found]

    def pdf(self) -> PdfReader:
        printed = self._tell("Page.printToPDF", {"printBackground": True, "preferCSSPageSize": True})
        return PdfReader(BytesIO(base64.b64decode(printed["data"])))

    def paper(self) -> str:
        """The text that the printer gets, as one line."""
        text = " ".join(page.extract_text() for page in self.pdf().pages)
        # A font may have one sign for ff.
        return " ".join(unicodedata.normalize("NFKC", text).split())

    def _tell(self, command: str, parameters: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.driver.execute_cdp_cmd(command, parameters)
        return answer

    def _log(self, kind: str) -> list[dict[str, Any]]:
        """What the log holds since it was last asked for."""
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries


@cache
def _axe() -> str:
    """axe-core's script, which npm brings into the cache once."""

    def make(work: Path) -> Path:
        command = ["npm", "pack", _AXE, "--silent", f"--cache={work / 'npm'}"]
        subprocess.run(command, cwd=work, check=True, capture_output=True)
        with tarfile.open(next(work.glob("*.tgz"))) as archive:
            archive.extract("package/axe.min.js", work, filter="data")
        return work / "package"

    return (cached(_AXE, make, print) / "axe.min.js").read_text("utf-8")


@contextmanager
def chromium(*, scripts: bool) -> Iterator[Browser]:
    """Starts Chromium; skips the test, with what is missing, where there is none."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)}: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs["chromium"])
    for flag in _FLAGS:
        options.add_argument(flag)
    if not scripts:
        options.add_experimental_option("prefs", _NO_SCRIPTS)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(programs["chromedriver"])))
    try:
        yield Browser(driver, scripted=scripts)
    finally:
        driver.quit()
