"""The window against BOINC's manager (Debian's), on the same screen in the same run; the window under load.

Installs what it compares with where it may (root on Debian); elsewhere bounds without a baseline are used.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from Xlib import X
from Xlib.display import Display

from tests.benchmarks.report import Report
from tests.ui.screen import App, connected_pool, environment, login, xvfb

BARE = """import sys
from PySide6.QtWidgets import QApplication, QLabel
app = QApplication([])
label = QLabel("bare\\n" * 40)
label.resize(900, 600)
label.show()
sys.exit(app.exec())
"""
PACKAGES = {"boincmgr": "boinc-manager", "boinc": "boinc-client", "trayer": "trayer"}
STARTS, WATCHED_S, LIMIT_S = 7, 20.0, 30.0
HIDDEN_S = 60.0
"""The system counts in 10 ms: of half a percent, 20 s would tell a tenth."""
FIRST_PAINT_S = 0.35
LOAD_S, LOAD_RUNS = 10.0, 3


def install() -> None:
    """What the window is compared with."""
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "capture_output": True}
        subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)
        words = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
        subprocess.run(words, check=False, **quiet)


async def run(report: Report, folder: Path) -> None:
    """All figures of the window."""
    await asyncio.to_thread(measure, report, folder)


def measure(report: Report, folder: Path) -> None:
    install()
    boinc = shutil.which("boincmgr") is not None
    with xvfb() as (display, _server):
        first_paint(report, display, folder / "start", boinc=boinc)
    with xvfb() as (display, _server):
        at_rest(report, display, folder / "rest", boinc=boinc)
    with xvfb() as (display, _server):
        seen(report, display, folder / "seen")
        under_load(report, display, folder / "load")


# --- exec to first paint ----------------------------------------------------------------------


def _painted(display: Display, known: set[int]) -> bool:
    """Whether a new large window is there with more than one colour in it."""
    for window in display.screen().root.query_tree().children:
        if window.id in known:
            continue
        try:
            if window.get_attributes().map_state != X.IsViewable:
                continue
            box = window.get_geometry()
            if box.width < 300 or box.height < 200:
                continue
            strip = window.get_image(0, box.height // 4, box.width, 20, X.ZPixmap, 0xFFFFFFFF).data
        except Exception:
            continue
        pixels = {strip[at : at + 3] for at in range(0, len(strip) - 4, 4)}
        if len(pixels) > 1:
            return True
    return False


def time_to_paint(words: list[str], env: dict[str, str], name: str) -> float:
    """Seconds from exec to the first picture; the program is ended again."""
    display = Display(name)
    known = {window.id for window in display.screen().root.query_tree().children}
    begun_s = time.monotonic()
    process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _painted(display, known):
            assert time.monotonic() - begun_s < LIMIT_S, f"{words[0]} shows nothing"
            time.sleep(0.004)
        return time.monotonic() - begun_s
    finally:
        display.close()
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    family = [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in family:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def first_paint(report: Report, display: str, home: Path, *, boinc: bool) -> None:
    words = [sys.executable, "-m", "hivemind_worker", "gui"]
    env = {**environment(display, home), "PYTHONPYCACHEPREFIX": str(home.parent / "compiled")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program lies there compiled
    time_to_paint(words, env, display)
    own, theirs, bare = [], [], []
    for number in range(STARTS):
        own.append(time_to_paint(words, env, display))
        bare.append(time_to_paint([sys.executable, "-c", BARE], env, display))
        if boinc:
            data = home.parent / f"boinc{number}"
            data.mkdir()
            manager = ["boincmgr", f"--datadir={data}"]
            theirs.append(
                time_to_paint(manager, {**os.environ, "DISPLAY": display, "HOME": str(data)}, display)
            )
    mine = statistics.median(own[1:])
    report.add("window: exec to first paint", mine, "s", most=FIRST_PAINT_S, note=f"best {min(own):.3f}")
    least = statistics.median(bare[1:])
    report.add("window: first paint / a bare PySide6 window's", mine / least, note=f"its {least:.3f} s")
    if theirs:
        baseline = statistics.median(theirs[1:])
        report.add(
            "window: first paint / BOINC manager's", mine / baseline, most=1.0, note=f"its {baseline:.3f} s"
        )


# --- hidden in the tray -----------------------------------------------------------------------


def cost(processes: list[psutil.Process], seconds: float) -> tuple[float, float]:
    """Percent of a core over a time, and resident MB at its end, of these together."""
    processes = [*processes, *(child for process in processes for child in process.children(recursive=True))]
    before = sum(sum(process.cpu_times()[:2]) for process in processes)
    time.sleep(seconds)
    after = sum(sum(process.cpu_times()[:2]) for process in processes)
    resident = sum(process.memory_info().rss for process in processes)
    return 100 * (after - before) / seconds, resident / 1e6


@contextmanager
def boinc_at_rest(display: str, folder: Path) -> Iterator[list[psutil.Process]]:
    """Client and manager, no project; with --systray the manager ends at once on this screen."""
    folder.mkdir(parents=True)
    env = {**os.environ, "DISPLAY": display, "HOME": str(folder)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    client = subprocess.Popen(["boinc", "--dir", str(folder)], env=env, **quiet)
    time.sleep(2)
    manager = subprocess.Popen(["boincmgr", f"--datadir={folder}"], env=env, **quiet)
    try:
        yield [psutil.Process(client.pid), psutil.Process(manager.pid)]
    finally:
        _end(manager)
        _end(client)


def at_rest(report: Report, display: str, home: Path, *, boinc: bool) -> None:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    there = shutil.which("trayer") is not None
    tray = subprocess.Popen(["trayer"], env={**os.environ, "DISPLAY": display}, **quiet) if there else None
    if tray is None:
        report.add("hidden: not measured, there is no tray here", 0)
        return
    time.sleep(1)
    with connected_pool(home.parent / "pool") as address:
        app = App(display, home, "--hidden", MASTER_ADDRESS=address)
        try:
            login(app, address, home.parent)
            time.sleep(20)  # the sandbox is compiled once, the caches are warm
            cpu, resident = cost([psutil.Process(app.process.pid)], HIDDEN_S)
        finally:
            app.end()
    if boinc:
        with boinc_at_rest(display, home.parent / "boinc-rest") as processes:
            time.sleep(15)
            their_cpu, their_resident = cost(processes, HIDDEN_S)
        report.add("hidden, connected: CPU / BOINC client and manager", cpu / max(their_cpu, 0.05), most=1.0,
                   note=f"{cpu:.2f} % against {their_cpu:.2f} %")  # fmt: skip
        report.add("hidden, connected: memory / BOINC's", resident / their_resident, most=1.0,
                   note=f"{resident:.0f} MB against {their_resident:.0f} MB")  # fmt: skip
    else:
        report.add("hidden, connected: CPU of a core", cpu, "%", most=0.43)
        report.add("hidden, connected: resident", resident, "MB", most=166)
    tray.terminate()
    tray.wait()


# --- seen, and under load ---------------------------------------------------------------------


def seen(report: Report, display: str, home: Path) -> None:
    (home / "state").mkdir(parents=True)
    (home / "state" / "window.ini").write_text("[setup]\ndone=true\n")
    app = App(display, home)
    try:
        app.until_up()
        time.sleep(20)
        cpu, _resident = cost([psutil.Process(app.process.pid)], WATCHED_S)
    finally:
        app.end()
    report.add("window open, graphs moving: CPU of a core", cpu, "%", most=2.0)


def under_load(report: Report, display: str, folder: Path) -> None:
    """The middle of several runs: a burst of somebody else's work is not the window's lateness."""
    runs = [_loaded(display, folder / str(number)) for number in range(LOAD_RUNS)]
    late = sorted(run["late_p999_ms"] for run in runs)
    note = f"of {LOAD_RUNS} runs, best {late[0]:.1f}"
    found = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    report.add("50,000 lines/s: lateness of the loop, p99.9", found["late_p999_ms"], "ms", most=16, note=note)
    report.add("50,000 lines/s: lateness of the loop, worst", found["late_worst_ms"], "ms", most=50)
    report.add("50,000 lines/s: typed letter shown, p95", found["typed_p95_ms"], "ms", most=100)
    report.add("50,000 lines/s: row chosen, p95", found["row_p95_ms"], "ms", most=100)
    report.add("50,000 lines/s: lines written", found["lines_s"], "/s", least=40_000)


def _loaded(display: str, folder: Path) -> dict[str, float]:
    folder.mkdir(parents=True)
    words = [sys.executable, "-m", "tests.benchmarks.ui_load", str(folder), str(LOAD_S)]
    env = environment(display, folder)
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))
