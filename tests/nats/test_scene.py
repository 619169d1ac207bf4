"""Two workers that nobody can reach, nor each the other, one pool, a requester; one worker is cut off.

Each computer is a network namespace with the real commands in it: nats-server, pool, worker, submit.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hivemind_worker.pool.nats.authority import CONFIG, SERVER
from tests.e2e.process import PROGRAM, environment
from tests.nats.server import PROGRAM as NATS_SERVER

LIMIT_S = 60.0
ADDRESSES = {"anna": ("198.51.100.1", "198.51.100.2"), "bert": ("198.51.100.5", "198.51.100.6")}
PORT = 4222
TASK = "import time\ntime.sleep({seconds})\nprint('done')\nopen('out.txt', 'w').write('42')\n"

pytestmark = [
    pytest.mark.release,
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("ip") is None,
        reason="network namespaces need root and iproute2",
    ),
]


def ip(*words: str) -> str:
    done = subprocess.run(("ip", *words), capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@dataclass
class Town:
    """The pool's computer with one line to each worker's; nothing is passed on between the lines."""

    folder: Path
    mark: str

    def space(self, name: str) -> str:
        return f"hn{self.mark}{name}"

    def line(self, name: str) -> str:
        return f"hn{self.mark}{name[0]}"

    def build(self) -> None:
        for name in ("pool", *ADDRESSES):
            ip("netns", "add", self.space(name))
            ip("-n", self.space(name), "link", "set", "lo", "up")
        for name, (near, far) in ADDRESSES.items():
            line = self.line(name)
            ip("-n", self.space("pool"), "link", "add", line, "type", "veth", "peer", "name", f"{line}w")
            ip("-n", self.space("pool"), "link", "set", f"{line}w", "netns", self.space(name))
            for space, end, address in (("pool", line, near), (name, f"{line}w", far)):
                ip("-n", self.space(space), "addr", "add", f"{address}/30", "dev", end)
                ip("-n", self.space(space), "link", "set", end, "up")

    def cut(self, name: str) -> None:
        ip("-n", self.space("pool"), "link", "set", self.line(name), "down")

    def remove(self) -> None:
        for name in ("pool", *ADDRESSES):
            subprocess.run(("ip", "netns", "delete", self.space(name)), capture_output=True, check=False)

    def home(self, name: str) -> Path:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        return home

    async def start(self, where: str, home: str, *words: str) -> asyncio.subprocess.Process:
        """A command of ours on one of the computers."""
        return await self.start_other(where, home, *PROGRAM, *words)

    async def start_other(self, where: str, home: str, *words: str) -> asyncio.subprocess.Process:
        more = {"MAX_CPU_CORES": "1", "MAX_CONCURRENT_TASKS": "1"}
        return await asyncio.create_subprocess_exec(
            "ip", "netns", "exec", self.space(where), *words, env=environment(self.home(home), **more),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip

    async def done(self, where: str, home: str, *words: str, limit_s: float = LIMIT_S) -> str:
        """The same, to its end."""
        process = await self.start(where, home, *words)
        out, _ = await asyncio.wait_for(process.communicate(), limit_s)
        assert process.returncode == 0, out.decode()
        return out.decode()


async def said(process: asyncio.subprocess.Process, words: str) -> str:
    """What a process has said, up to and with these words."""
    assert process.stdout
    heard = ""
    try:
        async with asyncio.timeout(LIMIT_S):
            async for line in process.stdout:
                heard += line.decode()
                if words in heard:
                    return heard
    except TimeoutError:
        pass
    raise AssertionError(f"{words!r} was not said: {heard}")


@asynccontextmanager
async def running(process: asyncio.subprocess.Process) -> AsyncIterator[asyncio.subprocess.Process]:
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), LIMIT_S)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path, str(os.getpid() % 100_000))


async def let_in(town: Town, name: str) -> None:
    """As people do it: an invitation there, taken up here, then the pool's address."""
    invite = await town.start("pool", "owner", "pool", "worker", "invite", name, "--json")
    assert invite.stdout
    invited = json.loads(await asyncio.wait_for(invite.stdout.readline(), LIMIT_S))
    file = town.folder / f"{name}.invitation"
    file.write_text(invited["invitation"])
    await town.done(name, name, "pool", "worker", "join", "--invitation-file", str(file))
    await asyncio.wait_for(invite.communicate(), LIMIT_S)
    told = await town.done(name, name, "login", "--pool", f"tls://{ADDRESSES[name][0]}:{PORT}")
    assert "no port, no VPN" in told


async def submit(town: Town, folder: Path, seconds: float, out: str) -> asyncio.subprocess.Process:
    folder.mkdir()
    (folder / "main.py").write_text(TASK.format(seconds=seconds))
    return await town.start(
        "pool", "requester", "submit", str(folder), "--pool", "127.0.0.1:50051", "--user", "ada",
        "--password-file", str(town.folder / "password"), "--wait", "--out", str(town.folder / out),
        "--cpu-score", "100",
    )  # fmt: skip


async def test_a_task_of_a_worker_that_is_cut_off_ends_on_the_other_and_the_requester_sees_both_tries(
    town: Town,
) -> None:
    (town.folder / "password").write_text("right horse\n")
    try:
        town.build()
        async with AsyncExitStack() as stack:
            await _play(town, stack)
    finally:
        town.remove()


async def _play(town: Town, stack: AsyncExitStack) -> None:
    hosts = [word for near, _ in ADDRESSES.values() for word in ("--host", near)]
    await town.done("pool", "owner", "pool", "nats-config", *hosts, "--port", str(PORT))
    config = town.home("owner") / "pool" / "nats" / SERVER / CONFIG
    server = await town.start_other("pool", "owner", NATS_SERVER, "-c", str(config))
    await stack.enter_async_context(running(server))
    await said(server, "Server is ready")
    engine = ("pool", "--engine", f"tls://127.0.0.1:{PORT}")
    pool = await stack.enter_async_context(running(await town.start("pool", "owner", *engine)))
    await said(pool, "Pool ready")
    password = str(town.folder / "password")
    await town.done("pool", "owner", *engine, "user", "add", "ada", "--password-file", password)
    workers = {}
    for name in ADDRESSES:
        await let_in(town, name)
        workers[name] = await stack.enter_async_context(running(await town.start(name, name, "run")))
    for worker in workers.values():
        await said(worker, ": registered")
    _nobody_reaches_them(town)

    both = [await submit(town, town.folder / f"spread{n}", 3, "spread") for n in range(2)]
    told = "".join([(await asyncio.wait_for(each.communicate(), LIMIT_S))[0].decode() for each in both])
    assert "Running on anna." in told and "Running on bert." in told and told.count("COMPLETED on") == 2, told

    last = await submit(town, town.folder / "cut", 8, "cut")
    begun = await said(last, "Running on")
    first = next(name for name in ADDRESSES if name in begun)
    other = next(name for name in ADDRESSES if name != first)
    town.cut(first)
    rest, _ = await asyncio.wait_for(last.communicate(), 2 * LIMIT_S)
    story = begun + rest.decode()
    assert last.returncode == 0 and f"COMPLETED on {other}" in story, story
    tries = [
        f"Running on {first}.",
        f"{first} was not heard from",
        f"Running on {other}.",
        f"Result of {other}",
    ]
    places = [story.index(each) for each in tries]
    assert places == sorted(places), story
    results = list((town.folder / "cut").rglob("out.txt"))
    assert [each.read_text() for each in results] == ["42"]


def _nobody_reaches_them(town: Town) -> None:
    for name, (_, _far) in ADDRESSES.items():
        other = next(far for each, (_, far) in ADDRESSES.items() if each != name)
        route = subprocess.run(
            ("ip", "-n", town.space(name), "route", "get", other), capture_output=True, text=True, check=False
        )
        assert route.returncode != 0 and "unreachable" in route.stderr
        words = ("ip", "netns", "exec", town.space(name), "cat", "/proc/net/tcp")
        rows = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
        listening = [row.split()[1] for row in rows if row.split()[3] == "0A"]
        assert all(each.startswith("0100007F:") for each in listening), listening
