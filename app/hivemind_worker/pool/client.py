"""Our side of the conversation with a pool: signs in, keeps the worker known, sends what it makes.

One loop (`run`) owns the session; whoever sends uses it while it lasts, and is told to try
again otherwise. Fits `engine.ports.PoolLink`. Decides nothing about tasks. Counterpart:
`pool.server`, which the pool calls back.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import LinkState, PoolView
from hivemind_worker.model.task import Problem, TaskId
from hivemind_worker.model.traffic import Moved, uncounted
from hivemind_worker.model.work import Announcement, Sent
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.address import TUNNEL_NET, Interfaces, find_pool
from hivemind_worker.pool.channel import Answer, Failure
from hivemind_worker.pool.clock import Clock, SystemClock
from hivemind_worker.pool.delivery import Delivery
from hivemind_worker.pool.heartbeat import Heartbeat
from hivemind_worker.pool.retry import Backoff
from hivemind_worker.pool.session import Credentials, Deadlines, Session, sign_in
from hivemind_worker.pool.standing import standing

log = logging.getLogger(__name__)

BEAT_S = 10.0
BALANCE_EVERY_BEATS = 3
LOOK_EVERY_S = 2.0  # while silent: whether there is something to announce again
LONG_PAUSE_S = 600.0  # before a refused login is tried again unasked
LOOK_FOR_LOGIN_S = 30.0
SHORTEST_BEAT_S = 1.0  # however often somebody wakes us

CredentialsSource = Callable[[], Awaitable[Credentials | None]]


class PoolClient:
    """Keeps one pool. Start `run` in a nursery; cancelling it ends the session."""

    def __init__(
        self, address: str, credentials: CredentialsSource, announcement: Callable[[], Announcement | None],
        on_change: Callable[[PoolView], None], *, files: NamedThread, interfaces: Callable[[], Interfaces],
        insist_plain_login: bool = False, machine_name: str = "", clock: Clock | None = None,
        chance: random.Random | None = None, deadlines: Deadlines | None = None, moved: Moved = uncounted,
        network: str = "",
    ) -> None:  # fmt: skip
        """`announcement` answers None to stay silent (quirk 12); `machine_name` replaces the user's
        name at the pool, which then pays nobody (quirk 9)."""
        self._address = address
        self._credentials = credentials
        self._announcement = announcement
        self._on_change = on_change
        self._interfaces = interfaces
        self._insist = insist_plain_login
        self._machine_name = machine_name
        self._network = ipaddress.IPv4Network(network, strict=False) if network else TUNNEL_NET
        self._clock = clock or SystemClock()
        self._deadlines = deadlines or Deadlines()
        self._backoff = Backoff(chance or random.Random())  # noqa: S311 - jitter, not a secret
        self._delivery = Delivery(files)
        self._moved = moved
        self._names = NamedThread("names")
        self._session: Session | None = None
        self._woken = asyncio.Event()
        self._view = PoolView(address=address, link=LinkState.CONNECTING, since_s=self._clock.now())

    @property
    def view(self) -> PoolView:
        """How things stand."""
        return self._view

    @property
    def prompt_results(self) -> bool:
        """Whether this pool takes results at once: it says so when it answers a login or registration."""
        return self._session is not None and self._session.prompt_results

    @property
    def clock_ahead_s(self) -> float | None:
        """How far the pool's clock was ahead of ours at the last login; None without a session."""
        return None if self._session is None else self._session.clock_ahead_s

    def wake(self) -> None:
        """Look now: the login, the owner's wish or the network has changed."""
        self._woken.set()

    def move(self, address: str) -> None:
        """Leave this pool for another one; nothing may be owed to the first any more."""
        self._address = address
        self._view = PoolView(address=address, link=LinkState.CONNECTING, since_s=self._clock.now())
        self._on_change(self._view)
        self.wake()

    async def send_output(self, task_id: TaskId, text: str) -> Sent:
        """Append text to the task's log at the pool; calls for one task wait for one another."""
        if self._session is None:
            return self._not_now()
        return await self._delivery.output(self._session, task_id, text)

    async def send_result(self, task_id: TaskId, archive: Path) -> Sent:
        """Hand over the result archive (at most 99 MiB)."""
        if self._session is None:
            return self._not_now()
        return await self._delivery.result(self._session, task_id, archive)

    def _not_now(self) -> Sent:
        fallback = Problem(code=FaultCode.POOL_UNREACHABLE, about=self._address)
        return Sent(delivered=False, retry=True, problem=self._view.problem or fallback)

    async def run(self) -> None:
        """Sign in and stay signed in, for ever."""
        try:
            while True:
                await self._one_session()
        finally:
            self._names.close(wait=False)

    async def _one_session(self) -> None:
        """From signing in to losing the pool, and the wait after it; for another pool it begins anew."""
        address = self._address
        credentials = await self._credentials()
        if credentials is None:
            self._show(LinkState.NOT_LOGGED_IN, Problem(code=FaultCode.NOT_LOGGED_IN))
            await self._rest(LOOK_FOR_LOGIN_S)
            return
        self._view = replace(self._view, user=credentials.user)
        if self._view.link is not LinkState.UNREACHABLE:
            self._show(LinkState.CONNECTING)
        problem = await self._sign_in_and_stay(credentials)
        if problem is None or self._address != address:
            return
        if problem.code is FaultCode.WRONG_PASSWORD:
            self._show(LinkState.LOGIN_REFUSED, problem)
            await self._wait_for_other_login(credentials)
        elif problem.code is FaultCode.PLAIN_LOGIN:
            self._show(LinkState.NOT_LOGGED_IN, problem)
            await self._rest(BEAT_S)  # the tunnel may come up
        else:
            self._show(LinkState.UNREACHABLE, problem)
            await self._rest(self._backoff.next_s())

    async def _sign_in_and_stay(self, credentials: Credentials) -> Problem | None:
        """Why the session ended or never began; None when the login has changed."""
        insist, address = self._insist or credentials.plain, self._address
        target = await find_pool(
            address, self._interfaces(), self._names, insist_plain_login=insist, network=self._network
        )
        if isinstance(target, Problem):
            return target
        session = await sign_in(target, credentials, self._clock, self._deadlines, self._moved)
        if isinstance(session, Problem):
            return session
        if self._address != address:  # the pool was left while it answered
            await session.close()
            return None
        self._session = session
        try:
            return await self._stay(session, credentials)
        finally:
            self._session = None
            await session.close()

    async def _stay(self, session: Session, credentials: Credentials) -> Problem | None:
        heartbeat = Heartbeat(session, self._machine_name or credentials.user)
        beats, address = 0, self._address
        while self._address == address:
            started_s = self._clock.steady()
            announcement = self._announcement()
            problem = await self._beat(session, heartbeat, announcement, beats)
            if problem is not None:
                return problem
            self._backoff.reset()
            beats += announcement is not None
            pause_s = LOOK_EVERY_S if announcement is None else BEAT_S
            if await self._rest_from(started_s, pause_s) and await self._credentials() != credentials:
                return None
        return None

    async def _beat(
        self, session: Session, heartbeat: Heartbeat, announcement: Announcement | None, beats: int
    ) -> Problem | None:
        """One round: token, balance at times, registration; a problem ends the session."""
        problem = await session.refresh_if_due()
        if problem is None and self._balance_is_due(announcement, beats):
            problem = await self._ask_balance(session)
        if problem is not None:
            return problem
        if announcement is None:
            self._show(LinkState.WAITING)
            return None
        outcome = await heartbeat.beat(announcement)
        if isinstance(outcome, Failure):
            return self._lost(outcome)
        if outcome.message.success:
            self._show(LinkState.REGISTERED, heard=True)
        else:
            words = session.channel.discreet(outcome.message.message)
            self._show(LinkState.CONNECTING, Problem(code=FaultCode.POOL_REFUSED, about=words), heard=True)
        return None

    def _balance_is_due(self, announcement: Announcement | None, beats: int) -> bool:
        if announcement is None:
            return self._view.link is not LinkState.WAITING  # once, then silence
        return beats % BALANCE_EVERY_BEATS == 0

    async def _ask_balance(self, session: Session) -> Problem | None:
        outcome = await session.balance()
        if isinstance(outcome, Answer):
            balance = int(outcome.message.balance) if outcome.message.success else self._view.balance
            self._view = replace(self._view, balance=balance, last_heard_s=self._clock.now())
            return None
        return self._lost(outcome) if outcome.may_pass else None  # without a balance, work goes on

    def _lost(self, failure: Failure) -> Problem | None:
        """The problem, unless it is only that an upload fills the line."""
        problem = failure.problem(self._address)
        return None if problem.code is FaultCode.POOL_MUTE and self._delivery.busy else problem

    async def _rest_from(self, started_s: float, pause_s: float) -> bool:
        """Wait until `pause_s` after `started_s`; True when somebody woke us, at the earliest after 1 s."""
        spent_s = self._clock.steady() - started_s
        woken = await self._rest(max(pause_s - spent_s, SHORTEST_BEAT_S))
        early_s = started_s + SHORTEST_BEAT_S - self._clock.steady()
        if woken and early_s > 0:
            await self._clock.wait(asyncio.Event(), early_s)
        return woken

    async def _rest(self, pause_s: float) -> bool:
        woken = await self._clock.wait(self._woken, pause_s)
        self._woken.clear()
        return woken

    async def _wait_for_other_login(self, refused: Credentials) -> None:
        """Until told, or until other credentials are there; the same ones are tried again in ten minutes."""
        until_s = self._clock.steady() + LONG_PAUSE_S
        while self._clock.steady() < until_s:
            if await self._rest(LOOK_FOR_LOGIN_S) or await self._credentials() != refused:
                return

    def _show(self, link: LinkState, problem: Problem | None = None, *, heard: bool = False) -> None:
        """Publish how things stand."""
        self._view = standing(self._view, link, problem, now_s=self._clock.now(), heard=heard)
        self._on_change(self._view)
