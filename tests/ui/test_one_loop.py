"""The loop itself: a fault of some PySide6 releases that kills the interpreter must not come back."""

from __future__ import annotations

import asyncio
import linecache
import subprocess
import sys
from pathlib import Path

import pytest

WATCHED = """
import asyncio, sys, qasync
from PySide6.QtWidgets import QApplication
app = QApplication([])
async def count():
    loop = asyncio.get_running_loop()
    before = sys.getrefcount(None)
    for _number in range(2000):
        loop.call_soon(int)
        await asyncio.sleep(0)
    print(before - sys.getrefcount(None))
loop = qasync.QEventLoop(app)
asyncio.Runner(loop_factory=lambda: loop).run(count())
"""


def test_calls_on_the_loop_take_no_reference_to_none_away() -> None:
    """PySide6 6.12 drops one with every void call: 2,000 of them would be thousands."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WATCHED],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 500


async def test_calls_come_in_order_and_a_timer_is_not_early_by_more_than_its_grain() -> None:
    loop, seen = asyncio.get_running_loop(), []
    for number in range(200):
        loop.call_soon(seen.append, number)
    await asyncio.sleep(0.01)
    assert seen == list(range(200))


def test_no_source_of_what_is_imported_is_read_and_kept_by_pyside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its question about snake_case names is answered by the ui package: 25 MB are spared."""
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "imported_after_pyside.py"
    file.write_text("VALUE = 7\n")
    assert __import__(file.stem).VALUE == 7  # as a statement does it: PySide sees no other way
    assert str(file) not in linecache.cache
