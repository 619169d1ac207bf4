"""Tokens between accounts that lie in two records: each step is one compare-and-set, and may be done again.

A payment has an id. It is taken off and noted in one step, added and noted in the next, then both notes go. A
process that dies in between leaves a note; whoever finds it goes on, and the note at the receiver keeps it
from being added twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from hivemind_worker.model.pool_records import MOST_TOKENS, Moved
from hivemind_worker.pool.nats.engine import Engine
from hivemind_worker.pool.nats.layout import ACCOUNTS, AccountRecord, account_record, account_subject

Change = Callable[[AccountRecord], AccountRecord]
Wanted = tuple[Change, "asyncio.Future[bool]"]
Seen = tuple[AccountRecord, int, float]
"""An account, the sequence of its record, and when that was so."""
LATELY_S = 60.0
REMEMBERED = 10_000


class Payments:
    """Moves tokens. All calls raise OSError when the server is away; what was begun is gone on with later."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._wanted: dict[str, list[Wanted]] = {}
        self._seen: OrderedDict[str, Seen] = OrderedDict()

    async def read(self, name: str) -> tuple[AccountRecord, int] | None:
        """An account and the sequence of its record."""
        kept = await self._engine.read(ACCOUNTS, account_subject(name))
        if kept is None:
            self._seen.pop(name, None)
            return None
        return self._note(account_record(kept.data), kept.revision)

    async def lately(self, name: str) -> AccountRecord | None:
        """An account as it was within the last minute: no other process's payments count to the second."""
        seen = self._seen.get(name)
        if seen is not None and time.monotonic() - seen[2] < LATELY_S:
            return seen[0]
        found = await self.read(name)
        return found[0] if found else None

    def _note(self, record: AccountRecord, revision: int) -> tuple[AccountRecord, int]:
        name = record.account.name
        self._seen.pop(name, None)
        self._seen[name] = (record, revision, time.monotonic())
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return record, revision

    async def write(self, record: AccountRecord, revision: int) -> bool:
        """Whether the record was still the one of that sequence, and is this one now."""
        subject = account_subject(record.account.name)
        written = await self._engine.write(subject, record.to_json(), over=revision)
        if written is not None:
            self._note(record, written)
        return written is not None

    async def change(self, name: str, change: Change) -> bool:
        """Change an account, whoever else changes it meanwhile; False when there is none.

        What this process wants of one account meanwhile is written at once: thousands may earn for it.
        """
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if name in self._wanted:
            self._wanted[name].append((change, done))
            return await done
        self._wanted[name] = [(change, done)]
        try:
            while batch := self._wanted[name]:
                self._wanted[name] = []
                _settle(batch, await self._apply(name, [each for each, _ in batch]))
        except BaseException:
            _give_up([*batch, *self._wanted[name]])
            raise
        finally:
            del self._wanted[name]
        return done.result()

    async def _apply(self, name: str, changes: list[Change]) -> bool:
        seen = self._seen.get(name)
        if seen is not None and await self._write_changed(seen[0], seen[1], changes):
            return True  # of what is remembered only a write is believed, as the server has judged it
        while True:
            found = await self.read(name)
            if found is None:
                return False
            if _changed(found[0], changes) == found[0] or await self._write_changed(*found, changes):
                return True

    async def _write_changed(self, before: AccountRecord, revision: int, changes: list[Change]) -> bool:
        after = _changed(before, changes)
        return after != before and await self.write(after, revision)

    async def move(
        self, payment: str, sender: str, receiver: str, amount: int, *,
        is_done: Callable[[], Awaitable[bool]] | None = None,
        noted: Callable[[], Awaitable[None]] | None = None,
    ) -> Moved:  # fmt: skip
        """Move tokens once.

        `noted` is called when they are taken off, before the note of it goes; `is_done` says, read after the
        sender, whether that has been called before by whomever. So the same payment is never taken off twice.
        """
        while True:
            found = await self.read(sender)
            taker = await self.read(receiver) if receiver else None
            if found is None or taker is None:
                return Moved.UNKNOWN
            giver, revision = found
            if payment in giver.leaving:
                break
            if is_done is not None and await is_done():
                return Moved.DONE
            if giver.account.balance < amount:
                return Moved.SHORT
            if sender != receiver and taker[0].account.balance > MOST_TOKENS - amount:
                return Moved.OVERFLOW
            leaving = {**giver.leaving, payment: (receiver, amount)}
            less = giver.with_balance(giver.account.balance - amount, leaving=leaving)
            if await self.write(less, revision):
                break
        if noted is not None:
            await noted()
        await self.arrive(payment, sender)
        return Moved.DONE

    async def arrive(self, payment: str, sender: str) -> None:
        """Go on with a payment that was taken off; harmless when nothing is left to do."""
        found = await self.read(sender)
        if found is None or payment not in found[0].leaving:
            return
        receiver, amount = found[0].leaving[payment]

        async def leaves() -> bool:
            giver = await self.read(sender)
            return giver is not None and payment in giver[0].leaving

        await self.credit_while(payment, receiver, amount, leaves)
        await self.change(sender, lambda giver: _without_leaving(giver, payment))
        await self.forget(payment, receiver)

    async def credit(self, payment: str, name: str, amount: int) -> None:
        """Add tokens to an account once, until `forget`; for who alone is at this payment."""
        await self.change(name, lambda taker: _added(taker, payment, amount))

    async def credit_while(
        self, payment: str, name: str, amount: int, is_due: Callable[[], Awaitable[bool]]
    ) -> None:
        """The same where others may be at it too: `is_due` ends to hold before any of them forgets.

        The receiver is read first and written over only as it was read: if another had done it all meanwhile,
        either the payment is not due any more or the record is another one.
        """
        while (found := await self.read(name)) is not None and payment not in found[0].arrived:
            if not await is_due() or await self.write(_added(found[0], payment, amount), found[1]):
                return

    async def forget(self, payment: str, name: str) -> None:
        """Nobody will add this payment any more."""

        def without(taker: AccountRecord) -> AccountRecord:
            arrived = tuple(each for each in taker.arrived if each != payment)
            return taker.with_balance(taker.account.balance, arrived=arrived)

        await self.change(name, without)


def _added(taker: AccountRecord, payment: str, amount: int) -> AccountRecord:
    """A full account stays full."""
    if payment in taker.arrived:
        return taker
    balance = min(taker.account.balance + amount, MOST_TOKENS)
    return taker.with_balance(balance, arrived=(*taker.arrived, payment))


def _changed(record: AccountRecord, changes: list[Change]) -> AccountRecord:
    for change in changes:
        record = change(record)
    return record


def _settle(batch: list[Wanted], is_there: bool) -> None:
    for _, done in batch:
        if not done.done():
            done.set_result(is_there)


def _give_up(batch: list[Wanted]) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(OSError("the account was not changed"))
            done.exception()  # whose caller has gone is not told


def _without_leaving(giver: AccountRecord, payment: str) -> AccountRecord:
    leaving = {each: to for each, to in giver.leaving.items() if each != payment}
    return giver.with_balance(giver.account.balance, leaving=leaving)
