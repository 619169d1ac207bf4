"""What has happened: the only input of `core.decide`. Time, ids and chance arrive in here."""

from __future__ import annotations

from dataclasses import dataclass

from hivemind_worker.model.facts import Condition, RuleFacts
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.rules import Rules
from hivemind_worker.model.task import Offer, Outcome, Phase, Problem, StopReason, Task, TaskKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at `at_s` (UTC epoch seconds)."""

    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted(Event):
    """The worker started; the state holds the journal's open tasks.

    `alive_s` is the last sign of the earlier life (UTC epoch seconds), 0 where none is known.
    """

    alive_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOffered(Event):
    """The pool offers a task.

    `spool` names the file that holds its archive. `known` is the journal's row of the same id when
    the state does not hold it; `result_kept` says whether its packed archive is still there.
    `problem` is what the inspection found, `entry` the script that it would start.
    """

    offer: Offer
    spool: str
    pool: str = ""
    entry: str = ""
    known: Task | None = None
    result_kept: bool = False
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent(Event):
    """Something about one attempt of one task; a stale attempt is ignored."""

    key: TaskKey
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked(TaskEvent):
    """The workspace is filled; `problem` when the archive turned out bad on the way."""

    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPrepared(TaskEvent):
    """A slow step of starting began, e.g. fetching an image; `text` says which."""

    phase: Phase
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(TaskEvent):
    """The program runs in `runtime`, at `where` (a process id or container name), in `image` if in any."""

    runtime: str
    where: str
    image: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(TaskEvent):
    """The program has ended and nothing of it is alive."""

    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLost(TaskEvent):
    """Nothing is left of a run that an earlier life of the worker started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPacked(TaskEvent):
    """The archive is on disk; `problem` when it is not the whole result or too large to send."""

    result_bytes: int
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultDelivered(TaskEvent):
    """The pool acknowledged the archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRefused(TaskEvent):
    """The pool will never take the archive; it stays on disk."""

    problem: Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAsked(Event):
    """Somebody wants a task ended."""

    key: TaskKey
    reason: StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPauseAsked(Event):
    """The owner pauses one task alone, or lets it go on."""

    key: TaskKey
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseAsked(Event):
    """The owner pauses everything, until `until_s` (a snooze) or until resumed.

    `by` names the owner's other machine on which that was asked.
    """

    until_s: float | None = None
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeAsked(Event):
    """The owner wants work again: ends pause, snooze and finishing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishAsked(Event):
    """Take no new task; when the running ones have ended, pause, or quit. `by`: as of `PauseAsked`."""

    quit_after: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownAsked(Event):
    """The worker is about to end: take nothing, end what runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockTicked(Event):
    """Time has passed; a snooze may have ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsChanged(Event):
    """What this computer can do has been looked at again."""

    total: Resources
    max_tasks: int | None = None  # at once; None: as before
    blocker: Problem | None  # why no task can be taken at all, e.g. no sandbox or a full disk


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsSeen(Event):
    """What the rules are judged by has been looked at again."""

    facts: RuleFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesChanged(Event):
    """The owner has other rules from now on."""

    rules: Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class RunModeAsked(Event):
    """Work whatever the rules say (until `until_s`), or by the rules again; ends a pause."""

    ignores_rules: bool
    until_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPauseAsked(Event):
    """Hold the tasks that use a graphics card (until `until_s`), or let them go on."""

    paused: bool
    until_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionReported(Event):
    """Something outside says whether work is welcome; an earlier word of the same name is replaced."""

    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAsked(Event):
    """The owner ends what the failure guard holds back."""


AnyEvent = (
    Restarted
    | TaskOffered
    | Unpacked
    | RunPrepared
    | RunStarted
    | RunEnded
    | RunLost
    | ResultPacked
    | ResultDelivered
    | ResultRefused
    | StopAsked
    | TaskPauseAsked
    | PauseAsked
    | ResumeAsked
    | FinishAsked
    | ShutdownAsked
    | ClockTicked
    | FactsChanged
    | FactsSeen
    | RulesChanged
    | RunModeAsked
    | GpuPauseAsked
    | ConditionReported
    | RetryAsked
)
