"""One login at one pool: the token, its renewal, and calls that carry it.

Logs in again with the kept password whenever the pool no longer takes the token (quirk 20);
of several calls that find out at once, one does. Counterparts: `pool.channel` (below),
`pool.client` and `pool.delivery` (above).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.traffic import Moved, uncounted
from hivemind_worker.pool.bearer import Bearer, bearer, clock_ahead_s
from hivemind_worker.pool.channel import Answer, Channel, Failure, wants_login
from hivemind_worker.pool.clock import Clock
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.wire import USERS

log = logging.getLogger(__name__)
Message = TypeVar("Message")
Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The account at the pool."""

    user: str
    password: str = field(repr=False)
    plain: bool = False  # send the password also where others on the network may read it


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long each call may take, in seconds."""

    connect_s: float = 10.0
    login_s: float = 15.0
    balance_s: float = 10.0
    register_s: float = 15.0
    output_s: float = 10.0
    result_s: float = 30.0
    result_per_mib_s: float = 2.0


class Session:
    """An account logged in over a channel. Make it with `sign_in`."""

    def __init__(
        self, channel: Channel, credentials: Credentials, clock: Clock, deadlines: Deadlines
    ) -> None:
        self.channel = channel
        self.credentials = credentials
        self.deadlines = deadlines
        self.prompt_results = False
        self.logins = 0
        self.clock_ahead_s: float | None = None  # the pool's clock against ours, by its last login's token
        self._clock = clock
        self._bearer = Bearer(token="", refresh_at_s=0.0)
        self._renewing = asyncio.Lock()

    async def log_in(self) -> Problem | None:
        """Get a token for the password; WRONG_PASSWORD when the pool says no."""
        self.channel.keep_secret(self.credentials.password)
        request = pb.LoginRequest(username=self.credentials.user, password=self.credentials.password)
        outcome = await self.channel.call(
            USERS + "Login", request.SerializeToString(), pb.LoginResponse.FromString,
            limit_s=self.deadlines.login_s,
        )  # fmt: skip
        if isinstance(outcome, Failure):
            if outcome.status is grpc.StatusCode.UNAUTHENTICATED:
                return Problem(code=FaultCode.WRONG_PASSWORD, about=outcome.words)
            return outcome.problem(self.channel.target)
        if not outcome.message.success or not outcome.message.token:
            return Problem(
                code=FaultCode.WRONG_PASSWORD, about=self.channel.discreet(outcome.message.message)
            )
        self._keep(outcome.message.token)
        self.clock_ahead_s = clock_ahead_s(outcome.message.token, self._clock.now())
        self.logins += 1
        self.prompt_results = outcome.takes_prompt_results  # it may be another program than before
        return None

    def _keep(self, token: str) -> None:
        # A deque with a limit would drop the password in time, so it is named again with each token.
        self.channel.keep_secret(self.credentials.password)
        self.channel.keep_secret(token)
        self._bearer = bearer(token, now_s=self._clock.now(), steady_s=self._clock.steady())

    def notice(self, outcome: Answer[Any]) -> None:
        """Remember what the pool says of itself in its metadata."""
        self.prompt_results = self.prompt_results or outcome.takes_prompt_results

    async def with_token(self, attempt: Callable[[str], Awaitable[Outcome]]) -> Outcome | Failure:
        """Make a call with the token; when the pool does not take it, log in again and call once more."""
        token = self._bearer.token
        outcome = await attempt(token)
        if not wants_login(outcome):
            return outcome
        problem = await self._renew(token)
        if problem is not None:
            return Failure(status=grpc.StatusCode.UNAUTHENTICATED, words=problem.about)
        return await attempt(self._bearer.token)

    async def call(
        self, path: str, build: Callable[[str], Any], read: Callable[[bytes], Message], limit_s: float
    ) -> Answer[Message] | Failure:
        """`with_token` for a small message that `build` makes of the token."""
        return await self.with_token(
            lambda token: self.channel.call(
                path, build(token).SerializeToString(), read, limit_s=limit_s, token=token
            )
        )

    async def _renew(self, stale: str) -> Problem | None:
        async with self._renewing:
            if self._bearer.token != stale:
                return None  # somebody else has just done it
            log.info("the pool no longer takes the token: logging in again")
            return await self.log_in()

    async def refresh_if_due(self) -> Problem | None:
        """Renew the token before it ends, by RefreshToken, or by the password when that fails."""
        if self._clock.steady() < self._bearer.refresh_at_s:
            return None
        stale = self._bearer.token
        outcome = await self.channel.call(
            USERS + "RefreshToken", pb.RefreshTokenRequest(old_token=stale).SerializeToString(),
            pb.RefreshTokenResponse.FromString, limit_s=self.deadlines.login_s, token=stale,
        )  # fmt: skip
        if isinstance(outcome, Answer) and outcome.message.success and outcome.message.new_token:
            self._keep(outcome.message.new_token)  # it has no username claim: the name is ours to keep
            return None
        return await self._renew(stale)

    async def balance(self) -> Answer[Any] | Failure:
        """The account's balance: `message.balance` when `message.success`."""
        return await self.call(
            USERS + "GetBalance",
            lambda token: pb.GetBalanceRequest(username=self.credentials.user, token=token),
            pb.GetBalanceResponse.FromString,
            self.deadlines.balance_s,
        )

    async def close(self) -> None:
        """End the connection; there is no call for leaving."""
        await self.channel.close()


async def sign_in(
    target: str, credentials: Credentials, clock: Clock, deadlines: Deadlines, moved: Moved = uncounted
) -> Session | Problem:
    """A logged-in session, or why not; nothing stays open then."""
    channel = Channel(target, moved)
    session = Session(channel, credentials, clock, deadlines)
    try:
        if not await channel.ready(deadlines.connect_s):
            problem: Problem | None = Problem(code=FaultCode.POOL_MUTE, about=target)
        else:
            problem = await session.log_in()
    except BaseException:
        await channel.close()
        raise
    if problem is None:
        return session
    await channel.close()
    return problem
