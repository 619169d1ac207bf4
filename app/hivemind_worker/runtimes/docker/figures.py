"""What a container uses, from one answer of the engine. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hivemind_worker.model.work import RunFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One answer: totals since the start, memory now and at most, bytes."""

    at_s: float
    cpu_s: float
    memory_bytes: int
    peak_bytes: int
    net_in_bytes: int = 0
    net_out_bytes: int = 0
    read_bytes: int = 0
    write_bytes: int = 0


def read_stats(stats: Mapping[str, Any], at_s: float) -> Reading:
    """What the engine's "stats" say; parts that it does not have count as nothing."""
    memory = stats.get("memory_stats") or {}
    details = memory.get("stats") or {}
    # As `docker stats` counts: pages of files that can be dropped at any time are not the task's.
    dropped = details.get("total_inactive_file", details.get("inactive_file", 0))
    used = max(0, int(memory.get("usage") or 0) - int(dropped or 0))
    networks = (stats.get("networks") or {}).values()
    cpu = ((stats.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage") or 0
    return Reading(
        at_s=at_s, cpu_s=int(cpu) / 1e9, memory_bytes=used,
        peak_bytes=max(used, int(memory.get("max_usage") or 0)),
        net_in_bytes=sum(int(one.get("rx_bytes", 0)) for one in networks),
        net_out_bytes=sum(int(one.get("tx_bytes", 0)) for one in networks),
        read_bytes=_moved(stats, "read"), write_bytes=_moved(stats, "write"),
    )  # fmt: skip


def _moved(stats: Mapping[str, Any], way: str) -> int:
    rows = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    return sum(int(row.get("value", 0)) for row in rows if str(row.get("op", "")).lower() == way)


def figures(now: Reading, before: Reading | None, *, disk_bytes: int, memory_limit_bytes: int) -> RunFigures:
    """The picture between two readings; a single one has no rate of the processor yet."""
    past_s = now.at_s - before.at_s if before else 0.0
    cores = (now.cpu_s - before.cpu_s) / past_s if before and past_s > 0 else 0.0
    return RunFigures(
        at_s=now.at_s, cores=max(0.0, cores), memory_bytes=now.memory_bytes,
        memory_limit_bytes=memory_limit_bytes, disk_bytes=disk_bytes, net_in_bytes=now.net_in_bytes,
        net_out_bytes=now.net_out_bytes, read_bytes=now.read_bytes, write_bytes=now.write_bytes,
    )  # fmt: skip
