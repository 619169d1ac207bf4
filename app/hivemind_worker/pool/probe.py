"""Small questions to a pool for a diagnosis: whether gRPC answers at all, and how far its clock is off."""

from __future__ import annotations

import grpc

from hivemind_worker.model.task import Problem
from hivemind_worker.pool.address import join
from hivemind_worker.pool.channel import Answer, Channel
from hivemind_worker.pool.clock import SystemClock
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.session import Credentials, Deadlines, sign_in
from hivemind_worker.pool.wire import USERS

LIMIT_S = 5.0
NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def grpc_status(host: str, port: int) -> str:
    """The status of a harmless call, whatever it is; "" when nothing there speaks gRPC."""
    channel = Channel(join(host, port))
    try:
        outcome = await channel.call(
            USERS + "GetBalance", pb.GetBalanceRequest().SerializeToString(),
            pb.GetBalanceResponse.FromString, limit_s=LIMIT_S,
        )  # fmt: skip
    finally:
        await channel.close()
    if isinstance(outcome, Answer):
        return "OK"
    return "" if outcome.status in NO_ANSWER else str(outcome.status.name)


async def clock_of_pool(host: str, port: int, credentials: Credentials) -> float | None:
    """How many seconds the pool's clock is ahead, by the token that it gives; None when it gives none."""
    session = await sign_in(join(host, port), credentials, SystemClock(), Deadlines())
    if isinstance(session, Problem):
        return None
    await session.close()
    return session.clock_ahead_s
