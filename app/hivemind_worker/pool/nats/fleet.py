"""The pool's side of fleets: who stands how, which wish waits for whom. Counterpart: `fleet_client`.

The server vouches for the account of whoever asks, as it is a part of the subject. A machine is seen and told
only by machines of the account under which it itself spoke last; what is kept of both stands in one stream.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from nats.aio.msg import Msg

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.fleet import (
    LONGEST_PAUSE_S,
    NAME_BYTES,
    ONLINE_S,
    TEXT_BYTES,
    Machine,
    Standing,
    Wish,
    WishKind,
    values_from_afar,
)
from hivemind_worker.model.pool_records import PoolNode, PoolTaskState
from hivemind_worker.pool.local.limits import bad_amounts, bad_text
from hivemind_worker.pool.nats.book import NatsPoolBook
from hivemind_worker.pool.nats.engine import Engine
from hivemind_worker.pool.nats.following import Kept
from hivemind_worker.pool.nats.layout import FLEET, machine_of, machine_subject, unknown_of, wanted_subject
from hivemind_worker.pool.nats.subjects import WorkerId, wish_subject

Answer = dict[str, Any]
MOST_WISHED = 1000
CALLED = "called"
"""Code of the standing that the pool makes up for a machine that it calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRecord:
    """How a worker stood when it last spoke, and what the pool notes of it."""

    account: str
    standing: Standing
    at_s: float
    obeyed: int = 0  # number of the last wish that it has heard
    earned: int = 0
    later: Mapping[str, Any] = field(default_factory=dict)  # fields of later versions, which stay as they are

    def to_json(self) -> bytes:
        """As it is kept."""
        values = asdict(self)
        return json.dumps(values.pop("later") | values).encode()


class FleetDesk:
    """Answers what workers ask about their account's machines. `open` before use."""

    def __init__(self, engine: Engine, book: NatsPoolBook, clock: Callable[[], float]) -> None:
        self._engine, self._book, self._clock = engine, book, clock
        self._machines: dict[str, tuple[MachineRecord, int]] = {}
        self._wanted: dict[str, tuple[str, Wish]] = {}  # with the account whose owner it was

    async def open(self) -> None:
        """Take in what is kept, and hear of every change from now on."""
        self._book.listen_to_rewards(self._earned)
        await self._engine.follow(FLEET, FLEET.subjects[0], self._take_machine, self._machines.clear)
        await self._engine.follow(FLEET, FLEET.subjects[1], self._take_wish, self._wanted.clear)

    def _take_machine(self, kept: Kept) -> None:
        name = machine_of(kept.subject)
        known = self._machines.get(name)
        if known is None or kept.revision > known[1]:
            self._machines[name] = _record(kept.data), kept.revision

    def _take_wish(self, kept: Kept) -> None:
        name, known = kept.subject.rpartition(".")[2], self._wanted.get(kept.subject.rpartition(".")[2])
        if known is None or kept.revision > known[1].number:
            values = json.loads(kept.data)
            self._wanted[name] = values["account"], _wish(values, kept.revision)

    # the verbs

    async def standing(self, worker: WorkerId, message: Msg) -> Answer:
        """A machine says how it stands; it is told the wish that waits for it."""
        untrusted = json.loads(message.data)
        standing, obeyed = _standing(untrusted["standing"]), int(untrusted["obeyed"])
        at_s = self._clock()

        def stands(before: MachineRecord | None) -> MachineRecord:
            if before is None or before.account != worker.account:
                return MachineRecord(account=worker.account, standing=standing, at_s=at_s, obeyed=obeyed)
            return replace(before, standing=standing, at_s=at_s, obeyed=max(obeyed, before.obeyed))

        await self._change(worker.name, stands)
        wish = self._waiting(worker.name)
        return {"wish": None if wish is None else self._told(wish, worker.account)}

    async def machines(self, worker: WorkerId, _message: Msg) -> Answer:
        """All machines of the asking one's account."""
        account = await self._book.account(worker.account)
        found = [replace(each, is_this=each.name == worker.name) for each in self.of_account(worker.account)]
        return {
            "account": worker.account, "balance": account.balance if account else None,
            "at_s": self._clock(), "machines": [asdict(each) for each in found],
        }  # fmt: skip

    async def wish(self, worker: WorkerId, message: Msg) -> Answer:
        """The owner wishes something of some machines, or of all. If one is not its own, nothing is done."""
        untrusted = json.loads(message.data)
        at_s = self._clock()
        wish = Wish(
            kind=WishKind(str(untrusted["kind"])), by=worker.name, at_s=at_s,
            until_s=_end(untrusted.get("for_s"), at_s),
        )  # fmt: skip
        if wish.until_s is not None and wish.kind is not WishKind.PAUSE:
            raise ValueError("only a pause has an end")
        own, wanted = self._of(worker.account), untrusted.get("to")
        told = [name for name in own if self._called(name) is None]
        names = told if wanted is None else [str(each) for each in wanted[:MOST_WISHED]]
        foreign = [name for name in names if name not in own]
        if foreign:
            code = FaultCode.NO_SUCH_MACHINE.value
            return {"problem": foreign[0][:NAME_BYTES], "retry": False, "code": code}
        if called := [name for name in names if name not in told]:
            return {"problem": called[0], "retry": False, "code": FaultCode.MACHINE_IS_CALLED.value}
        for name in names:
            await self._want(name, worker.account, wish)
        return {"now": [name for name in names if self._is_online(name)],
                "later": [name for name in names if not self._is_online(name)]}  # fmt: skip

    async def _want(self, name: str, account: str, wish: Wish) -> None:
        values = {**asdict(wish), "account": account}
        number = await self._engine.write(wanted_subject(name), json.dumps(values).encode())
        assert number is not None  # it is written over whatever was there
        kept = replace(wish, number=number)
        self._wanted[name] = account, kept
        await self._engine.client.publish(wish_subject(name), json.dumps(self._told(kept, account)).encode())

    def _told(self, wish: Wish, account: str) -> Answer:
        """A wish on its way: a pause with the time that is left of it, as no two clocks agree."""
        left_s = None if wish.until_s is None else wish.until_s - self._clock()
        return {"kind": wish.kind, "by": wish.by, "number": wish.number, "for_s": left_s, "account": account}

    # what is known

    def of_account(self, account: str) -> tuple[Machine, ...]:
        """The machines of an account, by name."""
        return tuple(self._seen(name) for name in self._of(account))

    def _of(self, account: str) -> list[str]:
        """Those that ask for work, and those that the pool calls: it knows who registered them."""
        asking = {name for name, (record, _) in self._machines.items() if record.account == account}
        called = {node.node_id for node in self._book.called_by(account)}
        moved = {name for name in asking if (node := self._called(name)) and node.account != account}
        return sorted((asking - moved) | called)

    def _called(self, name: str) -> PoolNode | None:
        node = self._book.node(name)
        return node if node is not None and not node.asks else None

    def _seen(self, name: str) -> Machine:
        called, record = self._called(name), self._record_of(name)
        return Machine(
            name=name, standing=self._reported(called) if called else record.standing,
            seen_s=self._seen_s(name), online=self._is_online(name), earned=record.earned,
            waiting=None if called else self._waiting(name), is_called=called is not None,
        )  # fmt: skip

    def _record_of(self, name: str) -> MachineRecord:
        """What is noted of one of `_of`; of one that is called nothing, before it has earned."""
        known = self._machines[name][0] if name in self._machines else None
        return self._as_called(name, known) or self._machines[name][0]

    def _as_called(self, name: str, known: MachineRecord | None) -> MachineRecord | None:
        """The same; a new one where the pool calls the machine, and what is noted was another owner's."""
        called = self._called(name)
        if called is None or (known is not None and known.account == called.account):
            return known
        return MachineRecord(
            account=called.account, standing=self._reported(called), at_s=called.heard_at_s
        )  # fmt: skip

    def _reported(self, node: PoolNode) -> Standing:
        """All that the pool knows of a machine that it calls."""
        running = sum(
            record.task.state is PoolTaskState.RUNNING for record in self._book.held_by(node.node_id)
        )
        return Standing(
            title=node.node_id, status="running" if running else "idle", code=CALLED, text="",
            since_s=None, ends_at_s=None, running=running, places=0, trust=0, version="",
        )  # fmt: skip

    def _seen_s(self, name: str) -> float:
        node = self._book.node(name)
        if node is not None and not node.asks:
            return node.heard_at_s
        return max(self._machines[name][0].at_s, node.heard_at_s if node else 0.0)

    def _is_online(self, name: str) -> bool:
        return self._clock() - self._seen_s(name) <= ONLINE_S

    def _waiting(self, name: str) -> Wish | None:
        record, (account, wish) = self._machines[name][0], self._wanted.get(name, ("", None))
        fits = wish is not None and account == record.account and wish.number > record.obeyed
        return wish if fits and wish is not None and not wish.is_over(self._clock()) else None

    async def _earned(self, name: str, amount: int) -> None:
        if name in self._machines or self._called(name) is not None:
            await self._change(name, lambda known: self._with_earned(name, known, amount))

    def _with_earned(self, name: str, known: MachineRecord | None, amount: int) -> MachineRecord | None:
        now = self._as_called(name, known)
        return now and replace(now, earned=now.earned + amount)

    async def _change(
        self, name: str, change: Callable[[MachineRecord | None], MachineRecord | None]
    ) -> None:
        """Change a machine's record, whoever else changes it meanwhile."""
        before, revision = self._machines.get(name, (None, 0))
        while True:
            after = change(before)
            if after is None:
                return
            number = await self._engine.write(machine_subject(name), after.to_json(), over=revision)
            if number is not None:
                self._machines[name] = after, number
                return
            kept = await self._engine.read(FLEET, machine_subject(name))
            before, revision = (_record(kept.data), kept.revision) if kept else (None, 0)


def _record(content: bytes) -> MachineRecord:
    values = json.loads(content)
    standing = Standing(**_known(Standing, values.pop("standing")))
    later = unknown_of(MachineRecord, values)
    return MachineRecord(**_known(MachineRecord, {**values, "standing": standing}), later=later)


def _known(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in kind.__dataclass_fields__}


def _wish(values: dict[str, Any], number: int) -> Wish:
    return Wish(
        kind=WishKind(values["kind"]), by=values["by"], number=number, until_s=values["until_s"],
        at_s=values["at_s"],
    )  # fmt: skip


def _standing(untrusted: dict[str, Any]) -> Standing:
    """Every bound of what a machine says of itself checked.

    Raises:
        ValueError: one is not kept.
    """
    texts = {name: str(untrusted[name]) for name in ("title", "status", "code", "text", "version")}
    amounts = {name: int(untrusted[name]) for name in ("running", "places", "trust")}
    times = {name: _moment(untrusted[name]) for name in ("since_s", "ends_at_s")}
    wrong = bad_amounts(**amounts)
    for name, text in texts.items():
        most = TEXT_BYTES if name == "text" else NAME_BYTES
        wrong = wrong or bad_text(name, text, most, empty=True)
    if wrong is not None:
        raise ValueError(wrong)
    known: dict[str, Any] = {**texts, **amounts, **times}
    return Standing(**known, values=values_from_afar(untrusted.get("values")))


def _moment(untrusted: object) -> float | None:
    if untrusted is None:
        return None
    moment = float(untrusted)  # type: ignore[arg-type]  # what is no number raises
    if not math.isfinite(moment):
        raise ValueError("no moment")
    return moment


def _end(untrusted_length: object, now_s: float) -> float | None:
    length_s = _moment(untrusted_length)
    if length_s is None:
        return None
    if not 0 < length_s <= LONGEST_PAUSE_S:
        raise ValueError("a pause is longer than nothing, a year at most")
    return now_s + length_s
