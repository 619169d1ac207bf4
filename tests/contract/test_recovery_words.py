"""What the first status after a crash says: found, kept, lost, and why."""

from __future__ import annotations

from hivemind_worker.model.task import Delivery, TaskState
from hivemind_worker.presentation.recovery import recovery_words
from tests.fakes.node import make_task


def test_an_orderly_end_says_nothing() -> None:
    assert recovery_words((), "") == ""


def test_a_crash_says_which_tasks_were_cut_off_and_what_becomes_of_them() -> None:
    rows = (
        make_task("running", TaskState.RUNNING),
        make_task("starting", TaskState.ALLOCATED),
        make_task("packing", TaskState.COMPLETED, delivery=Delivery.NONE),
        make_task("owed", TaskState.FAILED, delivery=Delivery.OWED),
    )
    assert recovery_words(rows, "") == (
        "Found after the last run: 2 tasks were cut off ('running', 'starting'): what they wrote goes to "
        "the pool, they are not run again; 1 task had ended ('packing'): its result is packed now and lost "
        "nothing; 1 finished result was not delivered yet ('owed'): it is sent now."
    )


def test_many_tasks_are_counted_and_a_few_named_whatever_their_ids() -> None:
    rows = [make_task(f"{n}\n\x1b[31m" + "x" * 500, TaskState.RUNNING) for n in range(50)]
    words = recovery_words(rows, "")
    assert words.startswith("Found after the last run: 50 tasks were cut off ('0\\n\\x1b[31mxxx")
    assert words.count("'") == 3
    assert "…): what they wrote" in words
    assert len(words) < 300


def test_a_damaged_journal_is_named_with_what_was_kept_and_lost() -> None:
    trouble = "its end is missing; kept as journal.sqlite3.damaged-1; 5 rows carried over, at least 1 lost"
    assert f"the journal was damaged and set aside ({trouble})" in recovery_words((), trouble)
