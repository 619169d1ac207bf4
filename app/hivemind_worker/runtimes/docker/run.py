"""One attempt of one task in one container: made, started, listened to, held to its limits, judged, removed.

The verbs may come at any time, also before and after. Counterparts: `runtime`, which keeps the list of
runs; `launch`, which makes the container; `listener`, which hears it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Outcome, Phase, Problem, Usage
from hivemind_worker.model.work import PullProgress, RunOrder
from hivemind_worker.nursery import Nursery
from hivemind_worker.runtimes.docker.accounts import account_of
from hivemind_worker.runtimes.docker.clock import RunningClock
from hivemind_worker.runtimes.docker.containers import Condition
from hivemind_worker.runtimes.docker.engine import EngineError, Trouble
from hivemind_worker.runtimes.docker.frames import Piece
from hivemind_worker.runtimes.docker.gauge import Gauge
from hivemind_worker.runtimes.docker.halting import Halt
from hivemind_worker.runtimes.docker.hardening import cpu_quota
from hivemind_worker.runtimes.docker.launch import Launch, Shelter, engine_problem
from hivemind_worker.runtimes.docker.listener import Listener
from hivemind_worker.runtimes.docker.position import Position, read_mark
from hivemind_worker.runtimes.docker.processes import processes_of
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
WISH_LIMIT_S = 3.0
OOM_NEWS_S = 0.3  # the engine may learn of it a moment after the end
KILLED_CODES = (137, 143, 255)


class Run:
    """See the module. `run` or `adopt` once; nothing of the program is alive when they return."""

    def __init__(self, order: RunOrder, shelter: Shelter) -> None:
        self.order = order
        self.launch = Launch(order, shelter, self._attach)
        self.gauge = Gauge(shelter.containers, order.memory_bytes, shelter.moved)
        self._shelter = shelter
        self._clock = RunningClock()
        self._nursery = Nursery(f"run-{order.key[:8]}")
        self._listener: Listener | None = None
        self._position = Position()
        self._output: OutputSink | None = None
        self._stopped = asyncio.Event()
        self._ended = asyncio.Event()
        self._is_started = False
        self._is_over = False
        self._has_end = False
        self._wants_pause: bool | None = None
        self._verdict: Problem | None = None
        self._was_away = False
        self._turn = asyncio.Lock()  # freezing and thawing one after another
        self._pid, self._full_id = 0, ""
        self._halt = Halt()
        self.process: int | None = None  # the first one, where it is this computer's own

    # --- hearing ----------------------------------------------------------------------------

    async def _attach(self, container: str) -> None:
        """Listen before the start: then nothing is missed."""
        self._listener = self._new_listener(container)
        await self._shelter.listeners.call(self._listener.attach)

    def _new_listener(self, container: str) -> Listener:
        if self._listener is not None:
            self._listener.break_off()
        return Listener(self._shelter.engine, container, self._position, self._deliver)

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
            assert self.launch.image is not None
            await started(self.launch.name, image=self.launch.image.version, runtime="docker")
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
            problem = await self.launch.prepare(fetching)
        if problem is None:
            problem = await self.launch.take_packages(preparing)
        if problem is None:
            await self.launch.hand_over()
        return problem

    async def _from_start(self) -> Outcome:
        """The start is written down: start it."""
        self._clock.begin()
        self._is_started = True
        try:
            await self._shelter.containers.start(self.container)
        except EngineError as error:
            if error.trouble is not Trouble.AWAY:
                return self._outcome(engine_problem(error))
            condition = await self._found_again()  # it may have started all the same
            if isinstance(condition, Problem):
                return self._outcome(condition)
        return await self._see_through()

    async def adopt(self, where: str, mark: bytes, output: OutputSink) -> Outcome | None:
        """Go on with a container of an earlier life; None when there is none."""
        self._output = output
        self._position = read_mark(mark)
        self.launch.container = self.launch.name = where
        self._is_started = self.gauge.is_adopted = True
        try:
            condition = await self._found_again()
            self._was_away = False
            if isinstance(condition, Problem):
                return self._outcome(condition) if condition.code is FaultCode.ENGINE_LOST else None
            self._take_up(condition)
            key = self.order.key
            log.info("task %s goes on in container %s", key, where, extra={"task": key})
            return await self._see_through()
        finally:
            await self._finish()

    def _take_up(self, condition: Condition) -> None:
        """Its clock goes on; a freeze is as it was left, unless a wish has come meanwhile."""
        position = self._position
        self._look_at(condition)
        if self._wants_pause is None:
            self._wants_pause = condition.status == "paused"
        away_s = max(0.0, time.time() - position.at_s) if position.at_s else 0.0
        if condition.status == "paused":
            self._clock.pause()
        self._clock.begin(position.running_s + (0.0 if condition.status == "paused" else away_s))

    async def _see_through(self) -> Outcome:
        """Until it has ended, whatever becomes of the engine meanwhile."""
        self._nursery.start("limits", self._keep_limits())
        self._nursery.start("figures", self.gauge.keep(self.container))
        self._nursery.start("marks", self._keep_marks())
        if self._stopped.is_set():
            self._nursery.start("stop", self._end_it(0.0))
        if self._wants_pause is not None:
            self._nursery.start("pause", self._freeze_or_thaw())
        while True:
            if self._listener is None:
                self._listener = self._new_listener(self.container)
            code = await self._hear(self._listener)
            self._listener = None
            if code is not None:
                self._ended.set()
                self._has_end = True
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
                await self._attach(self.container)
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
                self._look_at(await self._shelter.containers.condition(self.container))
        if await self._is_over_quota():
            self._condemn(FaultCode.OUT_OF_DISK, in_words(self.order.disk_bytes))

    def _look_at(self, condition: Condition) -> None:
        self._pid, self._full_id = condition.pid or -1, condition.container
        self._halt.sees(self._pid, self._full_id)

    async def _is_over_quota(self) -> bool:
        return await self._shelter.files.call(self._measure)

    def _measure(self) -> bool:
        pids = processes_of(self._pid, self._full_id) if self._pid > 0 else ()
        self.process = pids[0] if pids else None
        if pids:
            self.gauge.counted(account_of(self._pid, self._full_id))
        taken = measure((self.order.workspace,), self.order.disk_bytes, pids)
        self.gauge.disk_bytes = taken.size_bytes
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
            self._halt.go_on(whatever=self.gauge.is_adopted)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._ended.wait()
        await self._kill()

    async def pause(self) -> None:
        """Freeze it; its clock stands still."""
        self._wants_pause = True
        await self._bring_about()

    async def resume(self) -> None:
        """Thaw it."""
        self._wants_pause = False
        if not self._clock.is_paused:  # the engine may hang: its freezer was not reached
            self._halt.go_on()
        await self._bring_about()

    async def _bring_about(self) -> None:
        """An engine that hangs must not keep the caller: a stop may come behind."""
        if self._is_running:
            wish = self._nursery.start("wish", self._freeze_or_thaw())
            await asyncio.wait({wish}, timeout=WISH_LIMIT_S)

    async def _freeze_or_thaw(self) -> None:
        """Bring about the latest wish; an engine that is away is asked again."""
        async with self._turn:
            while not self._ended.is_set() and not self._stopped.is_set():
                if wished := bool(self._wants_pause):
                    self._halt.stop()
                try:
                    # Order first and look only when that was refused: somebody waits for the computer.
                    if await self._ordered(wished) or await self._is_frozen() is wished:
                        self._note_frozen(wished)
                        return
                    await asyncio.sleep(0.02)  # runc cannot freeze at every moment; at the next it can
                except EngineError as error:
                    if error.trouble is Trouble.GONE:
                        return
                    await asyncio.sleep(0.1 if error.trouble is not Trouble.AWAY else RETRY_S)

    async def _ordered(self, freeze: bool) -> bool:
        """Whether the engine did it: it refuses what is so already, and what does not run."""
        verb = self._shelter.containers.freeze if freeze else self._shelter.containers.thaw
        try:
            await verb(self.container)
        except EngineError as error:
            if error.trouble in (Trouble.AWAY, Trouble.GONE):
                raise
            return False
        return True

    async def _is_frozen(self) -> bool | None:
        """None while it does not run at all, e.g. before its start has come through."""
        status = (await self._shelter.containers.condition(self.container)).status
        if status not in ("running", "paused"):
            await asyncio.sleep(0.1)
            return None
        return status == "paused"

    def _note_frozen(self, is_frozen: bool) -> None:
        if is_frozen and not self._clock.is_paused:
            self._clock.pause()
        elif not is_frozen:
            self._halt.go_on(whatever=self.gauge.is_adopted)
            self._clock.resume()

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
            cpu_s=self.gauge.cpu_s,
            wall_s=self._clock.running_s if self._is_started else 0.0,
            peak_memory_bytes=self.gauge.peak_bytes,
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
        await self.launch.give_back()

    async def remove(self) -> bool:
        """Take the container away; False when that could not be done now."""
        if self._listener is not None:
            self._listener.break_off()
            self._listener = None
        return await self.launch.drop()

    @property
    def has_ended_by_itself(self) -> bool:
        """Whether its container tells how the program ended."""
        return self._is_started and self._has_end

    @property
    def container(self) -> str:
        """Its id, empty while there is none."""
        return self.launch.container


async def _tell(preparing: PreparingSink, phase: Phase, text: str) -> None:
    await preparing(phase, text)


def in_words(size_bytes: int) -> str:
    """An amount for people: GiB from one up, else MiB."""
    if size_bytes >= 1 << 30:
        return f"{size_bytes / (1 << 30):.3g} GiB"
    return f"{size_bytes / (1 << 20):.3g} MiB"
