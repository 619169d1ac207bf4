"""The settings as a form, the history's figures, the report for support: values and words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from hivemind_worker.model.checkup import Check, CheckState
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.machine import Gpu, GpuTrouble, LogEntry, Sample
from hivemind_worker.model.pools import Balance
from hivemind_worker.model.settings import Settings, rows
from hivemind_worker.model.task import Problem, StopReason, Task, TaskState
from hivemind_worker.presentation.gpu import can_use_a_gpu, gpu_words
from hivemind_worker.presentation.ledger import balance_at_end, culprits, days, trust_lines
from hivemind_worker.presentation.moments import day_number
from hivemind_worker.presentation.settings_form import FormRow, form, reason_against, waiting
from hivemind_worker.presentation.support import private_words, report
from tests.fakes.node import make_snapshot, make_task

NOON_S = datetime(2026, 11, 24, 12, 0).astimezone().timestamp()


def row(name: str, in_force: Settings, kept: dict[str, object], sources: dict[str, str]) -> FormRow:
    return next(row for group in form(in_force, kept, sources) for row in group.rows if row.name == name)


def test_every_setting_stands_in_the_form_once_with_a_label_of_its_own() -> None:
    shown = [row for group in form(Settings(), {}, {}) for row in group.rows]
    assert sorted(row.name for row in shown) == sorted(row.name for row in rows())
    assert all(row.label != row.name for row in shown), "a new setting needs a label in settings_form.GROUPS"


def test_a_change_that_needs_a_restart_says_what_holds_until_then() -> None:
    found = row("node_id", Settings(), {"node_id": "larch-attic"}, {})
    assert (found.value, found.due, found.holds) == ("larch-attic", True, "found by itself")
    groups = form(Settings(), {"node_id": "larch-attic", "trust_threshold": 60}, {})
    assert [row.name for row in waiting(groups)] == ["node_id"], "the trust mark acts at once"


def test_a_value_that_the_environment_sets_is_locked_and_says_so() -> None:
    in_force = replace(Settings(), node_port=50099)
    found = row("node_port", in_force, {"node_port": 1}, {"node_port": "environment"})
    assert found.value == 50099
    assert found.locked == "Set by the environment, so it cannot be changed here."
    assert not found.due


def test_a_value_taken_out_of_the_file_shows_what_comes_at_the_next_start() -> None:
    in_force = replace(Settings(), task_log_mb=8.0)
    found = row("task_log_mb", in_force, {}, {"task_log_mb": "file"})
    assert (found.value, found.due, found.holds) == (64.0, True, "8 MiB")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("web_port", "70000", "70000 is refused: it must be at most 65535."),
        ("max_cpu_cores", "-1", "-1 is refused: it must be at least 0.1."),
        ("max_cpu_cores", "many", "many is refused: it must be a number."),
        ("max_concurrent_tasks", "2.5", "2.5 is refused: it must be a whole number."),
        ("quiet_hours", "nights", "nights is refused: it must be two times such as 22:00-07:00."),
        ("runtime", "vm", "vm is refused: it must be one of auto, docker, wasm."),
        ("max_concurrent_tasks", "", "Nothing is refused: it must be a number."),
        ("web_port", "5050", ""), ("quiet_hours", "22:00-07:00", ""), ("quiet_hours", "", ""),
    ],
)  # fmt: skip
def test_a_refused_value_says_why_in_one_sentence(name: str, value: str, reason: str) -> None:
    assert reason_against(name, value) == reason


def test_a_setting_is_found_by_label_key_variable_and_help() -> None:
    found = row("max_cpu_cores", Settings(), {}, {})
    assert all(found.matches(text) for text in ("Cores at", "max_cpu", "MAX_CPU_CORES", "processor"))
    assert not found.matches("dashboard")


# --- history ------------------------------------------------------------------------------------


def ended(number: int, days_ago: int, state: TaskState = TaskState.COMPLETED, **fields: object) -> Task:
    end_s = NOON_S - days_ago * 86_400 - number
    change = {TaskState.COMPLETED: 2, TaskState.FAILED: -5}.get(state, 0)
    base = make_task(f"task {number}", state, accepted_at_s=end_s - 3700, started_at_s=end_s - 3600,
                     ended_at_s=end_s, trust_change=change)  # fmt: skip
    return replace(base, **fields)  # type: ignore[arg-type]


def test_a_task_counts_on_the_day_of_its_end() -> None:
    tasks = [
        ended(1, 0),
        ended(2, 0, TaskState.FAILED),
        ended(3, 1),
        ended(4, 1, TaskState.STOPPED),
        ended(5, 9),
    ]
    today, yesterday, before = days(tasks, [], NOON_S, 3)
    assert (today.title, today.done, today.failed, today.hours) == ("Today", 1, 1, "2.0")
    assert (yesterday.title, yesterday.done, yesterday.stopped) == ("Mon 23 Nov", 1, 1)
    assert (before.done, before.earned) == (0, None)


def test_what_was_earned_and_spent_comes_from_the_balances() -> None:
    begin = NOON_S - timedelta(days=2).total_seconds()
    amounts = [(begin, 100), (begin + 86_400, 130), (begin + 90_000, 120), (NOON_S, 125)]
    balances = [Balance(at_s=at_s, amount=amount) for at_s, amount in amounts]
    today, yesterday, before = days([], balances, NOON_S, 3)
    assert (today.earned, today.spent) == (5, 0)
    assert (yesterday.earned, yesterday.spent) == (30, 10)
    assert before.earned is None, "without a balance of before nothing is known"
    assert balance_at_end(balances, day_number(NOON_S - 86_400)) == 120


def test_the_trust_ledger_is_reckoned_back_from_the_score_of_now() -> None:
    broken = Problem(code=FaultCode.SANDBOX_FAILED, about="x")
    tasks = [
        ended(1, 0), ended(2, 0, TaskState.FAILED, problem=broken),
        ended(3, 0, TaskState.STOPPED, stop_reason=StopReason.OWNER), ended(4, 0),
    ]  # fmt: skip
    lines = trust_lines(tasks, 62)
    assert [(line.change, line.after) for line in lines] == [(2, 62), (-5, 60), (0, 65), (2, 65)]
    assert [line.why for line in lines] == [
        "Completed",
        "Failed: this computer",
        "Stopped by you",
        "Completed",
    ]


def test_failures_are_told_by_whose_fault_they_were() -> None:
    memory = Problem(code=FaultCode.OUT_OF_MEMORY, about="1 GiB")
    tasks = [ended(n, 0, TaskState.FAILED, problem=memory) for n in range(3)]
    tasks.append(ended(9, 0, TaskState.FAILED, problem=Problem(code=FaultCode.INTERRUPTED, about="x")))
    away = Problem(code=FaultCode.IMAGE_NOT_FETCHED, about="no answer")
    tasks.append(ended(10, 0, TaskState.FAILED, problem=away))
    host, task, pool, network, _bug = culprits(tasks)
    assert (network.name, network.count, network.trust) == ("The network", 1, -5)
    assert (host.name, host.count, host.trust) == ("This computer", 1, -5)
    assert (task.count, task.detail) == (3, "The task needed more memory than its limit of 1 GiB.")
    assert (pool.count, pool.detail) == (0, "none")


# --- graphics card, report ----------------------------------------------------------------------


def test_a_card_that_cannot_be_used_says_why() -> None:
    works = Gpu(name="RTX 3060", driver="550", memory_gb=12)
    changed = Gpu(name="NVIDIA", trouble=GpuTrouble.DRIVER_CHANGED)
    assert gpu_words(()) == "No graphics card was found."
    assert gpu_words((changed,)) == (
        "NVIDIA: found but unusable because its driver was updated: restart the computer"
    )
    assert gpu_words((works,)) == "RTX 3060, 12 GiB, driver 550"
    assert (can_use_a_gpu((changed,)), can_use_a_gpu((changed, works))) == (False, True)


def test_the_report_for_support_tells_nothing_private() -> None:
    settings = replace(Settings(), node_id="annas-laptop", master_address="pool.secret.example:50051",
                       bind_address="192.168.7.23")  # fmt: skip
    log = [
        LogEntry(number=n, timestamp="2026-11-24 14:00:00", level="INFO", message=text)
        for n, text in enumerate((
            "pool pool.secret.example:50051: registered", "anna signed in from 192.168.7.23 and fe80::1:2:3",
            "wrote /home/anna/.local/share/x", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.abc",
            "password: hunter2", "key QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=",
            "larch is up on 127.0.0.1:5000",
        ))
    ]  # fmt: skip
    picture = make_snapshot(make_task("the requester's own words"), node_id="annas-laptop")
    files = report(
        snapshot=picture,
        sample=Sample(cpu_percent=1, memory_percent=2, memory_available_gb=3, disk_available_gb=4),
        settings=settings, sources={"node_id": "file", "master_address": "file"},
        checks=[Check(name="Folders", state=CheckState.OK, text="/home/anna/.local")], log=log,
        system={"system": "Linux 6.1"},
        private=private_words(
            user="anna", computer="larch", home="/home/anna", accounts=["anna.k"], settings=settings
        ),
    )  # fmt: skip
    whole = "\n".join(files.values())
    for word in (
        "anna",
        "larch",
        "secret.example",
        "192.168",
        "fe80",
        "hunter2",
        "eyJ",
        "QUJD",
        "requester's",
    ):
        assert word not in whole, word
    assert "127.0.0.1:5000" in whole
    assert "14:00:00" in files["worker.log"], "times are not taken for addresses"
    assert set(files) == {"about.txt", "checks.txt", "settings.txt", "state.json", "worker.log"}
    assert "max_concurrent_tasks = 3 (default)" in files["settings.txt"]
