"""One account's machines at a pool with keys: listed, told, and closed to everybody else's."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.fleet import ONLINE_S, WISH_KEPT_S, Fleet, Machine, Told, WishKind
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem, TaskId
from hivemind_worker.pool.nats.connection import connect
from hivemind_worker.pool.nats.credential import Credential, keep
from hivemind_worker.pool.nats.subjects import WorkerId, asks, wish_subject
from tests.contract.local_pool import result_zip, tiny_worker, until
from tests.nats.here import PoolOnEngine, secure_pool
from tests.nats.server import Server, enrolled, running_server
from tests.nats.worker import AskingWorker, asking_worker


@dataclass
class Ground:
    """Two accounts: anna with larch and attic, bert with birch; and a pool process."""

    folder: Path
    server: Server
    pool: PoolOnEngine
    stack: AsyncExitStack
    credentials: dict[str, Credential] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return self.server.authority.servers[0]

    async def enrol(self, name: str, account: str) -> None:
        self.credentials[name] = await enrolled(self.server, name, account)
        keep(self.folder / f"{name}.json", self.credentials[name])

    async def worker(self, name: str, folder: str = "w") -> AskingWorker:
        """A running machine; it ends with the test."""
        account = (self.credentials[name].worker or WorkerId(name="", account="")).account
        running = asking_worker(
            self.address, name, self.folder / folder, credential=self.folder / f"{name}.json", account=account
        )
        worker = await self.stack.enter_async_context(running)
        await worker.shows(LinkState.REGISTERED)
        return worker


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    async with running_server(tmp_path / "keys") as server, AsyncExitStack() as stack:
        process = tmp_path / "process.json"
        keep(process, server.authority.for_pool())
        address = server.authority.servers[0]
        async with secure_pool(tmp_path / "pool", address, process) as pool:
            ground = Ground(tmp_path, server, pool, stack)
            for name, account in (("larch", "anna"), ("attic", "anna"), ("birch", "bert")):
                await ground.enrol(name, account)
            yield ground
            await stack.aclose()


async def fleet(worker: AskingWorker) -> Fleet:
    found = await worker.client.fleet.machines()
    assert isinstance(found, Fleet), found
    return found


async def machine(seen_by: AskingWorker, name: str, status: str) -> Machine:
    """The machine as another one sees it, once it stands so."""

    async def look() -> list[Machine]:
        listed = (await fleet(seen_by)).machines
        return [each for each in listed if each.name == name and each.standing.status == status]

    found: list[Machine] = await until(look, 20)
    return found[0]


async def test_an_account_sees_its_own_machines_and_no_others(ground: Ground) -> None:
    larch, attic, birch = [await ground.worker(name) for name in ("larch", "attic", "birch")]
    for worker in (larch, attic, birch):
        await machine(worker, worker.name, "idle")
    await machine(larch, "attic", "idle")
    seen = await fleet(larch)
    assert [(each.name, each.is_this, each.online) for each in seen.machines] == [
        ("attic", False, True), ("larch", True, True),
    ]  # fmt: skip
    assert seen.account == "anna" and seen.machines[0].standing.text == "idle here"
    assert [each.name for each in (await fleet(birch)).machines] == ["birch"]


async def test_a_cause_comes_with_its_values_and_without_them_where_they_are_out_of_bounds(
    ground: Ground,
) -> None:
    larch, attic = await ground.worker("larch"), await ground.worker("attic")
    attic.status, attic.values = "running", {"running": 2, "about": "größer ü"}
    seen = await machine(larch, "attic", "running")
    assert seen.standing.values == {"running": 2, "about": "größer ü"}
    for number, values in enumerate(({"about": "x" * 1001}, {"about": "\n"}, {"running": 10**30})):
        attic.status, attic.values = f"bad {number}", values
        bad = await machine(larch, "attic", f"bad {number}")
        assert (bad.standing.values, bad.standing.text) == ({}, f"bad {number} here")


async def test_a_wish_reaches_one_machine_or_all_of_the_account_and_only_they_obey(ground: Ground) -> None:
    larch, attic, birch = [await ground.worker(name) for name in ("larch", "attic", "birch")]
    await machine(larch, "attic", "idle")
    await machine(birch, "birch", "idle")
    told = await larch.client.fleet.wish(WishKind.PAUSE, ["attic"], 3600.0)
    assert told == Told(now=("attic",), later=())
    paused = await machine(larch, "attic", "paused")
    assert paused.waiting is None, "it said that it has heard"
    wish = attic.wishes[0]
    assert (wish.kind, wish.by) == (WishKind.PAUSE, "larch")
    assert wish.until_s is not None and abs(wish.until_s - time.time() - 3600) < 60, "by its own clock"
    assert await attic.client.fleet.wish(WishKind.FINISH, None) == Told(now=("attic", "larch"), later=())
    await machine(attic, "larch", "finishing")
    await machine(larch, "attic", "finishing")
    assert isinstance(await larch.client.fleet.wish(WishKind.RESUME, ["attic"]), Told)
    await machine(larch, "attic", "idle")
    assert [each.kind for each in attic.wishes] == [WishKind.PAUSE, WishKind.FINISH, WishKind.RESUME]
    assert birch.wishes == [], "another account's machine heard nothing"


async def test_a_wish_for_another_accounts_machine_is_refused_and_nothing_of_it_is_done(
    ground: Ground,
) -> None:
    larch, attic, birch = [await ground.worker(name) for name in ("larch", "attic", "birch")]
    await machine(larch, "attic", "idle")
    await machine(birch, "birch", "idle")
    for names in (["birch"], ["attic", "birch"], ["nobody"], [""], ["*"], ["attic.>"]):
        refused = await larch.client.fleet.wish(WishKind.PAUSE, names)
        assert isinstance(refused, Problem) and refused.code is FaultCode.NO_SUCH_MACHINE, refused
    assert (attic.wishes, birch.wishes) == ([], [])


NONE_OF_THREE: tuple[dict[str, object], ...] = (
    {"kind": "quit", "to": None, "for_s": None}, {"kind": "stop", "to": ["attic"]}, {"kind": 5}, {},
    {"kind": "pause", "to": 7}, {"kind": "pause", "for_s": "soon"}, {"kind": "pause", "for_s": -1.0},
    {"kind": "pause", "for_s": 1e18}, {"kind": "pause", "for_s": float("nan")},
    {"kind": "resume", "for_s": 60}, {"kind": "pause", "to": [["attic"]]},
)  # fmt: skip


async def test_what_is_none_of_the_three_wishes_is_refused(ground: Ground) -> None:
    attic = await ground.worker("attic")
    await machine(attic, "attic", "idle")
    client = await connect(ground.credentials["larch"])
    assert not isinstance(client, Problem)
    asked = asks(WorkerId(name="larch", account="anna"), "wish")
    for values in NONE_OF_THREE:
        answer = json.loads((await client.request(asked, json.dumps(values).encode(), timeout=10)).data)
        assert answer["retry"] is False and answer["problem"], values
    await client.close()
    assert attic.wishes == []


async def test_a_wish_for_a_machine_that_is_away_waits_and_is_obeyed_once_when_it_comes(
    ground: Ground,
) -> None:
    larch = await ground.worker("larch")
    async with asking_worker(
        ground.address, "attic", ground.folder / "a", credential=ground.folder / "attic.json", account="anna"
    ) as attic:
        await machine(larch, "attic", "idle")
    ground.pool.clock.now += ONLINE_S + 1  # larch, too, is silent for that long by this clock
    assert await larch.client.fleet.wish(WishKind.PAUSE, ["attic"]) == Told(now=(), later=("attic",))
    away = next(each for each in (await fleet(larch)).machines if each.name == "attic")
    assert not away.online and away.waiting is not None and away.waiting.by == "larch"
    back = await ground.worker("attic", "again")
    paused = await machine(larch, "attic", "paused")
    assert paused.online and paused.waiting is None and len(back.wishes) == 1
    assert attic.wishes == []
    back.status = "idle"  # resumed on the machine itself
    once_more = await ground.worker("attic", "third")
    await machine(larch, "attic", "idle")
    assert once_more.wishes == [], "what was obeyed is over, also after a restart"


async def test_a_wish_that_waits_too_long_is_forgotten(ground: Ground) -> None:
    larch = await ground.worker("larch")
    async with asking_worker(
        ground.address, "attic", ground.folder / "a", credential=ground.folder / "attic.json", account="anna"
    ):
        await machine(larch, "attic", "idle")
    ground.pool.clock.now += ONLINE_S + 1
    assert isinstance(await larch.client.fleet.wish(WishKind.PAUSE, ["attic"]), Told)
    ground.pool.clock.now += WISH_KEPT_S
    away = next(each for each in (await fleet(larch)).machines if each.name == "attic")
    assert away.waiting is None
    back = await ground.worker("attic", "again")
    await machine(larch, "attic", "idle")
    assert back.wishes == []


async def test_a_name_that_goes_to_another_account_takes_nothing_along(ground: Ground) -> None:
    larch, birch = await ground.worker("larch"), await ground.worker("birch")
    async with asking_worker(
        ground.address, "attic", ground.folder / "a", credential=ground.folder / "attic.json", account="anna"
    ):
        await machine(larch, "attic", "idle")
    assert not isinstance(ground.server.authority.revoke("attic"), Problem)
    await ground.enrol("attic", "bert")
    ground.pool.clock.now += ONLINE_S + 1
    assert isinstance(await larch.client.fleet.wish(WishKind.PAUSE, ["attic"]), Told), "nobody has it yet"
    new = await ground.worker("attic", "new")
    await machine(birch, "attic", "idle")
    assert new.wishes == [], "what the earlier owner wished is not the new owner's"
    assert [each.name for each in (await fleet(larch)).machines] == ["larch"]
    refused = await larch.client.fleet.wish(WishKind.PAUSE, ["attic"])
    assert isinstance(refused, Problem) and refused.code is FaultCode.NO_SUCH_MACHINE


async def test_a_machine_obeys_only_what_the_pool_passes_on_for_its_own_account(ground: Ground) -> None:
    attic = await ground.worker("attic")
    await machine(attic, "attic", "idle")
    wish = {"kind": "pause", "by": "birch", "number": 99, "for_s": None}
    for body in (
        json.dumps({**wish, "account": "bert"}), json.dumps({**wish, "kind": "quit", "account": "anna"}),
        json.dumps(wish), "[]", "x", json.dumps({"account": "anna"}),
    ):  # fmt: skip
        await ground.pool.engine_pool.engine.client.publish(wish_subject("attic"), body.encode())
    own = json.dumps({**wish, "kind": "finish", "account": "anna"})
    await ground.pool.engine_pool.engine.client.publish(wish_subject("attic"), own.encode())
    await machine(attic, "attic", "finishing")
    assert [each.kind for each in attic.wishes] == [WishKind.FINISH]


async def test_what_a_machine_earns_goes_to_its_account_and_stands_beside_it(
    ground: Ground, tmp_path: Path
) -> None:
    token = await ground.pool.account("ada")
    await ground.pool.account("anna", 0)
    attic = await ground.worker("attic")
    await machine(attic, "attic", "idle")
    assert (await ground.pool.upload(token, "t", cpu_score=200, memory_gb=3)).success
    await attic.got("t")
    archive = tmp_path / "r.zip"
    archive.write_bytes(result_zip())
    for _ in range(2):  # sent twice, paid once
        assert (await attic.client.send_result(TaskId("t"), archive)).delivered
    seen = await fleet(attic)
    assert (seen.balance, seen.machines[0].earned) == (5, 5)


async def test_machines_that_the_pool_calls_are_listed_to_their_owner_alone_and_nothing_is_asked_of_them(
    ground: Ground,
) -> None:
    token = await ground.pool.account("ada")
    larch, birch = await ground.worker("larch"), await ground.worker("birch")
    await machine(larch, "larch", "idle")
    await machine(birch, "birch", "idle")
    odd = "box > * of.anna"  # any name: no worker that asks could have it
    async with (
        tiny_worker(ground.pool, "anna", odd, gpu_score=9) as box,
        tiny_worker(ground.pool, "bert", "other"),
    ):
        assert (await ground.pool.upload(token, "t", cpu_score=200, memory_gb=3, gpu_score=9)).success
        await asyncio.wait_for(box.offered.wait(), 10)
        seen = await machine(larch, odd, "running")
        assert (seen.is_called, seen.online, seen.standing.running, seen.earned) == (True, True, 1, 0)
        assert [each.name for each in (await fleet(birch)).machines] == ["birch", "other"]

        refused = await larch.client.fleet.wish(WishKind.PAUSE, ["larch", odd])
        assert isinstance(refused, Problem) and refused.code is FaultCode.MACHINE_IS_CALLED
        assert larch.wishes == [], "nothing is half done"
        assert await larch.client.fleet.wish(WishKind.FINISH, None) == Told(now=("larch",), later=())

        assert (await box.send_result("t", result_zip())).success
        idle = await machine(larch, odd, "idle")
        assert (idle.earned, idle.standing.running) == (5, 0)
        ground.pool.clock.now += ONLINE_S + 1
        assert not (await machine(larch, odd, "idle")).online
