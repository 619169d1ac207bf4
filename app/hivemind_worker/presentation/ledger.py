"""What was done, day by day, and how trust came about: the history screen's figures. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hivemind_worker.model.faults import FAULTS, Blame
from hivemind_worker.model.pools import Balance
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import StopReason, Task, TaskState
from hivemind_worker.presentation.amounts import DAY_S
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.moments import clock_time, day_number, weekday
from hivemind_worker.presentation.page_tasks import STATES
from hivemind_worker.presentation.page_words import ABSENT
from hivemind_worker.presentation.plain_text import shown_line

HOUR_S = 3600
ID_CHARS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One local day. `earned` is None where no balance is known at its beginning or end."""

    number: int
    at_s: float
    title: str
    done: int = 0
    failed: int = 0
    stopped: int = 0
    run_s: float = 0.0
    earned: int | None = None
    spent: int | None = None

    @property
    def hours(self) -> str:
        return f"{self.run_s / HOUR_S:.1f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustLine:
    """One ended task: what it did to trust, and why. `after` is the score after it."""

    at_s: float
    time: str
    key: str
    name: str
    look: Look
    why: str
    change: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """Whose fault failures were, how many, the most frequent reason, and what they cost in trust."""

    icon: str
    name: str
    detail: str
    count: int
    trust: int


def days(ended: Sequence[Task], balances: Sequence[Balance], now_s: float, count: int) -> tuple[Day, ...]:
    """The last days, today first. A task counts on the day of its end."""
    today = day_number(now_s)
    by_day: dict[int, list[Task]] = {}
    for task in ended:
        by_day.setdefault(day_number(task.ended_at_s or 0.0), []).append(task)
    return tuple(
        _day(today - back, now_s - back * DAY_S, by_day.get(today - back, []), balances, back)
        for back in range(count)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Earned:
    """What the account took in: today, beside that its balance, and each of the last days as a bar.

    `bars` are percent of the highest, oldest first; None where nothing is known of the day."""

    today: str
    note: str
    below: str
    bars: tuple[int | None, ...]
    words: str


def earned(snapshot: Snapshot, last: Sequence[Day]) -> Earned:
    """The tile of window and dashboard. `last`: the days, today first."""
    balance, today = snapshot.pool.balance, last[0] if last else None
    if balance is None:
        below = _("Known once you are signed in to a pool")
    else:
        below = translate_many(
            "{count} task completed · last 14 days at right",
            "{count} tasks completed · last 14 days at right", today.done if today is not None else 0,
        )  # fmt: skip
    known = today.earned if today is not None else None
    told = ", ".join(f"{day.title} {_amount(day.earned)}" for day in reversed(last))
    note = "" if balance is None else _("balance {amount} CPT", amount=amount(balance))
    return Earned(
        today=_amount(known), note=note, below=below, bars=_bars([day.earned for day in reversed(last)]),
        words=_("Earned in the last 14 days") + f": {told}",
    )  # fmt: skip


def _amount(earned: int | None) -> str:
    return ABSENT if earned is None else amount(earned)


def _bars(values: Sequence[int | None]) -> tuple[int | None, ...]:
    top = max((value or 0 for value in values), default=0) or 1
    return tuple(None if value is None else round(100 * value / top) for value in values)


def _day(number: int, at_s: float, tasks: Sequence[Task], balances: Sequence[Balance], back: int) -> Day:
    earned, spent = _moves(balances, number)
    return Day(
        number=number, at_s=at_s, title=_("Today") if back == 0 else weekday(at_s),
        done=_count(tasks, TaskState.COMPLETED), failed=_count(tasks, TaskState.FAILED),
        stopped=_count(tasks, TaskState.STOPPED), run_s=sum(_ran_s(task) for task in tasks),
        earned=earned, spent=spent,
    )  # fmt: skip


def _moves(balances: Sequence[Balance], number: int) -> tuple[int | None, int | None]:
    """What came in and went out on this day; None without a balance of before and of this day."""
    earned = spent = 0
    known = False
    for before, after in pairwise(balances):
        if day_number(after.at_s) == number:
            known = True
            earned += max(0, after.amount - before.amount)
            spent += max(0, before.amount - after.amount)
    return (earned, spent) if known else (None, None)


def balance_at_end(balances: Sequence[Balance], number: int) -> int | None:
    """The last balance known by the end of a day."""
    known = [row.amount for row in balances if day_number(row.at_s) <= number]
    return known[-1] if known else None


def _count(tasks: Iterable[Task], state: TaskState) -> int:
    return sum(task.state is state for task in tasks)


def _ran_s(task: Task) -> float:
    if task.started_at_s is None or task.ended_at_s is None:
        return 0.0
    return max(0.0, task.ended_at_s - task.started_at_s)


def trust_lines(ended: Sequence[Task], score: int) -> tuple[TrustLine, ...]:
    """The ledger, newest first, reckoned back from the score of now; it is bounded by 0 and 100."""
    lines, after = [], score
    for task in ended:
        tone, icon, word = STATES[task.state]
        lines.append(TrustLine(
            at_s=task.ended_at_s or 0.0, time=clock_time(task.ended_at_s or 0.0, seconds=True), key=task.key,
            name=shown_line(task.task_id)[:ID_CHARS], look=Look(tone=tone, icon=icon, word=_(word)),
            why=_why(task), change=task.trust_change, after=after,
        ))  # fmt: skip
        after = min(100, max(0, after - task.trust_change))
    return tuple(lines)


def _why(task: Task) -> str:
    word = _(STATES[task.state][2])
    if task.state is TaskState.FAILED and task.problem is not None:
        return _("{state}: {culprit}", state=word, culprit=_(CULPRITS[FAULTS[task.problem.code].blame][1]))
    if task.state is TaskState.STOPPED and task.stop_reason is not None:
        return _(STOPPED[task.stop_reason])
    return word


STOPPED = {
    StopReason.OWNER: mark("Stopped by you"),
    StopReason.POOL: mark("Stopped by the pool"),
    StopReason.SHUTDOWN: mark("Stopped: the worker ended"),
    StopReason.PAUSE: mark("Stopped: the computer was needed for too long"),
    StopReason.MEMORY: mark("Stopped: the computer had no memory left"),
}
CULPRITS = {
    Blame.HOST: ("cpu", mark("this computer")),
    Blame.TASK: ("tasks", mark("the task")),
    Blame.POOL: ("pools", mark("the pool")),
    Blame.NETWORK: ("network", mark("the network")),
    Blame.OWNER: ("account", mark("a setting")),
    Blame.BUG: ("warning", mark("this program")),
}


def culprits(ended: Sequence[Task]) -> tuple[Culprit, ...]:
    """Whose fault the failures were; those without any stand with none."""
    failed = [task for task in ended if task.state is TaskState.FAILED and task.problem is not None]
    found = []
    for blame in (Blame.HOST, Blame.TASK, Blame.POOL, Blame.NETWORK, Blame.BUG):
        own = [task for task in failed if task.problem and FAULTS[task.problem.code].blame is blame]
        icon, name = CULPRITS[blame]
        found.append(Culprit(
            icon=icon, name=_(name).capitalize(), detail=_commonest(own) if own else _("none"),
            count=len(own), trust=sum(task.trust_change for task in own),
        ))  # fmt: skip
    return tuple(found)


def _commonest(tasks: Sequence[Task]) -> str:
    said = [words(task.problem)[0] for task in tasks if task.problem is not None]
    return shown_line(max(set(said), key=said.count))


def amount(value: int | None) -> str:
    """Credits in a column; a dash where nothing is known."""
    return ABSENT if value is None else f"{value:,}"


def signed(change: int) -> str:
    """A change of trust with its sign; 0 has none."""
    return f"{change:+d}".replace("-", "−") if change else "0"
