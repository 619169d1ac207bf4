"""The app as a process on a screen of its own: starts, second starts, ends of the session, a lost display."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.ui.screen import App, xvfb

pytestmark = pytest.mark.slow


@pytest.fixture
def screen() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with xvfb() as made:
        yield made


def children(app: App) -> list[psutil.Process]:
    return psutil.Process(app.process.pid).children(recursive=True)


def test_a_second_start_raises_the_first_window_and_ends_with_0(
    screen: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    app = App(screen[0], tmp_path)
    app.until_up()
    second = app.run("gui")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert app.process.poll() is None
    assert app.end()[0] == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_end_of_the_session_is_orderly(
    screen: tuple[str, subprocess.Popen[bytes]], tmp_path: Path, how: signal.Signals
) -> None:
    """F14: journal closed, nothing left running, within ten seconds."""
    app = App(screen[0], tmp_path)
    app.until_up()
    started = children(app)
    code, took_s = app.end(how)
    assert code == 0, app.log.read_text()
    assert took_s < 10
    psutil.wait_procs(started, timeout=5)
    assert [child for child in started if child.is_running()] == []
    assert not (tmp_path / "state" / "endpoint.json").exists()
    assert not list((tmp_path / "data").glob("journal.sqlite3-wal")) or (
        (tmp_path / "data" / "journal.sqlite3-wal").stat().st_size == 0
    )


def test_told_to_end_before_the_worker_is_up_it_ends(
    screen: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    app = App(screen[0], tmp_path)
    time.sleep(0.5)
    code, took_s = app.end()
    assert code in (0, -signal.SIGTERM), app.log.read_text()
    assert took_s < 10


def test_a_lost_display_counts_as_a_crash_and_the_next_start_works(
    screen: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    app = App(screen[0], tmp_path)
    app.until_up()
    started = children(app)
    screen[1].kill()
    code = app.process.wait(20)
    assert code != 0
    psutil.wait_procs(started, timeout=5)
    assert [child for child in started if child.is_running()] == []
    with xvfb() as (display, _server):
        again = App(display, tmp_path)
        again.until_up()
        assert again.run("status").returncode == 0
        assert again.end()[0] == 0


def test_a_frozen_app_goes_on_where_it_was(
    screen: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """F13, shortened: what was asked for while it stood still is answered afterwards."""
    app = App(screen[0], tmp_path)
    app.until_up()
    app.process.send_signal(signal.SIGSTOP)
    time.sleep(3)
    app.process.send_signal(signal.SIGCONT)
    answer = app.run("status", "--json")
    assert answer.returncode == 0, answer.stderr
    assert "bug" not in app.log.read_text()
    assert app.end()[0] == 0


def test_without_a_display_it_says_what_to_do(tmp_path: Path) -> None:
    app = App("", tmp_path, QT_QPA_PLATFORM="")
    assert app.process.wait(20) == 2
    assert "hivemind-worker run" in app.log.read_text()
