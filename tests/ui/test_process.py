"""The app as a process on a screen of its own: starts, second starts, ends of the session, a lost display."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.ui.screen import App, connected_pool, environment, every_app, login, xvfb

pytestmark = pytest.mark.slow


@pytest.fixture
def screen() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with xvfb() as made:
        yield made


@pytest.fixture(autouse=True)
def no_app_outlives_its_test() -> Iterator[None]:
    """Also one of a test that fails."""
    yield
    while every_app:
        process = every_app.pop().process
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in children_of(process) if process.poll() is None else ():
                child.kill()
        process.kill()
        process.wait(5)


def children(app: App) -> list[psutil.Process]:
    return children_of(app.process)


def children_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


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


LONG = "import time\nprint('on', flush=True)\ntime.sleep(120)\n"


def rows(app: App) -> list[dict[str, Any]]:
    done = app.run("tasks", "--json")
    return list(json.loads(done.stdout)["tasks"]) if done.returncode == 0 else []


def until_task(app: App, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The one task, once this holds of it."""
    end_s, found = time.monotonic() + 60, []
    while time.monotonic() < end_s:
        found = rows(app)
        if found and holds(found[0]):
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"{found}\n{app.log.read_text()}")


def run_a_long_task(app: App, address: str, folder: Path) -> None:
    """Have the pool send a task that will not end by itself, and wait until it runs."""
    login(app, address, folder)
    (folder / "long").mkdir()
    (folder / "long" / "main.py").write_text(LONG)
    password = str(folder / "pool" / "password")
    words = ["--pool", address, "--user", "anna", "--password-file", password]
    done = app.run("submit", str(folder / "long"), *words)
    assert done.returncode == 0, done.stderr
    until_task(app, lambda row: row["status"] == "RUNNING")


@pytest.mark.release
@pytest.mark.parametrize("how", ["display", "kill", "session"])
def test_whatever_ends_the_app_no_task_of_it_runs_on_and_the_next_start_reports_it(
    tmp_path: Path, how: str
) -> None:
    """F13, F14 with a task: nothing is left running or lying about, and the pool gets its archive."""
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    temporary.mkdir()
    with connected_pool(tmp_path / "pool") as address:
        around = {"MASTER_ADDRESS": address, "TMPDIR": str(temporary)}
        with xvfb() as (display, server):
            app = App(display, home, **around)
            app.until_up()
            run_a_long_task(app, address, tmp_path)
            started = children(app)
            assert started
            if how == "display":
                server.kill()
            else:
                app.process.send_signal(signal.SIGKILL if how == "kill" else signal.SIGTERM)
            code = app.process.wait(20)
            assert (code == 0) == (how == "session")
            psutil.wait_procs(started, timeout=5)
            assert [child for child in started if child.is_running()] == []
            assert [path.name for path in temporary.iterdir()] == []
        with xvfb() as (display, _server):
            again = App(display, home, **around)
            again.until_up()
            row = until_task(again, lambda row: row["delivery"] == "delivered")
            assert row["status"] == ("STOPPED" if how == "session" else "FAILED")
            assert row["problem"]["code"] == "interrupted"
            assert again.end()[0] == 0
            assert [path.name for path in temporary.iterdir()] == []


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


@pytest.mark.release
def test_after_an_upgrade_beneath_it_the_app_ends_and_a_new_process_takes_its_place(
    screen: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    around = environment(screen[0], home, FLASK_PORT="0", DOCKER_ENABLED="false")
    said = tmp_path / "said"  # a file: the process that follows holds a pipe open
    with said.open("wb") as out:
        first = subprocess.run(
            [sys.executable, "-m", "tests.ui.restarting", str(tmp_path / "file")], env=around, timeout=60,
            check=False, stdout=out, stderr=out,
        )  # fmt: skip
    assert first.returncode == 0, said.read_text()

    def ask(*words: str) -> int:
        asked = [sys.executable, "-m", "hivemind_worker", *words]
        return subprocess.run(asked, env=around, check=False, capture_output=True).returncode

    end = time.monotonic() + 60
    while ask("status") != 0:
        assert time.monotonic() < end, "nothing took its place"
        time.sleep(0.2)
    assert ask("finish", "--quit") == 0
    while ask("status") != 3:
        assert time.monotonic() < end, "the new one does not end"
        time.sleep(0.2)
