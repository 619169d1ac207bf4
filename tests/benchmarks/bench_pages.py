"""The first view of the dashboard in Chromium: what goes over the wire, and how long until it is seen."""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path
from typing import Any

from tests.benchmarks.report import Report
from tests.e2e.browser import Browser, browser, missing_browser
from tests.e2e.pictures import sign_in
from tests.web import scenes
from tests.web.hosting import hosted

VIEWS = 9
LOOK = """
const [page] = performance.getEntriesByType("navigation"), rest = performance.getEntriesByType("resource");
const seen = performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
const size = rest.reduce((sum, one) => sum + one.transferSize, page.transferSize);
return [size, seen ?? 0, page.responseStart];
"""


def view(driver: Browser, address: str) -> tuple[float, float, float]:
    """One look with nothing kept: bytes, milliseconds until something is seen, until the first byte."""
    driver.get("about:blank")
    driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    driver.get(address)
    found: Any = [0, 0, 0]
    while not found[1]:
        found = driver.execute_script(LOOK)
    return float(found[0]), float(found[1]), float(found[2])


def measure(report: Report, folder: Path) -> None:
    with hosted(folder, scenes.working) as host, browser(folder / "profile") as driver:
        host.account("mira")
        driver.fresh()
        sign_in(driver, host)
        views = [view(driver, f"{host.url}/dashboard") for _turn in range(VIEWS)][1:]
        plain = statistics.median(view(driver, f"{host.url}/livez")[1] for _turn in range(5))
    sizes, seen, first = zip(*views, strict=True)
    report.add("first view of the dashboard, over the wire", max(sizes) / 1000, "KB", most=60)
    note = (
        f"first byte after {statistics.median(first):.0f} ms; a page of one line is seen after {plain:.0f} ms"
    )
    report.add(
        "first view of the dashboard, until it is seen", statistics.median(seen), "ms", most=150, note=note
    )


async def run(report: Report, folder: Path) -> None:
    """The figures of the pages."""
    if missing_browser():
        print(f"pages: {missing_browser()}")
        return
    await asyncio.to_thread(measure, report, folder)
