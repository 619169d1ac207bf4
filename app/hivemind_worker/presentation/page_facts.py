"""Facts in rows for the pages monitor, rules, pools and doctor. What is not known is said, not guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hivemind_worker.model.settings import Settings, rows
from hivemind_worker.model.snapshot import LinkState, Snapshot
from hivemind_worker.presentation.amounts import with_unit
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.health import is_loopback, verdicts
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.page_words import (
    ABSENT,
    FINE,
    NOTE,
    PAGES,
    TROUBLE,
    Way,
    cores_of,
    kind_of,
    own_action,
    way_of,
)
from hivemind_worker.presentation.status import HEALTHY, NOT_REQUIRED, health_report
from hivemind_worker.presentation.verdict import Verdict

if TYPE_CHECKING:
    from hivemind_worker.model.machine import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One row: a name, what is known, how it stands, and the next step when there is one."""

    name: str
    text: str
    look: Look | None = None
    next_step: str = ""
    icon: str = ""
    way: Way | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One bar of what is lent: taken by tasks and lent in all, as numbers, and in words."""

    name: str
    taken: float
    lent: float
    text: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One way in or out of this worker."""

    name: str
    address: str
    direction: str
    reach: str
    look: Look


LOOKS = {
    HEALTHY: (*FINE, mark("fine")),
    NOT_REQUIRED: ("offline", "dash", mark("not needed")),
}
NAMES = {
    "docker": mark("Docker"),
    "grpc": mark("Pool"),
    "resources": mark("Sandbox and share"),
    "vpn": mark("VPN"),
}
ICONS = {"docker": "container", "grpc": "pools", "resources": "resources", "vpn": "lock"}
LINKS = {
    LinkState.REGISTERED: (*FINE, mark("Connected")),
    LinkState.WAITING: ("waiting", "tray-waiting", mark("Silent until work is wanted")),
    LinkState.CONNECTING: ("waiting", "tray-waiting", mark("Connecting")),
    LinkState.NOT_LOGGED_IN: (*TROUBLE, mark("Not signed in")),
    LinkState.LOGIN_REFUSED: ("error", "cross", mark("Login refused")),
    LinkState.UNREACHABLE: ("error", "cross", mark("Not reached")),
}
TROUBLES = ("warning", "error")
UNHEALTHY_LOOK = ("error", "cross", mark("not working"))
RULE_NAMES = ("max_cpu_cores", "max_memory_gb", "max_concurrent_tasks", "task_time_limit_h", "task_disk_gb",
              "task_log_mb", "keep_free_gb", "result_keep_days", "result_quota_gb", "runtime",
              "docker_enabled", "trust_threshold")  # fmt: skip


def _look(kind: tuple[str, str, str]) -> Look:
    return Look(tone=kind[0], icon=kind[1], word=_(kind[2]))


def checks(snapshot: Snapshot, settings: Settings) -> tuple[Fact, ...]:
    """The health checks in words, those that fail first."""
    _healthy, report = health_report(snapshot, settings, snapshot.at_s)
    found = report["checks"]
    assert isinstance(found, Mapping)
    facts = [
        Fact(name=_(NAMES[name]), text=row["detail"], icon=ICONS[name],
             look=_look(LOOKS.get(row["status"], UNHEALTHY_LOOK)), next_step=_step(snapshot, row["detail"]))
        for name, row in found.items()
    ]  # fmt: skip
    order = {UNHEALTHY_LOOK[0]: 0, TROUBLE[0]: 1, FINE[0]: 2}
    return tuple(sorted(facts, key=lambda fact: order.get(fact.look.tone, 3) if fact.look else 3))


def _step(snapshot: Snapshot, detail: str) -> str:
    return next((verdict.action for verdict in verdicts(snapshot) if verdict.text == detail), "")


def summary(facts: Sequence[Fact]) -> str:
    """How many facts are fine, and how many are not."""
    troubles = sum(fact.look is not None and fact.look.tone in TROUBLES for fact in facts)
    if not troubles:
        return _("Everything that is needed works.")
    return translate_many("{count} thing needs you.", "{count} things need you.", troubles)


def check(snapshot: Snapshot, settings: Settings, name: str) -> Fact:
    """One of the health checks: docker, grpc, resources or vpn."""
    return next(fact for fact in checks(snapshot, settings) if fact.name == _(NAMES[name]))


def findings(snapshot: Snapshot) -> tuple[Fact, ...]:
    """The verdicts that ask for something; what no page but this one puts right is told whole."""
    return tuple(_finding(verdict) for verdict in verdicts(snapshot) if verdict.action)


def _finding(verdict: Verdict) -> Fact:
    led = way_of(verdict, [page for page in PAGES if page != "doctor"])
    return Fact(name="", text=verdict.text, next_step=own_action(verdict, led), way=led,
                look=_look((*kind_of(verdict.code), "")))  # fmt: skip


def sandbox(snapshot: Snapshot) -> Fact:
    """Where tasks run."""
    view = snapshot.runtime
    name = {"wasm": _("Built-in sandbox"), "docker": _("Docker")}.get(view.name, _("Sandbox"))
    if view.ready:
        return Fact(name=name, text=view.detail, look=_look((*FINE, mark("ready"))), icon="sandbox")
    text, step = words(view.problem) if view.problem else (view.detail or _("It is being prepared."), "")
    kind = UNHEALTHY_LOOK if view.problem else ("waiting", "tray-waiting", mark("preparing"))
    return Fact(name=name, text=text, next_step=step, look=_look(kind), icon="sandbox")


def shares(snapshot: Snapshot) -> tuple[Share, ...]:
    """What is lent and how much of it tasks hold; of graphics cards where they are lent."""
    taken, lent, free = snapshot.total.minus(snapshot.available), snapshot.total, snapshot.available
    taken_gb, lent_gb = taken.gpu_memory_gb, lent.gpu_memory_gb
    card = Share(
        name=_("GPU"), taken=taken_gb, lent=lent_gb,
        text=_("{taken} of {lent} GiB lent", taken=f"{taken_gb:g}", lent=f"{lent_gb:g}"),
        note=_("{free} GiB free for tasks", free=f"{free.gpu_memory_gb:g}"),
    )  # fmt: skip
    return (
        Share(name=_("Cores"), taken=taken.cpu, lent=lent.cpu,
              text=_("{taken} of {lent} lent", taken=cores_of(taken.cpu), lent=cores_of(lent.cpu)),
              note=_("{free} free for tasks", free=cores_of(free.cpu))),
        Share(name=_("Memory"), taken=taken.memory_gb, lent=lent.memory_gb,
              text=_("{taken} of {lent} GiB lent", taken=f"{taken.memory_gb:g}", lent=f"{lent.memory_gb:g}"),
              note=_("{free} GiB free for tasks", free=f"{free.memory_gb:g}")),
        *((card,) if lent_gb else ()),
    )  # fmt: skip


def disk(sample: Sample, settings: Settings) -> Fact:
    """The disk where tasks live."""
    needed_gb = settings.keep_free_gb + settings.task_disk_gb
    enough = sample.disk_available_gb >= needed_gb
    text = _("{free} GiB free; a task needs {needed} GiB, of which {keep} GiB stay free.",
             free=f"{sample.disk_available_gb:.1f}", needed=f"{needed_gb:g}",
             keep=f"{settings.keep_free_gb:g}")  # fmt: skip
    kind = (*FINE, mark("enough")) if enough else (*TROUBLE, mark("too little"))
    return Fact(name=_("Disk"), text=text, icon="disk", look=_look(kind))


def gpu(snapshot: Snapshot, sample: Sample) -> Fact:
    """The GPU, or that there is none."""
    if not snapshot.total.gpu and sample.gpu_percent is None:
        look = _look(("offline", "dash", mark("not detected")))
        return Fact(name=_("GPU"), text=_("Not detected."), icon="gpu", look=look)
    used = ABSENT if sample.gpu_percent is None else f"{sample.gpu_percent:.0f} %"
    text = _("{used} in use, {memory} GiB of memory.", used=used, memory=f"{snapshot.total.gpu_memory_gb:g}")
    return Fact(name=_("GPU"), text=text, icon="gpu", look=_look((*FINE, mark("detected"))))


def pool_look(snapshot: Snapshot) -> Look:
    """How things stand with the pool."""
    return _look(LINKS[snapshot.pool.link])


def connections(snapshot: Snapshot, web_address: str) -> tuple[Connection, ...]:
    """Who can reach this worker, and whom it calls: the three doors that it has."""
    own = snapshot.grpc_address
    return (
        Connection(name=_("Pool"), address=snapshot.pool.address or ABSENT, direction=_("calls out"),
                   reach=pool_look(snapshot).word, look=pool_look(snapshot)),
        Connection(name=_("Tasks from the pool"), address=own or ABSENT, direction=_("listens"),
                   reach=_reach(own), look=_look((*(FINE if own else NOTE), ""))),
        Connection(name=_("This dashboard"), address=web_address, direction=_("listens"),
                   reach=_reach(web_address),
                   look=_look((*(FINE if is_loopback(web_address) else NOTE), ""))),
    )  # fmt: skip


def _reach(address: str) -> str:
    if not address:
        return _("not open yet")
    return _("this computer only") if is_loopback(address) else _("the network of this address")


def reach_words(web_address: str) -> str:
    """Who can open the pages at this address, for the foot of every page."""
    if is_loopback(web_address):
        return _("reachable from this computer only ({address})", address=web_address)
    return _("reachable from other computers ({address})", address=web_address)


def rules(settings: Settings, sources: Mapping[str, str]) -> tuple[tuple[str, str, str, str], ...]:
    """The limits in force: setting, value with its unit, what it means, what set it."""
    table = {row.name: row for row in rows()}
    return tuple(
        (name, _value(getattr(settings, name), table[name].metadata["unit"]),
         _(table[name].metadata["help"]), _(sources.get(name, mark("default"))))
        for name in RULE_NAMES
    )  # fmt: skip


def _value(value: object, unit: str) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return with_unit(value, unit) if isinstance(value, int | float) else _(str(value))
