"""The engine with its real journal and real archives: nothing lost, nothing twice, always an answer."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from hivemind_worker.engine import outbox
from hivemind_worker.model.effects import Accepted, Refused
from hivemind_worker.model.events import (
    ClockTicked,
    FactsSeen,
    PauseAsked,
    ResumeAsked,
    RulesChanged,
    RunModeAsked,
    ShutdownAsked,
    StopAsked,
)  # fmt: skip
from hivemind_worker.model.facts import RuleFacts
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.history import JournalEntry
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.rules import Rules
from hivemind_worker.model.task import Outcome, Problem, StopReason, TaskId, TaskState, key_of
from hivemind_worker.model.work import RunOrder, Sent
from tests.engine.harness import OK, ScriptedRuntime, rig, zip_of
from tests.fakes.link import DELIVERED, NEVER, TRY_AGAIN, FakeLink

Output = Callable[[bytes], Awaitable[None]]


async def forever(order: RunOrder, output: Output) -> Outcome:
    await output(b"started\n")
    (order.workspace / "half.txt").write_text("half")
    await asyncio.Event().wait()
    return OK


async def test_a_task_runs_and_its_archive_and_log_arrive(tmp_path: Path) -> None:
    async with rig(tmp_path) as worker:
        assert await worker.offer("a b/../c", zip_of()) == Accepted(fresh=True)
        archive = await worker.delivered("a b/../c")
        assert sorted(archive.namelist()) == ["execution_log.txt", "main.py", "out.txt", "task_logs.txt"]
        assert "Status: COMPLETED" in archive.read("execution_log.txt").decode()
        assert archive.read("task_logs.txt") == b"hello\n"
        assert worker.link.output["a b/../c"] == "hello\n[worker] completed, exit code 0\n"
        assert worker.engine.state.node.trust_score == 2
        row = await worker.journal.find(key_of(TaskId("a b/../c")))
        assert row is not None
        assert row.state is TaskState.COMPLETED


async def test_the_workspace_goes_on_delivery_and_the_packed_result_stays(tmp_path: Path) -> None:
    async with rig(tmp_path) as worker:
        await worker.offer("a", zip_of())
        await worker.delivered("a")
        key = key_of(TaskId("a"))
        await worker.until(lambda: not worker.folders.workspace(key).exists())
        assert worker.folders.result(key).exists()
        assert list(worker.places.spool.iterdir()) == []


async def test_three_run_at_once_and_the_fourth_is_refused_with_words(tmp_path: Path) -> None:
    async with rig(tmp_path, ScriptedRuntime(forever)) as worker:
        replies = await asyncio.gather(*(worker.offer(f"t{n}", zip_of()) for n in range(150)))
        assert sum(isinstance(reply, Accepted) for reply in replies) == 3
        refused = [reply for reply in replies if isinstance(reply, Refused)]
        assert {reply.problem.code for reply in refused} == {FaultCode.NO_SLOT}
        await worker.until(lambda: len(worker.runtime.runs) == 3)
        await worker.until(lambda: list(worker.places.spool.iterdir()) == [])


async def test_eight_racing_offers_of_one_task_start_it_once(tmp_path: Path) -> None:
    async with rig(tmp_path, ScriptedRuntime(forever)) as worker:
        replies = await asyncio.gather(*(worker.offer("a", zip_of()) for _ in range(8)))
        assert sum(reply == Accepted(fresh=True) for reply in replies) == 1
        assert sum(reply == Accepted(fresh=False) for reply in replies) == 7
        await worker.until(lambda: len(worker.runtime.runs) == 1)


async def test_a_reoffered_ended_task_gets_its_stored_result_again_and_never_runs_again(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as worker:
        await worker.offer("a", zip_of())
        first = (await worker.delivered("a")).read("out.txt")
        worker.link.archives.clear()
        assert await worker.offer("a", zip_of()) == Accepted(fresh=False)
        assert (await worker.delivered("a")).read("out.txt") == first
        assert len(worker.runtime.runs) == 1
        assert isinstance(await worker.offer("a", zip_of({"main.py": "other"})), Refused)


@pytest.mark.parametrize(
    ("archive", "code"),
    [
        (b"", FaultCode.BAD_ARCHIVE),
        (b"<html>not found</html>", FaultCode.BAD_ARCHIVE),
        (zip_of({"readme.txt": "nothing to run"}), FaultCode.NO_ENTRY_POINT),
        (zip_of({"main.py": "", "../evil.py": ""}), FaultCode.UNSAFE_NAME),
    ],
)
async def test_the_third_offer_of_a_hopeless_archive_is_answered_by_an_archive(
    tmp_path: Path, archive: bytes, code: FaultCode
) -> None:
    async with rig(tmp_path) as worker:
        for _ in range(2):
            reply = await worker.offer("a", archive)
            assert isinstance(reply, Refused)
            assert reply.problem.code is code
        assert await worker.offer("a", archive) == Accepted(fresh=True)
        log = (await worker.delivered("a")).read("execution_log.txt").decode()
        assert "Status: FAILED" in log
        assert f"({code})" in log
        assert worker.runtime.runs == []


async def test_missing_packages_are_named_in_the_refusal(tmp_path: Path) -> None:
    async with rig(tmp_path) as worker:
        worker.runtime.missing = ("torch",)
        reply = await worker.offer("a", zip_of({"main.py": "", "requirements.txt": "torch\n"}))
        assert reply == Refused(problem=Problem(code=FaultCode.MISSING_PACKAGES, about="torch"))


async def test_after_a_crash_the_requester_gets_an_archive_with_what_there_was_once(tmp_path: Path) -> None:
    async with rig(tmp_path, ScriptedRuntime(forever)) as worker:
        await worker.offer("a", zip_of())
        await worker.until(
            lambda: worker.folders.workspace(key_of(TaskId("a"))).joinpath("half.txt").exists()
        )
        await worker.until(lambda: worker.engine.state.tasks[key_of(TaskId("a"))].state is TaskState.RUNNING)
    async with rig(tmp_path, ScriptedRuntime(forever)) as again:
        archive = await again.delivered("a")
        assert archive.read("half.txt") == b"half"
        assert "(interrupted)" in archive.read("execution_log.txt").decode()
        assert again.runtime.runs == []
        assert ("reclaim", key_of(TaskId("a"))) in again.runtime.calls
        assert len(again.link.tries) == 1
    async with rig(tmp_path) as third:
        assert third.engine.state.tasks == {}
        assert third.link.tries == []


async def test_a_finished_result_survives_a_crash_while_the_pool_is_away(tmp_path: Path) -> None:
    link = FakeLink()
    link.results = [TRY_AGAIN]
    async with rig(tmp_path, link=link) as worker:
        await worker.offer("a", zip_of())
        await worker.until(lambda: len(link.tries) >= 1)
        assert worker.engine.state.tasks[key_of(TaskId("a"))].delivery == "owed"
    async with rig(tmp_path) as again:
        assert (await again.delivered("a")).read("out.txt") == b"done"
        assert again.runtime.runs == []


async def test_results_that_arrive_close_together_share_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Line(FakeLink):
        async def send_result(self, task_id: TaskId, archive: Path) -> Sent:
            await asyncio.sleep(0.005)
            return await super().send_result(task_id, archive)

    monkeypatch.setattr(outbox, "GATHER_S", 1.0)
    link, names = Line(), {f"t{n}" for n in range(20)}
    link.results = [TRY_AGAIN]
    async with rig(tmp_path, link=link, max_tasks=20) as worker:
        for name in names:
            await worker.offer(name, zip_of(), Resources(cpu=1))
        await worker.until(lambda: {name for name, _ in link.tries} == names, 30)
        commit, commits = worker.journal.commit, 0

        async def counted(entry: JournalEntry) -> None:
            nonlocal commits
            commits += 1
            await commit(entry)

        monkeypatch.setattr(worker.journal, "commit", counted)
        link.results = [DELIVERED]
        worker.outbox.wake()
        await worker.until(lambda: not worker.engine.state.tasks, 30)
        assert commits <= len(names) / 2
        assert link.archives.keys() == names
        keys = [key_of(TaskId(name)) for name in names]
        await worker.until(lambda: not any(worker.folders.workspace(key).exists() for key in keys))


async def test_a_transport_error_is_tried_again_and_the_pools_no_is_not(tmp_path: Path) -> None:
    link = FakeLink()
    link.results = [TRY_AGAIN, TRY_AGAIN, DELIVERED]
    async with rig(tmp_path, link=link) as worker:
        await worker.offer("a", zip_of())
        await worker.delivered("a")
        assert len(link.tries) == 3
        link.results = [NEVER]
        await worker.offer("b", zip_of())
        await worker.until(lambda: key_of(TaskId("b")) not in worker.engine.state.tasks)
        row = await worker.journal.find(key_of(TaskId("b")))
        assert row is not None
        assert row.delivery == "kept"
        assert len(link.tries) == 4


async def test_a_result_waits_two_seconds_for_a_pool_with_the_race(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RACE_S", 0.4)
    link = FakeLink(prompt=False)
    async with rig(tmp_path, link=link) as worker:
        await worker.offer("a", zip_of())
        answered = asyncio.get_running_loop().time()
        await worker.delivered("a")
        assert link.tries[0][1] - answered >= 0.39


def test_the_race_rule_is_two_seconds() -> None:
    assert outbox.RACE_S == 2.0


async def test_stop_ends_the_task_and_the_archive_says_who_stopped_it(tmp_path: Path) -> None:
    async with rig(tmp_path, ScriptedRuntime(forever)) as worker:
        await worker.offer("a", zip_of())
        half = worker.folders.workspace(key_of(TaskId("a"))) / "half.txt"
        await worker.until(half.exists)
        assert await worker.intake.stop(key_of(TaskId("a"))) == Accepted()
        archive = await worker.delivered("a")
        assert "requester" in archive.read("task_stopped.txt").decode()
        assert archive.read("half.txt") == b"half"
        assert "Status: STOPPED" in archive.read("execution_log.txt").decode()


async def test_pause_freezes_and_resume_thaws_through_the_runtime(tmp_path: Path) -> None:
    async with rig(tmp_path, ScriptedRuntime(forever)) as worker:
        await worker.offer("a", zip_of())
        key = key_of(TaskId("a"))
        await worker.until(lambda: worker.engine.state.tasks[key].state is TaskState.RUNNING)
        await worker.engine.tell(PauseAsked(at_s=1))
        await worker.engine.tell(ResumeAsked(at_s=2))
        await worker.until(lambda: worker.runtime.calls == [("pause", key), ("resume", key)])


async def test_a_pause_that_outlasts_its_time_ends_the_task_and_its_requester_reads_why(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, ScriptedRuntime(forever)) as worker:
        await worker.offer("a", zip_of())
        key = key_of(TaskId("a"))
        await worker.until(lambda: worker.engine.state.tasks[key].state is TaskState.RUNNING)
        await worker.until((worker.folders.workspace(key) / "half.txt").exists)
        now_s = time.time()
        await worker.engine.tell(PauseAsked(at_s=now_s))
        await worker.engine.tell(ClockTicked(at_s=now_s + Rules().pause_ends_task_h * 3600 + 1))
        archive = await worker.delivered("a")
        assert b"its pause lasted longer than its owner allows" in archive.read("task_stopped.txt")
        assert archive.read("half.txt") == b"half"


class Gate:
    """A journal on a disk that is busy until it is opened."""

    def __init__(self, journal: Any) -> None:
        self._journal, self.opened = journal, asyncio.Event()

    async def commit(self, entry: Any) -> None:
        await self.opened.wait()
        await self._journal.commit(entry)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)


async def test_a_freeze_waits_for_no_disk_and_is_written_down_after(tmp_path: Path) -> None:
    async with rig(tmp_path, ScriptedRuntime(forever)) as worker:
        await worker.offer("a", zip_of())
        key = key_of(TaskId("a"))
        await worker.until(lambda: worker.engine.state.tasks[key].state is TaskState.RUNNING)
        gate = worker.engine._journal = Gate(worker.engine._journal)
        pausing = asyncio.ensure_future(worker.engine.tell(PauseAsked(at_s=1)))
        await worker.until(lambda: worker.runtime.calls == [("pause", key)])
        assert not pausing.done()
        gate.opened.set()
        await pausing
        assert worker.engine.state.tasks[key].state is TaskState.PAUSED
        assert worker.runtime.calls == [("pause", key)]
        kept = await worker.engine._journal.find(key)
        assert kept is not None
        assert kept.state is TaskState.PAUSED


async def test_what_was_frozen_ahead_goes_on_where_it_is_decided_otherwise(tmp_path: Path) -> None:
    async with rig(tmp_path, ScriptedRuntime(forever)) as worker:
        await worker.offer("a", zip_of())
        key = key_of(TaskId("a"))
        await worker.until(lambda: worker.engine.state.tasks[key].state is TaskState.RUNNING)
        await worker.engine.tell(RulesChanged(at_s=1, rules=replace(Rules(), idle_on=True)))
        gate = worker.engine._journal = Gate(worker.engine._journal)
        facts = FactsSeen(at_s=2, facts=RuleFacts(steady_s=9.0, idle_s=0.0))
        telling = [
            asyncio.ensure_future(worker.engine.tell(event))
            for event in (RunModeAsked(at_s=2, ignores_rules=True), facts)
        ]
        await worker.until(lambda: worker.runtime.calls == [("pause", key)])
        gate.opened.set()
        await asyncio.gather(*telling)
        await worker.until(lambda: worker.runtime.calls == [("pause", key), ("resume", key)])
        assert worker.engine.state.tasks[key].state is TaskState.RUNNING


class Outliving(ScriptedRuntime):
    """A runtime whose programs outlive the worker: a later life hears the rest of this output."""

    name = "docker"
    rest = b"two\nthree\n"

    async def adopt(
        self, order: RunOrder, where: str, mark: bytes, output: Callable[..., Awaitable[None]]
    ) -> Outcome | None:
        self.calls.append(("adopt", order.key))
        self.marks = [mark]
        await output(self.rest, b"the end")
        return OK


async def says_one(order: RunOrder, output: Callable[..., Awaitable[None]]) -> Outcome:
    await output(b"one\n", b"after one")
    await asyncio.sleep(0.3)  # so that it is in the log, with its mark
    await output(b"tw")  # in the log, but behind the last mark
    await asyncio.Event().wait()
    return OK


async def test_a_run_that_outlived_a_crash_goes_on_behind_its_mark_before_it_hears_wishes(
    tmp_path: Path,
) -> None:
    key, link = key_of(TaskId("a")), FakeLink()
    async with rig(tmp_path, Outliving(says_one), link) as worker:
        await worker.offer("a", zip_of())
        log = worker.folders.log(key)
        await worker.until(lambda: log.exists() and log.read_bytes() == b"one\ntw")
        await worker.engine.tell(PauseAsked(at_s=time.time()))
        await worker.until(lambda: worker.runtime.calls == [("pause", key)])
    runtime = Outliving()
    async with rig(tmp_path, runtime, link) as again:
        archive = await again.delivered("a")
        assert [call for call in runtime.calls if call[0] != "forget"] == [("adopt", key), ("pause", key)]
        assert runtime.marks == [b"after one"]
        assert archive.read("task_logs.txt") == b"one\ntwo\nthree\n"
        assert "Status: COMPLETED" in archive.read("execution_log.txt").decode()
        told = link.output[TaskId("a")]
        assert [told.count(line) for line in ("one\n", "two\n", "three\n")] == [1, 1, 1]


async def test_an_ended_run_leaves_no_file_open(tmp_path: Path) -> None:
    async def says_all(order: RunOrder, output: Callable[..., Awaitable[None]]) -> Outcome:
        await output(b"one\n", b"after one")
        return OK

    before = {each.path for each in psutil.Process().open_files()}
    async with rig(tmp_path, Outliving(says_all)) as worker:
        for task in ("a", "b"):
            await worker.offer(task, zip_of())
            await worker.delivered(task)
        opened = {each.path for each in psutil.Process().open_files()} - before
        assert [path for path in opened if str(worker.places.tasks) in path] == []


async def test_a_run_of_which_nothing_outlived_the_crash_is_reported(tmp_path: Path) -> None:
    class Gone(Outliving):
        async def adopt(self, *_: object) -> Outcome | None:  # type: ignore[override]
            return None

    async with rig(tmp_path, Outliving(says_one)) as worker:
        await worker.offer("a", zip_of())
        await worker.until(lambda: worker.folders.log(key_of(TaskId("a"))).exists())
    async with rig(tmp_path, Gone()) as again:
        archive = await again.delivered("a")
        report = archive.read("execution_log.txt").decode()
        assert "(interrupted)" in report
        assert b"one" in archive.read("task_logs.txt")


async def test_the_owners_wish_survives_a_restart(tmp_path: Path) -> None:
    async with rig(tmp_path) as worker:
        await worker.engine.tell(PauseAsked(at_s=1, until_s=9e12))
    async with rig(tmp_path) as again:
        assert again.engine.state.node.mode == "paused"
        assert again.engine.state.node.until_s == 9e12
        assert isinstance(await again.offer("a", zip_of()), Refused)


async def test_shutdown_packs_what_runs_and_leaves_it_owed_when_the_pool_is_away(tmp_path: Path) -> None:
    link = FakeLink()
    link.results = [TRY_AGAIN]
    async with rig(tmp_path, ScriptedRuntime(forever), link) as worker:
        await worker.offer("a", zip_of())
        await worker.until(lambda: len(worker.runtime.runs) == 1)
        await worker.engine.tell(ShutdownAsked(at_s=1))
        await asyncio.wait_for(worker.engine.packed(), 5)
    async with rig(tmp_path) as again:
        archive = await again.delivered("a")
        assert "shut down" in archive.read("execution_log.txt").decode()


async def test_an_unwritable_journal_refuses_offers_and_keeps_what_happened(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def wait_for_gate(order: RunOrder, output: Output) -> Outcome:
        await gate.wait()
        return OK

    async with rig(tmp_path, ScriptedRuntime(wait_for_gate)) as worker:
        await worker.offer("a", zip_of())
        await worker.until(lambda: worker.engine.state.tasks[key_of(TaskId("a"))].state is TaskState.RUNNING)
        lock = sqlite3.connect(worker.places.journal, isolation_level=None)
        lock.execute("CREATE TRIGGER full BEFORE INSERT ON history BEGIN SELECT RAISE(ABORT, 'no'); END")
        reply = await worker.offer("b", zip_of())
        assert isinstance(reply, Refused)
        assert reply.problem.code is FaultCode.JOURNAL_UNWRITABLE
        gate.set()
        await worker.until(lambda: list(worker.places.spool.iterdir()) == [])
        assert worker.engine.state.tasks[key_of(TaskId("a"))].state is TaskState.RUNNING
        # The end of the run waits for the journal; an offer does not wait behind it, and it shows.
        reply = await asyncio.wait_for(worker.offer("c", zip_of()), 0.5)
        assert isinstance(reply, Refused)
        assert worker.engine.shown.blocker is not None
        assert worker.engine.shown.blocker.code is FaultCode.JOURNAL_UNWRITABLE
        lock.execute("DROP TRIGGER full")
        lock.close()
        assert (await worker.delivered("a")).read("execution_log.txt")
        assert worker.engine.shown.blocker is None


async def test_a_journal_that_is_replaced_gets_everything_that_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()

    async def wait_for_gate(order: RunOrder, output: Output) -> Outcome:
        await gate.wait()
        return OK

    async with rig(tmp_path, ScriptedRuntime(wait_for_gate)) as worker:
        for name in ("a", "b"):
            await worker.offer(name, zip_of())
        await worker.until(lambda: len(worker.runtime.runs) == 2)
        empty = sqlite3.connect(worker.places.journal, isolation_level=None)
        empty.executescript("DELETE FROM tasks; DELETE FROM node; DELETE FROM history;")
        empty.close()
        commit = worker.journal.commit

        async def renewed(entry: JournalEntry) -> None:
            monkeypatch.setattr(worker.journal, "commit", commit)
            raise OSError("the journal was damaged")

        monkeypatch.setattr(worker.journal, "commit", renewed)
        await worker.engine.tell(StopAsked(at_s=1.0, key=key_of(TaskId("a")), reason=StopReason.POOL))
        open_ids = {row.task_id for row in await worker.journal.open_tasks()}
        assert open_ids >= {"b"}
        gate.set()
        await worker.delivered("b")


async def test_a_slow_pool_gets_a_mark_and_the_file_gets_every_line(tmp_path: Path) -> None:
    async def talk(order: RunOrder, output: Output) -> Outcome:
        for start in range(0, 20_000, 500):
            await output(b"".join(b"line %d\n" % n for n in range(start, start + 500)))
        return OK

    link = FakeLink()
    link.output_pause_s = 0.02
    async with rig(tmp_path, ScriptedRuntime(talk), link) as worker:
        await worker.offer("a", zip_of())
        lines = (await worker.delivered("a")).read("task_logs.txt").decode().splitlines()
        assert lines == [f"line {n}" for n in range(20_000)]
        assert "lines left out here" in link.output["a"]
        assert link.output["a"].endswith("line 19999\n[worker] completed, exit code 0\n")
        assert max(map(len, link.output_calls)) <= 8 * 1024 + 100


class ToldLink(FakeLink):
    """Notes that output was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    async def send_output(self, task_id: TaskId, text: str) -> Sent:
        self.told.set()
        return await super().send_output(task_id, text)


async def test_a_line_that_is_written_in_pieces_reaches_the_pool_as_one(tmp_path: Path) -> None:
    """A pool ends a line behind each text; without buffers a program writes a line in several pieces."""
    link = ToldLink()

    async def talk(order: RunOrder, output: Output) -> Outcome:
        await output(b"step 0\nstep")
        await asyncio.wait_for(link.told.wait(), 10)
        await output(b" 1\n")
        return OK

    async with rig(tmp_path, ScriptedRuntime(talk), link) as worker:
        await worker.offer("a", zip_of())
        await worker.delivered("a")
        assert link.output_calls[0] == "step 0\n" and link.output_calls[1].startswith("step 1\n")


async def test_a_line_without_an_end_reaches_the_pool_all_the_same(tmp_path: Path) -> None:
    link = ToldLink()

    async def ask(order: RunOrder, output: Output) -> Outcome:
        await output(b"50 %")
        await asyncio.wait_for(link.told.wait(), 20)
        return OK

    async with rig(tmp_path, ScriptedRuntime(ask), link) as worker:
        await worker.offer("a", zip_of())
        await worker.delivered("a")
        assert link.output_calls[0] == "50 %"


async def test_the_log_file_is_cut_with_a_mark_at_its_limit(tmp_path: Path) -> None:
    async def flood(order: RunOrder, output: Output) -> Outcome:
        for _ in range(40):
            await output(b"x" * 65_536)
        return OK

    async with rig(tmp_path, ScriptedRuntime(flood)) as worker:
        await worker.offer("a", zip_of())
        text = (await worker.delivered("a")).read("task_logs.txt")
        assert len(text) < (1 << 20) + 200
        assert text.endswith(b"is reached]\n")


async def test_bytes_that_are_no_text_reach_the_pool_as_text(tmp_path: Path) -> None:
    async def noise(order: RunOrder, output: Output) -> Outcome:
        await output(b"\xff\xfe \xe4\xbd")
        await output(b"\xa0\n")
        return OK

    async with rig(tmp_path, ScriptedRuntime(noise)) as worker:
        await worker.offer("a", zip_of())
        await worker.delivered("a")
        assert worker.link.output["a"].startswith("\ufffd\ufffd 你\n")


async def test_a_runtime_that_breaks_fails_the_task_and_not_the_worker(tmp_path: Path) -> None:
    async def broken(order: RunOrder, output: Output) -> Outcome:
        raise RuntimeError("what now")

    async with rig(tmp_path, ScriptedRuntime(broken)) as worker:
        await worker.offer("a", zip_of())
        assert "sandbox_failed" in (await worker.delivered("a")).read("execution_log.txt").decode()
        assert await worker.offer("b", zip_of()) == Accepted(fresh=True)


async def test_the_order_carries_the_limits_of_owner_and_request(tmp_path: Path) -> None:
    async with rig(tmp_path) as worker:
        await worker.offer("a", zip_of({"app.py": ""}), Resources(cpu=50, memory_gb=0.5))
        await worker.delivered("a")
        order = worker.runtime.runs[0]
        assert (order.cpu_cores, order.memory_bytes, order.entry, order.time_limit_s) == (
            0.5,
            1 << 29,
            "app.py",
            60,
        )


async def test_stop_of_an_ended_task_says_it_is_not_there(tmp_path: Path) -> None:
    async with rig(tmp_path) as worker:
        await worker.offer("a", zip_of())
        await worker.delivered("a")
        reply = await worker.engine.tell(StopAsked(at_s=1, key=key_of(TaskId("a")), reason=StopReason.OWNER))
        assert isinstance(reply, Refused)


async def test_the_story_tells_each_step(tmp_path: Path) -> None:
    async with rig(tmp_path) as worker:
        await worker.offer("a", zip_of())
        await worker.delivered("a")
        steps = [line.what for line in await worker.journal.story(key_of(TaskId("a")))]
        assert steps == [
            "TaskAccepted",
            "Unpacked",
            "RunStarted",
            "RunEnded",
            "ResultPacked",
            "ResultDelivered",
        ]
