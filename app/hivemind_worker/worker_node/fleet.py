"""The owner's machines at the active pool, seen and told from this one. Fits `engine.face.FleetFace`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from hivemind_worker.model import fleet
from hivemind_worker.model.events import FinishAsked, PauseAsked, ResumeAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.fleet import Told, Wish, WishKind
from hivemind_worker.model.task import Problem
from hivemind_worker.worker_node.parts import Parts


class Fleet:
    """Only a pool that the worker asks knows which machines belong together."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def machines(self) -> fleet.Fleet | Problem:
        """All machines of the account, or why that is not known."""
        link = self._parts.link.asking
        return self._none() if link is None else await link.fleet.machines()

    async def wish(
        self, kind: WishKind, names: Iterable[str] | None, for_s: float | None = None
    ) -> Told | Problem:
        """Ask it of these machines, or of all."""
        link = self._parts.link.asking
        return self._none() if link is None else await link.fleet.wish(kind, names, for_s)

    def _none(self) -> Problem:
        return Problem(code=FaultCode.NO_FLEET, about=self._parts.pool_address)


def command_of(wish: Wish, at_s: float) -> PauseAsked | ResumeAsked | FinishAsked:
    """What the owner would have asked here; it never ends the program."""
    match wish.kind:
        case WishKind.PAUSE:
            return PauseAsked(at_s=at_s, until_s=wish.until_s, by=wish.by)
        case WishKind.RESUME:
            return ResumeAsked(at_s=at_s)
        case WishKind.FINISH:
            return FinishAsked(at_s=at_s, by=wish.by)
    assert_never(wish.kind)
