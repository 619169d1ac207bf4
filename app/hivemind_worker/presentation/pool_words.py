"""What the window says about pools, about leaving one for another, and about tasks that the owner sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hivemind_worker.model.pools import KeptPool
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.sending import Sending, SendStep
from hivemind_worker.model.snapshot import LinkState, Snapshot
from hivemind_worker.model.task import Task, TaskState
from hivemind_worker.presentation.amounts import cores_words, duration_words, size_words
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.health import unended
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.moments import day, day_number, moment_words
from hivemind_worker.presentation.page_facts import pool_look
from hivemind_worker.presentation.page_words import ABSENT
from hivemind_worker.presentation.plain_text import shown_line

BUILT_IN = mark("The pool built into this app")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCard:
    """The active pool."""

    title: str
    look: Look
    detail: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRow:
    """One kept pool: what it is, and the word of its button."""

    address: str
    user: str
    look: Look
    detail: str
    can_switch: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLine:
    """One step of a sent task: how it stands, what it is, and how long it took or since when it runs."""

    look: Look
    text: str
    right: str
    is_now: bool = False


def pool_title(pool: KeptPool | None, snapshot: Snapshot) -> str:
    """What the active pool is called."""
    if pool is not None and pool.built_in:
        return _(BUILT_IN)
    return snapshot.pool.address


def pool_card(snapshot: Snapshot, pool: KeptPool | None, ended: Sequence[Task]) -> PoolCard:
    """The active pool in words."""
    view = snapshot.pool
    today = [task for task in ended if day_number(task.ended_at_s or 0) == day_number(snapshot.at_s)]
    done = sum(task.state is TaskState.COMPLETED for task in today)
    failed = sum(task.state is TaskState.FAILED for task in today)
    problem = words(view.problem)[0] if view.problem is not None else ""
    detail = problem or (
        _("in use since {time}", time=moment_words(view.since_s, snapshot.at_s)) if view.since_s else ""
    )
    balance = ABSENT if view.balance is None else f"{view.balance:,} CPT"
    return PoolCard(
        title=pool_title(pool, snapshot), look=pool_look(snapshot), detail=detail,
        facts=(
            (_("Signed in as"), view.user or _("nobody")),
            (_("Balance"), balance),
            (_("Today"), _("{done} done, {failed} failed", done=done, failed=failed)),
            (_("Told to the pool"), snapshot.grpc_address or ABSENT),
        ),
    )  # fmt: skip


def pool_row(pool: KeptPool, now_s: float) -> PoolRow:
    """A kept pool that is not the active one."""
    used = _("used until {day}", day=day(pool.used_until_s)) if pool.used_until_s else _("never used yet")
    if pool.signed_in:
        look = Look(tone="waiting", icon="tray-waiting", word=_("kept"))
        detail = " · ".join((pool.user, used))
    else:
        look = Look(tone="warning", icon="warning", word=_("signed out"))
        detail = " · ".join(part for part in (pool.user, _("signed out"), used) if part)
    return PoolRow(address=pool.address, user=pool.user, look=look, detail=detail, can_switch=pool.signed_in)


def told_facts(snapshot: Snapshot, region: str, user: str) -> tuple[tuple[str, str], ...]:
    """What the pool is told about this computer, and what it never is."""
    total, told = snapshot.total, snapshot.offer.offered
    lent = _(
        "{cores}, {memory} GiB",
        cores=cores_words(total.cpu / CPU_SCORE_PER_CORE),
        memory=f"{total.memory_gb:g}",
    )
    return (
        (_("Lent"), lent),
        (_("Score"), _("CPU {cpu}, GPU {gpu}", cpu=int(told.cpu), gpu=int(told.gpu))),
        (_("Address"), snapshot.grpc_address or ABSENT),
        (_("Region"), _(region)),
        (_("Known to it as"), user or ABSENT),
        (_("Never"), _("your files, your other programs, what you do")),
    )  # fmt: skip


# --- leaving a pool ------------------------------------------------------------------------------


def switch_question(snapshot: Snapshot, address: str) -> tuple[str, str]:
    """The question before the active pool is left."""
    count = len(unended(snapshot))
    title = _("Switch to {pool}?", pool=address)
    if not count and not snapshot.owed_results:
        return title, _("No task is running. Login, balance and history of each pool stay.")
    if not count:
        return title, translate_many(
            "{count} finished result still waits for {pool}.",
            "{count} finished results still wait for {pool}.",
            snapshot.owed_results, pool=snapshot.pool.address,
        )  # fmt: skip
    return title, translate_many(
        "{count} task of {pool} is here. Finish it first, or stop it: what it wrote is handed back.",
        "{count} tasks of {pool} are here. Finish them first, or stop them: what they wrote is handed back.",
        count, pool=snapshot.pool.address,
    )  # fmt: skip


def switching_words(snapshot: Snapshot) -> tuple[str, str]:
    """While a pool is being left: what is waited for."""
    title = _("Switching to {pool}", pool=snapshot.switching_to)
    count = len(unended(snapshot))
    if count:
        return title, translate_many("{count} task ends first.", "{count} tasks end first.", count)
    if snapshot.owed_results:
        return title, translate_many(
            "{count} result is delivered first.",
            "{count} results are delivered first.",
            snapshot.owed_results,
        )
    return title, _("It takes a moment.")


def is_gone(snapshot: Snapshot) -> bool:
    """Whether the active pool does not take what it is owed just now."""
    return snapshot.pool.link not in (LinkState.REGISTERED, LinkState.WAITING)


# --- sent tasks ----------------------------------------------------------------------------------

DONE, NOW, AHEAD = ("working", "check"), ("finishing", "play"), ("offline", "dash")
STEP_WORDS = {
    SendStep.PACKING: (mark("Packed"), mark("Packing")),
    SendStep.UPLOADING: (mark("Sent and accepted"), mark("Sending")),
    SendStep.WAITING: (mark("Waited for a computer"), mark("Waiting for a computer")),
    SendStep.RUNNING: (mark("Ran to its end"), mark("Running")),
    SendStep.FETCHING: (mark("Result fetched"), mark("Fetching the result")),
}
END_WORDS = {
    SendStep.COMPLETED: ("working", "check", mark("done")),
    SendStep.FAILED: ("error", "cross", mark("failed")),
    SendStep.STOPPED: ("offline", "stop", mark("stopped")),
}


def step_lines(sending: Sending, now_s: float) -> tuple[StepLine, ...]:
    """Each step that it has reached, and the one that it is at."""
    lines = []
    for number, (step, at_s) in enumerate(sending.reached):
        if step not in STEP_WORDS:
            continue
        over = number + 1 < len(sending.reached)
        end_s = sending.reached[number + 1][1] if over else now_s
        kind = DONE if over else NOW
        text = _(STEP_WORDS[step][0 if over else 1])
        if step is SendStep.RUNNING and sending.node and not over:
            text = _("Running on {node}", node=shown_line(sending.node))
        right = _step_right(sending, step, end_s - at_s, over)
        look = Look(tone=kind[0], icon=kind[1], word=_("done") if over else _("now"))
        lines.append(StepLine(look=look, text=text, right=right, is_now=not over))
    return tuple(lines)


def _step_right(sending: Sending, step: SendStep, took_s: float, over: bool) -> str:
    if step is SendStep.PACKING and sending.packed_bytes:
        return size_words(sending.packed_bytes)
    return duration_words(took_s) if over or took_s >= 1 else ""


def end_look(sending: Sending) -> Look:
    """How it ended."""
    tone, icon, word = END_WORDS[sending.step]
    return Look(tone=tone, icon=icon, word=_(word))


def end_words(sending: Sending, now_s: float) -> str:
    """One line about a sent task that has ended: when, or why not."""
    if sending.problem is not None:
        return words(sending.problem)[0]
    at_s = sending.reached[-1][1] if sending.reached else now_s
    return moment_words(at_s, now_s)
