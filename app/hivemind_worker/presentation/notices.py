"""Which changes are worth a notice, and when one stays unsaid: by class, once a cause, not in quiet hours.

Pure: pictures and the moment in, notices out. `Notices` remembers what was said; whoever shows them is
elsewhere (the tray). A notice that falls into quiet hours is not made up for later: the screens say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.sending import Sending, SendStep
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.snapshot import LinkState, Snapshot
from hivemind_worker.model.task import Task, TaskState
from hivemind_worker.presentation.amounts import duration_words
from hivemind_worker.presentation.catalogue import _, translate_many
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.page_words import COMMAND
from hivemind_worker.presentation.rule_words import held_back

AWAY_S = 300.0
BURST = 3
MILESTONE = 100
AGAIN_S = 3600.0
"""The same cause is not told again for so long, even when it went away in between."""


class Class(StrEnum):
    """What a notice is about; each can be switched off (the setting `notify_…`)."""

    FAILURES = "failures"
    CONNECTION = "connection"
    COMPUTER = "computer"
    SENT = "sent"
    EARNED = "earned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notice. Those of one `cause` are the same to the reader; `place` is the screen to open."""

    kind: Class
    cause: str
    title: str
    body: str
    place: str


class Notices:
    """Looks at each picture; returns what is new and may be said now."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}
        self._holds: set[str] = set()
        self._sent: dict[str, SendStep] | None = None
        self._milestone: tuple[str, int] | None = None
        self._trust: int | None = None
        self._muted_until_s = 0.0

    def mute(self, until_s: float) -> None:
        """Say nothing until then."""
        self._muted_until_s = until_s

    def look(
        self, snapshot: Snapshot, ended: Sequence[Task], sendings: Sequence[Sending], settings: Settings,
    ) -> tuple[Notice, ...]:  # fmt: skip
        """What to say about this picture. `ended` are the last ended tasks, newest first."""
        found = (
            *_lasting(snapshot, ended), *self._sendings(sendings), *self._earned(snapshot),
            *self._fell(snapshot),
        )  # fmt: skip
        causes = {notice.cause for notice in found}
        new = [notice for notice in found if notice.cause not in self._holds]
        self._holds = causes
        return tuple(notice for notice in new if self._may_be_said(notice, snapshot.at_s, settings))

    def _may_be_said(self, notice: Notice, now_s: float, settings: Settings) -> bool:
        """Also notes that it was said."""
        wanted: bool = getattr(settings, f"notify_{notice.kind.value}")
        if not wanted or now_s < self._muted_until_s or is_quiet(settings.quiet_hours, now_s):
            return False
        if now_s - self._said.get(notice.cause, -AGAIN_S) < AGAIN_S:
            return False
        self._said[notice.cause] = now_s
        return True

    def _sendings(self, sendings: Sequence[Sending]) -> Iterable[Notice]:
        before, self._sent = self._sent, {each.task_id: each.step for each in sendings}
        if before is None:  # what had ended before the program began is no news
            return
        for each in sendings:
            if each.step.has_ended and not before.get(each.task_id, SendStep.PACKING).has_ended:
                yield _sent_notice(each)

    def _earned(self, snapshot: Snapshot) -> Iterable[Notice]:
        pool = snapshot.pool
        if pool.balance is None:
            return
        account, step = f"{pool.user}@{pool.address}", pool.balance // MILESTONE
        before, self._milestone = self._milestone, (account, step)
        if before is not None and before[0] == account and step > before[1]:
            yield Notice(
                kind=Class.EARNED, cause=f"earned {account} {step}", place="account",
                title=_("{amount} CPT reached", amount=step * MILESTONE),
                body=_("The balance of {user} is {balance} CPT.", user=pool.user, balance=pool.balance),
            )  # fmt: skip

    def _fell(self, snapshot: Snapshot) -> Iterable[Notice]:
        """Trust has come below the owner's mark; a node that never was above it is told nothing."""
        score, wanted = snapshot.node.trust_score, snapshot.trust_threshold
        before, self._trust = self._trust, score
        if before is not None and score < wanted <= before:
            yield Notice(
                kind=Class.FAILURES, cause=f"trust below {wanted}", place="history",
                title=_("Trust is below your mark"),
                body=_("It is {score}, your mark is {mark}. Work goes on; History says which tasks took it.",
                       score=score, mark=wanted),
            )  # fmt: skip


def _sent_notice(sending: Sending) -> Notice:
    title = {
        SendStep.COMPLETED: _("{name} is done", name=sending.name),
        SendStep.STOPPED: _("{name} was stopped", name=sending.name),
    }.get(sending.step, _("{name} failed", name=sending.name))
    body = _("Its result is here.") if sending.result else sending.message
    if sending.problem is not None:
        body = words(sending.problem)[0]
    return Notice(kind=Class.SENT, cause=f"sent {sending.task_id}", place="pools", title=title, body=body)


def _lasting(snapshot: Snapshot, ended: Sequence[Task]) -> Iterable[Notice]:
    """What holds in this picture, whether it is new or not."""
    pool = snapshot.pool
    if pool.link is LinkState.LOGIN_REFUSED and pool.problem is not None:
        title, body = _("Sign in again"), words(pool.problem)[0]
        yield Notice(kind=Class.CONNECTION, cause="login", title=title, body=body, place="pools")
    away_s = snapshot.at_s - pool.since_s
    if pool.link is LinkState.UNREACHABLE and away_s >= AWAY_S:
        yield Notice(
            kind=Class.CONNECTION, cause=f"away {pool.address}", place="network",
            title=_("Cannot reach {pool}", pool=pool.address),
            body=_("For {time} now. Finished results are kept safely.", time=duration_words(away_s)),
        )  # fmt: skip
    blocker = snapshot.blocker
    if blocker is not None and blocker.code is not FaultCode.SANDBOX_PREPARING:
        text, step = words(blocker)
        step = _("Open {place}", place=_("Doctor")) if COMMAND in step else step
        yield Notice(kind=Class.COMPUTER, cause=blocker.code.value, title=text, body=step, place="doctor")
    on_hold = held_back(snapshot)
    if on_hold is not None:
        yield Notice(
            kind=Class.FAILURES, cause=f"held {on_hold.since_s}", place="home",
            title=_("New work is on hold"), body=on_hold.text,
        )  # fmt: skip
    else:
        yield from _failures(ended)


def _failures(ended: Sequence[Task]) -> Iterable[Notice]:
    """The last three or more tasks in a row failed."""
    row = 0
    for task in ended:
        if task.state is not TaskState.FAILED:
            break
        row += 1
    if row < BURST:
        return
    last = ended[0]
    yield Notice(
        kind=Class.FAILURES, cause=f"failures {ended[row - 1].key}", place="history",
        title=translate_many("{count} task failed in a row", "{count} tasks failed in a row", row),
        body=words(last.problem)[0] if last.problem else "",
    )  # fmt: skip


def is_quiet(hours: str, now_s: float) -> bool:
    """Whether the moment lies in "22:00-07:00" by this computer's clock; "" never is quiet."""
    if not hours:
        return False
    begin, end = ((int(part[:2]), int(part[3:])) for part in hours.split("-"))
    moment = datetime.fromtimestamp(now_s).astimezone()
    now = (moment.hour, moment.minute)
    return begin <= now < end if begin <= end else now >= begin or now < end
