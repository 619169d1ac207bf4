"""Payments that a process left in the middle: who stumbled goes on at once, who died is followed late.

Two processes must never be at one payment: the note that keeps it from being added twice goes when it is
done. So what another process began is left alone until that one cannot be at it any more.
"""

from __future__ import annotations

from typing import Protocol

from hivemind_worker.model.task import TaskKey

DEAD_S = 300.0
"""Unchanged for so long, what another process began is nobody's: none of its steps lasts over a minute."""


class Book(Protocol):
    """What is owed, and the steps that pay it (`pool.nats.book`)."""

    def stumbled(self) -> list[TaskKey]:
        """Tasks whose reward this process began to pay and could not."""
        ...

    def owed(self) -> list[TaskKey]:
        """Tasks whose reward is not paid yet, whoever is at it."""
        ...

    async def pay(self, key: TaskKey) -> None: ...

    async def leaving(self) -> dict[str, str]:
        """Payments that were taken off and have not arrived, each with the account that they leave."""
        ...

    async def go_on(self, payment: str, sender: str) -> None: ...


class Arrears:
    """Call `look` now and then. Raises OSError while the server is away."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._owed: dict[TaskKey, float] = {}
        self._leaving: dict[str, float] = {}
        self._accounts_at = 0.0

    async def look(self, now: float) -> None:
        """`now`: seconds of a steady clock."""
        for key in self._book.stumbled():
            await self._book.pay(key)
        self._owed = {key: self._owed.get(key, now) for key in self._book.owed()}
        for key in [each for each, since in self._owed.items() if now - since >= DEAD_S]:
            await self._book.pay(key)
        if now >= self._accounts_at:
            self._accounts_at = now + DEAD_S
            await self._look_at_accounts(now)

    async def _look_at_accounts(self, now: float) -> None:
        found = await self._book.leaving()
        self._leaving = {payment: self._leaving.get(payment, now) for payment in found}
        for payment in [each for each, since in self._leaving.items() if now - since >= DEAD_S]:
            await self._book.go_on(payment, found[payment])
