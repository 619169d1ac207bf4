"""Payments that were left in the middle are gone on with, once, by whoever may."""

from __future__ import annotations

from dataclasses import dataclass, field

from hivemind_worker.model.task import TaskKey
from hivemind_worker.pool.nats.arrears import DEAD_S, Arrears


@dataclass
class FakeBook:
    begun_here: list[TaskKey] = field(default_factory=list)
    begun: list[TaskKey] = field(default_factory=list)
    on_the_way: dict[str, str] = field(default_factory=dict)
    paid: list[str] = field(default_factory=list)

    def stumbled(self) -> list[TaskKey]:
        return list(self.begun_here)

    def owed(self) -> list[TaskKey]:
        return list(self.begun)

    async def pay(self, key: TaskKey) -> None:
        self.paid.append(key)

    async def leaving(self) -> dict[str, str]:
        return dict(self.on_the_way)

    async def go_on(self, payment: str, sender: str) -> None:
        self.paid.append(f"{payment} of {sender}")


async def test_what_this_process_could_not_finish_it_tries_again_at_once() -> None:
    book = FakeBook(begun_here=[TaskKey("k")])
    await Arrears(book).look(0.0)
    assert book.paid == ["k"]


async def test_what_another_process_is_at_is_left_alone_until_it_must_be_dead() -> None:
    book = FakeBook(begun=[TaskKey("k")], on_the_way={"p": "ada"})
    arrears = Arrears(book)
    await arrears.look(0.0)
    await arrears.look(DEAD_S - 1)
    assert book.paid == []
    await arrears.look(DEAD_S)
    assert book.paid == ["k", "p of ada"]


async def test_what_was_paid_meanwhile_and_is_owed_anew_waits_anew() -> None:
    book = FakeBook(begun=[TaskKey("k")])
    arrears = Arrears(book)
    await arrears.look(0.0)
    book.begun = []
    await arrears.look(DEAD_S / 2)
    book.begun = [TaskKey("k")]
    await arrears.look(DEAD_S)
    assert book.paid == []
