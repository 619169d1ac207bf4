"""What the pages say about the worker as a whole: its state's shape and word, causes, buttons, tiles.

Counterparts: presentation.health, which decides what is said, and the templates, which lay it out.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.judgement import RuleCode
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.snapshot import LinkState, Mode, Snapshot
from hivemind_worker.model.task import TaskState
from hivemind_worker.presentation.amounts import cores_words, duration_words
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.health import status_word, unended, verdicts
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.rule_words import RUN_ANYWAY, held_back
from hivemind_worker.presentation.status import HEALTHY, health_report
from hivemind_worker.presentation.verdict import Verdict

if TYPE_CHECKING:
    from hivemind_worker.model.settings import Settings

TOP_SCORE, HIGH_FROM, MEDIUM_FROM = 100, 80, 50
ABSENT = "–"
"""For what is unknown or does not apply; never 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """One thing to press: the action of /api/v1/actions that it asks for."""

    action: str
    label: str
    icon: str
    main: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The screen or page on which a cause is put right."""

    place: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One line of why the worker is (not) working, and what leads on: a place, or a thing to press."""

    look: Look
    text: str
    action: str = ""
    since_s: float | None = None
    ends_at_s: float | None = None
    code: str = ""  # of what is wrong, where something is
    way: Way | None = None
    press: Button | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The trust tile."""

    score: int
    group: str
    next_step: str
    mark: int
    against_mark: str

    @property
    def zones(self) -> tuple[tuple[int, int, bool], ...]:
        """Begin and end of each group on the scale, lowest first, and whether the score is in it."""
        ends = (0, MEDIUM_FROM, HIGH_FROM, TOP_SCORE)
        place = sum(self.score >= start for start in ends[1:3])
        return tuple((ends[n], ends[n + 1], n == place) for n in range(3))


LOOKS = {
    "running": ("working", "tray-working", mark("Working")),
    "idle": ("waiting", "tray-waiting", mark("Waiting")),
    "starting": ("waiting", "tray-waiting", mark("Starting")),
    "paused": ("paused", "tray-paused", mark("Paused")),
    "snoozed": ("snoozed", "tray-snoozed", mark("Snoozed")),
    "finishing": ("finishing", "tray-finishing", mark("Finishing")),
    "stopping": ("finishing", "tray-finishing", mark("Stopping")),
    "offline": ("offline", "tray-offline", mark("Offline")),
    "preparing": ("waiting", "tray-waiting", mark("Preparing")),
    "blocked": ("warning", "tray-warning", mark("Blocked")),
}
GROUP_WORDS = {"low": mark("Low"), "medium": mark("Medium"), "high": mark("High")}
FINE, NOTE, TROUBLE = ("working", "check"), ("waiting", "info"), ("warning", "warning")
HELD = ("paused", "tray-paused")
"""What the owner's own rules hold back is no trouble."""
COMMAND = "hivemind-worker "
PLACE_NAMES = {
    "rules": mark("Rules"), "network": mark("Network"), "settings": mark("Settings"),
    "doctor": mark("Doctor"), "pools": mark("Pools"), "tasks": mark("Tasks"),
}  # fmt: skip
"""The places of the window to which a cause leads."""
PAGES = ("rules", "doctor", "pools", "tasks")
"""Those of them that are pages of the dashboard as well."""
WAYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("not_logged_in", "login_refused"), ("pools",)),
    **dict.fromkeys(("loopback_only", "vpn_down"), ("network", "doctor")),
    "bad_setting": ("settings", "doctor"),
    "task_paused": ("tasks",),
    **dict.fromkeys(("rules_never_allow", "lower_level", "idle_unknown", "sensor_lost"), ("rules",)),
    **dict.fromkeys(("engine_missing", "engine_down", "engine_forbidden", "engine_hung", "engine_unsuitable",
                     "sandbox_missing", "sandbox_failed", "bad_pack", "no_permission", "image_missing",
                     "image_not_fetched"), ("doctor",)),
    **{code.value: ("rules",) for code in RuleCode},
}  # fmt: skip
"""Where each cause is put right: the first of these places that a front end has."""
PRESSED = {
    "gpu_paused": ("gpu", mark("Let it go on"), "play"),
    "rules_ignored": ("heed", mark("Heed them again"), "rules"),
}
"""What is put right by pressing in its row."""
CALM_CODES = frozenset({"working", "waiting_for_work"})
IMAGE_FAULTS = frozenset({FaultCode.IMAGE_MISSING, FaultCode.IMAGE_NOT_FETCHED})
PAUSED_CODES = ("paused", "paused_elsewhere", "snoozed")
NOTE_CODES = frozenset(
    {"full", "task_paused", "connecting", "stopping", "paused", "paused_elsewhere", "snoozed", "finishing",
     "results_waiting", "recovered", "gpu_paused", "rules_ignored", "rules_never_allow", "lower_level",
     "clock_set", "new_version", FaultCode.SANDBOX_PREPARING.value}
)  # fmt: skip
OF_THE_MACHINE = frozenset({
    RuleCode.DISK, RuleCode.HEAT, RuleCode.GPU_HEAT, RuleCode.MEMORY_ACCEPT, RuleCode.MEMORY_PAUSE,
    RuleCode.MEMORY_STOP,
})  # fmt: skip
RULE_CODES = frozenset(code.value for code in set(RuleCode) - OF_THE_MACHINE)
"""What the owner wants so; that the disk is full or the computer hot is trouble nevertheless."""


def node_look(snapshot: Snapshot) -> Look:
    """The state pill."""
    tone, icon, word = LOOKS[_state_name(snapshot)]
    return Look(tone=tone, icon=icon, word=_(word))


def _state_name(snapshot: Snapshot) -> str:
    status = status_word(snapshot)
    if status == "paused" and snapshot.node.until_s is not None:
        return "snoozed"
    if snapshot.blocker is not None and status in ("idle", "starting", "offline"):
        return "preparing" if snapshot.blocker.code is FaultCode.SANDBOX_PREPARING else "blocked"
    return status


def short_name(node_id: str) -> str:
    """The computer's name out of "worker-larch-50053"; other names as they are."""
    found = re.fullmatch(r"worker-(.+?)(?:-\d+)?", node_id)
    return found[1] if found else node_id


def headline(snapshot: Snapshot, places: Collection[str] = tuple(PLACE_NAMES)) -> Cause:
    """The first verdict, in a front end that has these places."""
    first = verdicts(snapshot)[0]
    cause = _as_cause(first, places)
    action = "" if _can_run_anyway(first) else cause.action
    return replace(
        cause, look=node_look(snapshot), text=(first.head or first.text).rstrip(".。"), action=action
    )


def way(snapshot: Snapshot, places: Collection[str] = tuple(PLACE_NAMES)) -> Way | None:
    """Where the first cause is put right, if it is anywhere among these places."""
    return way_of(verdicts(snapshot)[0], places)


def way_of(verdict: Verdict, places: Collection[str]) -> Way | None:
    """Where this is put right, if it is anywhere among these places."""
    place = next((each for each in WAYS.get(verdict.code, ()) if each in places), None)
    if place is None:
        return None
    signs_in = place == "pools" and "network" in places  # pages tell how, the window does it
    label = _("Sign in") if signs_in else _("Open {place}", place=_(PLACE_NAMES[place]))
    return Way(place=place, label=label)


def subline(snapshot: Snapshot, last_ended_s: float | None) -> str:
    """One sentence under the headline: what it means for the owner; "" when there is nothing to add."""
    first = verdicts(snapshot)[0]
    code = first.code
    if first.head:
        return first.text.removeprefix(first.head).strip()
    frozen = sum(task.state is TaskState.PAUSED for task in snapshot.tasks)
    if code in PAUSED_CODES and frozen:
        return translate_many("Nothing is lost: {count} task is frozen.",
                              "Nothing is lost: {count} tasks are frozen.", frozen)  # fmt: skip
    if code in PAUSED_CODES:
        return _("No new task is taken meanwhile.")
    if code == "waiting_for_work" and last_ended_s is not None:
        return _("It sends work when it has some. Your last task ended {time} ago.",
                 time=duration_words(snapshot.at_s - last_ended_s))  # fmt: skip
    if code == "waiting_for_work":
        return _("It sends work when it has some.")
    return _taken(snapshot) if unended(snapshot) else ""


def _taken(snapshot: Snapshot) -> str:
    taken = snapshot.total.minus(snapshot.available)
    return _(
        "Tasks hold {cores} of {all_cores} and {memory} of {all_memory} GiB that you lend.",
        cores=cores_of(taken.cpu), all_cores=cores_words(snapshot.total.cpu / CPU_SCORE_PER_CORE),
        memory=f"{taken.memory_gb:g}", all_memory=f"{snapshot.total.memory_gb:g}",
    )  # fmt: skip


def cores_of(score: float) -> str:
    """Cores of a processor score, as a number."""
    return f"{score / CPU_SCORE_PER_CORE:g}"


def causes(
    snapshot: Snapshot, settings: Settings, places: Collection[str] = tuple(PLACE_NAMES)
) -> tuple[Cause, ...]:
    """The other verdicts, then what is as it should be."""
    others = tuple(_as_cause(verdict, places) for verdict in verdicts(snapshot)[1:])
    _healthy, report = health_report(snapshot, settings, snapshot.at_s)
    checks = report["checks"]
    assert isinstance(checks, dict)
    fine = tuple(
        Cause(look=_look_of(FINE), text=row["detail"])
        for row in checks.values() if row["status"] == HEALTHY
    )  # fmt: skip
    return others + fine


def _as_cause(verdict: Verdict, places: Collection[str]) -> Cause:
    led, pressed = way_of(verdict, places), PRESSED.get(verdict.code)
    press = None
    if pressed is not None:
        action, label, icon = pressed
        press = Button(action=action, label=_(label), icon=icon)
    return Cause(
        look=_look_of(kind_of(verdict.code)), text=verdict.text, action=own_action(verdict, led or press),
        since_s=verdict.since_s, ends_at_s=verdict.ends_at_s, code=_trouble_code(verdict),
        way=led, press=press,
    )  # fmt: skip


def kind_of(code: str) -> tuple[str, str]:
    """Tone and shape of a verdict: fine, a note, held back by a rule, or trouble."""
    if code in RULE_CODES:
        return HELD
    return FINE if code in CALM_CODES else NOTE if code in NOTE_CODES else TROUBLE


def _trouble_code(verdict: Verdict) -> str:
    """The code of what is wrong; "" where all is as it should be, or as the owner wants it."""
    return verdict.code if kind_of(verdict.code) == TROUBLE else ""


def _look_of(kind: tuple[str, str]) -> Look:
    words = {
        "check": mark("fine"), "info": mark("note"), "warning": mark("trouble"),
        "tray-paused": mark("holds work back"),
    }  # fmt: skip
    return Look(tone=kind[0], icon=kind[1], word=_(words[kind[1]]))


def own_action(verdict: Verdict, leads_on: Way | Button | None = None) -> str:
    """The next step in words; where a button does it or leads to it, no command stands beside it."""
    has_button = verdict.code in (*PAUSED_CODES, "finishing", "image_held_back")
    by_button = leads_on is not None and COMMAND in verdict.action
    return "" if has_button or by_button else verdict.action


def buttons(snapshot: Snapshot) -> tuple[Button, ...]:
    """What the owner can press now, the most likely first. Pausing has a menu of durations of its own."""
    mode = snapshot.node.mode
    if mode is Mode.STOPPING:
        return ()
    if mode in (Mode.PAUSED, Mode.FINISHING):
        label = _("Resume") if mode is Mode.PAUSED else _("Take work again")
        return (Button(action="resume", label=label, icon="play", main=True),)
    found = [Button(action="pause", label=_("Pause"), icon="pause")]
    if unended(snapshot):
        found.append(Button(action="finish", label=_("Finish tasks then pause"), icon="finish"))
    if snapshot.pool.link is LinkState.UNREACHABLE or (
        snapshot.pool.link is LinkState.CONNECTING and snapshot.pool.problem is not None
    ):
        found.insert(0, Button(action="reconnect", label=_("Try now"), icon="refresh", main=True))
    if snapshot.runtime.pull is not None:
        found.append(Button(action="stop-fetch", label=_("Stop fetching the image"), icon="stop"))
    elif snapshot.blocker is not None and snapshot.blocker.code in IMAGE_FAULTS:
        found.insert(0, Button(action="fetch-image", label=_("Fetch the image"), icon="download", main=True))
    if held_back(snapshot) is not None:
        found.insert(0, Button(action="retry", label=_("Try now"), icon="refresh", main=True))
    if _can_run_anyway(verdicts(snapshot)[0]):
        found.insert(0, Button(action="anyway", label=_("Work anyway for an hour"), icon="play", main=True))
    return tuple(found)


def _can_run_anyway(verdict: Verdict) -> bool:
    """Whether a rule of the owner's is the cause, and the mode Run would not heed it."""
    return verdict.action == _(RUN_ANYWAY)


def places_words(snapshot: Snapshot) -> str:
    """What the places for tasks that do not run are: frozen, starting, free."""
    open_tasks = unended(snapshot)
    frozen = sum(task.state is TaskState.PAUSED for task in open_tasks)
    starting = sum(task.state is TaskState.ALLOCATED for task in open_tasks)
    free = max(0, snapshot.max_tasks - len(open_tasks))
    said = [
        translate_many("{count} frozen", "{count} frozen", frozen) if frozen else "",
        translate_many("{count} starting", "{count} starting", starting) if starting else "",
        translate_many("{count} place free", "{count} places free", free) if free else "",
    ]
    return ", ".join(filter(None, said)) or _("all taken")


def trust(snapshot: Snapshot) -> Trust:
    """The trust tile: the score, its group, and how far the next group is."""
    score = snapshot.node.trust_score
    if score >= HIGH_FROM:
        ahead = _("the highest group")
    else:
        goal, name = (
            (HIGH_FROM, GROUP_WORDS["high"]) if score >= MEDIUM_FROM else (MEDIUM_FROM, GROUP_WORDS["medium"])
        )
        ahead = translate_many(
            "{count} point to {group}", "{count} points to {group}", goal - score, group=_(name)
        )
    group = _(GROUP_WORDS.get(snapshot.trust_group, snapshot.trust_group))
    mark_score = snapshot.trust_threshold
    below = _("below your mark of {mark}", mark=mark_score)
    return Trust(
        score=score, group=group, next_step=ahead, mark=mark_score,
        against_mark=below if score < mark_score else _("your mark is {mark}", mark=mark_score),
    )  # fmt: skip
