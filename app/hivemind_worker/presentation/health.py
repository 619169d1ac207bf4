"""Why the worker is (not) working: one ordered list for every front end.

The first verdict is the cause why no work runs; while tasks run, it is that they do.
Each check looks at one cause and says nothing when it does not hold. Counterpart:
presentation.status, which shows the list beside the figures.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.fleet import Values
from hivemind_worker.model.snapshot import LinkState, Mode, Snapshot
from hivemind_worker.model.task import Problem, Task, TaskState
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.cause_words import cause_words
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.pulling import pull_words
from hivemind_worker.presentation.rule_words import held_back, rule_remarks, rule_verdicts
from hivemind_worker.presentation.verdict import Verdict

RESUME = mark("Resume with: hivemind-worker resume")
CONNECTED = (LinkState.REGISTERED, LinkState.WAITING)


def verdicts(snapshot: Snapshot) -> tuple[Verdict, ...]:
    """All that holds now, most important first; never empty."""
    found: list[Verdict] = []
    for check in CHECKS:
        match check(snapshot):
            case Verdict() as verdict:
                found.append(verdict)
            case tuple() as several:
                found.extend(several)
    return tuple(found)


def status_word(snapshot: Snapshot) -> str:
    """One of starting, offline, idle, running, paused, finishing, stopping."""
    wish = {Mode.STOPPING: "stopping", Mode.PAUSED: "paused", Mode.FINISHING: "finishing"}
    if snapshot.node.mode in wish:
        return wish[snapshot.node.mode]
    if snapshot.judgement.freezes:
        return "paused"
    if tasks := unended(snapshot):
        return "paused" if all(task.held for task in tasks) else "running"
    if snapshot.pool.link in CONNECTED:
        return "idle"
    if snapshot.pool.link is LinkState.CONNECTING and snapshot.pool.last_heard_s is None:
        return "starting"
    return "offline"


def unended(snapshot: Snapshot) -> tuple[Task, ...]:
    """The tasks that hold resources: starting, running or held."""
    return tuple(task for task in snapshot.tasks if not task.state.has_ended)


def is_loopback(address: str) -> bool:
    """Whether HOST or HOST:PORT names this computer only; names other than localhost count as elsewhere."""
    host = host_of(address)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(address: str) -> str:
    """The host of HOST, HOST:PORT or [HOST]:PORT, without brackets."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def reaches_loopback_only(snapshot: Snapshot) -> bool:
    """Whether the pool is elsewhere while this worker listens to its own computer alone."""
    announced, pool = snapshot.grpc_address, snapshot.pool.address
    return bool(announced and pool) and is_loopback(announced) and not is_loopback(pool)


def _since(at_s: float) -> float | None:
    return at_s or None  # the journal's 0.0 stands for "since ever"


def _stopping(snapshot: Snapshot) -> Verdict | None:
    if snapshot.node.mode is not Mode.STOPPING:
        return None
    return _told(code="stopping", since_s=_since(snapshot.node.mode_since_s))


def _told(
    *, code: str, values: Values | None = None, left_s: float | None = None, since_s: float | None = None,
    ends_at_s: float | None = None, action: str = "",
) -> Verdict:  # fmt: skip
    """A verdict whose sentence other machines can say as well."""
    known = values or {}
    return Verdict(
        code=code, text=cause_words(code, known, left_s), values=known, since_s=since_s, ends_at_s=ends_at_s,
        action=action,
    )  # fmt: skip


def _active(snapshot: Snapshot) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
    """Tasks that run, and tasks that are about to; none counts while the worker pauses or stops."""
    running = tuple(task for task in snapshot.tasks if task.state is TaskState.RUNNING)
    starting = tuple(task for task in snapshot.tasks if task.state is TaskState.ALLOCATED and not task.held)
    if snapshot.node.mode is Mode.STOPPING:
        return (), ()
    held = snapshot.node.mode is Mode.PAUSED or snapshot.judgement.freezes
    return running, () if held else starting


def _working(snapshot: Snapshot) -> Verdict | None:
    running, starting = _active(snapshot)
    if not (running or starting):
        return None
    since_s = min(task.started_at_s or task.accepted_at_s for task in running or starting)
    return _told(code="working", values={"running": len(running), "starting": len(starting)}, since_s=since_s)


def _full(snapshot: Snapshot) -> Verdict | None:
    running, starting = _active(snapshot)
    if not (running or starting) or len(unended(snapshot)) < snapshot.max_tasks:
        return None
    text = translate_many(
        "The only place for a task is taken.", "All {count} places for tasks are taken.", snapshot.max_tasks
    )
    return Verdict(code="full", text=text)


def _owner_wish(snapshot: Snapshot) -> Verdict | None:
    if snapshot.node.mode is Mode.FINISHING:
        return _finishing(snapshot)
    if snapshot.node.mode is not Mode.PAUSED:
        return None
    since_s, until_s = _since(snapshot.node.mode_since_s), snapshot.node.until_s
    if snapshot.node.asked_by:
        return _paused_elsewhere(snapshot)
    if until_s is None:
        return _told(code="paused", since_s=since_s, action=_(RESUME))
    left_s = until_s - snapshot.at_s
    return _told(code="snoozed", left_s=left_s, since_s=since_s, ends_at_s=until_s, action=_(RESUME))


def _paused_elsewhere(snapshot: Snapshot) -> Verdict:
    until_s = snapshot.node.until_s
    left_s = None if until_s is None else until_s - snapshot.at_s
    since_s = _since(snapshot.node.mode_since_s)
    return _told(
        code="paused_elsewhere", values={"by": snapshot.node.asked_by}, left_s=left_s, since_s=since_s,
        ends_at_s=until_s, action=_(RESUME),
    )  # fmt: skip


def _held_alone(snapshot: Snapshot) -> Verdict | None:
    """Tasks that their owner has paused one by one; the pause of everything says enough for them."""
    held = [task for task in unended(snapshot) if task.held]
    if not held or snapshot.node.mode is Mode.PAUSED:
        return None
    action = _("Let it go on: hivemind-worker resume {id}", id=held[0].key[:8])
    return _told(code="task_paused", values={"count": len(held)}, action=action)


def _finishing(snapshot: Snapshot) -> Verdict:
    left, node = max(1, len(unended(snapshot))), snapshot.node
    values: Values = {"count": left, "by": node.asked_by, "quits": node.quit_after}
    return _told(code="finishing", values=values, since_s=_since(node.mode_since_s), action=_(RESUME))


def _blocked(snapshot: Snapshot) -> Verdict | None:
    if snapshot.blocker is None:
        return None
    text, action = words(snapshot.blocker)
    if snapshot.runtime.pull is not None and snapshot.blocker.code is FaultCode.SANDBOX_PREPARING:
        text = pull_words(snapshot.runtime.pull)
    values = _fault(snapshot.blocker)
    return Verdict(code=snapshot.blocker.code.value, text=text, action=action, values=values)


def _fault(problem: Problem) -> Values:
    return {"fault": problem.code.value, "about": problem.about}


def _link(snapshot: Snapshot) -> Verdict | None:
    pool = snapshot.pool
    if pool.link in CONNECTED:
        return None
    since_s = _since(pool.since_s)
    if pool.link is LinkState.CONNECTING and pool.problem is None:
        return _told(code="connecting", values={"pool": pool.address}, since_s=since_s)
    code, default = LINK_FAULTS[pool.link]
    if pool.problem is not None and pool.problem.code is FaultCode.POOL_MUTE:
        code = "pool_mute"
    about = _("it gave no reason.") if default is FaultCode.WRONG_PASSWORD else pool.address
    problem = pool.problem or Problem(code=default, about=about)
    text, action = words(problem)
    return Verdict(code=code, text=text, since_s=since_s, action=action, values=_fault(problem))


LINK_FAULTS = {
    LinkState.NOT_LOGGED_IN: ("not_logged_in", FaultCode.NOT_LOGGED_IN),
    LinkState.LOGIN_REFUSED: ("login_refused", FaultCode.WRONG_PASSWORD),
    LinkState.UNREACHABLE: ("pool_unreachable", FaultCode.POOL_UNREACHABLE),
    LinkState.CONNECTING: ("pool_unreachable", FaultCode.POOL_UNREACHABLE),
}


def _loopback_only(snapshot: Snapshot) -> Verdict | None:
    if not reaches_loopback_only(snapshot):
        return None
    values: Values = {"pool": snapshot.pool.address, "own": snapshot.grpc_address}
    action = _("Connect the pool's VPN, or set HIVEMIND_BIND_ADDRESS.")
    return _told(code="loopback_only", values=values, action=action)


def _results_waiting(snapshot: Snapshot) -> Verdict | None:
    if not snapshot.owed_results or snapshot.pool.link in CONNECTED:
        return None
    text = translate_many(
        "{count} finished result is kept safely until the pool is back.",
        "{count} finished results are kept safely until the pool is back.",
        snapshot.owed_results,
    )
    return Verdict(code="results_waiting", text=text)


def _waiting(snapshot: Snapshot) -> Verdict | None:
    wanted = (
        snapshot.node.mode is Mode.RUN
        and snapshot.blocker is None
        and not snapshot.judgement.refuses
        and held_back(snapshot) is None
    )
    if not wanted or snapshot.pool.link not in CONNECTED or any(_active(snapshot)):
        return None
    values: Values = {"pool": snapshot.pool.address}
    return _told(code="waiting_for_work", values=values, since_s=_since(snapshot.pool.since_s))


def _recovered(snapshot: Snapshot) -> Verdict | None:
    if not snapshot.recovery:
        return None
    return Verdict(code="recovered", text=_(snapshot.recovery))


def _new_version(snapshot: Snapshot) -> Verdict | None:
    newer = snapshot.newer
    if newer is None:
        return None
    text = _("Version {version} is there; this is {own}.", version=newer.version, own=snapshot.version)
    return Verdict(code="new_version", text=text, action=_("Read about it: {page}", page=newer.page))


CHECKS: tuple[Callable[[Snapshot], Verdict | tuple[Verdict, ...] | None], ...] = (
    _stopping,
    _working,
    _full,
    _owner_wish,
    _held_alone,
    rule_verdicts,
    held_back,
    _blocked,
    _link,
    _loopback_only,
    _results_waiting,
    _waiting,
    rule_remarks,
    _recovered,
    _new_version,
)
