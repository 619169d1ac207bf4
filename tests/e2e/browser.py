"""Debian's Chromium, without a screen, driven through its own driver; reaches loopback alone."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

PROGRAMS = {"chromium": "chromium", "chromedriver": "chromium-driver"}
PAGE_LIMIT_S = 20
CONTROLS = (
    "button",
    "link",
    "textbox",
    "searchbox",
    "checkbox",
    "radio",
    "DisclosureTriangle",
    "table",
    "log",
)
FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps", "--hide-scrollbars",
    "--disable-dev-shm-usage", "--force-color-profile=srgb", "--lang=en-US",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)  # fmt: skip


def missing_browser() -> str:
    """Why there is no browser here, "" when there is one; `make install` brings it on Debian."""
    absent = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    return f"no browser: {', '.join(absent)} is not installed" if absent else ""


class Browser(webdriver.Chrome):
    """One browser with a profile of its own."""

    def look(self, width: int, *, dark: bool = False, height: int = 800) -> None:
        """Take this size and theme."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        whole = {"format": "png", "captureBeyondViewport": True}
        box: Any = self.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": box["width"], "height": box["height"], "scale": 1}
        content = self.execute_cdp_cmd("Page.captureScreenshot", {**whole, "clip": clip})
        path.write_bytes(base64.b64decode(content["data"]))

    def fresh(self) -> None:
        """As a new visitor: no cookies, the usual size, nothing on the console."""
        self.get("about:blank")
        self.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.look(1200)
        self.complaints()

    def save_files_in(self, folder: Path) -> None:
        """Where downloads go."""
        self.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
        )

    def nameless(self) -> list[tuple[str, str]]:
        """Controls that a screen reader would have no name for: their role and where they are."""
        tree: Any = self.execute_cdp_cmd("Accessibility.getFullAXTree", {})
        return [
            (node["role"]["value"], node["nodeId"])
            for node in tree["nodes"]
            if not node.get("ignored") and node.get("role", {}).get("value") in CONTROLS
            and not node.get("name", {}).get("value", "").strip()
        ]  # fmt: skip

    def complaints(self) -> list[str]:
        """What the console has said since the last call: errors and broken policies."""
        return [line["message"] for line in self.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]

    def forgive(self, *texts: str) -> None:
        """Drop the complaints so far, all about one of these: what the test has brought about."""
        others = [line for line in self.complaints() if not any(text in line for text in texts)]
        assert others == []


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser, ended at the end."""
    options = Options()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium's own sandbox refuses to start for root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Browser(options=options, service=Service(str(shutil.which("chromedriver"))))
    driver.set_page_load_timeout(PAGE_LIMIT_S)
    driver.set_script_timeout(PAGE_LIMIT_S)
    try:
        yield driver
    finally:
        driver.quit()
