"""A worker's side of its owner's fleet: tells how it stands, obeys, lists and asks. Counterpart: `fleet`.

What comes from afar is one of three words, and is obeyed as if the owner had said it here.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, replace
from typing import Any

from nats.aio.msg import Msg

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.fleet import (
    Fleet,
    Machine,
    Standing,
    Told,
    Wish,
    WishKind,
    values_from_afar,
)
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.clock import Clock
from hivemind_worker.pool.nats.pool_error import PoolError
from hivemind_worker.pool.nats.subjects import WorkerId

log = logging.getLogger(__name__)
TELL_S = 30.0
LOOK_S = 1.0
Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


class FleetClient:
    """Made once; `run` beside each connection."""

    def __init__(
        self, ask: Ask, clock: Clock, standing: Callable[[], Standing | None],
        obey: Callable[[Wish], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._ask, self._clock, self._standing, self._obey = ask, clock, standing, obey
        self._obeyed = 0
        self._told: Standing | None = None
        self._tell_at = 0.0
        self._one = asyncio.Lock()

    async def run(self, worker: WorkerId) -> None:
        """Tell how this machine stands, when that changes and each half minute, until cancelled."""
        # Numbers begin anew where the pool was brought back from a copy; it knows itself what was obeyed.
        self._told, self._tell_at, self._obeyed = None, 0.0, 0
        while True:
            standing = self._standing()
            if standing is not None and (
                _gist(standing) != self._told or self._clock.steady() >= self._tell_at
            ):
                await self._tell(worker, standing)
            await self._clock.wait(asyncio.Event(), LOOK_S)

    async def _tell(self, worker: WorkerId, standing: Standing) -> None:
        try:
            answer = await self._ask("standing", {"standing": asdict(standing), "obeyed": self._obeyed})
        except PoolError as error:
            log.debug("the pool was not told how this machine stands: %s", error)
            return
        self._told, self._tell_at = _gist(standing), self._clock.steady() + TELL_S
        if answer.get("wish") is not None:
            await self._hear(worker, answer["wish"])

    async def heard(self, worker: WorkerId, message: Msg) -> None:
        """A wish came by itself: it is obeyed, and the pool is told at once."""
        try:
            untrusted = json.loads(message.data)
        except ValueError:
            return
        if await self._hear(worker, untrusted):
            standing = self._standing()
            if standing is not None:
                await self._tell(worker, standing)

    async def _hear(self, worker: WorkerId, untrusted: Any) -> bool:
        """Obey a wish that is new and not over; whether it was."""
        wish = _wish(untrusted, self._clock.now()) if isinstance(untrusted, dict) else None
        if wish is None or untrusted.get("account") != worker.account:
            log.warning("what came as a wish from another machine is none")
            return False
        async with self._one:
            if wish.number <= self._obeyed:
                return False
            self._obeyed = wish.number
            if wish.is_over(self._clock.now()):
                return False
            log.info("%s, as the owner asked on %s", wish.kind, wish.by)
            await self._obey(replace(wish, by="") if wish.by == worker.name else wish)
        return True

    async def machines(self) -> Fleet | Problem:
        """The account's machines, this one included."""
        try:
            return _fleet(await self._ask("machines", {}))
        except PoolError as error:
            return error.problem
        except (KeyError, TypeError, ValueError) as error:
            return Problem(code=FaultCode.POOL_MUTE, about=f"its answer is unreadable ({error})")

    async def wish(
        self, kind: WishKind, names: Iterable[str] | None, for_s: float | None = None
    ) -> Told | Problem:
        """Ask it of these machines, or of all. `for_s`: the length of a pause."""
        to = None if names is None else list(names)
        try:
            answer = await self._ask("wish", {"kind": kind.value, "to": to, "for_s": for_s})
        except PoolError as error:
            return error.problem
        return Told(now=_names(answer.get("now")), later=_names(answer.get("later")))


def _gist(standing: Standing) -> Standing:
    """Without the sentence and its values: they may count seconds or degrees."""
    return replace(standing, text="", values={})


def _names(untrusted: object) -> tuple[str, ...]:
    return tuple(str(each) for each in untrusted) if isinstance(untrusted, list) else ()


def _wish(untrusted: dict[str, Any], now_s: float) -> Wish | None:
    """A wish that has just come; its end by our own clock."""
    try:
        for_s = untrusted["for_s"]
        return Wish(
            kind=WishKind(untrusted["kind"]), by=str(untrusted["by"])[:64], number=int(untrusted["number"]),
            until_s=None if for_s is None else now_s + float(for_s), at_s=now_s,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return None


def _fleet(answer: dict[str, Any]) -> Fleet:
    balance = answer["balance"]
    return Fleet(
        account=str(answer["account"]), balance=balance if isinstance(balance, int) else None,
        at_s=float(answer["at_s"]), machines=tuple(_machine(each) for each in answer["machines"]),
    )  # fmt: skip


def _machine(values: dict[str, Any]) -> Machine:
    waiting = values["waiting"]
    return Machine(
        name=str(values["name"]), standing=_standing(values["standing"]),
        seen_s=float(values["seen_s"]), online=values["online"] is True, earned=int(values["earned"]),
        waiting=None if waiting is None else _waiting(waiting), is_this=values.get("is_this") is True,
        is_called=values.get("is_called") is True,
    )  # fmt: skip


def _standing(values: dict[str, Any]) -> Standing:
    told = _known(Standing, values)
    return Standing(**{**told, "values": values_from_afar(told.get("values"))})


def _waiting(values: dict[str, Any]) -> Wish:
    return Wish(**{**_known(Wish, values), "kind": WishKind(values["kind"])})


def _known(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Without what a later version of the pool has added."""
    return {name: value for name, value in values.items() if name in kind.__dataclass_fields__}
