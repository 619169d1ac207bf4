"""Tasks as the pages show them: rows, the page of one task, what happened latest, figures over many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hivemind_worker.model.snapshot import Mode, Snapshot
from hivemind_worker.model.task import Delivery, Phase, Task, TaskState
from hivemind_worker.presentation.amounts import clock, duration_words, size_words
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.page_words import ABSENT, cores_of
from hivemind_worker.presentation.plain_text import shown_line
from hivemind_worker.presentation.rows import elapsed_s

STATES = {
    TaskState.ALLOCATED: ("waiting", "tray-waiting", mark("Starting")),
    TaskState.RUNNING: ("working", "tray-working", mark("Running")),
    TaskState.PAUSED: ("paused", "tray-paused", mark("Paused")),
    TaskState.COMPLETED: ("working", "check", mark("Completed")),
    TaskState.FAILED: ("error", "cross", mark("Failed")),
    TaskState.STOPPED: ("offline", "stop", mark("Stopped")),
}
PHASES = {
    Phase.UNPACKING: ("waiting", "tray-waiting", mark("Unpacking")),
    Phase.PULLING: ("waiting", "tray-waiting", mark("Getting its image")),
    Phase.INSTALLING: ("waiting", "tray-waiting", mark("Installing")),
    Phase.STOPPING: ("finishing", "tray-finishing", mark("Stopping")),
}
FREE = Look(tone="", icon="tray-waiting", word="")
"""A place for a task that is free."""

RUNTIMES = {"wasm": ("sandbox", mark("Built-in")), "docker": ("container", mark("Docker"))}
DELIVERIES = {
    Delivery.NONE: mark("being packed"),
    Delivery.OWED: mark("waits for the pool"),
    Delivery.DELIVERED: mark("at the pool"),
    Delivery.KEPT: mark("kept here"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One task in a table. `name` is untrusted text made fit to be shown; links use `key`."""

    key: str
    name: str
    look: Look
    runtime: str
    runtime_icon: str
    since_s: float
    ended_at_s: float | None
    elapsed: str
    ticks: bool
    cores: str
    memory: str
    cpu_time: str
    peak_memory: str
    exit_code: str
    trust_change: str
    delivery: str
    problem: str = ""
    next_step: str = ""
    can_stop: bool = False
    hold: str = ""  # the wish of its button: pause or resume
    hold_word: str = ""
    hold_icon: str = ""


def hold_label(tasks: Sequence[Task]) -> tuple[str, str]:
    """The word and the icon of the button that pauses these tasks alone, or lets them go on."""
    open_tasks = [task for task in tasks if not task.state.has_ended]
    if open_tasks and all(task.held for task in open_tasks):
        return _("Resume"), "play"
    return _("Pause"), "pause"


def task_look(task: Task) -> Look:
    """A task's shape and word; the phase where it says more than the state."""
    tone, icon, word = STATES[task.state]
    if not task.state.has_ended:
        tone, icon, word = PHASES.get(task.phase, (tone, icon, word))
    return Look(tone=tone, icon=icon, word=_(word))


def task_row(task: Task, now_s: float) -> TaskRow:
    """One task as a row."""
    problem, next_step = words(task.problem) if task.problem else ("", "")
    icon, runtime = RUNTIMES.get(task.runtime, ("", task.runtime))
    ended = task.state.has_ended
    ran = task.started_at_s is not None
    return TaskRow(
        key=task.key,
        name=shown_line(task.task_id),
        look=task_look(task),
        runtime=_(runtime) if runtime else ABSENT,
        runtime_icon=icon,
        since_s=task.started_at_s if task.started_at_s is not None else task.accepted_at_s,
        ended_at_s=task.ended_at_s,
        elapsed=clock(elapsed_s(task, now_s)) if ran or not ended else ABSENT,
        ticks=not ended,
        cores=cores_of(task.demand.cpu),
        memory=f"{task.demand.memory_gb:g} GiB",
        cpu_time=duration_words(task.usage.cpu_s) if task.usage.cpu_s else ABSENT,
        peak_memory=size_words(task.usage.peak_memory_bytes) if task.usage.peak_memory_bytes else ABSENT,
        exit_code=ABSENT if task.exit_code is None else str(task.exit_code),
        trust_change=f"{task.trust_change:+d}" if task.trust_change else "0" if ended else ABSENT,
        delivery=_(DELIVERIES[task.delivery]) if ended else "",
        problem=shown_line(problem),
        next_step=next_step,
        can_stop=not ended and task.phase is not Phase.STOPPING,
        hold="resume" if task.held else "pause",
        hold_word=hold_label((task,))[0],
        hold_icon=hold_label((task,))[1],
    )


def task_headline(task: Task, now_s: float) -> str:
    """The first line of a task's page."""
    took = clock(elapsed_s(task, now_s))
    if task.state.has_ended:
        if task.started_at_s is None:
            return _("{state} before it ran", state=task_look(task).word)
        return _("{state} after {time}", state=task_look(task).word, time=took)
    return task_look(task).word


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What became of the last ended tasks."""

    count: int
    completed: int
    failed: int
    stopped: int
    average: str
    longest: str
    cpu_time: str
    peak_memory: str

    @property
    def title(self) -> str:
        return translate_many("Last {count} task", "Last {count} tasks", self.count)


def figures(ended: Sequence[Task]) -> Figures:
    """Counts and times over these tasks; those that never ran have no time."""
    ran = [elapsed_s(task, task.ended_at_s or 0) for task in ended if task.started_at_s is not None]
    return Figures(
        count=len(ended),
        completed=_count(ended, TaskState.COMPLETED),
        failed=_count(ended, TaskState.FAILED),
        stopped=_count(ended, TaskState.STOPPED),
        average=clock(sum(ran) / len(ran)) if ran else ABSENT,
        longest=clock(max(ran)) if ran else ABSENT,
        cpu_time=duration_words(sum(task.usage.cpu_s for task in ended)) if ran else ABSENT,
        peak_memory=_largest(task.usage.peak_memory_bytes for task in ended),
    )


def _count(tasks: Iterable[Task], state: TaskState) -> int:
    return sum(task.state is state for task in tasks)


def _largest(sizes: Iterable[int]) -> str:
    found = max(sizes, default=0)
    return size_words(found) if found else ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One line of "Latest". `name` is the task it is about, "" for the worker itself."""

    at_s: float
    look: Look
    before: str
    name: str = ""
    key: str = ""
    after: str = ""
    aside: str = ""


def happenings(snapshot: Snapshot, ended: Sequence[Task], most: int) -> tuple[Happening, ...]:
    """What happened latest, newest first, out of what is known of the tasks and of the worker."""
    found = [line for task in (*snapshot.tasks, *ended) for line in _of_task(task)]
    unique = {(line.at_s, line.key, line.after): line for line in (*found, *_of_node(snapshot))}
    return tuple(sorted(unique.values(), key=lambda line: line.at_s, reverse=True)[:most])


def _of_task(task: Task) -> Iterable[Happening]:
    if task.started_at_s is not None:
        where = _("in Docker") if task.runtime == "docker" else _("in the built-in sandbox")
        yield _line(task, task.started_at_s, ("waiting", "play"), _("started {where}", where=where))
    else:
        yield _line(task, task.accepted_at_s, ("waiting", "download"), _("was accepted"))
    if task.ended_at_s is not None:
        tone, icon, _word = STATES[task.state]
        yield _line(task, task.ended_at_s, (tone, icon), _ending(task), _trust_words(task))


def _ending(task: Task) -> str:
    match task.state:
        case TaskState.COMPLETED:
            return _("completed")
        case TaskState.FAILED:
            return _("failed")
        case _:
            return _("was stopped")


def _trust_words(task: Task) -> str:
    return _("trust {change}", change=f"{task.trust_change:+d}") if task.trust_change else ""


def _line(task: Task, at_s: float, kind: tuple[str, str], after: str, aside: str = "") -> Happening:
    look = Look(tone=kind[0], icon=kind[1], word="")
    name = shown_line(task.task_id)
    return Happening(
        at_s=at_s, look=look, before=_("Task"), name=name, key=task.key, after=after, aside=aside
    )


def _of_node(snapshot: Snapshot) -> Iterable[Happening]:
    since_s = snapshot.node.mode_since_s
    if not since_s:
        return
    kinds = {
        Mode.RUN: ("working", "tray-working", mark("Work goes on")),
        Mode.PAUSED: ("paused", "tray-paused", mark("Paused")),
        Mode.FINISHING: ("finishing", "tray-finishing", mark("Finishing: no new task is taken")),
        Mode.STOPPING: ("finishing", "tray-finishing", mark("The worker is stopping")),
    }
    tone, icon, sentence = kinds[snapshot.node.mode]
    yield Happening(at_s=since_s, look=Look(tone=tone, icon=icon, word=""), before=_(sentence))
