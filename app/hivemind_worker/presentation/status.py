"""The worker's figures as the seed API names them, the full state of /api/v1, and the health report.

Key names and types of the seed routes are a contract: keys may be added, never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pools import is_asked
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.snapshot import LinkState, Snapshot
from hivemind_worker.model.task import Problem, Task
from hivemind_worker.model.vpn import VpnState
from hivemind_worker.presentation.amounts import cores_words, iso
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.faults import problem_row, words
from hivemind_worker.presentation.health import (
    CONNECTED,
    host_of,
    is_loopback,
    reaches_loopback_only,
    status_word,
    unended,
    verdicts,
)
from hivemind_worker.presentation.offer_words import offer_report
from hivemind_worker.presentation.rows import seed_task, v1_task
from hivemind_worker.presentation.vpn import STATE_WORDS, state_words, vpn_row

if TYPE_CHECKING:
    from hivemind_worker.engine.face import Sample

TROUBLED = (VpnState.STARTING, VpnState.STALE, VpnState.BLOCKED, VpnState.NO_PERMISSION)
HEALTHY, UNHEALTHY, NOT_REQUIRED = "healthy", "unhealthy", "not_required"


def status_report(snapshot: Snapshot, sample: Sample) -> dict[str, object]:
    """GET /api/status: the seed's keys, those that the original program added, and the verdicts."""
    return {
        "node_id": snapshot.node_id,
        "status": status_word(snapshot),
        "is_registered": snapshot.pool.link is LinkState.REGISTERED,
        "docker_available": snapshot.runtime.docker_available,
        "cpu_percent": sample.cpu_percent,
        "memory_percent": sample.memory_percent,
        "available_resources": snapshot.available.as_dict(),
        "total_resources": snapshot.total.as_dict(),
        "running_tasks": len(unended(snapshot)),
        "trust_score": snapshot.node.trust_score,
        "trust_group": snapshot.trust_group,
        **_original_keys(snapshot, sample),
        **_own_keys(snapshot),
        "verdicts": verdict_rows(snapshot),
    }


def _original_keys(snapshot: Snapshot, sample: Sample) -> dict[str, object]:
    """Keys that pages written for the original program read (protocol.md, section 8)."""
    tasks = unended(snapshot)
    rows = [seed_task(task, snapshot.at_s) for task in tasks]
    return {
        "ip": host_of(snapshot.grpc_address),
        "task_count": len(tasks),
        "current_task_id": tasks[0].task_id if tasks else "None",
        "tasks": [{"id": row["task_id"], **row} for row in rows],
        "docker_status": "available" if snapshot.runtime.docker_available else "unavailable",
        "cpt_balance": snapshot.pool.balance,
        "cpu_cores": snapshot.total.cpu / CPU_SCORE_PER_CORE,
        "cpu_score": snapshot.offer.offered.cpu,
        "gpu_score": snapshot.total.gpu,
        "gpu_memory_gb": snapshot.total.gpu_memory_gb,
        "memory_available_gb": round(sample.memory_available_gb, 2),
        "memory_total_gb": round(sample.memory_total_gb, 2),
        "memory_used_gb": round(sample.memory_total_gb - sample.memory_available_gb, 2),
    }


def _own_keys(snapshot: Snapshot) -> dict[str, object]:
    return {
        "version": snapshot.version,
        "mode": snapshot.node.mode.value,
        "max_concurrent_tasks": snapshot.max_tasks,
        "trust_threshold": snapshot.trust_threshold,
        "offer": offer_report(snapshot.offer),
        "owed_results": snapshot.owed_results,
        "grpc_address": snapshot.grpc_address,
        "pool": pool_row(snapshot),
        "runtime": runtime_row(snapshot),
        "vpn": vpn_row(snapshot.vpn, snapshot.at_s),
    }


def pool_row(snapshot: Snapshot) -> dict[str, object]:
    """The pool as the link sees it."""
    pool = snapshot.pool
    return {
        "address": pool.address,
        "link": pool.link.value,
        "since": iso(pool.since_s or None),
        "user": pool.user,
        "problem": problem_row(pool.problem),
        "balance": pool.balance,
        "last_heard": iso(pool.last_heard_s),
    }


def runtime_row(snapshot: Snapshot) -> dict[str, object]:
    """The sandbox in use."""
    runtime = snapshot.runtime
    return {
        "name": runtime.name,
        "ready": runtime.ready,
        "detail": runtime.detail,
        "problem": problem_row(runtime.problem),
        "docker_available": runtime.docker_available,
        "pull": None if runtime.pull is None else asdict(runtime.pull),
    }


def verdict_rows(snapshot: Snapshot) -> list[dict[str, str | None]]:
    """The verdicts as the API shows them."""
    return [verdict.as_json() for verdict in verdicts(snapshot)]


def state_report(snapshot: Snapshot) -> dict[str, object]:
    """GET /api/v1/state: the whole picture, open tasks included."""
    node = snapshot.node
    return {
        "at": iso(snapshot.at_s),
        "node_id": snapshot.node_id,
        "status": status_word(snapshot),
        "mode_since": iso(node.mode_since_s or None),
        "mode_until": iso(node.until_s),
        "quit_after": node.quit_after,
        "trust_score": node.trust_score,
        "trust_group": snapshot.trust_group,
        "total_resources": snapshot.total.as_dict(),
        "available_resources": snapshot.available.as_dict(),
        "blocker": problem_row(snapshot.blocker),
        "recovery": snapshot.recovery,
        "tasks": [v1_task(task, snapshot.at_s) for task in snapshot.tasks],
        **_own_keys(snapshot),
        "verdicts": verdict_rows(snapshot),
    }


def tasks_report(snapshot: Snapshot, ended: Sequence[Task]) -> dict[str, object]:
    """GET /api/tasks: the open ones, then the ended ones (newest first), each once."""
    still_open = {task.key for task in snapshot.tasks}
    rows = (*snapshot.tasks, *(task for task in ended if task.key not in still_open))
    return {
        "tasks": [seed_task(task, snapshot.at_s) for task in rows],
        "available_resources": snapshot.available.as_dict(),
        "total_resources": snapshot.total.as_dict(),
    }


def resources_report(snapshot: Snapshot, sample: Sample) -> dict[str, object]:
    """GET /api/resources: what is free on the computer, percent and GiB."""
    return {
        "cpu_available": round(max(0.0, 100.0 - sample.cpu_percent), 1),
        "cpu_percent": sample.cpu_percent,
        "memory_available": sample.memory_available_gb,
        "disk_available": sample.disk_available_gb,
        "gpu_percent": sample.gpu_percent,
        "running_tasks": len(unended(snapshot)),
    }


def health_report(snapshot: Snapshot, settings: Settings, now_s: float) -> tuple[bool, dict[str, object]]:
    """GET /health: whether all that is needed works, and the four checks with their reasons."""
    checks = {
        "docker": _docker(snapshot, settings),
        "grpc": _grpc(snapshot),
        "resources": _resources(snapshot),
        "vpn": _vpn(snapshot),
    }
    healthy = all(status != UNHEALTHY for status, _detail in checks.values())
    rows = {name: {"status": status, "detail": detail} for name, (status, detail) in checks.items()}
    return healthy, {
        "status": HEALTHY if healthy else UNHEALTHY,
        "checks": rows,
        "timestamp": iso(now_s),
    }


def bare_health(report: dict[str, object]) -> dict[str, object]:
    """The report for those without the token: statuses alone."""
    checks = report["checks"]
    assert isinstance(checks, dict)
    return {**report, "checks": {name: {"status": row["status"]} for name, row in checks.items()}}


def _docker(snapshot: Snapshot, settings: Settings) -> tuple[str, str]:
    if not settings.docker_enabled or settings.runtime == "wasm":
        return NOT_REQUIRED, _("Docker is switched off by a setting.")
    if snapshot.runtime.docker_available:
        return HEALTHY, _("Docker answers.")
    if settings.runtime == "auto" and snapshot.runtime.ready:
        return NOT_REQUIRED, _("Tasks run in the built-in sandbox.")
    problem = snapshot.runtime.problem
    return UNHEALTHY, words(problem)[0] if problem else _("Docker does not answer.")


def _grpc(snapshot: Snapshot) -> tuple[str, str]:
    if snapshot.pool.link is LinkState.WAITING:
        return HEALTHY, _("Deliberately silent until work is wanted again.")
    if snapshot.pool.link in CONNECTED:
        return HEALTHY, _("Registered at {pool}.", pool=snapshot.pool.address)
    link_codes = ("connecting", "not_logged_in", "login_refused", "pool_unreachable", "pool_mute")
    cause = next(verdict.text for verdict in verdicts(snapshot) if verdict.code in link_codes)
    return UNHEALTHY, cause


def _resources(snapshot: Snapshot) -> tuple[str, str]:
    if snapshot.blocker is not None:
        return UNHEALTHY, words(snapshot.blocker)[0]
    if not snapshot.runtime.ready:
        missing = Problem(code=FaultCode.SANDBOX_MISSING, about=snapshot.runtime.detail)
        return UNHEALTHY, words(snapshot.runtime.problem or missing)[0]
    if snapshot.total.cpu <= 0 or snapshot.total.memory_gb <= 0:
        return UNHEALTHY, _("Nothing is lent: no processor or no memory.")
    return HEALTHY, _(
        "{cores} and {memory} GiB are lent.",
        cores=cores_words(snapshot.total.cpu / CPU_SCORE_PER_CORE), memory=f"{snapshot.total.memory_gb:g}",
    )  # fmt: skip


def _vpn(snapshot: Snapshot) -> tuple[str, str]:
    asked = is_asked(snapshot.pool.address)
    if asked or is_loopback(snapshot.pool.address):
        why = _(STATE_WORDS[VpnState.NOT_NEEDED][1]) if asked else _("The pool is on this computer.")
        return NOT_REQUIRED, why
    if snapshot.vpn.state in TROUBLED or (snapshot.blocker and snapshot.blocker.code is FaultCode.VPN_DOWN):
        title, sentence, _step = state_words(snapshot.vpn, snapshot.at_s)
        return UNHEALTHY, _("{state}: {text}", state=title, text=sentence)
    if snapshot.vpn.state is VpnState.CONNECTED and snapshot.vpn.handshake_s is not None:
        age = max(0, round(snapshot.at_s - snapshot.vpn.handshake_s))
        return HEALTHY, _(
            "The pool reaches this worker at {own}; handshake {age} s ago.",
            own=snapshot.grpc_address,
            age=age,
        )
    if reaches_loopback_only(snapshot):
        return UNHEALTHY, next(v.text for v in verdicts(snapshot) if v.code == "loopback_only")
    if not snapshot.grpc_address:
        return UNHEALTHY, _("The worker does not listen for the pool yet.")
    return HEALTHY, _("The pool reaches this worker at {own}.", own=snapshot.grpc_address)
