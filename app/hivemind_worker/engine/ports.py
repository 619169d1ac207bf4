"""The shapes that the engine expects of the outside world. Adapters fit them without importing them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hivemind_worker.model.snapshot import RuntimeView
from hivemind_worker.model.task import Outcome, Problem, Task, TaskId, TaskKey

OutputSink = Callable[[bytes], Awaitable[None]]
"""Takes the program's output as it comes, raw bytes cut anywhere; awaiting it is the back-pressure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """All that a runtime needs to run one attempt. The runtime never reads anything else of the task."""

    key: TaskKey
    attempt: int
    task_id: TaskId  # for the variable TASK_ID only
    workspace: Path  # shown to the program as /workspace and /app/task, its working directory
    entry: str  # path of the script inside the workspace, with slashes
    cpu_cores: float  # share of processor, 0.1 up
    memory_bytes: int
    disk_bytes: int  # the workspace may grow to this size
    time_limit_s: float  # running time, pauses not counted
    gpu: float = 0.0


StartedSink = Callable[[str], Awaitable[None]]
"""Called once, when the program runs, with where: a process id or container name."""


class Runtime(Protocol):
    """A sandbox. One call of `run` per key and attempt; the other verbs name the same pair.

    Contract (tests/contract/test_runtime.py runs on every implementation):
    - `run` returns only when nothing of the program is alive, and never raises but CancelledError,
      upon which the program is dead as well.
    - All output has been passed to `output` before `run` returns.
    - `pause`, `resume` and `stop` on a pair that does not run do nothing. `stop` makes `run` return.
    - A program that ends with code 0 gives `Outcome(exit_code=0, problem=None)`; other codes give
      EXIT_CODE; limits give OUT_OF_MEMORY, OUT_OF_DISK, TIMED_OUT; trouble of the sandbox itself
      SANDBOX_FAILED. After `stop`, problem is None and exit_code None.
    """

    name: str

    async def view(self) -> RuntimeView:
        """Whether the sandbox is usable, and which interpreter it has; never raises."""
        ...

    def missing_packages(self, requirements: Sequence[str]) -> tuple[str, ...]:
        """Those lines of a requirements.txt that this sandbox cannot satisfy."""
        ...

    async def run(self, order: RunOrder, output: OutputSink, started: StartedSink) -> Outcome: ...

    async def pause(self, key: TaskKey, attempt: int) -> None: ...

    async def resume(self, key: TaskKey, attempt: int) -> None: ...

    async def stop(self, key: TaskKey, attempt: int) -> None: ...

    async def reclaim(self, key: TaskKey, attempt: int, where: str) -> None:
        """End whatever an earlier worker process left running for this pair."""
        ...

    async def close(self) -> None:
        """End every run."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is known of an archive before it is unpacked."""

    entry: str
    requirements: tuple[str, ...]  # lines of requirements.txt without comments
    members: int
    opened_bytes: int  # as the directory says; unpacking counts for itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A result archive on disk."""

    result_bytes: int
    left_out: tuple[str, ...]
    problem: Problem | None = None  # RESULT_TOO_LARGE: `path` then holds the logs alone


class Workspaces(Protocol):
    """Folders of tasks: safe unpacking, safe packing. All calls block: they run in the files thread."""

    def inspect(self, archive: Path) -> Inspection | Problem:
        """Check names, sizes, methods and structure without writing anything."""
        ...

    def unpack(self, archive: Path, folder: Path) -> Problem | None:
        """Fill a new folder; on a problem the folder is gone again."""
        ...

    def pack(self, folder: Path, target: Path, own_files: Sequence[tuple[str, Path | bytes]]) -> Packed:
        """Write the result archive: the folder without links, then our own files, whose names win."""
        ...

    def remove(self, folder: Path) -> None:
        """Remove a task's folder whatever its modes and depth; absent is fine."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of one call to the pool: delivered, or not, and whether trying again may help."""

    delivered: bool
    retry: bool = False
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What registration tells the pool of this worker. GiB and scores are whole numbers on the wire."""

    cpu_cores: int
    memory_gb: int
    cpu_score: int
    gpu_score: int
    gpu_memory_gb: int
    gpu_name: str
    region: str
    docker_status: str  # "available" or "disabled" (quirk 18)
    hostname: str
    port: int
    running_tasks: int
    cpu_percent: int
    memory_percent: int


class PoolLink(Protocol):
    """Our side of the conversation with a pool; it logs in, announces and reconnects by itself."""

    prompt_results: bool
    """Whether this pool takes results at once (quirk 4 does not apply to it)."""

    async def send_output(self, task_id: TaskId, text: str) -> Sent:
        """Append text to the task's log at the pool. Never two calls at once for one task (quirk 16)."""
        ...

    async def send_result(self, task_id: TaskId, archive: Path) -> Sent:
        """Hand over the result archive (at most 99 MiB)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLine:
    """One thing that happened to a task, for `story`."""

    key: TaskKey
    at_s: float
    what: str  # event name, e.g. "RunEnded"
    text: str  # short particulars


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One transaction: changed rows, the node's own row when it changed, and history lines."""

    tasks: tuple[Task, ...] = ()
    node: object | None = None
    lines: tuple[StoryLine, ...] = ()


class Journal(Protocol):
    """The store's side of the loop. Commits are durable when the call returns."""

    async def commit(self, changes: JournalEntry) -> None: ...

    async def find(self, key: TaskKey) -> Task | None: ...

    async def open_tasks(self) -> tuple[Task, ...]: ...
