"""The owner's machines in words: one table for the window, the dashboard and the command line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from hivemind_worker.model.fleet import Fleet, Machine, Standing, Told, Value, Wish, WishKind
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.presentation.amounts import duration_words, iso
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.cause_words import words_from_afar
from hivemind_worker.presentation.health import status_word, unended, verdicts
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.moments import moment_words
from hivemind_worker.presentation.page_words import LOOKS, short_name
from hivemind_worker.presentation.plain_text import shown_line

UNKNOWN: Final = "–"
NAME_LETTERS, NAME_END = 48, 16
"""A longer name is shortened in its middle: the beginnings of many machines' names are alike."""
SHOWN_TEXT: Final = 250  # letters of a verdict, and of each of its values; of four bytes at most
COLUMNS = (
    mark("Machine"), mark("State"), mark("Why"), mark("Tasks"), mark("Earned"), mark("Trust"), mark("Seen"),
)  # fmt: skip
WISHES = (
    (WishKind.PAUSE, "pause", mark("Pause"), mark("Pause all")),
    (WishKind.RESUME, "play", mark("Resume"), mark("Resume all")),
    (WishKind.FINISH, "finish", mark("Finish tasks then pause"), mark("Finish all")),
)
"""Kind, icon, the button of one machine, the button of all."""
WAITING = {
    WishKind.PAUSE: mark("It will pause when it is back: asked on {name} at {time}."),
    WishKind.RESUME: mark("It will resume when it is back: asked on {name} at {time}."),
    WishKind.FINISH: mark(
        "It will finish its tasks, then pause, when it is back: asked on {name} at {time}."
    ),
}
AFTER = {WishKind.PAUSE: "paused", WishKind.RESUME: "running", WishKind.FINISH: "finishing"}
ON_ITS_WAY = mark("Asked on {name} at {time}; it has not answered yet.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRow:
    """One machine as every front end shows it."""

    name: str
    title: str
    look: Look
    why: str
    waiting: str
    tasks: str
    earned: str
    trust: str
    seen: str
    online: bool
    is_this: bool
    wishes: tuple[WishKind, ...]

    @property
    def short(self) -> str:
        """The title where there is little room; who shows it has the whole of it at hand."""
        if len(self.title) <= NAME_LETTERS:
            return self.title
        return f"{self.title[: NAME_LETTERS - NAME_END - 1]}…{self.title[-NAME_END:]}"

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of `COLUMNS`."""
        reason = " ".join(part for part in (self.why, self.waiting) if part)
        return (self.title, self.look.word, reason, self.tasks, self.earned, self.trust, self.seen)


def standing_of(snapshot: Snapshot) -> Standing:
    """What the owner's other machines are shown of this one."""
    first = verdicts(snapshot)[0]
    return Standing(
        title=short_name(snapshot.node_id)[:64], status=status_word(snapshot), code=first.code,
        text=shown_line(first.text)[:SHOWN_TEXT], since_s=first.since_s, ends_at_s=first.ends_at_s,
        running=len(unended(snapshot)), places=snapshot.max_tasks, trust=snapshot.node.trust_score,
        version=snapshot.version,
        values={name: _short(value) for name, value in first.values.items()},
    )  # fmt: skip


def _short(value: Value) -> Value:
    return shown_line(value)[:SHOWN_TEXT] if isinstance(value, str) else value


def fleet_rows(fleet: Fleet) -> tuple[MachineRow, ...]:
    """This machine first, then by name."""
    ordered = sorted(fleet.machines, key=lambda each: (not each.is_this, each.name))
    return tuple(_row(each, fleet.at_s) for each in ordered)


def _row(machine: Machine, now_s: float) -> MachineRow:
    standing, name = machine.standing, shown_line(machine.name)
    return MachineRow(
        name=machine.name,
        title=_("{name} (this one)", name=name) if machine.is_this else name,
        look=_look(machine), why=_why(machine, now_s), waiting=_waiting(machine, now_s),
        tasks=_tasks(machine), earned=f"{machine.earned:,} CPT",
        trust=UNKNOWN if machine.is_called else f"{standing.trust:,}", seen=_seen(machine, now_s),
        online=machine.online, is_this=machine.is_this, wishes=_wishes(machine),
    )  # fmt: skip


def _tasks(machine: Machine) -> str:
    standing = machine.standing
    if machine.is_called:  # how many it may have it does not tell the pool
        return str(standing.running)
    return _("{running} of {places}", running=standing.running, places=standing.places)


def _look(machine: Machine) -> Look:
    status = machine.standing.status if machine.online else "offline"
    if status == "paused" and machine.standing.ends_at_s is not None:
        status = "snoozed"
    tone, icon, word = LOOKS.get(status, LOOKS["offline"])
    return Look(tone=tone, icon=icon, word=_(word) if machine.online else _("Away"))


def _why(machine: Machine, now_s: float) -> str:
    """The first verdict; of a machine that is away, since when."""
    if not machine.online:
        return _("Not heard from since {time}.", time=moment_words(machine.seen_s, now_s))
    if machine.is_called:
        return _("The pool calls this machine. Pause or resume it at the computer itself.")
    since_s = machine.standing.since_s
    since = _("(since {time})", time=moment_words(since_s, now_s)) if since_s else ""
    return " ".join(part for part in (_cause(machine.standing, now_s), since) if part)


def _cause(standing: Standing, now_s: float) -> str:
    """In the language of who reads it, where the machine told it so that this is possible."""
    left_s = None if standing.ends_at_s is None else standing.ends_at_s - now_s
    return words_from_afar(standing.code, standing.values, left_s) or shown_line(standing.text)


def _waiting(machine: Machine, now_s: float) -> str:
    wish = machine.waiting
    if wish is None:
        return ""
    text = ON_ITS_WAY if machine.online else WAITING[wish.kind]
    return _(text, name=wish.by, time=moment_words(wish.at_s, now_s))


def _seen(machine: Machine, now_s: float) -> str:
    if machine.online:
        return _("now")
    return _("{time} ago", time=duration_words(max(0.0, now_s - machine.seen_s)))


def _wishes(machine: Machine) -> tuple[WishKind, ...]:
    """What makes sense to ask, the likeliest first; what waits counts as if it were done."""
    if machine.is_called:
        return ()
    status, waiting = machine.standing.status, machine.waiting
    if waiting is not None:
        status = AFTER[waiting.kind]
    if status == "paused":
        return (WishKind.RESUME,)
    if status == "finishing":
        return (WishKind.RESUME, WishKind.PAUSE)
    return (WishKind.PAUSE, WishKind.FINISH)


def fleet_line(fleet: Fleet) -> str:
    """How many machines there are, and the account's balance."""
    online = sum(each.online for each in fleet.machines)
    text = translate_many(
        "{count} machine of the account {account}, {online} of them here now.",
        "{count} machines of the account {account}, {online} of them here now.",
        len(fleet.machines), account=fleet.account, online=online,
    )  # fmt: skip
    balance = "" if fleet.balance is None else _("Balance: {balance} CPT.", balance=f"{fleet.balance:,}")
    return " ".join(part for part in (text, balance) if part)


def told_words(told: Told) -> str:
    """What became of a wish."""
    parts = []
    if told.now:
        parts.append(_("Told: {names}.", names=", ".join(told.now)))
    if told.later:
        parts.append(
            _("Away, will be told within 7 days if they come back: {names}.", names=", ".join(told.later))
        )
    return " ".join(parts) or _("There is no machine yet.")


def fleet_report(fleet: Fleet) -> dict[str, object]:
    """The API's answer."""
    return {
        "account": fleet.account, "balance": fleet.balance, "at": iso(fleet.at_s),
        "machines": [_report(each, fleet.at_s) for each in fleet.machines], "summary": fleet_line(fleet),
        "columns": [_(each) for each in COLUMNS],
        "rows": [{"name": each.name, "cells": each.cells} for each in fleet_rows(fleet)],
    }  # fmt: skip


def _report(machine: Machine, now_s: float) -> dict[str, object]:
    standing = machine.standing
    return {
        "name": machine.name, "title": standing.title, "this": machine.is_this, "online": machine.online,
        "seen": iso(machine.seen_s), "status": standing.status if machine.online else "offline",
        "verdict": {
            "code": standing.code, "text": _cause(standing, now_s), "since": iso(standing.since_s),
            "ends_at": iso(standing.ends_at_s),
        },
        "called": machine.is_called,
        "running_tasks": standing.running, "max_concurrent_tasks": standing.places,
        "earned": machine.earned, "trust_score": standing.trust, "version": standing.version,
        "waiting": None if machine.waiting is None else _wish_report(machine.waiting),
    }  # fmt: skip


def _wish_report(wish: Wish) -> dict[str, object]:
    return {"wish": wish.kind.value, "by": wish.by, "at": iso(wish.at_s), "until": iso(wish.until_s)}


def told_report(told: Told) -> dict[str, object]:
    """The API's answer to a wish."""
    return {
        "success": True,
        "message": told_words(told),
        **{name: list(each) for name, each in asdict(told).items()},
    }
