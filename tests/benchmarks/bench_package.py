"""The frozen build and its package: how it starts beside the source, how large it is, how long dpkg takes.

Needs `make deb` before: it tells so where there is none. The package is unpacked into a folder of its own
with a dpkg database of its own, so the machine stays as it is.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.bench_ui import time_to_paint
from tests.benchmarks.report import Report
from tests.ui.screen import environment, xvfb

ROOT = Path(__file__).parents[2]
FROZEN = ROOT / "dist" / "hivemind-worker" / "hivemind-worker"
STARTS = 7
MB = 1e6


async def run(report: Report, folder: Path) -> None:
    """All figures of the package."""
    packages = sorted((ROOT / "dist").glob("*.deb"), key=lambda path: path.stat().st_mtime)
    if not FROZEN.exists() or not packages:
        print("package: nothing is built here; `make deb` first")
        return
    await asyncio.to_thread(starts, report, folder / "starts")
    report.add("package: size of the .deb", packages[-1].stat().st_size / MB, "MB", most=75)
    report.add("package: frozen folder", _size(FROZEN.parent) / MB, "MB")
    left_out = json.loads((ROOT / "build/pyinstaller/pyinstaller/left-out.json").read_text())["bytes"]
    report.add(
        "package: left out of it", sum(left_out.values()) / MB, "MB", note="installer/freeze/left_out.py"
    )
    if os.geteuid() == 0:
        report.add("package: dpkg --unpack", unpack(packages[-1], folder / "root"), "s", most=20)


def starts(report: Report, home: Path) -> None:
    """Exec to first paint, frozen and from the source in turn."""
    ways = {"source": [sys.executable, "-m", "hivemind_worker", "gui"], "frozen": [str(FROZEN), "gui"]}
    took: dict[str, list[float]] = {name: [] for name in ways}
    with xvfb() as (display, _server):
        for _start in range(STARTS):
            for name, words in ways.items():
                took[name].append(time_to_paint(words, environment(display, home), display))
    source, frozen = (statistics.median(took[name]) for name in ("source", "frozen"))
    report.add("package: first paint, frozen / source", frozen / source, "", most=1.3,
               note=f"{frozen:.3f} s, {source:.3f} s")  # fmt: skip


def unpack(package: Path, root: Path) -> float:
    """Seconds until every file of the package lies where it belongs, synced as dpkg does."""
    for name in ("info", "updates", "triggers"):
        (root / "var/lib/dpkg" / name).mkdir(parents=True)
    for name in ("status", "available"):
        (root / "var/lib/dpkg" / name).touch()
    begun = time.monotonic()
    words = ["dpkg", f"--root={root}", "--force-depends", "--unpack", package]
    subprocess.run(words, check=True, capture_output=True)
    return time.monotonic() - begun


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
