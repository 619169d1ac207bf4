"""One attempt of one task in one container: made, started, listened to, held to its limits, judged, removed.

The verbs may come at any time, also before and after. Counterparts: `runtime`, which keeps the list of
runs; `listener`, which hears the container; `hardening`, which says what it is held to.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Outcome, Phase, Problem, Usage
from hivemind_worker.model.work import PullProgress, RunFigures, RunOrder
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.runtimes.docker import owners
from hivemind_worker.runtimes.docker.clock import RunningClock
from hivemind_worker.runtimes.docker.containers import Condition, Containers, name_of
from hivemind_worker.runtimes.docker.engine import Engine, EngineError, Trouble
from hivemind_worker.runtimes.docker.figures import Reading, figures, read_stats
from hivemind_worker.runtimes.docker.frames import Piece
from hivemind_worker.runtimes.docker.hardening import Rule, Surroundings, cpu_quota, message, rules_for
from hivemind_worker.runtimes.docker.image_facts import ImageFacts
from hivemind_worker.runtimes.docker.images import ImageShelf
from hivemind_worker.runtimes.docker.listener import Listener
from hivemind_worker.runtimes.docker.networks import NetworkPolicy, TaskNetwork
from hivemind_worker.runtimes.docker.outside import OUTSIDE
from hivemind_worker.runtimes.docker.packages import PACKAGES_PLACE, Packages, PackageShelf
from hivemind_worker.runtimes.docker.position import Position, read_mark
from hivemind_worker.runtimes.docker.processes import processes_of
from hivemind_worker.runtimes.docker.requirement_lines import wanted_lines
from hivemind_worker.runtimes.quota import measure

if TYPE_CHECKING:
    from hivemind_worker.engine.ports import OutputSink, PreparingSink, StartedSink

log = logging.getLogger(__name__)

WATCH_GAP_S = 0.25
LONGEST_DISK_GAP_S = 1.0
MARK_EVERY_S = 10.0
AWAY_LIMIT_S = 180.0
"""An engine that has not come back by then is given up, and the task with it."""
RETRY_S = 1.0
LOOKED_AT_S = 5.0
FIGURES_EVERY_S, FIGURES_SELDOM_S = 1.0, 10.0
FIRST_FIGURES_S = 0.5
OOM_NEWS_S = 0.3  # the engine may learn of it a moment after the end
KILLED_CODES = (137, 143, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelter:
    """What the runs of one runtime share."""

    engine: Engine
    containers: Containers
    images: ImageShelf
    packages: PackageShelf
    network: TaskNetwork
    policy: NetworkPolicy
    files: NamedThread
    listeners: NamedThread
    labels: Mapping[str, str]
    seccomp: str
    log_driver: str
    log_bytes: int
    pids: int


class Run:
    """See the module. `run` or `adopt` once; nothing of the program is alive when they return."""

    def __init__(self, order: RunOrder, shelter: Shelter) -> None:
        self.order = order
        self.container = ""
        self.name = ""
        self.rules: tuple[Rule, ...] = ()
        self._shelter = shelter
        self._clock = RunningClock()
        self._nursery = Nursery(f"run-{order.key[:8]}")
        self._image: ImageFacts | None = None
        self._packages: Packages | None = None
        self._listener: Listener | None = None
        self._position = Position()
        self._output: OutputSink | None = None
        self._stopped = asyncio.Event()
        self._ended = asyncio.Event()
        self._is_started = False
        self._is_over = False
        self._wants_pause: bool | None = None
        self._verdict: Problem | None = None
        self._was_away = False
        self._turn = asyncio.Lock()  # freezing and thawing one after another
        self._last: Reading | None = None
        self._figures: RunFigures | None = None
        self._looked_at_s = float("-inf")
        self._looked = asyncio.Event()
        self._disk_bytes = 0
        self._pid = 0

    # --- making -----------------------------------------------------------------------------

    async def prepare(self, tell: Callable[[PullProgress], None] | None = None) -> Problem | None:
        """Make the container and listen to it; its program waits for `run`."""
        if self._image is None:
            image = await self._shelter.images.take(tell)
            if isinstance(image, Problem):
                return image
            self._image = image
        return await self._make()

    async def _make(self) -> Problem | None:
        try:
            around = await self._surroundings()
            if isinstance(around, Problem):
                return around
            self.rules = rules_for(self.order, around)
            name = name_of(self.order.key, self.order.attempt)
            self.container, self.name = await self._shelter.containers.create(message(self.rules), name)
            self._listener = self._new_listener()
            await self._shelter.listeners.call(self._listener.attach)
        except EngineError as error:
            return _trouble(error)
        return None

    async def _surroundings(self) -> Surroundings | Problem:
        shelter, assured = self._shelter, self._image
        assert assured is not None
        network = "none"
        if shelter.policy is NetworkPolicy.INTERNET:
            found = await shelter.engine.call(lambda api: shelter.network.mode_for(api, shelter.policy))
            if isinstance(found, Problem):
                return found
            network = found
        facts = shelter.engine.facts
        uid, gid = owners.user_of_tasks(facts)
        around = Surroundings(
            image=assured.digest, user=f"{uid}:{gid}", seccomp=shelter.seccomp, labels=dict(shelter.labels),
            network=network, log_driver=shelter.log_driver, log_bytes=shelter.log_bytes, pids=shelter.pids,
            remapped=bool(facts and facts.remapped), selinux=bool(facts and facts.selinux),
        )  # fmt: skip
        if OUTSIDE.differs:
            around = replace(around, workspace=await self._outside(self.order.workspace))
        if self._packages is None:
            return around
        mode = "ro,z" if around.selinux else "ro"  # more than one task may have them
        bind = f"{await self._outside(self._packages.folder)}:{PACKAGES_PLACE}:{mode}"
        return replace(around, binds=(bind,), import_path=(PACKAGES_PLACE,))

    async def _outside(self, folder: Path) -> str:
        if not OUTSIDE.differs:
            return str(folder)
        return await self._shelter.engine.call(lambda api: OUTSIDE.name(api, folder))

    def _new_listener(self) -> Listener:
        if self._listener is not None:
            self._listener.break_off()
        return Listener(self._shelter.engine, self.container, self._position, self._deliver)

    async def _deliver(self, pieces: Sequence[Piece]) -> None:
        """Runs in the loop for the listener's thread, which waits."""
        assert self._output is not None
        self._position.take(pieces)
        await self._output(b"".join(data for _, data in pieces), self._mark())

    def _mark(self) -> bytes:
        self._position.running_s, self._position.at_s = self._clock.running_s, time.time()
        return self._position.mark()

    # --- running ----------------------------------------------------------------------------

    async def run(
        self,
        output: OutputSink,
        started: StartedSink,
        preparing: PreparingSink | None,
        prepared: Awaitable[Problem | None] | None,
    ) -> Outcome:
        """To its end, see the contract in engine/ports.py. `prepared`: a `prepare` that has begun."""
        self._output = output
        try:
            problem = await self._be_ready(preparing, prepared)
            if self._stopped.is_set():
                return self._outcome(None)
            if problem is not None:
                return self._outcome(problem)
            assert self._image is not None
            await started(self.name, image=self._image.version, runtime="docker")
            if self._stopped.is_set():
                return self._outcome(None)
            return await self._from_start()
        finally:
            await self._finish()

    async def _be_ready(
        self, preparing: PreparingSink | None, prepared: Awaitable[Problem | None] | None
    ) -> Problem | None:
        """Image, packages, container, owners: in this order; ended by a stop."""
        getting = self._nursery.start("ready", self._get_ready(preparing, prepared))
        stopping = self._nursery.start("stopping", self._stopped.wait())
        await asyncio.wait({getting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not getting.done():
            getting.cancel()
            await asyncio.wait({getting})
        return None if getting.cancelled() else getting.result()

    async def _get_ready(
        self, preparing: PreparingSink | None, prepared: Awaitable[Problem | None] | None
    ) -> Problem | None:
        def fetching(progress: PullProgress) -> None:
            if preparing is not None:
                self._nursery.start("tell", _tell(preparing, Phase.PULLING, progress.image))

        problem = await prepared if prepared is not None else None
        if prepared is None or problem is not None:
            problem = await self.prepare(fetching)
        if problem is None:
            problem = await self._take_packages(preparing)
        if problem is None:
            user = owners.user_of_tasks(self._shelter.engine.facts)
            await self._shelter.files.call(owners.hand_over, self.order.workspace, user)
        return problem

    async def _take_packages(self, preparing: PreparingSink | None) -> Problem | None:
        """What requirements.txt asks for beyond the image; then the container is made anew, with it."""
        lines = await self._shelter.files.call(_requirements, self.order.workspace)
        if not lines or self._image is None:
            return None
        if preparing is not None and wanted_lines(lines, self._image.packages, self._image.python):
            await preparing(Phase.INSTALLING, "requirements.txt")
        packages = await self._shelter.packages.fetch(lines, self._image)
        if packages is None or isinstance(packages, Problem):
            return packages
        self._packages = packages
        await self._drop_container()
        return await self._make()

    async def _from_start(self) -> Outcome:
        """The start is written down: start it."""
        self._clock.begin()
        self._is_started = True
        try:
            await self._shelter.containers.start(self.container)
        except EngineError as error:
            if error.trouble is not Trouble.AWAY:
                return self._outcome(_trouble(error))
            condition = await self._found_again()  # it may have started all the same
            if isinstance(condition, Problem):
                return self._outcome(condition)
        return await self._see_through()

    async def adopt(self, where: str, mark: bytes, output: OutputSink) -> Outcome | None:
        """Go on with a container of an earlier life; None when there is none."""
        self._output = output
        self._position = read_mark(mark)
        self.container = self.name = where
        self._is_started = True
        try:
            condition = await self._found_again()
            self._was_away = False
            if isinstance(condition, Problem):
                return self._outcome(condition) if condition.code is FaultCode.ENGINE_LOST else None
            self._take_up(condition)
            log.info("task %s goes on in container %s", self.order.key, where)
            return await self._see_through()
        finally:
            await self._finish()

    def _take_up(self, condition: Condition) -> None:
        """Its clock goes on; a freeze is as it was left, unless a wish has come meanwhile."""
        position = self._position
        if self._wants_pause is None:
            self._wants_pause = condition.status == "paused"
        away_s = max(0.0, time.time() - position.at_s) if position.at_s else 0.0
        if condition.status == "paused":
            self._clock.pause()
        self._clock.begin(position.running_s + (0.0 if condition.status == "paused" else away_s))

    async def _see_through(self) -> Outcome:
        """Until it has ended, whatever becomes of the engine meanwhile."""
        self._nursery.start("limits", self._keep_limits())
        self._nursery.start("figures", self._keep_figures())
        self._nursery.start("marks", self._keep_marks())
        if self._stopped.is_set():
            self._nursery.start("stop", self._end_it(0.0))
        if self._wants_pause is not None:
            self._nursery.start("pause", self._freeze_or_thaw())
        while True:
            if self._listener is None:
                self._listener = self._new_listener()
            code = await self._hear(self._listener)
            self._listener = None
            if code is not None:
                self._ended.set()
                return await self._judged(code)
            condition = await self._found_again()
            if isinstance(condition, Problem):
                self._ended.set()
                return self._outcome(condition)

    async def _hear(self, listener: Listener) -> int | None:
        """A cancelled caller leaves a thread that ends soon."""
        try:
            return await self._shelter.listeners.call(listener.listen)
        except asyncio.CancelledError:
            listener.break_off()
            raise

    async def _found_again(self) -> Condition | Problem:
        """The container as it is now; waits for an engine that is away, and starts what never started."""
        self._was_away = True
        ends_at = time.monotonic() + AWAY_LIMIT_S
        while time.monotonic() < ends_at:
            try:
                condition = await self._shelter.containers.condition(self.container)
                if condition.has_started or condition.status != "created":
                    return condition
                # Written down as started and yet it never was: it begins now, for the first time.
                self._listener = self._new_listener()
                await self._shelter.listeners.call(self._listener.attach)
                await self._shelter.containers.start(self.container)
            except EngineError as error:
                if error.trouble is Trouble.GONE:
                    return Problem(code=FaultCode.ENGINE_RESTARTED, about="its container is gone")
            await asyncio.sleep(RETRY_S)
        return Problem(code=FaultCode.ENGINE_LOST, about=f"{AWAY_LIMIT_S:g} s")

    # --- limits -----------------------------------------------------------------------------

    async def _keep_limits(self) -> None:
        disk_at = time.monotonic()
        disk_gap_s = WATCH_GAP_S
        while self._verdict is None:
            left_s = self.order.time_limit_s - self._clock.running_s
            await asyncio.sleep(min(WATCH_GAP_S, max(left_s, 0.0)) or 0.001)
            if self._clock.is_paused:
                continue
            if self._clock.running_s >= self.order.time_limit_s:
                self._condemn(FaultCode.TIMED_OUT, f"{self.order.time_limit_s:g} s")
            elif time.monotonic() - disk_at >= disk_gap_s:
                began = time.monotonic()
                await self._check_disk()
                disk_at = time.monotonic()
                # A walk over many files takes its time: spend a tenth of ours on it at most.
                disk_gap_s = min(LONGEST_DISK_GAP_S, max(WATCH_GAP_S, 10 * (disk_at - began)))

    async def _check_disk(self) -> None:
        if not self._pid:
            with contextlib.suppress(EngineError):
                self._pid = (await self._shelter.containers.condition(self.container)).pid or -1
        if await self._is_over_quota():
            self._condemn(FaultCode.OUT_OF_DISK, in_words(self.order.disk_bytes))

    async def _is_over_quota(self) -> bool:
        return await self._shelter.files.call(self._measure)

    def _measure(self) -> bool:
        pids = processes_of(self._pid, self.container) if self._pid > 0 else ()
        taken = measure((self.order.workspace,), self.order.disk_bytes, pids)
        self._disk_bytes = taken.size_bytes
        return taken.exceeds(self.order.disk_bytes)

    def _condemn(self, code: FaultCode, about: str) -> None:
        self._verdict = Problem(code=code, about=about)
        self._nursery.start("kill", self._kill())

    async def _kill(self) -> None:
        """Until it is dead: an engine that hangs is asked again."""
        while not self._ended.is_set():
            with contextlib.suppress(EngineError):
                await self._shelter.containers.signal(self.container, "SIGKILL")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S):
                    await self._ended.wait()

    async def _keep_marks(self) -> None:
        """A quiet program has a running time too: an adopter must know it."""
        while True:
            assert self._output is not None
            await self._output(b"", self._mark())
            await asyncio.sleep(MARK_EVERY_S)

    async def _keep_figures(self) -> None:
        """Once a second while somebody looks, else seldom; soon after the start, as tasks may be short."""
        await asyncio.sleep(FIRST_FIGURES_S)
        while True:
            await self._read_figures()
            await asyncio.sleep(FIGURES_EVERY_S)
            if time.monotonic() - self._looked_at_s > LOOKED_AT_S:
                self._looked.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FIGURES_SELDOM_S - FIGURES_EVERY_S):
                        await self._looked.wait()

    async def _read_figures(self) -> None:
        with contextlib.suppress(EngineError):
            now = read_stats(await self._shelter.containers.stats(self.container), time.time())
            if now.cpu_s or now.memory_bytes:  # nothing: it has ended
                before, self._last = self._last, now
                self._figures = figures(
                    now, before, disk_bytes=self._disk_bytes, memory_limit_bytes=self.order.memory_bytes
                )

    # --- verbs ------------------------------------------------------------------------------

    def stop(self, grace_s: float) -> None:
        """Ask it to end, and see to it that it does."""
        self._stopped.set()
        if self._is_running:
            self._nursery.start("stop", self._end_it(grace_s))

    @property
    def _is_running(self) -> bool:
        return self._is_started and not self._ended.is_set() and not self._is_over

    async def _end_it(self, grace_s: float) -> None:
        if grace_s > 0:
            with contextlib.suppress(EngineError):
                await self._shelter.containers.signal(self.container, "SIGTERM")
                if self._clock.is_paused:
                    await self._shelter.containers.thaw(self.container)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._ended.wait()
        await self._kill()

    async def pause(self) -> None:
        """Freeze it; its clock stands still."""
        self._wants_pause = True
        if self._is_running:
            await self._freeze_or_thaw()

    async def resume(self) -> None:
        """Thaw it."""
        self._wants_pause = False
        if self._is_running:
            await self._freeze_or_thaw()

    async def _freeze_or_thaw(self) -> None:
        """Bring about the latest wish; an engine that is away is asked again."""
        async with self._turn:
            while not self._ended.is_set() and not self._stopped.is_set():
                wished = bool(self._wants_pause)
                try:
                    condition = await self._shelter.containers.condition(self.container)
                    if condition.status == ("paused" if wished else "running"):
                        self._note_frozen(wished)
                        return
                    verb = self._shelter.containers.freeze if wished else self._shelter.containers.thaw
                    await verb(self.container)
                except EngineError as error:
                    if error.trouble is Trouble.GONE:
                        return
                    await asyncio.sleep(0.1 if error.trouble is not Trouble.AWAY else RETRY_S)

    def _note_frozen(self, is_frozen: bool) -> None:
        if is_frozen and not self._clock.is_paused:
            self._clock.pause()
        elif not is_frozen:
            self._clock.resume()

    def figures(self) -> RunFigures | None:
        """What it uses; who asks has it measured every second for a while."""
        self._looked_at_s = time.monotonic()
        self._looked.set()
        return self._figures

    async def share(self, cores: float) -> None:
        """Another share of the processor, at once."""
        cores = min(cores, self.order.cpu_cores)
        if self._is_running:
            with contextlib.suppress(EngineError):
                await self._shelter.containers.share(self.container, cpu_quota(cores))

    # --- the end ----------------------------------------------------------------------------

    async def _judged(self, code: int) -> Outcome:
        if code != 0 and not self._stopped.is_set() and self._verdict is None:
            problem = await self._reason(code)
            return self._outcome(problem, code)
        if self._verdict is None and not self._stopped.is_set() and await self._is_over_quota():
            # It may have written faster than it was looked at, and ended before the next look.
            self._verdict = Problem(code=FaultCode.OUT_OF_DISK, about=in_words(self.order.disk_bytes))
        return self._outcome(None, code)

    async def _reason(self, code: int) -> Problem:
        if await self._ran_out_of_memory(code):
            return Problem(code=FaultCode.OUT_OF_MEMORY, about=in_words(self.order.memory_bytes))
        if await self._is_over_quota():
            return Problem(code=FaultCode.OUT_OF_DISK, about=in_words(self.order.disk_bytes))
        if self._was_away and code in KILLED_CODES:
            return Problem(code=FaultCode.ENGINE_RESTARTED, about="the program was ended with it")
        return Problem(code=FaultCode.EXIT_CODE, about=str(code))

    async def _ran_out_of_memory(self, code: int) -> bool:
        for _ in range(2 if code == 137 else 1):
            with contextlib.suppress(EngineError):
                if (await self._shelter.containers.condition(self.container)).out_of_memory:
                    return True
            await asyncio.sleep(OOM_NEWS_S if code == 137 else 0)
        return False

    def _outcome(self, problem: Problem | None, code: int | None = None) -> Outcome:
        usage = Usage(
            cpu_s=self._last.cpu_s if self._last else 0.0,
            wall_s=self._clock.running_s if self._is_started else 0.0,
            peak_memory_bytes=self._last.peak_bytes if self._last else 0,
        )
        if code == 0 and self._verdict is None:
            return Outcome(exit_code=0, problem=None, usage=usage)
        if self._stopped.is_set():
            return Outcome(exit_code=None, problem=None, usage=usage)
        problem = self._verdict or problem
        own = problem is not None and problem.code is FaultCode.EXIT_CODE
        return Outcome(exit_code=code if own else None, problem=problem, usage=usage)

    async def _finish(self) -> None:
        """Nothing of it is left: also after a cancellation, with the limits of the calls."""
        self._is_over = True
        self._stopped.set()
        await self._nursery.close(0.5)
        if self._listener is not None:
            self._listener.break_off()
        if self._is_started and not self._ended.is_set():
            await self.remove()
        self._ended.set()
        await self._shelter.files.call(owners.take_back, self.order.workspace)
        if self._packages is not None:
            self._shelter.packages.give_back(self._packages)
        if self._image is not None:
            self._shelter.images.give_back(self._image)

    async def remove(self) -> bool:
        """Take the container away; False when the engine would not do it now."""
        try:
            await self._drop_container()
        except EngineError as error:
            log.warning("container %s is left for now: %s", self.name, error)
            return False
        return True

    async def _drop_container(self) -> None:
        if self._listener is not None:
            self._listener.break_off()
            self._listener = None
        if self.container:
            await self._shelter.containers.remove(self.container)
            self.container = ""


async def _tell(preparing: PreparingSink, phase: Phase, text: str) -> None:
    await preparing(phase, text)


def _requirements(workspace: Path) -> tuple[str, ...]:
    """Lines of the task's own file; it is checked where it is used."""
    path = workspace / "requirements.txt"
    if path.is_symlink() or not path.is_file() or path.stat().st_size > 1 << 20:
        return ()
    return tuple(path.read_text(encoding="utf-8", errors="replace").splitlines())


def _trouble(error: EngineError) -> Problem:
    return Problem(code=FaultCode.SANDBOX_FAILED, about=f"Docker: {error}")


def in_words(size_bytes: int) -> str:
    """An amount for people: GiB from one up, else MiB."""
    if size_bytes >= 1 << 30:
        return f"{size_bytes / (1 << 30):.3g} GiB"
    return f"{size_bytes / (1 << 20):.3g} MiB"
