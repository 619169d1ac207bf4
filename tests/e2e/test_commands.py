"""The whole product by its commands alone: pool, accounts, login, worker, submit, demo; each a process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.process import PROGRAM, WorkerProcess, command, environment, until, worker

pytestmark = pytest.mark.slow

COUNTS = """import time
open("half.txt", "w").write("half")
for n in range(300):
    print(n)
    time.sleep(0.1)
"""


@asynccontextmanager
async def embedded_pool(home: Path) -> AsyncIterator[str]:
    """`hivemind-worker pool` with two accounts; its address."""
    (home / "password").write_text("right horse\n")
    for name in ("ann", "bee"):
        code, _, err = await command(
            home, "pool", "user", "add", name, "--password-file", str(home / "password")
        )
        assert code == 0, err
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, "pool", "--listen", "127.0.0.1:0", "--json", env=environment(home),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield str(json.loads(await asyncio.wait_for(process.stdout.readline(), 30))["address"])
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 15)


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[str]:
    home = tmp_path / "pool-home"
    home.mkdir()
    async with embedded_pool(home) as address:
        yield address


def login_words(pool: str, home: Path, password: str = "right horse") -> list[str]:
    home.mkdir(exist_ok=True)
    (home / "password").write_text(password)
    return ["--pool", pool, "--user", "bee", "--password-file", str(home / "password")]


def submit_words(pool: str, tmp_path: Path, task: Path) -> list[str]:
    (tmp_path / "ann").write_text("right horse")
    return [
        "submit", str(task), "--pool", pool, "--user", "ann", "--password-file", str(tmp_path / "ann"),
        "--wait", "--out", str(tmp_path / "out"),
    ]  # fmt: skip


@pytest.fixture
async def running(tmp_path: Path, pool: str) -> AsyncIterator[WorkerProcess]:
    home = tmp_path / "worker-home"
    code, out, err = await command(home, "login", *login_words(pool, home))
    assert code == 0, err
    assert "Signed in" in out
    async with worker(home, pool) as made:
        await until(lambda: is_registered(made))
        yield made


async def is_registered(made: WorkerProcess) -> bool:
    return bool((await made.status())["is_registered"])


def folder(path: Path, source: str) -> Path:
    path.mkdir()
    (path / "main.py").write_text(source)
    return path


async def test_a_folder_of_ones_own_runs_on_a_separate_worker_with_its_log_and_result(
    tmp_path: Path, pool: str, running: WorkerProcess
) -> None:
    task = folder(tmp_path / "task", "print('six by seven')\nopen('answer.txt', 'w').write(str(6 * 7))\n")
    code, out, err = await command(tmp_path, *submit_words(pool, tmp_path, task), limit_s=60)
    assert code == 0, err + out
    assert "six by seven" in out
    answers = list((tmp_path / "out").glob("*/answer.txt"))
    assert [path.read_text() for path in answers] == ["42"]


async def test_a_failing_task_is_shown_as_failed_and_its_result_comes_all_the_same(
    tmp_path: Path, pool: str, running: WorkerProcess
) -> None:
    task = folder(tmp_path / "task", "print('oh')\nraise SystemExit(3)\n")
    code, out, _ = await command(tmp_path, *submit_words(pool, tmp_path, task), limit_s=60)
    assert code == 1
    assert "FAILED" in out
    logs = [path.read_text() for path in (tmp_path / "out").glob("*/execution_log.txt")]
    assert len(logs) == 1
    assert "Exit code: 3" in logs[0]


async def test_kill_9_of_the_worker_in_the_middle_still_gives_the_requester_an_archive_once(
    tmp_path: Path, pool: str, running: WorkerProcess
) -> None:
    task = folder(tmp_path / "task", COUNTS)
    waiting = asyncio.ensure_future(command(tmp_path, *submit_words(pool, tmp_path, task), limit_s=90))
    await until(lambda: has_output(running))
    os.kill(running.process.pid, signal.SIGKILL)
    await running.process.wait()
    async with worker(running.home, pool):
        code, out, err = await waiting
        _, history, _ = await command(running.home, "history", "--json")
    assert code == 1, err + out
    total = json.loads(history)["total"]
    assert (total["failed"], total["task_hours"] > 0) == (1, True), "from its start to the last sign of life"
    halves = [path.read_text() for path in (tmp_path / "out").glob("*/half.txt")]
    assert halves == ["half"]
    assert "(interrupted)" in next((tmp_path / "out").glob("*/execution_log.txt")).read_text()


async def has_output(made: WorkerProcess) -> bool:
    return any(path.stat().st_size > 10 for path in made.places.tasks.glob("*/output.log"))


@pytest.mark.release
async def test_the_demo_completes_its_tasks_and_leaves_their_results(tmp_path: Path) -> None:
    code, out, err = await command(
        tmp_path, "demo", "--json", "--tasks", "4", "--out", str(tmp_path / "out"), limit_s=180
    )
    assert code == 0, err + out
    *tasks, summary = [json.loads(line) for line in out.splitlines()]
    assert summary == {"completed": 4, "failed": 0, "runtime": "wasm", "results": str(tmp_path / "out")}
    assert [task["status"] for task in tasks] == ["COMPLETED"] * 4
    assert all(task["files"] and Path(task["result"]).is_dir() for task in tasks)
    picture = next((tmp_path / "out").glob("mandelbrot-*/mandelbrot.png")).read_bytes()
    assert picture.startswith(b"\x89PNG")


@pytest.mark.release
async def test_the_demo_without_json_tells_a_person_what_ran_where_and_what_came_out(tmp_path: Path) -> None:
    code, out, err = await command(
        tmp_path, "demo", "--tasks", "1", "--out", str(tmp_path / "out"), limit_s=120
    )
    assert code == 0, err + out
    assert re.search(r"mandelbrot-1: completed in [\d.]+ s in the built-in sandbox", out)
    assert f"mandelbrot.png in {tmp_path}" in out


@pytest.mark.parametrize(
    ("more", "code", "text"),
    [
        ({"DOCKER_ENABLED": "false"}, {2}, "DOCKER_ENABLED"),
        ({"DOCKER_HOST": "unix:///nowhere/docker.sock"}, {15, 16}, "Docker is not"),
    ],
)
async def test_the_demo_in_a_docker_that_is_not_there_says_so(
    tmp_path: Path, more: dict[str, str], code: set[int], text: str
) -> None:
    got, out, err = await command(tmp_path, "demo", "--runtime", "docker", **more)
    assert got in code, err
    assert text in err + out


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["demo", "--tasks", "0"], 2, "1 to 1000"),
        (
            ["submit", "/nowhere", "--pool", "127.0.0.1:9", "--user", "x", "--password-file", "/nowhere"],
            2,
            "/nowhere",
        ),
        (["login", "--pool", "no-port", "--user", "x", "--password-file", "-"], 2, ""),
        (["status"], 3, "hivemind-worker run"),
        (["stop", "x"], 3, "hivemind-worker run"),
        (["frobnicate"], 2, "frobnicate"),
        (["run", "--node-port", "70000"], 2, "NODE_PORT"),
        (["run", "--master-address", "nonsense"], 2, "nonsense"),
    ],
)
async def test_bad_use_gets_a_sentence_and_its_own_exit_code(
    tmp_path: Path, words: list[str], code: int, text: str
) -> None:
    got, out, err = await command(tmp_path, *words)
    assert (got, text in err) == (code, True), err + out
    assert "Traceback" not in err + out


async def test_a_wrong_password_is_told_and_nothing_is_kept(tmp_path: Path, pool: str) -> None:
    code, _, err = await command(tmp_path, "login", *login_words(pool, tmp_path, "wrong"))
    assert code == 4
    assert "name and password" in err
    assert not list(tmp_path.rglob("login.json"))


async def test_logout_makes_the_worker_say_that_no_login_is_kept(running: WorkerProcess) -> None:
    assert (await command(running.home, "logout"))[0] == 0
    await until(lambda: is_signed_out(running), 30)


async def is_signed_out(made: WorkerProcess) -> bool:
    return bool((await made.status())["verdicts"][0]["code"] == "not_logged_in")


async def test_the_module_of_the_original_documentation_runs_the_worker(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        PROGRAM[0],
        "-m",
        "hivemind_worker.worker_node",
        env=environment(tmp_path, MASTER_ADDRESS="127.0.0.1:9"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            while b" is up: " not in (line := await process.stdout.readline()):
                assert line
    finally:
        process.terminate()
        await asyncio.wait_for(process.communicate(), 15)
    assert process.returncode == 0


async def test_doctor_runs_a_program_in_the_sandbox_and_names_what_is_missing(tmp_path: Path) -> None:
    code, out, err = await command(tmp_path, "doctor", "--json", MASTER_ADDRESS="127.0.0.1:9")
    checks = {row["name"]: row for row in map(json.loads, out.splitlines())}
    assert code == 0, err
    assert checks["Sandbox"]["state"] == "ok"
    assert (
        "sandbox add scientific" in checks["Scientific pack"]["next"]
        or checks["Scientific pack"]["state"] == "ok"
    )
    assert checks["Pool"]["state"] == "warn"


async def test_a_zip_may_be_sent_as_it_is(tmp_path: Path, pool: str, running: WorkerProcess) -> None:
    with zipfile.ZipFile(tmp_path / "task.zip", "w") as archive:
        archive.writestr("run.py", "print('zipped')")
    code, out, err = await command(tmp_path, *submit_words(pool, tmp_path, tmp_path / "task.zip"), limit_s=60)
    assert code == 0, err + out
    assert "zipped" in out
