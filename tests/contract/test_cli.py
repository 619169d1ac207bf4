"""The command line as its users meet it: processes of their own, against a real local API."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hivemind_worker.cli import VERBS, help_text
from hivemind_worker.commands.layout import aligned, short
from hivemind_worker.commands.mode import snooze_end
from hivemind_worker.model.events import FinishAsked, PauseAsked, ResumeAsked, StopAsked, TaskPauseAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.history import StoryLine
from hivemind_worker.model.task import Problem, TaskState
from hivemind_worker.places import find_places
from hivemind_worker.web.endpoint import read_endpoint, remove_endpoint, write_endpoint
from hivemind_worker.web.local_api import LocalApi
from hivemind_worker.web.token import load_or_make_token, load_token
from tests.fakes.node import NOW_S, FakeNode, make_snapshot, make_task

LIMIT_S = 20.0
NEEDS_NO_FRONT_END = [
    "gui", "run", "demo", "pool", "submit", "status", "tasks", "logs", "story", "stop", "pause",
    "resume", "snooze", "finish", "fleet", "dashboard", "user", "login", "logout", "vpn", "doctor", "config",
    "sandbox", "image", "retry", "history", "benchmark", "receipt", "rules", "mode", "selftest", "version",
]  # fmt: skip


@dataclass
class Done:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def values(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    return {**kept, "HIVEMIND_HOME": str(home), "PYTHONWARNINGS": "error", **more}


async def start(home: Path, *words: str, **more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hivemind_worker", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL,
        env=environment(home, **more),
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> Done:
    try:
        async with asyncio.timeout(LIMIT_S):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


async def run(home: Path, *words: str, **more: str) -> Done:
    return await ended(await start(home, *words, **more))


@dataclass
class Running:
    """A fake worker with its local API, in a home where commands find it."""

    node: FakeNode
    home: Path

    async def run(self, *words: str, **more: str) -> Done:
        return await run(self.home, *words, **more)


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Running]:
    places = find_places(str(tmp_path))
    places.make()
    node = FakeNode(tmp_path / "files", clock=time.time)
    api = LocalApi(node, load_or_make_token(places.token_file))
    await api.start(port=0)
    write_endpoint(places.endpoint_file, url=api.url, pid=os.getpid(), started_at_s=NOW_S)
    yield Running(node, tmp_path)
    await api.close()


# --- the table of verbs -----------------------------------------------------------------------


def test_help_lists_every_verb_that_needs_no_front_end_in_a_stable_order() -> None:
    assert [verb.word for verb in VERBS] == NEEDS_NO_FRONT_END
    lines = help_text().splitlines()
    shown = [found[1] for line in lines if (found := re.match(r"  (\w+) +\S.*", line))]
    assert shown == NEEDS_NO_FRONT_END
    assert all(len(line) <= 100 for line in lines)


async def test_help_and_no_verb_and_version(tmp_path: Path) -> None:
    helped, bare = await run(tmp_path, "--help"), await run(tmp_path)
    assert (helped.code, helped.out.strip()) == (0, help_text())
    assert (bare.code, bare.out) == (2, "")
    assert "hivemind-worker demo" in bare.err
    version = await run(tmp_path, "version")
    assert re.match(r"hivemind-worker \d+\.\d+\.\d+ \(Python", version.out)
    assert (await run(tmp_path, "--version")).out == version.out
    assert set((await run(tmp_path, "version", "--json")).values) == {"version", "python", "platform"}


@pytest.mark.parametrize(
    "words,hint",
    [(["statsu"], "status"), (["resum"], "resume"), (["status", "--jsno"], "--json"), (["--hlep"], "--help"),
     (["pool", "--engin", "nats://x"], "--engine"), (["pool", "user", "add", "x", "--tokenz=5"], "--tokens"),
     (["logs", "x", "--folow"], "--follow"), (["config", "get", "x", "--jason"], "--json")],
    ids=" ".join,
)  # fmt: skip
async def test_an_unknown_word_is_usage_and_names_the_nearest(
    tmp_path: Path, words: list[str], hint: str
) -> None:
    done = await run(tmp_path, *words)
    assert done.code == 2
    assert f"Did you mean {hint}?" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "words", [["snooze"], ["logs"], ["finish", "now"], ["\x1b[31m"], ["config", "bogus"], ["-"], [""]]
)
async def test_wrong_usage_is_two_with_a_sentence_and_no_trace(tmp_path: Path, words: list[str]) -> None:
    done = await run(tmp_path, *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[1] == "See: hivemind-worker --help"
    assert "\x1b" not in done.err


HEAVY = {"grpc", "wasmtime", "aiohttp", "keyring", "google", "psutil", "sqlite3", "netifaces"}


@pytest.mark.parametrize(
    "words", [["version"], ["status"], ["config"], ["pause"], ["logs", "x"], ["--help"]], ids=" ".join
)
async def test_a_light_verb_imports_nothing_heavy(tmp_path: Path, words: list[str]) -> None:
    script = ("import sys; from hivemind_worker.cli import main; main(sys.argv[1:]);"
              "print('LOADED', *{name.partition('.')[0] for name in sys.modules})")  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment(tmp_path),
    )  # fmt: skip
    done = await ended(process)
    loaded = set(done.out.rpartition("LOADED")[2].split())
    assert "hivemind_worker" in loaded
    assert not loaded & HEAVY


# --- talking to a worker ----------------------------------------------------------------------


TALKING = ["status", "tasks", "logs x", "story x", "stop x", "pause", "resume", "snooze 1h", "finish",
           "dashboard"]  # fmt: skip


@pytest.mark.parametrize("line", TALKING)
async def test_without_a_worker_a_verb_ends_with_three(tmp_path: Path, line: str) -> None:
    done = await run(tmp_path, *line.split(), "--json")
    assert (done.code, done.out) == (3, "")
    assert json.loads(done.err)["error"] == "not_running"


async def test_status_begins_with_the_reason(worker: Running) -> None:
    worker.node.picture = make_snapshot(owed_results=1, recovery="1 task was cut off.")
    done = await worker.run("status")
    assert done.code == 0, done.err
    first, second, *rest = done.out.splitlines()
    assert first == "Connected to 10.0.0.1:50051. Waiting for work."
    assert second == "- 1 task was cut off."
    assert any(re.fullmatch(r"Tasks +0 / 3", line) for line in rest)
    assert any(re.fullmatch(r"Lent +2 cores, 4 GiB", line) for line in rest)


async def test_status_as_json_is_what_the_api_answers(worker: Running) -> None:
    worker.node.put(make_task())
    done = await worker.run("status", "--json")
    assert done.code == 0
    assert (done.values["status"], done.values["verdicts"][0]["code"]) == ("running", "working")


async def test_tasks_are_a_table_that_no_task_can_disturb(worker: Running) -> None:
    assert (await worker.run("tasks")).out == "No tasks yet.\n"
    problem = Problem(code=FaultCode.EXIT_CODE, about="3")
    worker.node.picture = make_snapshot(
        make_task("evil\x1b[2J\nCOMPLETED\u202e" + "x" * 200), make_task("名前")
    )
    worker.node.ended = [make_task("over", TaskState.FAILED, problem=problem)]
    done = await worker.run("tasks")
    lines = done.out.splitlines()
    assert len(lines) == 4
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert "The task's program ended with exit code 3." in lines[3]
    rows = (await worker.run("tasks", "--json")).values["tasks"]
    assert [row["status"] for row in rows] == ["RUNNING", "RUNNING", "FAILED"]


async def test_wishes_are_carried_out_and_confirmed_in_words(worker: Running) -> None:
    paused = await worker.run("pause")
    assert (paused.code, paused.out) == (0, "Paused: no task runs until you resume.\n")
    assert (await worker.run("resume")).out.startswith("Connected to")
    snoozed = await worker.run("snooze", "15m")
    assert re.match(r"Snoozed: work resumes in 1[45] minutes\. \(\w{3} \d\d:\d\d\)", snoozed.out), snoozed.out
    assert (await worker.run("snooze", "tomorrow", "--json")).values["status"] == "paused"
    assert (await worker.run("finish", "--quit")).out.startswith("Finishing")
    kinds = [type(command) for command in worker.node.asked]
    assert kinds == [PauseAsked, ResumeAsked, PauseAsked, PauseAsked, FinishAsked]
    assert isinstance(worker.node.asked[-1], FinishAsked)
    assert worker.node.asked[-1].quit_after is True


async def test_stop_takes_any_id_and_an_unknown_one_is_refused(worker: Running) -> None:
    for name in ("a/b", "..", "-v", "100%", "名前", "x y"):
        worker.node.picture = make_snapshot(make_task(name))
        done = await worker.run("stop", "--", name)
        assert (done.code, done.out) == (0, f"Task {name} is being stopped.\n"), (name, done.err)
    assert all(isinstance(command, StopAsked) for command in worker.node.asked)
    for name in ("nobody", ""):
        unknown = await worker.run("stop", name)
        assert (unknown.code, unknown.err.splitlines()[0]) == (4, "No such task is known here.")


async def test_one_task_is_paused_and_resumed_by_the_same_words(worker: Running) -> None:
    worker.node.picture = make_snapshot(make_task("mine"), make_task("other"))
    paused = await worker.run("pause", "mine")
    assert (paused.code, paused.out) == (0, "Task mine is paused until you resume it.\n")
    assert "1 task is paused by you, alone." in (await worker.run("status")).out
    key = make_task("mine").key
    assert (await worker.run("resume", key[:8])).out.startswith("Task mine goes on")
    assert worker.node.asked[-1] == TaskPauseAsked(at_s=worker.node.asked[-1].at_s, key=key, paused=False)
    unknown = await worker.run("pause", "nobody")
    assert (unknown.code, unknown.err.splitlines()[0]) == (4, "No such task is known here.")
    both = await worker.run("pause", "mine", "--gpu")
    assert (both.code, both.err.splitlines()[0]) == (2, "Name a task or --gpu, not both.")


async def test_a_refusal_of_the_engine_keeps_its_words_and_code(worker: Running) -> None:
    worker.node.refuse_with = Problem(code=FaultCode.NOT_ACCEPTING, about="it is being shut down")
    done = await worker.run("pause")
    assert done.code == 4
    assert done.err.startswith("This worker takes no new task now: it is being shut down.")


async def test_a_log_is_shown_as_text_and_never_acted_upon(worker: Running) -> None:
    task = make_task("done", TaskState.COMPLETED)
    worker.node.ended = [task]
    worker.node.write_log(task, b"first\r\n10 %\r20 %\r\n\x1b[2Jgone\x00\xff\nno end")
    done = await worker.run("logs", "done")
    assert (done.code, done.out) == (
        0,
        "first\n10 %\n20 %\n\\x1b[2Jgone\\x00\N{REPLACEMENT CHARACTER}\nno end",
    )
    pieces = [json.loads(line) for line in (await worker.run("logs", "done", "--json")).out.splitlines()]
    assert "".join(piece["text"] for piece in pieces).startswith("first\r\n")
    assert pieces[-1]["ended"] is True
    worker.node.ended = [make_task("quiet", TaskState.COMPLETED)]
    nothing = await worker.run("logs", "quiet")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "No output of this task is kept here.\n")


async def test_a_large_log_comes_whole(worker: Running) -> None:
    task = make_task("big")
    worker.node.put(task)
    content = "".join(f"line {number}\n" for number in range(250_000))
    worker.node.write_log(task, content.encode())
    assert (await worker.run("logs", "big")).out == content


async def test_following_a_log_shows_lines_as_they_come_and_ends_with_the_task(worker: Running) -> None:
    task = make_task("live")
    worker.node.put(task)
    worker.node.write_log(task, b"one\n")
    process = await start(worker.home, "logs", "live", "--follow")
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_S):
        assert await process.stdout.readline() == b"one\n"
        worker.node.write_log(task, b"two\n")
        assert await process.stdout.readline() == b"two\n"
    worker.node.write_log(task, b"three\n")
    worker.node.put(replace(task, state=TaskState.COMPLETED))
    done = await ended(process)
    assert (done.code, done.out) == (0, "three\n")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
async def test_an_interrupted_command_ends_with_130_and_no_trace(worker: Running) -> None:
    task = make_task("live")
    worker.node.put(task)
    worker.node.write_log(task, b"one\n")
    process = await start(worker.home, "logs", "live", "--follow")
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_S):
        await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    done = await ended(process)
    assert (done.code, done.err) == (130, "")


async def test_a_reader_that_goes_away_is_no_error(worker: Running) -> None:
    task = make_task("big")
    worker.node.put(task)
    worker.node.write_log(task, b"line\n" * 400_000)
    process = await start(worker.home, "logs", "big")
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_S):
        await process.stdout.readline()
    process.stdout._transport.close()  # type: ignore[attr-defined]
    assert process.stderr is not None
    async with asyncio.timeout(LIMIT_S):
        error = await process.stderr.read()
        code = await process.wait()
    assert (code, error) == (141, b"")


async def test_a_story_is_told_with_its_places(worker: Running) -> None:
    task = make_task("mine", where="pid 77")
    worker.node.put(task)
    worker.node.lines = [StoryLine(key=task.key, at_s=NOW_S, what="TaskAccepted", text="archive of 5 bytes")]
    done = await worker.run("story", "mine")
    assert done.code == 0, done.err
    assert str(worker.node.folder / task.key) in done.out
    assert "wasm pid 77" in done.out
    assert done.out.splitlines()[-1].endswith("Accepted from the pool: archive of 5 bytes")
    assert (await worker.run("story", task.key[:8], "--json")).values["lines"][0]["what"] == "TaskAccepted"


# --- whom a command trusts --------------------------------------------------------------------


async def test_the_token_is_not_sent_to_a_program_that_took_the_port_of_a_dead_worker(tmp_path: Path) -> None:
    received = bytearray()

    async def thief(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.read(65536))
        body = b'{"ok":true}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nX-HiveMind-Proof: " + b"0" * 64 + b"\r\nContent-Length: 11\r\n\r\n" + body
        )
        await writer.drain()
        received.extend(await reader.read(65536))
        writer.close()

    places = find_places(str(tmp_path))
    places.make()
    token = load_or_make_token(places.token_file)
    server = await asyncio.start_server(thief, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    write_endpoint(places.endpoint_file, url=f"http://127.0.0.1:{port}", pid=os.getpid(), started_at_s=NOW_S)
    done = await run(tmp_path, "status")
    server.close()
    assert done.code == 3
    assert b"/livez" in received
    assert token.encode() not in received


async def test_a_worker_that_hangs_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    places = find_places(str(tmp_path))
    places.make()
    load_or_make_token(places.token_file)
    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    write_endpoint(places.endpoint_file, url=f"http://127.0.0.1:{port}", pid=os.getpid(), started_at_s=NOW_S)
    began = time.monotonic()
    done = await run(tmp_path, "status")
    server.close()
    assert done.code == 12
    assert "does not answer" in done.err
    assert 4 < time.monotonic() - began < 15


@pytest.mark.skipif(os.name != "posix", reason="file modes of POSIX")
def test_a_token_file_that_others_can_read_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api-token"
    first = load_or_make_token(path)
    assert len(first) == 43
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_make_token(path) == first
    path.chmod(0o644)
    assert load_token(path) is None
    second = load_or_make_token(path)
    assert second != first
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("short\n")
    assert load_or_make_token(path) not in ("short", second)


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_a_token_is_neither_read_nor_written_through_a_link(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("t" * 43)
    target.chmod(0o600)
    path = tmp_path / "api-token"
    path.symlink_to(target)
    assert load_token(path) is None
    token = load_or_make_token(path)
    assert (path.is_symlink(), target.read_text()) == (False, "t" * 43)
    assert load_token(path) == token
    path.unlink()
    os.mkfifo(path, 0o600)
    assert load_token(path) is None


def test_an_endpoint_is_believed_only_when_it_is_ours_and_on_loopback(tmp_path: Path) -> None:
    path = tmp_path / "endpoint.json"
    write_endpoint(path, url="http://127.0.0.1:5000", pid=77, started_at_s=NOW_S)
    found = read_endpoint(path)
    assert found is not None
    assert (found.host, found.port, found.pid) == ("127.0.0.1", 5000, 77)
    assert set(json.loads(path.read_text())) == {"url", "pid", "started_at"}
    remove_endpoint(path, pid=78)
    assert path.exists()
    remove_endpoint(path, pid=77)
    assert read_endpoint(path) is None
    for url in (
        "http://10.0.0.1:5000",
        "http://evil.com:5000",
        "http://127.0.0.1",
        "nonsense",
        "http://localhost:99999",
    ):
        write_endpoint(path, url=url, pid=77, started_at_s=NOW_S)
        assert read_endpoint(path) is None, url
    path.write_text("[" * 3000)
    assert read_endpoint(path) is None


# --- settings ---------------------------------------------------------------------------------


async def test_config_shows_each_value_with_where_it_came_from(tmp_path: Path) -> None:
    done = await run(tmp_path, "config", "set", "max-concurrent-tasks", "5")
    assert (done.code, done.err) == (0, "")
    listed = await run(tmp_path, "config", "--json", NODE_PORT="50100")
    rows = {row["key"]: row for row in listed.values["settings"]}
    assert (rows["max_concurrent_tasks"]["value"], rows["max_concurrent_tasks"]["source"]) == (5, "file")
    assert (rows["node_port"]["value"], rows["node_port"]["source"]) == (50100, "environment")
    assert (rows["web_port"]["value"], rows["web_port"]["source"]) == (5000, "default")
    table = (await run(tmp_path, "config", NODE_PORT="50100")).out
    assert re.search(r"^node_port +50100 +environment NODE_PORT +", table, re.MULTILINE)
    assert (await run(tmp_path, "config", "get", "MAX_CONCURRENT_TASKS")).out == "5\n"
    assert (await run(tmp_path, "config", "get", "web_port", "--json")).values["value"] == 5000


async def test_a_setting_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    await run(tmp_path, "config", "set", "node_port", "50100")
    file = Path((await run(tmp_path, "config", "path")).out.strip())
    before = file.read_bytes()
    for key, value in (("node_port", "99999"), ("node_port", "many"), ("nonsense", "1"), ("region", "Moon")):
        done = await run(tmp_path, "config", "set", key, value)
        assert done.code == 2, (key, value)
        assert key in done.err
    assert file.read_bytes() == before
    overruled = await run(tmp_path, "config", "set", "node_port", "50200", NODE_PORT="50300")
    assert "NODE_PORT" in overruled.out


async def test_a_damaged_settings_file_is_named_and_left_alone(tmp_path: Path) -> None:
    places = find_places(str(tmp_path))
    places.make()
    places.settings_file.write_text("node_port = = 3")
    for words in (["config"], ["config", "get", "node_port"], ["config", "set", "node_port", "1"]):
        assert (await run(tmp_path, *words)).code == 6
    assert places.settings_file.read_text() == "node_port = = 3"


async def test_config_token_prints_the_token_of_the_home(worker: Running, tmp_path: Path) -> None:
    token = load_token(find_places(str(worker.home)).token_file)
    assert (await worker.run("config", "token")).out == f"{token}\n"
    assert (await run(tmp_path / "empty", "config", "token")).code == 3


# --- small parts ------------------------------------------------------------------------------

NOON = datetime(2026, 11, 24, 12, 0).astimezone()


@pytest.mark.parametrize(
    "text,minutes", [("15m", 15), ("1h", 60), ("4H", 240), (" 90m ", 90), ("100h", 6000)]
)
def test_a_snooze_lasts_as_long_as_it_says(text: str, minutes: int) -> None:
    assert snooze_end(text, NOON) == NOON + timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "15", "0m", "-5m", "1.5h", "soon", "1d", "99999m", "m", "١٥m"])
def test_a_snooze_that_says_nothing_is_a_problem(text: str) -> None:
    problem = snooze_end(text, NOON)
    assert isinstance(problem, Problem)
    assert problem.code is FaultCode.BAD_USAGE


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process can be set on POSIX only")
@pytest.mark.parametrize(
    "zone,day",
    [
        ("Europe/Berlin", (2026, 3, 28)),
        ("Europe/Berlin", (2026, 10, 24)),
        ("Asia/Taipei", (2026, 12, 31)),
        ("America/New_York", (2026, 11, 1)),
    ],
)
def test_tomorrow_is_six_by_the_clock_on_the_wall(
    zone: str, day: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for hour in (0, 5, 12, 23):
            now = datetime(*day, hour, 30, tzinfo=ZoneInfo(zone))
            end = snooze_end("tomorrow", now.astimezone())
            assert isinstance(end, datetime)
            wall = end.astimezone(ZoneInfo(zone))
            assert (wall.date(), wall.hour, wall.minute) == (now.date() + timedelta(days=1), 6, 0)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_columns_stay_aligned_whatever_the_letters() -> None:
    assert aligned([("a", "x"), ("名前", "y"), ("e\u0301", "")]) == ["a     x", "名前  y", "e\u0301"]
    assert short("名前名前", 5) == "名前…"
    assert short("a\nb\tc\x1b", 20) == "a\\nb\\tc\\x1b"
