"""`pool` and `submit` as people use them: processes of their own, with a real worker where one is needed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from tests.contract.local_pool import PASSWORD, running_pool, tiny_worker
from tests.e2e.process import PROGRAM, command, environment, keep_login, until, worker

LIMIT_S = 20.0


@dataclass
class PoolProcess:
    """A running `hivemind-worker pool`."""

    home: Path
    process: asyncio.subprocess.Process
    address: str

    async def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = await asyncio.wait_for(self.process.communicate(), LIMIT_S)
        return self.process.returncode or 0, out.decode(), err.decode()


async def start(home: Path, *words: str, piped: bytes | None = None) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, *words, env=environment(home), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL if piped is None else asyncio.subprocess.PIPE,
    )  # fmt: skip
    if piped is not None and process.stdin is not None:
        process.stdin.write(piped)
        process.stdin.close()
    return process


@asynccontextmanager
async def pool(home: Path, *words: str, listen: str = "127.0.0.1:0") -> AsyncIterator[PoolProcess]:
    """A pool that is ready; killed at the end if it still runs."""
    process = await start(home, "pool", "--json", "--listen", listen, *words)
    assert process.stdout is not None and process.stderr is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), LIMIT_S)
        assert line, (await process.stderr.read()).decode()
        ready = json.loads(line)
        assert ready["event"] == "ready" and ready["pid"] == process.pid
        yield PoolProcess(home, process, ready["address"])
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
def password(tmp_path: Path) -> str:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    return str(file)


async def add_user(home: Path, name: str, password: str, *words: str) -> None:
    code, out, err = await command(home, "pool", "user", "add", name, "--password-file", password, *words)
    assert code == 0, out + err


def task_folder(folder: Path, script: str) -> Path:
    folder.mkdir()
    (folder / "main.py").write_text(script)
    return folder


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


# pool


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_pool_says_where_it_is_and_ends_in_order(tmp_path: Path, number: int) -> None:
    async with pool(tmp_path) as running:
        endpoint = tmp_path / "pool" / "endpoint.json"
        assert json.loads(endpoint.read_text()) == {"address": running.address, "pid": running.process.pid}
        assert stat.S_IMODE(endpoint.stat().st_mode) == 0o600
        code, out, err = await running.end(number)
        assert (code, out, err) == (0, "", "")
        assert not endpoint.exists()


async def test_in_plain_words_the_pool_tells_its_address_and_that_there_is_no_account(tmp_path: Path) -> None:
    process = await start(tmp_path, "pool", "--listen", "127.0.0.1:0")
    assert process.stdout is not None
    first = (await asyncio.wait_for(process.stdout.readline(), LIMIT_S)).decode()
    second = (await asyncio.wait_for(process.stdout.readline(), LIMIT_S)).decode()
    process.terminate()
    _, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert first.startswith("Pool ready at 127.0.0.1:") and "pool user add" in second
    assert err == b"" and process.returncode == 0


async def test_one_pool_a_home_and_one_a_port(tmp_path: Path) -> None:
    async with pool(tmp_path / "one") as running:
        code, _, err = await command(tmp_path / "one", "pool", "--listen", "127.0.0.1:0", "--json")
        assert code == 4 and objects(err)[0]["error"] == "already_running"
        code, _, err = await command(tmp_path / "two", "pool", "--listen", running.address, "--json")
        assert code == 5 and objects(err)[0]["error"] == "port_in_use"
        assert (tmp_path / "one" / "pool" / "endpoint.json").exists()


async def test_listening_for_others_is_warned_about(tmp_path: Path) -> None:
    async with pool(tmp_path, listen="0.0.0.0:0") as running:
        _, _, err = await running.end()
        assert err.startswith("Warning:")


async def test_a_bad_address_is_wrong_usage(tmp_path: Path) -> None:
    code, _, err = await command(tmp_path, "pool", "--listen", "here")
    assert code == 2 and "HOST:PORT" in err


async def test_accounts_are_made_and_listed_also_beside_a_running_pool(tmp_path: Path, password: str) -> None:
    async with pool(tmp_path) as running:
        await add_user(tmp_path, "ada", password, "--tokens", "7")
        process = await start(
            tmp_path, "pool", "user", "add", "bob", "--password-file", "-", piped=b"s3cret\n"
        )
        await process.communicate()
        assert process.returncode == 0
        code, out, _ = await command(tmp_path, "pool", "user", "list", "--json")
        assert code == 0
        assert objects(out) == [{"user": "ada", "tokens": 7}, {"user": "bob", "tokens": 1000}]
        folder = task_folder(tmp_path / "t", "print(1)")
        code, out, err = await command(
            tmp_path, "submit", str(folder), "--pool", running.address, "--user", "ada",
            "--password-file", password,
        )  # fmt: skip
        assert code == 0 and "Sent task_" in out, err


@pytest.mark.parametrize(
    "words, said",
    [
        (("ada", "--password-file", "{password}"), "already"),
        (("a\nb", "--password-file", "{password}"), "control"),
        (("", "--password-file", "{password}"), "empty"),
        (("new", "--password-file", "{password}", "--tokens", "-1"), "from 0"),
        (("new", "--password-file", "/nonexistent/file"), "password file"),
        (("new",), "--password-file"),
    ],
)
async def test_an_account_that_cannot_be_made_is_wrong_usage(
    tmp_path: Path, password: str, words: tuple[str, ...], said: str
) -> None:
    await add_user(tmp_path, "ada", password)
    given = [word.replace("{password}", password) for word in words]
    code, _, err = await command(tmp_path, "pool", "user", "add", *given)
    assert code == 2 and said in err


async def test_a_spoilt_book_is_told_and_the_pool_starts(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "book.sqlite3").write_bytes(b"spoilt" * 1000)
    async with pool(tmp_path) as running:
        code, _, err = await running.end()
    assert code == 0 and "set aside" in err


# submit, without a worker


async def submit(tmp_path: Path, *words: str) -> tuple[int, str, str]:
    return await command(tmp_path / "requester", "submit", *words)


async def test_without_any_login_submit_says_how_to_get_one(tmp_path: Path) -> None:
    code, _, err = await submit(tmp_path, str(task_folder(tmp_path / "t", "1")), "--json")
    assert code == 4 and objects(err)[0]["error"] == "not_logged_in"


async def test_submit_tells_trouble_apart(tmp_path: Path, password: str) -> None:
    folder = str(task_folder(tmp_path / "t", "print(1)"))
    wrong = tmp_path / "wrong"
    wrong.write_text("nope")
    home = tmp_path / "pool-home"
    async with pool(home) as running:
        await add_user(home, "ada", password)
        login = ("--pool", running.address, "--user", "ada", "--password-file", password, "--json")
        for words, code, error in (
            ((folder, *login[:4], "--password-file", str(wrong), "--json"), 4, "wrong_password"),
            ((folder, "--pool", "nonsense", *login[2:]), 2, "bad_address"),
            ((folder, "--pool", "192.0.2.1:1", *login[2:]), 4, "plain_login"),
            ((str(tmp_path / "absent"), *login), 2, "bad_path"),
            ((folder, "--memory-gb", "-1", *login), 4, "bad_demand"),
            ((folder, "--out", "/proc/here", *login), 9, "no_permission"),
        ):
            found, _, err = await submit(tmp_path, *words)
            assert (found, objects(err)[0]["error"]) == (code, error), err
        await running.end()
        found, _, err = await submit(tmp_path, folder, *login)
        assert (found, objects(err)[0]["error"]) == (4, "pool_unreachable")


async def test_a_kept_login_is_used_for_its_own_pool(tmp_path: Path, password: str) -> None:
    folder = str(task_folder(tmp_path / "t", "print(1)"))
    home = tmp_path / "pool-home"
    async with pool(home) as running:
        await add_user(home, "ada", password)
        (tmp_path / "requester").mkdir()
        keep_login(tmp_path / "requester", running.address, "ada", PASSWORD)
        code, out, err = await submit(tmp_path, folder, "--json")
        assert code == 0 and objects(out)[0]["event"] == "uploaded", err
        # Another pool does not get the kept password: there is no terminal to ask for one.
        code, _, err = await submit(tmp_path, folder, "--pool", "127.0.0.1:1", "--json")
        assert code == 2 and "--password-file" in str(objects(err)[0]["message"])


async def test_an_interrupted_wait_stops_the_task(tmp_path: Path, password: str) -> None:
    async with running_pool(tmp_path / "pool") as served:
        token = await served.account("ada")
        async with tiny_worker(served, "wim") as node:
            process = await start(
                tmp_path, "submit", str(task_folder(tmp_path / "t", "1")), "--pool", served.address,
                "--user", "ada", "--password-file", password, "--out", str(tmp_path / "out"),
            )  # fmt: skip
            await asyncio.wait_for(node.offered.wait(), LIMIT_S)
            await until(lambda: _any(node.offers))
            task_id = node.offers[0][1].task_id
            await served.until(token, task_id, "RUNNING")
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
            assert f"Stopped {task_id}." in out.decode() and b"Traceback" not in err
            assert process.returncode == 130
            assert (await served.task(token, task_id)).status == "STOPPED"
            await until(lambda: _any(node.stops))


async def _any(found: list[object]) -> bool:
    return bool(found)


def hostile_zip() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("execution_log.txt", "Status: COMPLETED\n")
        archive.writestr("../escaped.txt", "out")
    return buffer.getvalue()


async def test_a_hostile_result_is_kept_closed_and_writes_nothing_outside(
    tmp_path: Path, password: str
) -> None:
    out = tmp_path / "a" / "out"
    async with running_pool(tmp_path / "pool") as served:
        await served.account("ada")
        async with tiny_worker(served, "wim") as node:
            process = await start(
                tmp_path, "submit", str(task_folder(tmp_path / "t", "1")), "--pool", served.address, "--json",
                "--user", "ada", "--password-file", password, "--wait", "--out", str(out),
            )  # fmt: skip
            await asyncio.wait_for(node.offered.wait(), LIMIT_S)
            task_id = node.offers[0][1].task_id
            assert (await node.send_output(task_id, "\x1b[2J\x07 red")).success
            assert (await node.send_result(task_id, hostile_zip())).success
            told, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode not in (0, None)
    assert objects(err.decode())[0]["error"] == "unsafe_name"
    assert [each.name for each in out.iterdir()] == [f"{task_id}.zip"]
    assert not list(tmp_path.rglob("escaped.txt"))
    assert b"\x1b" not in told
    assert objects(told.decode())[-1]["status"] == "COMPLETED"


# with a worker


@pytest.mark.slow
async def test_a_folder_of_ones_own_runs_at_a_worker_and_its_result_comes_back(
    tmp_path: Path, password: str
) -> None:
    script = (
        "import time\nfor n in range(4):\n    print('step', n)\n    time.sleep(.6)\n"
        "open('answer.txt', 'w').write('42')\n"
    )
    good = task_folder(tmp_path / "good", script)
    bad = task_folder(
        tmp_path / "bad",
        "import os\nos.symlink('main.py', 'link')\nprint('about to fail')\nraise SystemExit(3)\n",
    )
    home, node_home, out = tmp_path / "pool-home", tmp_path / "node", tmp_path / "out"
    async with pool(home) as running:
        for name in ("ada", "wim"):
            await add_user(home, name, password)
        keep_login(node_home, running.address, "wim", PASSWORD)
        login = ("--pool", running.address, "--user", "ada", "--password-file", password)
        async with worker(node_home, running.address):
            process = await start(
                tmp_path / "requester", "submit", str(good), *login, "--wait", "--out", str(out), "--json"
            )
            assert process.stdout is not None
            events, times = [], []
            async for line in process.stdout:
                events.append(json.loads(line))
                times.append(asyncio.get_running_loop().time())
            assert await process.wait() == 0
            steps = [n for n, each in enumerate(events) if str(each.get("text", "")).startswith("step")]
            assert [events[n]["text"] for n in steps] == [f"step {n}" for n in range(4)]
            assert times[-1] - times[steps[0]] > 1.0, "the log was not live"
            ended = events[-1]
            assert (ended["event"], ended["status"], ended["node"]) == ("ended", "COMPLETED", "wim")
            folder = out / str(ended["task_id"])
            assert ended["result"] == str(folder) and ended["left_out"] == []
            assert (folder / "answer.txt").read_text() == "42"
            assert (folder / "main.py").read_text() == script
            assert "Status: COMPLETED" in (folder / "execution_log.txt").read_text()

            code, text, err = await submit(tmp_path, str(bad), *login, "--out", str(out))
            assert code == 1 and "about to fail" in text and "FAILED" in text, err
            assert "\nNot in it: link: " in text
            code, text, _ = await command(home, "pool", "user", "list", "--json")
            balances = {each["user"]: each["tokens"] for each in objects(text)}
            assert balances == {"ada": 1000, "wim": 1001}


@pytest.mark.slow
async def test_a_pool_killed_in_the_middle_of_a_task_takes_the_result_after_its_restart(
    tmp_path: Path, password: str
) -> None:
    folder = task_folder(tmp_path / "t", "import time\nprint('begun')\ntime.sleep(4)\nprint('done')\n")
    home, node_home, out = tmp_path / "pool-home", tmp_path / "node", tmp_path / "out"
    async with pool(home) as running:
        for name in ("ada", "wim"):
            await add_user(home, name, password)
        keep_login(node_home, running.address, "wim", PASSWORD)
        async with worker(node_home, running.address):
            process = await start(
                tmp_path / "requester", "submit", str(folder), "--pool", running.address, "--user", "ada",
                "--password-file", password, "--out", str(out),
            )  # fmt: skip
            assert process.stdout is not None
            seen = ""
            while "begun" not in seen:
                line = await asyncio.wait_for(process.stdout.readline(), LIMIT_S)
                assert line, seen
                seen += line.decode()
            os.kill(running.process.pid, signal.SIGKILL)
            await running.process.communicate()
            async with pool(home, listen=running.address):
                rest, err = await asyncio.wait_for(process.communicate(), 60)
                seen += rest.decode()
            assert process.returncode == 0, seen + err.decode()
            lines = seen.splitlines()
            assert lines.count("begun") == lines.count("done") == 1
            assert "COMPLETED on wim" in seen


@pytest.mark.slow
async def test_a_worker_killed_in_the_middle_of_a_task_still_sends_one_archive(
    tmp_path: Path, password: str
) -> None:
    folder = task_folder(tmp_path / "t", "import time\nprint('begun')\ntime.sleep(600)\n")
    home, node_home, out = tmp_path / "pool-home", tmp_path / "node", tmp_path / "out"
    async with pool(home) as running:
        for name in ("ada", "wim"):
            await add_user(home, name, password)
        keep_login(node_home, running.address, "wim", PASSWORD)
        async with worker(node_home, running.address) as first:
            process = await start(
                tmp_path / "requester", "submit", str(folder), "--pool", running.address, "--user", "ada",
                "--password-file", password, "--out", str(out),
            )  # fmt: skip
            assert process.stdout is not None
            seen = ""
            while "begun" not in seen:
                line = await asyncio.wait_for(process.stdout.readline(), LIMIT_S)
                assert line, seen
                seen += line.decode()
            await first.kill()
        async with worker(node_home, running.address):
            rest, err = await asyncio.wait_for(process.communicate(), 60)
    seen += rest.decode()
    assert process.returncode == 1 and "FAILED on wim" in seen, seen + err.decode()
    (result,) = out.iterdir()
    assert "Status: FAILED" in (result / "execution_log.txt").read_text()
    assert seen.count("Result received") == 1
