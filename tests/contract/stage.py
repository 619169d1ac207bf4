"""Plays one program on a runtime; one compiled interpreter serves the whole session."""

from __future__ import annotations

import asyncio
import atexit
import functools
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hivemind_worker.engine.ports import Runtime
from hivemind_worker.model.task import Outcome, TaskId, key_of
from hivemind_worker.model.work import RunOrder
from hivemind_worker.runtimes.wasm import WasmRuntime, packs
from tests.process_state import lasts

MIB = 1 << 20


@functools.cache
def session_sandbox(pack: str = "small") -> Path:
    """A sandbox folder that the tests of a session share, so that each interpreter is compiled once."""
    folder = lasts(Path(tempfile.mkdtemp(prefix=f"hivemind-{pack}-")))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def small_sandbox() -> WasmRuntime:
    """The built-in sandbox with the small interpreter, whatever else is installed."""
    return WasmRuntime(session_sandbox(), available_memory=lambda: 0, finders=(lambda _: packs.find_small(),))


@dataclass
class Played:
    """A run that goes on or has ended."""

    order: RunOrder
    output: bytearray = field(default_factory=bytearray)
    mark: bytes = b""
    where: list[str] = field(default_factory=list)
    image: str = ""
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    began_s: float = field(default_factory=time.monotonic)
    running: asyncio.Task[Outcome] | None = None

    @property
    def text(self) -> str:
        return self.output.decode("utf-8", "replace")

    @property
    def pid(self) -> int:
        return int(self.where[0].partition(":")[0])

    async def hears(self, words: bytes, limit_s: float = 20.0) -> None:
        """Until `words` are in the output."""
        async with asyncio.timeout(limit_s):
            while words not in self.output:
                self.heard.clear()
                await self.heard.wait()

    async def outcome(self, limit_s: float = 40.0) -> Outcome:
        """Until it has ended."""
        assert self.running is not None
        async with asyncio.timeout(limit_s):
            return await self.running


class Stage:
    """One runtime and a folder for its tasks."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime = runtime
        self.folder = folder
        self._count = 0
        self.played: list[Played] = []

    def order(self, files: Mapping[str, str | bytes], **changes: Any) -> RunOrder:
        """An order for a new workspace that holds `files`; `changes` replace single fields."""
        self._count += 1
        workspace = self.folder / f"task-{self._count}" / "workspace"
        workspace.mkdir(parents=True)
        for name, content in files.items():
            path = workspace / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        task_id = TaskId(changes.get("task_id", f"task {self._count}"))
        usual: dict[str, Any] = {
            "key": key_of(task_id),
            "attempt": 1,
            "task_id": task_id,
            "workspace": workspace,
            "entry": "main.py",
            "cpu_cores": 1.0,
            "memory_bytes": 256 * MIB,
            "disk_bytes": 64 * MIB,
            "time_limit_s": 30.0,
        }
        return RunOrder(**{**usual, **changes})

    async def start(self, order: RunOrder) -> Played:
        """Begin a run and wait until it says that it runs."""
        played = Played(order)
        self.played.append(played)
        is_up = asyncio.Event()

        async def output(chunk: bytes, mark: bytes = b"", /) -> None:
            played.output += chunk
            played.mark = mark or played.mark
            played.heard.set()

        async def started(where: str, /, *, image: str = "", runtime: str = "") -> None:
            played.where.append(where)
            played.image = image
            is_up.set()

        played.running = asyncio.create_task(self.runtime.run(order, output, started))
        up = asyncio.create_task(is_up.wait())
        await asyncio.wait({played.running, up}, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        up.cancel()
        return played

    async def play(self, source: str, **changes: Any) -> tuple[Outcome, Played]:
        """Run a script to its end."""
        played = await self.start(self.order({"main.py": source}, **changes))
        return await played.outcome(), played

    async def clear(self) -> None:
        """End whatever a test left running."""
        for played in self.played:
            if played.running is not None and not played.running.done():
                played.running.cancel()
                await asyncio.wait({played.running}, timeout=10)
        await self.runtime.close()
