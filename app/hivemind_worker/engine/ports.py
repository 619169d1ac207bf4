"""The shapes that the engine expects of the outside world. Adapters fit them without importing them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from hivemind_worker.model.history import JournalEntry, StoryLine
from hivemind_worker.model.snapshot import NodeState, RuntimeView
from hivemind_worker.model.task import Outcome, Phase, Problem, Task, TaskId, TaskKey
from hivemind_worker.model.work import Inspection, Packed, RunFigures, RunOrder, Sent


class OutputSink(Protocol):
    """Takes the program's output as it comes, raw bytes cut anywhere; awaiting it is the back-pressure."""

    async def __call__(self, chunk: bytes, mark: bytes = b"", /) -> None:
        """`mark` is what `adopt` needs to go on behind this chunk; empty where a run cannot be adopted."""
        ...


PreparingSink = Callable[[Phase, str], Awaitable[None]]
"""Called when a slow step before the start begins (fetching an image, installing), with its particulars."""


class StartedSink(Protocol):
    """Called once, when the program runs."""

    async def __call__(self, where: str, /, *, image: str = "", runtime: str = "") -> None:
        """`where` is a process id or container name, `image` exactly which one, with its digest;
        `runtime` is the sandbox's name where that may be another one than the runtime's now."""
        ...


class Runtime(Protocol):
    """A sandbox. One call of `run` per key and attempt; the other verbs name the same pair.

    Contract (tests/contract/test_runtime.py runs on every implementation):
    - `run` returns only when nothing of the program is alive, and raises nothing but CancelledError,
      upon which the program is dead as well.
    - All output has been passed to `output` before `run` returns.
    - `pause`, `resume`, `limit` and `stop` on a pair that does not run do nothing.
      `stop` makes `run` return.
    - What `warm` prepared for a pair goes with its `run`, with a `stop` of the pair, or by itself.
    - A program that ends with code 0 gives `Outcome(exit_code=0, problem=None)`; other codes give
      EXIT_CODE; limits give OUT_OF_MEMORY, OUT_OF_DISK, TIMED_OUT; trouble of the sandbox itself
      SANDBOX_FAILED. After `stop`, problem and exit_code are None.
    """

    @property
    def name(self) -> str:
        """wasm or docker."""
        ...

    async def view(self) -> RuntimeView:
        """Whether the sandbox is usable, and which interpreter it has; never raises."""
        ...

    def missing_packages(self, requirements: Sequence[str]) -> tuple[str, ...]:
        """Those lines of a requirements.txt that this sandbox cannot satisfy."""
        ...

    def warm(self, order: RunOrder) -> None:
        """This run is about to be ordered: start what can be started before; harmless at any time."""
        ...

    async def run(
        self,
        order: RunOrder,
        output: OutputSink,
        started: StartedSink,
        preparing: PreparingSink | None = None,
    ) -> Outcome: ...

    async def pause(self, key: TaskKey, attempt: int) -> None: ...

    async def resume(self, key: TaskKey, attempt: int) -> None: ...

    async def limit(self, key: TaskKey, attempt: int, cores: float) -> None:
        """Let a run use this many processor cores from now on; never more than it was ordered with."""
        ...

    async def stop(self, key: TaskKey, attempt: int, grace_s: float = 10.0) -> None:
        """End a run; a program that can be asked gets `grace_s` to end by itself."""
        ...

    async def adopt(self, order: RunOrder, where: str, mark: bytes, output: OutputSink) -> Outcome | None:
        """Go on with a run that an earlier worker process started, its output from `mark` on, as `run` does.

        None when there is nothing to go on with: then nothing of it is alive.
        """
        ...

    def figures(self, key: TaskKey, attempt: int) -> RunFigures | None:
        """What a run uses now, where the sandbox measures it; while nobody asks it is measured seldom."""
        ...

    def process(self, key: TaskKey, attempt: int) -> int | None:
        """The first process of a run; None while that is not known, or where another computer runs it."""
        ...

    def used_cpu_s(self, key: TaskKey, attempt: int) -> float | None:
        """Processor seconds of a run until it was last looked at; None when it is not known here."""
        ...

    def memory_bytes(self, key: TaskKey, attempt: int) -> int | None:
        """Memory of a run when it was last looked at, which asking does not hasten; None when not known."""
        ...

    def forget(self, key: TaskKey, attempt: int) -> None:
        """The end of this run is written down: what a later life would need to learn of it may go."""
        ...

    async def reclaim(self, key: TaskKey, attempt: int, where: str) -> None:
        """End whatever an earlier worker process left running for this pair."""
        ...

    async def close(self) -> None:
        """End every run."""
        ...


class Workspaces(Protocol):
    """Folders of tasks: safe unpacking, safe packing. All calls block: they run in the files thread."""

    def inspect(self, archive: Path) -> Inspection | Problem:
        """Check names, sizes, methods and structure without writing anything."""
        ...

    def unpack(self, archive: Path, folder: Path) -> Problem | None:
        """Fill a new folder; on a problem the folder is gone again."""
        ...

    def pack(self, folder: Path, target: Path, own_files: Sequence[tuple[str, Path | bytes]]) -> Packed:
        """Write the result archive: the folder without links, then our own files, whose names win.

        `result_bytes` is 0 when no archive could be written at all (a full disk).
        """
        ...

    def remove(self, folder: Path) -> None:
        """Remove a task's folder whatever its modes and depth; absent is fine."""
        ...


class ReceiptBook(Protocol):
    """Keeps a signed receipt of each task. Both calls block, and raise OSError when they cannot write."""

    def note_inputs(self, archive: Path, task_folder: Path) -> None:
        """Remember what an archive holds, before it is unpacked and gone."""
        ...

    def write(
        self, task: Task, limits: Mapping[str, float], task_folder: Path, result: Path, made_by: str
    ) -> None:
        """Sign and keep the receipt of an ended task."""
        ...


class PoolLink(Protocol):
    """Our side of the conversation with a pool; it logs in, announces and reconnects by itself."""

    @property
    def prompt_results(self) -> bool:
        """Whether this pool takes results at once (quirk 4 does not apply to it)."""
        ...

    async def send_output(self, task_id: TaskId, text: str) -> Sent:
        """Append text to the task's log at the pool. Never two calls at once for one task (quirk 16)."""
        ...

    async def send_result(self, task_id: TaskId, archive: Path) -> Sent:
        """Hand over the result archive (under 99 MiB)."""
        ...


class Journal(Protocol):
    """The store's side of the loop. What is committed is durable when the call returns."""

    async def commit(self, entry: JournalEntry) -> None: ...

    async def find(self, key: TaskKey) -> Task | None: ...

    async def open_tasks(self) -> tuple[Task, ...]: ...

    async def node(self) -> NodeState: ...

    async def ended(self, limit: int) -> tuple[Task, ...]: ...

    async def story(self, key: TaskKey) -> tuple[StoryLine, ...]: ...
