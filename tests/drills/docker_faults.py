"""F1 to F4 and F12 with tasks in Docker: the worker dies, the engine restarts or hangs, memory runs out."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.contract.docker_engine import IMAGE, TestEngine, session_engine, why_not
from tests.drills.checker import check
from tests.drills.findings import Sheet
from tests.drills.records import archive_status, archive_text
from tests.drills.stand import Stand, stand

NUMBERS = list(range(160))
ADOPTED_S, READY_S, NOTICED_S, ANSWER_S = 10.0, 15.0, 15.0, 1.0


@asynccontextmanager
async def docker_stand(sheet: Sheet, seed: int) -> AsyncIterator[tuple[Stand, TestEngine] | None]:
    """A stand whose workers run tasks in an engine of the drills' own; None where there can be none."""
    if reason := why_not():
        sheet.not_run = reason
        yield None
        return
    engine = await asyncio.to_thread(session_engine)
    async with stand(sheet, seed) as made:
        made.cpu_score = 40  # four at once also on two cores
        yield made, engine
        await made.life.kill()
        left = [name for name in engine.containers() if name.startswith("task-")]
        if left:
            await asyncio.to_thread(engine.docker, "rm", "-f", *left)


async def up(made: Stand, engine: TestEngine, **more: str) -> None:
    """A worker that runs tasks in Docker, four at once."""
    await made.up(
        HIVEMIND_RUNTIME="docker", DOCKER_HOST=engine.url, HIVEMIND_TASK_IMAGE=IMAGE,
        HIVEMIND_PULL_IMAGES="false", MAX_CONCURRENT_TASKS="4", MAX_CPU_CORES="4", **more,
    )  # fmt: skip


def numbers(text: str) -> list[int]:
    """Those that a numbered task has printed, in order."""
    return [int(found) for found in re.findall(r"^number (\d+)$", text, re.M)]


def container_of(engine: TestEngine, task_id: str) -> str:
    return engine.docker("ps", "--format", "{{.Names}}", "--filter", f"label=io.hivemind.task={task_id}")


async def none_left(sheet: Sheet, engine: TestEngine, where: str, limit_s: float = 30.0) -> None:
    """I3, for containers."""
    ends_at = time.monotonic() + limit_s
    while left := [name for name in await asyncio.to_thread(engine.containers) if name.startswith("task-")]:
        if time.monotonic() > ends_at:
            sheet.expect("I3", False, f"containers are left: {left}", where)
            return
        await asyncio.sleep(0.2)


async def end_try(made: Stand, engine: TestEngine, where: str) -> None:
    """One try is over: everything at rest, no container left, the invariants looked at."""
    await made.settled()
    await none_left(made.sheet, engine, where)
    await check(made, where)
    made.sheet.tries += 1


def expect_whole(sheet: Sheet, made: Stand, task_id: str, result: bytes, where: str) -> None:
    """Each number once: in the archive and at the pool."""
    kept = numbers(archive_text(result, "task_logs.txt"))
    sheet.expect("I1", kept == NUMBERS, f"{task_id!r}: the log of the archive has {_gaps(kept)}", where)
    told = numbers(made.pool.outputs[task_id])
    sheet.expect("I1", told == NUMBERS, f"{task_id!r}: the pool has {_gaps(told)}", where)


def _gaps(found: list[int]) -> str:
    missing = sorted(set(NUMBERS) - set(found))
    return f"{len(found)} numbers, {missing} missing, {len(found) - len(set(found))} twice"


async def f1_docker(sheet: Sheet, seed: int, tries: int) -> None:
    """kill -9 of the worker amid numbered output: the same container goes on, each number comes once."""
    for n in range(tries):
        async with docker_stand(sheet, seed + n) as found:
            if found is None:
                return
            made, engine = found
            await up(made, engine)
            await made.give("a", "numbered")
            await made.printed("a", "number 30\n")
            await asyncio.sleep(made.chance.uniform(0, 0.7))
            before = await asyncio.to_thread(container_of, engine, "a")
            await made.life.kill()
            await asyncio.sleep(made.chance.uniform(0, 1.0))
            again_s = time.monotonic()
            await up(made, engine)
            goes_on = await made.life.said("goes on in container", ADOPTED_S)
            sheet.expect("I6", time.monotonic() - again_s < ADOPTED_S, "it was adopted late", f"try {n}")
            adopted = goes_on.split()[-1]  # not from the engine: by then the task may have ended
            sheet.expect("I2", adopted == before, f"{before} became {adopted}", f"try {n}")
            result = await made.result("a")
            sheet.expect("I2", archive_status(result) == "COMPLETED", archive_status(result), f"try {n}")
            await made.settled()
            expect_whole(sheet, made, "a", result, f"try {n}")
            await end_try(made, engine, f"try {n}")


COMPLETED, CUT_OFF = "COMPLETED", "(interrupted)"
STEPS = {
    "accepted": CUT_OFF, "unpacked": CUT_OFF, "started-unwritten": CUT_OFF, "started": COMPLETED,
    "exited-unwritten": COMPLETED, "exited": COMPLETED, "packed-unwritten": COMPLETED, "packed": COMPLETED,
}  # fmt: skip


async def f2_docker(sheet: Sheet, seed: int, tries: int, *, steps: int = len(STEPS)) -> None:
    """Die at each step with a task in Docker: what has started, or even ended, is not lost."""
    for n in range(tries):
        async with docker_stand(sheet, seed + n) as found:
            if found is None:
                return
            made, engine = found
            for step in made.chance.sample(sorted(STEPS), steps):
                name, where = f"dies {step}", f"{step}, try {n}"
                await up(made, engine, HIVEMIND_TEST_BUILD="1", HIVEMIND_CRASH_AT=step)
                await made.offer(name, "quick")
                made.kinds[name] = "quick"
                await made.life.ended()
                await up(made, engine)
                log = archive_text(await made.result(name), "execution_log.txt")
                sheet.expect("I1", STEPS[step] in log, f"{name!r}: {log!a}", where)
                await end_try(made, engine, where)
                await made.life.end()


async def f3(sheet: Sheet, seed: int, tries: int) -> None:
    """The engine is restarted, politely or not, in the middle of two tasks; then it takes the next one."""
    for n in range(tries):
        async with docker_stand(sheet, seed + n) as found:
            if found is None:
                return
            made, engine = found
            await up(made, engine)
            for name in ("a", "b"):
                await made.give(name, "numbered")
            await made.printed("a", "number 20\n")
            await asyncio.to_thread(engine.restart, (signal.SIGTERM, signal.SIGKILL)[n % 2])
            back_s = time.monotonic()
            for name in ("a", "b"):
                result = await made.result(name)
                log = archive_text(result, "execution_log.txt")
                sheet.expect(
                    "I6", "(engine_restarted)" in log, f"{name!r} does not say why: {log!a}", f"try {n}"
                )
                kept = numbers(archive_text(result, "task_logs.txt"))
                sheet.expect("I1", kept == NUMBERS[: len(kept)], f"{name!r} has {_gaps(kept)}", f"try {n}")
                sheet.expect("I1", len(kept) > 10, f"{name!r} has only {len(kept)} numbers", f"try {n}")
            await made.give("next", "quick")
            sheet.expect("I6", time.monotonic() - back_s < READY_S, "it was ready again late", f"try {n}")
            sheet.expect("I1", bool(await made.result("next")), "no result", f"try {n}")
            await end_try(made, engine, f"try {n}")


async def f4(sheet: Sheet, seed: int, tries: int, hung_s: float = 60.0) -> None:
    """The engine hangs: the worker answers, says so, takes nothing; afterwards everything goes on."""
    for n in range(tries):
        async with docker_stand(sheet, seed + n) as found:
            if found is None:
                return
            made, engine = found
            await up(made, engine)
            await made.give("a", "slow" if hung_s > 10 else "numbered")
            await made.pool.until(lambda made=made: bool(made.pool.outputs["a"]), 20)  # type: ignore[misc]
            engine.freeze()
            try:
                await _while_hung(made, sheet, hung_s, f"try {n}")
            finally:
                engine.thaw()
            back_s = time.monotonic()
            await made.give("b", "quick")
            sheet.expect("I6", time.monotonic() - back_s < READY_S, "it was ready again late", f"try {n}")
            sheet.expect("I1", archive_status(await made.result("b")) == "COMPLETED", "b", f"try {n}")
            result = await made.result("a", 120)
            sheet.expect("I1", archive_status(result) == "COMPLETED", archive_status(result), f"try {n}")
            await end_try(made, engine, f"try {n}")


async def _while_hung(made: Stand, sheet: Sheet, hung_s: float, where: str) -> None:
    began_s, slowest_s, noticed_s = time.monotonic(), 0.0, None
    beats = len(made.pool.of("RegisterWorkerNode"))
    while time.monotonic() - began_s < hung_s or noticed_s is None:
        asked_s = time.monotonic()
        status = await made.life.status()
        slowest_s = max(slowest_s, time.monotonic() - asked_s)
        if noticed_s is None and "engine_hung" in str(status["verdicts"]):
            noticed_s = time.monotonic() - began_s
            answer = await made.offer("while hung", "quick")
            refused = answer is not None and not answer.success
            sheet.expect("I6", refused, "a task was taken while the engine hung", where)
            made.kinds.pop("while hung", None)
        if time.monotonic() - began_s > NOTICED_S and noticed_s is None:
            break
        await asyncio.sleep(0.2)
    sheet.expect("I6", noticed_s is not None, f"not noticed within {NOTICED_S:g} s", where)
    sheet.expect("I6", slowest_s < ANSWER_S, f"an answer took {slowest_s:.2f} s", where)
    if hung_s > 20:
        went_on = len(made.pool.of("RegisterWorkerNode")) > beats
        sheet.expect("I6", went_on, "the pool heard nothing meanwhile", where)
    sheet.notes.append(f"noticed after {noticed_s or -1:.1f} s, slowest answer {slowest_s * 1000:.0f} ms")


async def f12(sheet: Sheet, seed: int, tries: int) -> None:
    """A task that eats memory ends with that reason, and the one beside it does not notice."""
    for n in range(tries):
        async with docker_stand(sheet, seed + n) as found:
            if found is None:
                return
            made, engine = found
            await up(made, engine)
            await made.give("calm", "numbered")
            await made.give("eats", "hungry")
            log = archive_text(await made.result("eats"), "execution_log.txt")
            sheet.expect("I6", "(out_of_memory)" in log, f"it does not say why: {log!a}", f"try {n}")
            result = await made.result("calm")
            await made.settled()
            expect_whole(sheet, made, "calm", result, f"try {n}")
            await end_try(made, engine, f"try {n}")


async def f1_f3_docker(sheet: Sheet, seed: int, tries: int) -> None:
    """kill -9 of the worker and a restart of the engine in the middle of four tasks: each ends once."""
    for n in range(tries):
        async with docker_stand(sheet, seed + n) as found:
            if found is None:
                return
            made, engine = found
            await up(made, engine)
            names = [f"task {number}" for number in range(4)]
            for name in names:
                await made.give(name, "numbered")
            await made.printed(names[-1], "number 10\n")
            await made.life.kill()
            await asyncio.to_thread(engine.restart)
            await up(made, engine)
            for name in names:
                result = await made.result(name)
                kept = numbers(archive_text(result, "task_logs.txt"))
                sheet.expect("I1", kept == NUMBERS[: len(kept)], f"{name!r} has {_gaps(kept)}", f"try {n}")
                sheet.expect("I1", len(kept) > 5, f"{name!r} has only {len(kept)} numbers", f"try {n}")
            await end_try(made, engine, f"try {n}")
