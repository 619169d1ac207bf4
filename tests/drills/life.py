"""One life of a worker: a process in a home that outlives it, ended as the drill wants."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from hivemind_worker.commands.remote import Remote
from hivemind_worker.model.task import Problem
from hivemind_worker.places import Places, find_places
from hivemind_worker.web.endpoint import read_endpoint
from hivemind_worker.web.token import load_token
from tests.e2e.process import environment

ROOT = Path(__file__).parents[2]
START_LIMIT_S, END_LIMIT_S, GONE_LIMIT_S = 60.0, 15.0, 8.0
KILLED = -signal.SIGKILL


@dataclass
class Life:
    """A worker process. `lines` are those of its log; `children` all that were seen to belong to it."""

    home: Path
    process: asyncio.subprocess.Process
    began_s: float = field(default_factory=time.monotonic)
    ended_s: float | None = None
    lines: list[str] = field(default_factory=list)
    children: dict[int, float] = field(default_factory=dict)
    _reader: asyncio.Task[None] | None = None

    @classmethod
    async def begin(cls, home: Path, more: Mapping[str, str], changes: str = "") -> Life:
        """Start a worker; returns at once."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.drills.patched", changes, "run",
            cwd=ROOT, env=environment(home, **more), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        life = cls(home, process)
        life._reader = asyncio.ensure_future(life._read())
        return life

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    # ---- what it is ---------------------------------------------------------------

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    @property
    def places(self) -> Places:
        return find_places(str(self.home))

    def spawned(self) -> list[psutil.Process]:
        """Its children now, remembered for the look after its end."""
        with contextlib.suppress(psutil.Error):
            found = psutil.Process(self.process.pid).children(recursive=True)
            for child in found:
                with contextlib.suppress(psutil.Error):
                    self.children[child.pid] = child.create_time()
            return found
        return []

    async def survivors(self) -> list[int]:
        """Children of this ended life that are still there after a while."""
        deadline_s = time.monotonic() + GONE_LIMIT_S
        while True:
            left = [pid for pid in self.children if self._is_there(pid)]
            if not left or time.monotonic() >= deadline_s:
                return left
            await asyncio.sleep(0.05)

    def _is_there(self, pid: int) -> bool:
        try:
            process = psutil.Process(pid)
            same = abs(process.create_time() - self.children[pid]) < 0.1
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    # ---- talking to it --------------------------------------------------------------

    async def said(self, text: str, limit_s: float = START_LIMIT_S) -> str:
        """The first line of its log with this text."""
        async with asyncio.timeout(limit_s):
            while True:
                for line in self.lines:
                    if text in line:
                        return line
                if not self.alive:
                    raise AssertionError(f"the worker ended: {self.lines[-20:]}")
                await asyncio.sleep(0.01)

    async def ready(self) -> str:
        """Where the pool reaches it, once it takes tasks."""
        await self.said("sandbox ready")
        line = await self.said(" is up: ")
        return line.split(" is up: ")[1].split(",")[0]

    async def ask(self, path: str) -> dict[str, Any]:
        """A question to its local API."""
        answer = await asyncio.to_thread(self._ask, path, None)
        assert not isinstance(answer, Problem), f"{path}: {answer}"
        return dict(answer)

    async def wish(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """A wish of its owner."""
        answer = await asyncio.to_thread(self._ask, path, body)
        assert not isinstance(answer, Problem), f"{path}: {answer}"
        return dict(answer)

    def _ask(self, path: str, body: Mapping[str, object] | None) -> Any:
        endpoint, token = read_endpoint(self.places.endpoint_file), load_token(self.places.token_file)
        assert endpoint is not None
        assert token is not None
        remote = Remote(endpoint, token)
        try:
            return remote.get(path) if body is None else remote.post(path, body)
        finally:
            remote.close()

    async def status(self) -> dict[str, Any]:
        """What `status --json` prints."""
        return await self.ask("/api/status")

    async def tells(self, code: str, limit_s: float = 20.0) -> dict[str, Any]:
        """The verdict of this code, once the worker answers and shows it."""
        deadline_s = time.monotonic() + limit_s
        while True:
            answer = await asyncio.to_thread(self._ask, "/api/status", None)
            for verdict in [] if isinstance(answer, Problem) else answer["verdicts"]:
                if verdict["code"] == code:
                    return dict(verdict)
            if time.monotonic() > deadline_s:
                said = answer if isinstance(answer, Problem) else answer["verdicts"]
                raise AssertionError(f"no {code!r} in {limit_s:g} s: {said}; its log: {self.lines[-12:]}")
            await asyncio.sleep(0.1)

    # ---- ending it ------------------------------------------------------------------

    async def kill(self) -> None:
        """kill -9, by its id."""
        self.spawned()
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
        await self.ended()

    async def end(self) -> int:
        """SIGTERM and wait."""
        self.spawned()
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
        return await self.ended()

    async def ended(self, limit_s: float = END_LIMIT_S) -> int:
        """Wait for its end, whoever brings it about; its exit code."""
        async with asyncio.timeout(limit_s):
            while self.alive:
                self.spawned()
                await asyncio.sleep(0.01)
        self.ended_s = self.ended_s or time.monotonic()
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=5)
        assert self.process.returncode is not None
        return self.process.returncode
