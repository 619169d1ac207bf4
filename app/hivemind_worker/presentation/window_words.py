"""What the window and the tray say around the screens: strip, menus, what would be lost, how a start failed.

Counterparts: presentation.health and page_words, which the window shares with the pages.
"""

from __future__ import annotations

from collections.abc import Sequence

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import Mode, Snapshot
from hivemind_worker.model.task import Task, TaskState
from hivemind_worker.presentation.amounts import duration_words
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.health import unended, verdicts
from hivemind_worker.presentation.look import Strip, starting
from hivemind_worker.presentation.moments import clock_time, moment_words
from hivemind_worker.presentation.opening_words import PAUSED, RULES, RUN
from hivemind_worker.presentation.page_words import headline, node_look, subline
from hivemind_worker.presentation.rows import elapsed_s


def strip(snapshot: Snapshot | None) -> Strip:
    """The status strip; without a picture the worker is still starting."""
    if snapshot is None:
        return starting()
    first = verdicts(snapshot)[0]
    return Strip(look=node_look(snapshot), reason=first.head or first.text, more=_more(snapshot))


def _more(snapshot: Snapshot) -> str:
    first = verdicts(snapshot)[0]
    if first.ends_at_s is not None:
        left = duration_words(first.ends_at_s - snapshot.at_s)
        when = moment_words(first.ends_at_s, snapshot.at_s)
        return _("Until {time} · {left} left", time=when, left=left)
    if action := headline(snapshot).action:
        return action
    said = subline(snapshot, None)
    if said:
        return said
    if first.since_s is not None:
        return _("since {time}", time=moment_words(first.since_s, snapshot.at_s))
    return ""


def tray_line(snapshot: Snapshot | None) -> str:
    """The tray's first line: the state in words, and how many of how many."""
    look = strip(snapshot).look
    if snapshot is None:
        return look.word
    running = sum(task.state is TaskState.RUNNING for task in snapshot.tasks)
    if look.tone == "working":
        return _("{state}: {running} of {places} tasks", state=look.word, running=running,
                 places=snapshot.max_tasks)  # fmt: skip
    until_s = snapshot.node.until_s
    if look.tone == "snoozed" and until_s is not None:
        return _("Snoozed until {time}", time=moment_words(until_s, snapshot.at_s))
    return f"{look.word}: {verdicts(snapshot)[0].text}"


def loss_s(tasks: Sequence[Task], now_s: float) -> float:
    """Seconds of work that stopping these tasks would lose: all that each has run, as it is not resumed."""
    return sum(elapsed_s(task, now_s) for task in tasks if task.started_at_s is not None)


def stop_loss(snapshot: Snapshot) -> str:
    """What stopping now would cost."""
    tasks = unended(snapshot)
    lost_s = loss_s(tasks, snapshot.at_s)
    if not tasks or not lost_s:
        return _("Nothing to lose: you can stop at any time")
    return _("Stopping now would lose {time} of work", time=duration_words(lost_s))


def stop_question(tasks: Sequence[Task], now_s: float) -> tuple[str, str]:
    """The question before tasks are stopped, and what it would cost."""
    title = translate_many("Stop this task?", "Stop these {count} tasks?", len(tasks))
    lost_s = loss_s(tasks, now_s)
    if not lost_s:
        return title, _("It has not run yet: nothing is lost.")
    return title, _(
        "{time} of work would be lost. What was written so far goes to the pool, marked as stopped.",
        time=duration_words(lost_s),
    )


def quit_question(snapshot: Snapshot | None) -> tuple[str, str]:
    """The question before the program ends, and what each way would cost."""
    title = _("Quit HiveMind Worker?")
    if snapshot is None or not unended(snapshot):
        return title, _("No task is running: nothing is lost. Without the program no work is taken.")
    count = len(unended(snapshot))
    lost = duration_words(loss_s(unended(snapshot), snapshot.at_s))
    return title, translate_many(
        "{count} task is running. Stopping now loses {time} of work.",
        "{count} tasks are running. Stopping now loses {time} of work.",
        count, time=lost,
    )  # fmt: skip


def pause_label(snapshot: Snapshot | None) -> tuple[str, str]:
    """The word and the icon of the button that pauses or resumes."""
    if snapshot is not None and snapshot.node.mode in (Mode.PAUSED, Mode.FINISHING):
        return (_("Resume") if snapshot.node.mode is Mode.PAUSED else _("Take work again")), "play"
    return _("Pause"), "pause"


def run_mode(snapshot: Snapshot | None) -> str:
    """Which of RUN_MODES holds; without a picture the rules'."""
    if snapshot is None:
        return RULES
    if snapshot.node.mode is Mode.PAUSED:
        return PAUSED
    return RUN if snapshot.node.ignores_rules else RULES


def held_at(at_s: float) -> str:
    """A log that stands still."""
    return _("Held at {time}", time=clock_time(at_s, seconds=True))


def nothing_here(tab: int, filtered: bool, snapshot: Snapshot) -> tuple[str, str]:
    """An empty table of tasks (0 running, 1 waiting, 2 finished): what that means, and what comes next."""
    if filtered:
        return _("No task matches"), _("Clear the text above to see all of them.")
    if tab == 2:
        return _("No task has ended yet"), _("Each one stays here with its log and what became of it.")
    if tab == 1:
        return _("No task is waiting"), _("Accepted tasks wait here while their files are unpacked.")
    first = verdicts(snapshot)[0]
    if first.code == "waiting_for_work":
        return _("No tasks right now"), f"{first.text} {subline(snapshot, None)}"
    action = headline(snapshot).action
    return _("No task is running"), " ".join(part for part in (first.text, action) if part)


_REMEDIES = {
    "account": (
        mark("Open Account"),
        (FaultCode.NOT_LOGGED_IN, FaultCode.WRONG_PASSWORD, FaultCode.PLAIN_LOGIN),
    ),
    "pools": (mark("Open Pools"), (FaultCode.POOL_UNREACHABLE, FaultCode.POOL_MUTE, FaultCode.BAD_ADDRESS)),
    "settings": (mark("Open Settings"), (FaultCode.BAD_SETTING, FaultCode.BAD_SETTINGS_FILE)),
    "logs": (mark("Show the log"), (FaultCode.BUG,)),
}


def remedy(code: FaultCode) -> tuple[str, str]:
    """What to press about a fault in the window: the place where it is seen to, and the button's word."""
    for place, (word, codes) in _REMEDIES.items():
        if code in codes:
            return place, _(word)
    return "doctor", _("Open Doctor")
