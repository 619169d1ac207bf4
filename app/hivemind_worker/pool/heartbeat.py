"""One beat of a session: tell the pool that we are here and what we lend.

Registration is the heartbeat (quirks 1 and 2). Never sends zeros: a release in that time
would fix the pool's record at zero for good (quirk 10). Counterpart: `pool.client`.
"""

from __future__ import annotations

from typing import Any

import grpc

from hivemind_worker.model.work import Announcement
from hivemind_worker.pool.channel import Answer, Failure
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.session import Session
from hivemind_worker.pool.wire import NODES

IDLE, BUSY = "Idle", "Running"


class Heartbeat:
    """Announces under `node_name`; learns once a login whether the pool takes status reports."""

    def __init__(self, session: Session, node_name: str) -> None:
        self._session = session
        self._node_name = node_name
        self._reports_status = True
        self._tried_at_login = 0

    async def beat(self, announcement: Announcement) -> Answer[Any] | Failure:
        """Report the status where that works, then register: the last word to the pool is Idle (quirk 3)."""
        if self._reports_status or self._tried_at_login != self._session.logins:
            self._reports_status = await self._report(announcement)
            self._tried_at_login = self._session.logins  # after: the try itself may have logged in
        outcome = await self._session.call(
            NODES + "RegisterWorkerNode",
            lambda _: _registration(self._node_name, announcement),
            pb.StatusResponse.FromString,
            self._session.deadlines.register_s,
        )
        if isinstance(outcome, Answer):
            self._session.notice(outcome)
        return outcome

    async def _report(self, announcement: Announcement) -> bool:
        """Whether to report again; losing the connection says nothing about that."""
        outcome = await self._session.call(
            NODES + "ReportStatus",
            lambda _: _status(self._node_name, announcement),
            pb.RunningStatusResponse.FromString,
            self._session.deadlines.balance_s,
        )
        if isinstance(outcome, Failure):
            return outcome.status is grpc.StatusCode.UNAVAILABLE
        return bool(outcome.message.success)


def _registration(node_name: str, announcement: Announcement) -> pb.RegisterWorkerNodeRequest:
    return pb.RegisterWorkerNodeRequest(
        node_id=node_name,
        hostname=announcement.hostname,
        cpu_cores=announcement.cpu_cores,
        memory_gb=announcement.memory_gb,
        cpu_score=announcement.cpu_score,
        gpu_score=announcement.gpu_score,
        gpu_memory_gb=announcement.gpu_memory_gb,
        location=announcement.region,
        port=announcement.port,
        gpu_name=announcement.gpu_name,
        docker_status=announcement.docker_status,
    )


def _status(node_name: str, announcement: Announcement) -> pb.RunningStatusRequest:
    return pb.RunningStatusRequest(
        node_id=node_name,
        status=BUSY if announcement.running_tasks else IDLE,
        cpu_usage=announcement.cpu_percent,
        memory_usage=announcement.memory_percent,
        docker_status=announcement.docker_status,
        running_tasks=announcement.running_tasks,
    )
