"""What each page shows: values for its template, asked of the node. No HTML here, and no decision.

Counterparts: presentation.page_*, where the words are, and web.pages, which has the routes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hivemind_worker.model.metrics import Place
from hivemind_worker.model.pools import is_asked
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Delivery, Problem, Task, TaskKey, TaskState
from hivemind_worker.nursery import NamedThread
from hivemind_worker.presentation import page_facts, page_tasks, page_words
from hivemind_worker.presentation.amounts import DAY_S, size_words
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.fleet import COLUMNS, WISHES, fleet_line, fleet_rows
from hivemind_worker.presentation.health import unended, verdicts
from hivemind_worker.presentation.ledger import Earned, days, earned
from hivemind_worker.presentation.offer_words import card_offer_words, offer_words
from hivemind_worker.presentation.page_words import ABSENT
from hivemind_worker.presentation.plain_text import shown_line, shown_log
from hivemind_worker.presentation.ranges import RANGES, Range
from hivemind_worker.presentation.story import story_report
from hivemind_worker.presentation.task_details import permissions
from hivemind_worker.presentation.task_gauges import gauges
from hivemind_worker.web.files import LogPiece, read_log
from hivemind_worker.web.pages_graphs import DASHBOARD, MONITOR, shown_graphs, shown_use

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace

Values = dict[str, Any]
EARNED_DAYS = 14
LATEST, LOOKED_BACK, PAGE_TASKS, SHOWN_LOG_LINES = 5, 100, 50, 500
LOG_TAIL_BYTES = 128 << 10
LEVELS = (
    ("DEBUG", mark("Debug")),
    ("INFO", mark("Info")),
    ("WARNING", mark("Warning")),
    ("ERROR", mark("Error")),
)
FILTERS = {
    "": mark("All"),
    "COMPLETED": mark("Completed"),
    "FAILED": mark("Failed"),
    "STOPPED": mark("Stopped"),
}
SLOTS = ("working", "waiting", "finishing", "paused", "error", "offline")
SNOOZES = ((15, mark("For 15 minutes")), (60, mark("For 1 hour")), (240, mark("For 4 hours")))


class Views:
    """The values of each page."""

    def __init__(self, node: NodeFace, files: NamedThread) -> None:
        self._node = node
        self._files = files

    # --- dashboard ----------------------------------------------------------------------------

    async def dashboard(self) -> Values:
        """State, causes, tiles, charts, running tasks, what happened latest."""
        snapshot = self._node.snapshot()
        sample = await self._node.sample()
        ended = await self._node.ended_tasks(LOOKED_BACK)
        return {
            "headline": page_words.headline(snapshot, page_words.PAGES),
            "subline": page_words.subline(snapshot, _last_end(ended)),
            "buttons": page_words.buttons(snapshot),
            "way": page_words.way(snapshot, page_words.PAGES),
            "snoozes": [(minutes, _(word)) for minutes, word in SNOOZES],
            "causes": page_words.causes(snapshot, self._node.settings, page_words.PAGES),
            "trust": page_words.trust(snapshot),
            "figures": page_tasks.figures(ended),
            "earned": await self._earned(snapshot, ended),
            "latest": page_tasks.happenings(snapshot, ended, LATEST),
            **_slots(snapshot),
            **_credit(snapshot),
            **_running(snapshot),
            "graphs": await shown_graphs(self._node, sample, RANGES["1h"], DASHBOARD),
            "span": RANGES["1h"],
        }

    async def _earned(self, snapshot: Snapshot, ended: Sequence[Task]) -> Earned:
        pool, from_s = snapshot.pool, snapshot.at_s - EARNED_DAYS * DAY_S
        balances = await self._node.pools.balances(pool.address, pool.user, from_s)
        return earned(snapshot, days(ended, balances, snapshot.at_s, EARNED_DAYS))

    # --- tasks --------------------------------------------------------------------------------

    async def tasks(self, state: TaskState | None, before: Place | None) -> Values:
        """Running tasks, and a page of those that have ended."""
        snapshot = self._node.snapshot()
        page = await self._node.ended_page(PAGE_TASKS, before, state)
        kept = await self._files.call(_kept, [self._node.result_archive(t.key) for t in page.tasks])
        still_open = {task.key for task in unended(snapshot)}
        rows = [page_tasks.task_row(t, snapshot.at_s) for t in page.tasks if t.key not in still_open]
        return {
            **_running(snapshot),
            **_slots(snapshot),
            "ended": rows,
            "kept": {task.key for task, there in zip(page.tasks, kept, strict=True) if there},
            "filters": [(value, _(word)) for value, word in FILTERS.items()],
            "state": "" if state is None else state.value,
            "paged": before is not None,
            "older": _older(state, page.following),
        }

    async def task(self, task: Task) -> Values:
        """All that is known of one task, and the end of its log."""
        now_s = self._node.snapshot().at_s
        row = page_tasks.task_row(task, now_s)
        ended = task.state.has_ended
        piece = await self._files.call(log_tail, self._node.output_log(task.key), ended)
        archive = self._node.result_archive(task.key)
        size = await self._files.call(lambda: archive.stat().st_size if archive.is_file() else None)
        lines = await self._node.story(task.key)
        story = story_report(task, lines, now_s, "")["lines"]
        assert isinstance(story, list)
        told = [
            {"at_s": line.at_s, "sentence": shown_line(told["sentence"])}
            for line, told in zip(lines, story, strict=True)
        ]
        where = {"wasm": _("in the built-in sandbox"), "docker": _("in Docker")}.get(task.runtime, "")
        return {
            "row": row,
            "gauges": ()
            if ended
            else gauges(task, self._node.task_figures(task), self._node.settings, now_s),
            "use": shown_use(task, await self._node.task_use(task)),
            "permissions": permissions(task, self._node.settings),
            "headline": page_tasks.task_headline(task, now_s),
            "runtime_text": where,
            "story": told,
            "limit_h": f"{self._node.settings.task_time_limit_h:g}",
            "disk_gb": f"{self._node.settings.task_disk_gb:g}",
            "log_mb": f"{self._node.settings.task_log_mb:g}",
            "accepted_at_s": task.accepted_at_s,
            "started_at_s": task.started_at_s,
            "attempt": task.attempt,
            "result_size": None if size is None else size_words(size),
            "result_text": _result_words(task, there=size is not None),
            **_log_values(piece, ended=ended),
        }

    # --- the other pages ----------------------------------------------------------------------

    async def monitor(self, span: Range) -> Values:
        """Figures over time, parts, connections."""
        snapshot, settings = self._node.snapshot(), self._node.settings
        sample = await self._node.sample()
        return {
            "graphs": await shown_graphs(self._node, sample, span, MONITOR),
            "span": span,
            "ranges": tuple(RANGES.values()),
            "shares": page_facts.shares(snapshot),
            "offer": f"{offer_words(snapshot.offer)} {card_offer_words(snapshot.offer)}",
            "parts": (
                page_facts.check(snapshot, settings, "docker"),
                page_facts.sandbox(snapshot),
                page_facts.disk(sample, settings),
                page_facts.gpu(snapshot, sample),
            ),
            "gpu_fact": page_facts.gpu(snapshot, sample),
            "vpn": page_facts.check(snapshot, settings, "vpn"),
        }

    async def pools(self) -> Values:
        """The pool in use."""
        snapshot = self._node.snapshot()
        check = page_facts.check(snapshot, self._node.settings, "grpc")
        retry = [button for button in page_words.buttons(snapshot) if button.action == "reconnect"]
        return {
            "pool": snapshot.pool,
            "pool_look": page_facts.pool_look(snapshot),
            "pool_text": check.text,
            "pool_step": check.next_step,
            "grpc_address": snapshot.grpc_address,
            "owed": snapshot.owed_results,
            "has_fleet": is_asked(snapshot.pool.address),
            "reconnect": retry[0] if retry else None,
            "snoozes": (),
            **_credit(snapshot),
        }

    async def fleet(self) -> Values:
        """The owner's machines at the pool in use."""
        found = await self._node.fleet.machines()
        trouble = " ".join(words(found)) if isinstance(found, Problem) else ""
        return {
            "trouble": trouble,
            "machines": () if isinstance(found, Problem) else fleet_rows(found),
            "summary": "" if isinstance(found, Problem) else fleet_line(found),
            "columns": [_(each) for each in COLUMNS],
            "wishes": [(kind, icon, _(one), _(every)) for kind, icon, one, every in WISHES],
        }

    async def rules(self) -> Values:
        """The limits in force, and where each comes from."""
        return {
            "sentence": verdicts(self._node.snapshot())[0].text,
            "rules": page_facts.rules(self._node.settings, self._node.setting_sources()),
        }

    async def logs(self) -> Values:
        """The latest lines of the worker's own log."""
        entries = self._node.log_entries()
        count = len(entries)
        return {
            "lines": entries[-SHOWN_LOG_LINES:],
            "next_number": entries[-1].number if entries else 0,
            "levels": [(value, _(word)) for value, word in LEVELS],
            "size_text": translate_many("{count} line", "{count} lines", min(count, SHOWN_LOG_LINES)),
        }

    async def doctor(self) -> Values:
        """What is seen of the worker's health while it runs."""
        snapshot, settings = self._node.snapshot(), self._node.settings
        sample = await self._node.sample()
        checks = page_facts.checks(snapshot, settings)
        shown = (*checks, page_facts.sandbox(snapshot), page_facts.disk(sample, settings))
        return {
            "checks": checks,
            "sandbox": shown[-2],
            "disk": shown[-1],
            "gpu": page_facts.gpu(snapshot, sample),
            "findings": page_facts.findings(snapshot),
            "summary": page_facts.summary(shown),
        }


def _last_end(ended: Sequence[Task]) -> float | None:
    return ended[0].ended_at_s if ended else None


def _slots(snapshot: Snapshot) -> Values:
    """The places for tasks: a shape each, in the order running, starting, frozen, free."""
    open_tasks = unended(snapshot)
    looks = sorted(
        (page_tasks.task_look(task) for task in open_tasks), key=lambda look: SLOTS.index(look.tone)
    )
    free = max(0, snapshot.max_tasks - len(open_tasks))
    return {
        "running": sum(task.state is TaskState.RUNNING for task in open_tasks),
        "max_tasks": snapshot.max_tasks,
        "slots": [*looks, *[page_tasks.FREE] * free],
        "free_text": page_words.places_words(snapshot),
        "owed_text": translate_many(
            "{count} result waits for the pool", "{count} results wait for the pool", snapshot.owed_results
        ) if snapshot.owed_results else _("No result waits for the pool"),
    }  # fmt: skip


def _credit(snapshot: Snapshot) -> Values:
    balance = snapshot.pool.balance
    known = _("Balance of the account at the pool")
    return {
        "balance": ABSENT if balance is None else f"{balance:,}",
        "balance_text": _("The pool has not told it yet") if balance is None else known,
        "pool_user": shown_line(snapshot.pool.user),
    }


def _running(snapshot: Snapshot) -> Values:
    first = verdicts(snapshot)[0]
    waits = first.code == "waiting_for_work"
    return {
        "rows": [page_tasks.task_row(task, snapshot.at_s) for task in unended(snapshot)],
        "empty_title": _("No tasks right now"),
        "empty_text": _("The pool sends work when it has some.") if waits else first.text,
    }


def _kept(archives: Sequence[Any]) -> list[bool]:
    return [path.is_file() for path in archives]


def log_tail(path: Any, ended: bool) -> LogPiece:
    """The end of a task's output; from a whole line on where it is cut. Blocks."""
    first = read_log(path, 0, 1, final=False)
    begin = max(0, first.size - LOG_TAIL_BYTES)
    piece = read_log(path, begin, LOG_TAIL_BYTES, final=ended)
    if not begin:
        return piece
    _cut, _line_end, rest = piece.text.partition("\n")
    return LogPiece(text=rest, next_offset=piece.next_offset, size=piece.size, kept=piece.kept)


def _log_values(piece: LogPiece, *, ended: bool) -> Values:
    text = shown_log(piece.text)
    lines = text.count("\n") + bool(text and not text.endswith("\n"))
    size = translate_many("{count} line, {size}", "{count} lines, {size}", lines, size=size_words(piece.size))
    if ended and not piece.kept:
        size = _("No output of this task is kept here.")
    return {
        "log": piece,
        "log_text": text,
        "log_ended": ended and piece.at_end,
        "log_state": _("complete") if ended else _("live"),
        "log_size": size,
    }


def _result_words(task: Task, *, there: bool) -> str:
    if not task.state.has_ended:
        return _("It is packed when the task ends: all that its program wrote, and its log.")
    if task.delivery is Delivery.NONE:
        return _("It is being packed.")
    if not there:
        return _("It is no longer kept on this computer.")
    where = {
        Delivery.OWED: _("Packed; it waits for the pool, and is kept safely until then."),
        Delivery.DELIVERED: _("The pool has it. A copy is kept here for a while."),
        Delivery.KEPT: _("The pool did not take it; it is kept here."),
    }[task.delivery]
    if task.state is TaskState.COMPLETED:
        return where
    what = _("In it is what its program had written until it ended, and its log.")
    return f"{what} {where}"


def _older(state: TaskState | None, following: Place | None) -> str:
    if following is None:
        return ""
    kind = f"state={state.value}&" if state else ""
    return f"{kind}before={following.ended_at_s!r}-{following.key}"


def place_of(untrusted_text: str) -> Place | None:
    """A place in the history as `older` links write it; None for anything else."""
    at, _dash, key = untrusted_text.partition("-")
    fits = len(at) < 30 and at.replace(".", "", 1).isdigit() and at.isascii()
    safe_key = len(key) == 32 and set(key) <= set("0123456789abcdef")
    return Place(ended_at_s=float(at), key=TaskKey(key)) if fits and safe_key else None
