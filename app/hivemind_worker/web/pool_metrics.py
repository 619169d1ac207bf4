"""A pool process's figures in OpenMetrics text, on a port of their own that serves nothing else.

No names stand in them: no account, no worker, no task. Counterpart: `pool.figures`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pool_figures import PoolCounts, PoolFigures
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.health import is_loopback
from hivemind_worker.web.metric_text import CONTENT_TYPE, END, Row, family, gauge

HEAD_BYTES = 8190
GONE_S = 1.0
ENDS = ("completed", "failed", "stopped")
WAYS, BACK = ("called", "asked"), ("lost", "given_back")
WORKERS = tuple((way, place) for way in ("asks", "is_called") for place in ("here", "away"))


def exposition(figures: PoolFigures) -> bytes:
    """The whole text, with its end mark."""
    families = (*_pool(figures), *_tasks(figures), *_counted(figures.counts), *_store(figures))
    return "".join([*families, END]).encode()


def _pool(figures: PoolFigures) -> tuple[str, ...]:
    about = {"version": figures.version, "engine": figures.engine}
    workers: list[Row] = [
        ("", {"kind": kind, "state": place}, figures.workers.get((kind, place), 0)) for kind, place in WORKERS
    ]
    return (
        family("hivemind_pool", "info", "This pool process.", [("_info", about, 1)]),
        gauge("hivemind_pool_store_up", "Whether the store answers.", float(figures.store_up)),
        family("hivemind_pool_workers", "gauge", "Workers, and whether they were heard in 30 s.", workers),
        gauge("hivemind_pool_accounts", "Accounts.", figures.accounts),
        gauge("hivemind_pool_balance_credits", "Tokens on all accounts.", figures.credits, "credits"),
        family("process_cpu_seconds", "counter", "Processor time of this process.",
               [("_total", {}, figures.cpu_s)], "seconds"),
        gauge("process_start_time_seconds", "When it started.", figures.started_at_s, "seconds"),
    )  # fmt: skip


def _tasks(figures: PoolFigures) -> tuple[str, ...]:
    if not figures.store_up:
        return ()
    states: list[Row] = [
        ("", {"state": "pending"}, figures.pending),
        ("", {"state": "running"}, figures.running),
    ]
    waiting: list[Row] = [
        ("", {"cores": cores, "memory_gib": memory, "gpu": gpu}, count)
        for (cores, memory, gpu), count in sorted(figures.waiting.items())
    ]
    return (
        family("hivemind_pool_tasks", "gauge", "Tasks that have not ended, by state.", states),
        family("hivemind_pool_queue_tasks", "gauge", "Waiting tasks by what they ask for at most.", waiting),
        gauge("hivemind_pool_queue_oldest_seconds", "How long the oldest of them has waited.",
              figures.oldest_wait_s, "seconds"),
    )  # fmt: skip


def _counted(counts: PoolCounts) -> tuple[str, ...]:
    """Of this process since its start: the sum over all processes is the pool's."""
    handed: list[Row] = [("_total", {"way": way}, counts.handed_out[way]) for way in WAYS]
    back: list[Row] = [("_total", {"reason": reason}, counts.taken_back[reason]) for reason in BACK]
    ended: list[Row] = [("_total", {"outcome": end}, counts.ended[end]) for end in ENDS]
    paid: list[Row] = [
        ("_total", {"kind": "reward"}, counts.rewards), ("_total", {"kind": "charge"}, counts.charged),
    ]  # fmt: skip
    return (
        family("hivemind_pool_handouts", "counter", "Tasks handed to workers by this process.", handed),
        family("hivemind_pool_retries", "counter", "Tasks taken back for another worker.", back),
        family("hivemind_pool_tasks_ended", "counter", "Tasks that ended at this process.", ended),
        family("hivemind_pool_paid_credits", "counter", "Tokens paid to workers.", paid, "credits"),
    )


def _store(figures: PoolFigures) -> tuple[str, ...]:
    streams, limits = "hivemind_pool_stream_bytes", "hivemind_pool_stream_limit_bytes"
    held: list[Row] = [("", {"stream": each.name}, each.held_bytes) for each in figures.streams]
    most: list[Row] = [
        ("", {"stream": each.name}, each.limit_bytes)
        for each in figures.streams if each.limit_bytes is not None
    ]  # fmt: skip
    messages: list[Row] = [("", {"stream": each.name}, each.messages) for each in figures.streams]
    return (
        gauge("hivemind_pool_archives_bytes", "Archives of tasks, results.", figures.archives_bytes, "bytes"),
        gauge("hivemind_pool_store_bytes", "All that the pool keeps.", figures.store_bytes, "bytes"),
        gauge("hivemind_pool_store_limit_bytes", "Most it may keep.", figures.store_limit_bytes, "bytes"),
        *((family(streams, "gauge", "What a stream holds.", held, "bytes"),) if held else ()),
        *((family(limits, "gauge", "Most that it may hold.", most, "bytes"),) if most else ()),
        *((family("hivemind_pool_stream_messages", "gauge", "Its messages.", messages),) if held else ()),
    )  # fmt: skip


class MetricsPort:
    """Serves GET /metrics. One use: `start`, then `close`."""

    def __init__(self, figures: Callable[[], Awaitable[PoolFigures]]) -> None:
        self._figures, self._local = figures, True
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> str | Problem:
        """Listen; the bound HOST:PORT, or why not."""
        self._local = is_loopback(host)
        app = web.Application()
        app.router.add_get("/metrics", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=GONE_S, max_field_size=HEAD_BYTES)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError as error:
            await self.close()
            return Problem(code=FaultCode.PORT_IN_USE, about=f"{port} ({error.strerror or error})")
        bound = self._runner.addresses[0][1]
        return f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"

    async def _answer(self, request: web.Request) -> web.Response:
        # A page of a browser on this computer can have a name of its own lead here, but not this name.
        if self._local and not is_loopback(request.host):
            return web.Response(status=HTTPStatus.MISDIRECTED_REQUEST)
        text = exposition(await self._figures())
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})

    async def close(self) -> None:
        """End it."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
