"""The built-in sandbox: a CPython guest in WebAssembly, one killable child process a task.

Fits `Runtime` of engine/ports.py. Owns the choice of the interpreter and the list of runs;
`guest` runs one, `modules` compiles, `packs` knows the interpreters. Never loads the engine
into the worker itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import RuntimeView
from hivemind_worker.model.task import Outcome, Problem, TaskKey
from hivemind_worker.model.work import RunFigures, RunOrder
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.nursery.children import end_stray
from hivemind_worker.nursery.keepers import Keeper
from hivemind_worker.runtimes.wasm import packs, scientific
from hivemind_worker.runtimes.wasm.digests import DigestBook
from hivemind_worker.runtimes.wasm.guest import Guest, failed, in_words
from hivemind_worker.runtimes.wasm.modules import ModuleCache, Progress
from hivemind_worker.runtimes.wasm.orders import SANDBOX_WORD
from hivemind_worker.runtimes.wasm.packs import Pack
from hivemind_worker.runtimes.wasm.requirements import missing_lines
from hivemind_worker.runtimes.wasm.spares import Spares

if TYPE_CHECKING:
    from hivemind_worker.engine.ports import OutputSink, StartedSink

log = logging.getLogger(__name__)
CLOSE_LIMIT_S = 5.0
Finder = Callable[[Path], Pack | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """The interpreter in use, and what kept a better one from being it."""

    pack: Pack
    module: Path
    remark: str = ""
    problem: Problem | None = None


class WasmRuntime:
    """The sandbox. Make it, `prepare` it beside other work, `close` it. Use from the loop's thread only.

    `sandbox_folder` keeps added packs and compiled modules. `available_memory` tells the bytes
    of free memory: the larger pack is compiled only where there is enough.
    """

    name = "wasm"

    def __init__(
        self,
        sandbox_folder: Path,
        available_memory: Callable[[], int],
        *,
        use_keeper: bool = sys.platform not in ("linux", "win32"),
        finders: Sequence[Finder] = (packs.find_scientific, lambda _: packs.find_small()),
    ) -> None:
        self._folder = sandbox_folder
        self._available_memory = available_memory
        self._use_keeper = use_keeper
        self._finders = finders
        self._files = NamedThread("sandbox-files")
        self._nursery = Nursery("sandbox")
        self._book = DigestBook(sandbox_folder / "digests.json")
        self._modules = ModuleCache(sandbox_folder / "modules", self._book, self._files)
        self._spares = Spares(self._nursery)
        self._keeper: Keeper | None = None
        self._chosen: _Chosen | None = None
        self._problem: Problem | None = None
        self._doing = ""
        self._preparing: asyncio.Task[None] | None = None
        self._guests: dict[tuple[TaskKey, int], Guest] = {}
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def view(self) -> RuntimeView:
        """Whether the sandbox is usable, and which interpreter it has; never raises."""
        if self._chosen is None:
            return RuntimeView(name=self.name, ready=False, detail=self._doing, problem=self._problem)
        detail = self._chosen.pack.title + (f" ({self._chosen.remark})" if self._chosen.remark else "")
        return RuntimeView(name=self.name, ready=True, detail=detail, problem=self._chosen.problem)

    def missing_packages(self, requirements: Sequence[str]) -> tuple[str, ...]:
        """Those lines of a requirements.txt that the interpreter in use does not satisfy."""
        pack = self._chosen.pack if self._chosen else self._likely_pack()
        if pack is None:
            return tuple(requirements)
        return missing_lines(requirements, pack.packages, pack.python_version)

    def _likely_pack(self) -> Pack | None:
        return next((pack for find in self._finders if (pack := find(self._folder))), None)

    async def prepare(self, progress: Progress | None = None, *, again: bool = False) -> Problem | None:
        """Choose the best interpreter and compile it where needed; a problem when there is none.

        Takes seconds the first time (the larger pack: a minute) and next to nothing later.
        `again` looks anew, e.g. after a pack was added; until then the present one is used.
        """
        if self._preparing is None or self._preparing.done():
            if self._chosen is not None and not again:
                return None
            self._preparing = self._nursery.start("prepare", self._look_and_choose(progress or _nothing))
        await asyncio.shield(self._preparing)
        return self._problem if self._chosen is None else None

    async def _look_and_choose(self, progress: Progress) -> None:
        try:
            await self._choose(progress)
        except OSError as error:  # e.g. no process can be started
            self._problem = Problem(code=FaultCode.SANDBOX_FAILED, about=str(error))

    async def _choose(self, progress: Progress) -> None:
        def tell(share: float, text: str) -> None:
            self._doing = f"{text}: {share:.0%}"
            progress(share, text)

        remarks: list[tuple[str, Problem | None]] = []
        if self._use_keeper and self._keeper is None:
            self._keeper = await Keeper.start()
        for find in self._finders:
            pack, problem = await self._files.call(self._look, find)
            if pack is not None and problem is None and find is not self._finders[-1]:
                problem = await self._lack_of_memory(pack)
            if pack is not None and problem is None:
                problem = await self._make_ready(pack, tell, remarks)
                if problem is None:
                    return
            if problem is not None:
                log.warning("an interpreter of the sandbox is not usable: %s %s", problem.code, problem.about)
                remarks.append(("the larger pack is not usable", problem))
        self._chosen = None
        missing = Problem(code=FaultCode.SANDBOX_MISSING, about="no interpreter is installed")
        self._problem = remarks[-1][1] if remarks and remarks[-1][1] else missing

    def _look(self, find: Finder) -> tuple[Pack | None, Problem | None]:
        if find is packs.find_scientific:
            problem = scientific.lay_out_installed(self._folder)
            if problem is not None:
                return None, problem
        pack = find(self._folder)
        return pack, packs.check(pack, self._book) if pack is not None else None

    async def _make_ready(
        self, pack: Pack, progress: Progress, remarks: list[tuple[str, Problem | None]]
    ) -> Problem | None:
        """Compile `pack` where needed and use it from now on."""
        module = await self._modules.ready(pack, progress, self._keeper)
        if isinstance(module, Problem):
            return module
        remark, problem = remarks[-1] if remarks else ("", None)
        self._chosen = _Chosen(pack=pack, module=module, remark=remark, problem=problem)
        self._problem = None
        return None

    async def _lack_of_memory(self, pack: Pack) -> Problem | None:
        """Why `pack` cannot be compiled just now; the last pack of the list is not asked."""
        if self._available_memory() >= pack.compile_memory_bytes:
            return None
        if await self._files.call(self._modules.find, pack) is not None:
            return None
        needed = in_words(pack.compile_memory_bytes)
        about = f"preparing {pack.title} needs {needed} of free memory once"
        return Problem(code=FaultCode.SANDBOX_FAILED, about=about)

    async def run(
        self, order: RunOrder, output: OutputSink, started: StartedSink, preparing: object = None
    ) -> Outcome:
        """Run one attempt until nothing of it is alive; see the contract in engine/ports.py."""
        if self._closed:
            return failed("it has been closed")
        name = (order.key, order.attempt)
        guest = self._guests[name] = Guest(order, self._files)
        self._idle.clear()
        try:
            for _ in range(2):
                outcome = await self._attempt(guest, output, started)
                if outcome is not None:
                    return outcome
            return failed("the engine refuses the module that it has compiled itself")
        except OSError as error:
            log.error("a run of the sandbox failed: %s", error, extra={"task": order.key})
            return failed(str(error.strerror or error))
        finally:
            del self._guests[name]
            if not self._guests:
                self._idle.set()

    async def _attempt(self, guest: Guest, output: OutputSink, started: StartedSink) -> Outcome | None:
        """One child; None when it could not load its module, which has been forgotten then."""
        chosen = await self._when_ready(guest)
        if guest.stopped.is_set():
            return Outcome(exit_code=None, problem=None)
        if isinstance(chosen, Problem):
            return Outcome(exit_code=None, problem=chosen)
        child = await self._spares.take(chosen.module, self._keeper)
        report = await guest.run(child, chosen.pack, output, started)
        if report is not None and report.get("ended") == "bad_module":
            await self._files.call(self._modules.drop, chosen.pack)
            self._chosen = None
            return None
        outcome = await guest.outcome(report)
        self.warm()
        return outcome

    async def _when_ready(self, guest: Guest) -> _Chosen | Problem:
        """The interpreter, unchanged since it was checked; waits for it, but not past a stop."""
        chosen = self._chosen
        if chosen is not None and await self._files.call(self._is_sound, chosen):
            return chosen
        self._chosen = None
        preparing = self._nursery.start("await-preparing", self.prepare())
        stopping = self._nursery.start("await-stop", guest.stopped.wait())
        try:
            await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            preparing.cancel()
            stopping.cancel()
        if self._chosen is not None:
            return self._chosen
        return self._problem or Problem(code=FaultCode.SANDBOX_MISSING, about="it is not ready")

    def _is_sound(self, chosen: _Chosen) -> bool:
        return self._modules.find(chosen.pack) is not None and packs.check(chosen.pack, self._book) is None

    def warm(self, order: RunOrder | None = None) -> None:
        """Have a child waiting for a task that is about to come; harmless at any time."""
        del order  # any of them serves
        if self._chosen is not None and not self._closed:
            self._spares.restock(self._chosen.module, self._keeper)

    async def pause(self, key: TaskKey, attempt: int) -> None:
        """Freeze a run; nothing happens when it does not run."""
        if guest := self._guests.get((key, attempt)):
            guest.brake.pause()

    async def resume(self, key: TaskKey, attempt: int) -> None:
        """Thaw a run."""
        if guest := self._guests.get((key, attempt)):
            guest.brake.resume()

    async def limit(self, key: TaskKey, attempt: int, cores: float) -> None:
        """Let a run use this much of the processor from now on."""
        if guest := self._guests.get((key, attempt)):
            guest.brake.limit(min(cores, guest.order.cpu_cores))

    async def stop(self, key: TaskKey, attempt: int, grace_s: float = 10.0) -> None:
        """End a run; `run` returns at once: a guest cannot be asked."""
        del grace_s
        if guest := self._guests.get((key, attempt)):
            guest.stop()

    def figures(self, key: TaskKey, attempt: int) -> RunFigures | None:
        """What its child uses."""
        guest = self._guests.get((key, attempt))
        return None if guest is None else guest.figures()

    def process(self, key: TaskKey, attempt: int) -> int | None:
        """The child that runs it."""
        guest = self._guests.get((key, attempt))
        return guest.pid if guest is not None else None

    def used_cpu_s(self, key: TaskKey, attempt: int) -> float | None:
        """Processor seconds of a guest now."""
        guest = self._guests.get((key, attempt))
        return None if guest is None else guest.used_cpu_s()

    def memory_bytes(self, key: TaskKey, attempt: int) -> int | None:
        """Memory of a guest now."""
        guest = self._guests.get((key, attempt))
        return None if guest is None else guest.memory_bytes()

    def forget(self, key: TaskKey, attempt: int) -> None:
        """Nothing is left of a guest that has ended."""

    async def reclaim(self, key: TaskKey, attempt: int, where: str) -> None:
        """End the child of an earlier worker process, should it still be the same process."""
        del key, attempt
        await self._files.call(end_stray, where, SANDBOX_WORD)

    async def adopt(self, order: RunOrder, where: str, mark: bytes, output: OutputSink) -> None:
        """Nothing to go on with: a guest dies with its worker."""
        del mark, output
        await self.reclaim(order.key, order.attempt, where)

    async def close(self) -> None:
        """End every run, and whatever else was started here."""
        self._closed = True
        for guest in self._guests.values():
            guest.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self._idle.wait()
        await self._nursery.close()
        await self._spares.close()
        if self._keeper is not None:
            await self._keeper.close()
        self._files.close()


def _nothing(share: float, text: str) -> None:
    """Progress that nobody watches."""
