"""Who may say what at a pool's server: a real nats-server judges, nothing here takes our own word for it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.errors import Error

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.nats import subjects
from hivemind_worker.pool.nats.authority import Authority, Member, make_authority
from hivemind_worker.pool.nats.claims import read_claim
from hivemind_worker.pool.nats.connection import connect
from hivemind_worker.pool.nats.credential import Credential
from hivemind_worker.pool.nats.enrolment import enrol, host, tell_servers
from hivemind_worker.pool.nats.layout import STREAMS
from hivemind_worker.pool.nats.nkeys import Kind, new_key
from tests.nats.server import Server, enrolled, running_server

LIMIT_S = 20.0
REFUSAL_S = 10.0  # waited out only where the server does not refuse


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running_server(tmp_path / "keys") as running:
        yield running


@dataclass
class Line:
    """An open connection, and what the server said of it."""

    client: Client
    said: list[str] = field(default_factory=list)

    async def refuses(self, act: str, subject: str) -> bool:
        """Whether the server forbids us to publish to, or hear, this subject."""
        before = len(self.said)
        if act == "publish":
            await self.client.publish(subject, b"x", reply=f"{self.client._inbox_prefix.decode()}.r")
        else:
            await self.client.subscribe(subject)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REFUSAL_S):  # the answer to a flush may overtake it
                while len(self.said) == before:
                    await self.client.flush(timeout=10)
        word = "publish" if act == "publish" else "subscription"
        return self.said[before:] == [f'nats: permissions violation for {word} to "{subject.lower()}"']

    async def ended(self) -> None:
        """Wait until the server has ended the connection."""
        async with asyncio.timeout(LIMIT_S):
            while not self.client.is_closed:
                with contextlib.suppress(Error, TimeoutError):
                    await self.client.flush(timeout=1)


@asynccontextmanager
async def line(credential: Credential) -> AsyncIterator[Line]:
    said: list[str] = []
    client = await connect(credential, on_error=said.append)
    assert isinstance(client, Client), client
    try:
        yield Line(client, said)
    finally:
        await client.close()


def refused(found: Client | Problem) -> bool:
    return isinstance(found, Problem) and found.code is FaultCode.CREDENTIAL_REFUSED


def of(worker: str, account: str) -> list[str]:
    """Subjects of one worker's tree, as they are used and as wildcards."""
    last = (
        "pull",
        "beat",
        "result",
        "output",
        "archive",
        "standing",
        "machines",
        "wish",
        "stop",
        "t.1",
        ">",
        "*",
    )
    trees = (said_by(worker, account), subjects.told_to(worker), f"{subjects.inbox_of(worker)}.>")
    return [tree.removesuffix(">") + each for tree in trees for each in last]


def said_by(worker: str, account: str) -> str:
    return subjects.said_by(subjects.WorkerId(name=worker, account=account))


def asks(worker: str, verb: str) -> str:
    return subjects.asks(subjects.WorkerId(name=worker, account=worker), verb)


STREAM_CALLS = (
    "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.MSG.GET.TASKS",
    "$JS.API.STREAM.PURGE.TASKS", "$JS.API.STREAM.DELETE.TASKS", "$JS.API.CONSUMER.CREATE.TASKS",
    "$JS.API.CONSUMER.DURABLE.CREATE.TASKS.c", "$JS.API.CONSUMER.MSG.NEXT.TASKS.c",
    "$JS.API.DIRECT.GET.TASKS", "$JS.ACK.TASKS.c.1.1.1.1.0", "$KV.tasks.t1", "$O.archives.C.t1",
    "$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.PING.CONNZ",
)  # fmt: skip


async def test_a_worker_is_refused_every_subject_of_another_worker_of_the_streams_and_of_the_pool(
    server: Server,
) -> None:
    anna = await enrolled(server, "anna")
    await enrolled(server, "bert", account="bertha")
    await enrolled(server, "attic", account="anna")  # another machine of the same owner
    as_others = [
        said_by("anna", account).removesuffix(">") + "wish" for account in ("bertha", "ann", "annaa")
    ]
    kept = [subject for stream in STREAMS for subject in stream.subjects]
    records = [each.replace("*", "x").replace(">", "x.y") for each in kept]
    records += [f"$JS.API.STREAM.MSG.GET.{each.name}" for each in STREAMS]
    records += ["hivemind.machine.anna", "hivemind.wanted.anna", "hivemind.wanted.bert", "hivemind.node.x"]
    foreign = [
        *of("bert", "bertha"), *of("bert", "anna"), *of("attic", "anna"), *of("ann", "ann"), *as_others,
        *records, *STREAM_CALLS, subjects.enrolment("UX"), "other", "hivemind.from.x",
    ]  # fmt: skip
    wide = [
        ">",
        "*",
        "hivemind.>",
        "hivemind.from.*.*.pull",
        "hivemind.to.*.stop",
        "_INBOX_bert.>",
        "_INBOX.>",
    ]
    async with line(server.authority.for_pool()) as pool, line(anna) as worker:
        heard = await pool.client.subscribe(">")
        await pool.client.flush()
        assert [each for each in foreign if not await worker.refuses("publish", each)] == []
        assert [each for each in [*foreign, *wide] if not await worker.refuses("subscribe", each)] == []
        assert not worker.client.is_closed
        await worker.client.publish(asks("anna", "last"))
        # What the pool hears first is what was said last: nothing before it came through.
        assert (await heard.next_msg(timeout=10)).subject == asks("anna", "last")


async def test_a_worker_and_the_pool_hear_each_other_in_the_workers_own_tree(server: Server) -> None:
    anna = await enrolled(server, "anna")
    async with line(server.authority.for_pool()) as pool, line(anna) as worker:
        asked = await pool.client.subscribe("hivemind.from.*.*.>")
        orders = await worker.client.subscribe(subjects.told_to("anna"))
        await asyncio.gather(pool.client.flush(), worker.client.flush())
        waiting = asyncio.create_task(worker.client.request(asks("anna", "pull"), b"?", timeout=10))
        question = await asked.next_msg(timeout=10)
        assert question.subject == asks("anna", "pull")
        await question.respond(b"!")
        assert (await waiting).data == b"!"
        await pool.client.publish("hivemind.to.anna.stop", b"t1")
        assert (await orders.next_msg(timeout=10)).data == b"t1"
        assert worker.said == []


async def test_a_revoked_worker_is_cut_off_at_once_and_stays_out_after_a_restart_while_others_go_on(
    server: Server,
) -> None:
    anna, bert = await enrolled(server, "anna"), await enrolled(server, "bert")
    async with line(anna) as out, line(bert) as stays:
        assert isinstance(server.authority.revoke("anna"), Member)
        assert await tell_servers(server.authority) is None
        await out.ended()
        await stays.client.flush(timeout=10)
        assert stays.said == []
    assert refused(await connect(anna))
    await server.restart()
    assert refused(await connect(anna))
    async with line(bert):
        pass


async def test_two_workers_revoked_in_one_second_are_both_shut_out(server: Server) -> None:
    both = [await enrolled(server, name) for name in ("anna", "bert")]
    dates = [read_claim(server.authority.account())["iat"]]
    for name in ("anna", "bert"):
        server.authority.revoke(name)
        assert await tell_servers(server.authority) is None
        dates.append(read_claim(server.authority.account())["iat"])
    assert [refused(await connect(each)) for each in both] == [True, True]
    assert dates[0] < dates[1] < dates[2]  # else servers of a cluster might take the earlier for the later


async def test_thousands_who_are_shut_out_date_the_claim_ahead_and_servers_take_it(server: Server) -> None:
    larch, now_s = await enrolled(server, "larch"), server.authority.now_s()
    for number in range(2000):
        server.authority._remember(Member(
            name=f"w{number}", public=new_key(Kind.USER).public, joined_at_s=now_s, revoked_at_s=now_s,
        ))  # fmt: skip
    server.authority.revoke("larch")
    assert await tell_servers(server.authority) is None
    assert refused(await connect(larch))
    await server.restart()
    assert refused(await connect(larch))
    async with line(await enrolled(server, "birch")):
        pass


async def test_a_name_is_free_again_once_its_worker_was_shut_out(server: Server) -> None:
    old = await enrolled(server, "anna")
    taken = await host(server.authority, "anna", 5, lambda _: None)
    assert isinstance(taken, Problem) and taken.code is FaultCode.NAME_TAKEN
    server.authority.revoke("anna")
    assert await tell_servers(server.authority) is None
    new = await enrolled(server, "anna")
    assert refused(await connect(old))
    async with line(new):
        pass
    assert [(each.name, bool(each.revoked_at_s)) for each in server.authority.members()] == [
        ("anna", True), ("anna", False),
    ]  # fmt: skip


async def test_an_invitation_lets_in_one_worker_and_nobody_after_it(server: Server) -> None:
    kept: list[Credential] = []
    waiting = asyncio.create_task(host(server.authority, "anna", 60, kept.append))
    async with asyncio.timeout(LIMIT_S):
        while not kept:
            await asyncio.sleep(0.01)
    first, second = await asyncio.gather(enrol(kept[0]), enrol(kept[0]))
    await waiting
    let_in = [each for each in (first, second, await enrol(kept[0])) if isinstance(each, Credential)]
    assert len(let_in) == 1 and let_in[0].name == "anna"
    assert len(server.authority.members()) == 1


async def test_an_invitation_can_do_nothing_but_ask(server: Server) -> None:
    given, subject = server.authority.invite(60)
    async with line(given) as guest:
        foreign = [*of("anna", "anna"), *STREAM_CALLS, subjects.enrolment(new_key(Kind.USER).public)]
        assert [each for each in foreign if not await guest.refuses("publish", each)] == []
        assert await guest.refuses("subscribe", subject)


async def test_an_invitation_whose_time_is_over_is_refused_by_the_server(server: Server) -> None:
    now = server.authority._clock()
    given, _ = Authority(server.authority.folder, server.authority._keys, lambda: now - 3600).invite(600)
    assert refused(await connect(given))


async def test_what_asks_without_a_key_lets_nobody_in_and_the_invitation_stays_good(server: Server) -> None:
    kept: asyncio.Future[Credential] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(host(server.authority, "anna", 60, kept.set_result))
    given = await asyncio.wait_for(kept, LIMIT_S)
    async with line(given) as guest:
        subject = subjects.enrolment(given.key.public)
        for junk in (b"", b"\xff" * 500, new_key(Kind.ACCOUNT).public.encode()):
            answer = json.loads((await guest.client.request(subject, junk, timeout=10)).data)
            assert set(answer) == {"problem"}
        await guest.client.publish(subject, b"no answer asked for")
    assert isinstance(await enrol(given), Credential)
    assert isinstance(await waiting, Member)


async def test_a_credential_of_another_pool_is_refused_and_so_is_another_pools_server(
    server: Server, tmp_path: Path
) -> None:
    other = make_authority(tmp_path / "other", server.authority.servers, server.authority._clock)
    assert isinstance(other, Authority)
    foreign = await connect(other.for_pool())  # its certificate is unknown there: nothing was told
    assert isinstance(foreign, Problem) and foreign.code is FaultCode.NOT_THE_POOL
    stranger = replace(other.for_pool(), authority=server.authority.for_pool().authority)
    assert refused(await connect(stranger))


async def test_a_claim_that_was_changed_is_refused(server: Server) -> None:
    anna = await enrolled(server, "anna")
    head, body, signature = anna.claim.split(".")
    pool_body = server.authority.for_pool().claim.split(".")[1]
    assert refused(await connect(replace(anna, claim=f"{head}.{pool_body}.{signature}")))
    assert refused(await connect(replace(anna, seed=new_key(Kind.USER).seed)))
    assert body != pool_body


async def test_a_server_without_tls_is_told_nothing(server: Server) -> None:
    heard, ended = bytearray(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {
            "server_id": "x",
            "version": "2.9.10",
            "auth_required": True,
            "nonce": "abc",
            "max_payload": 9,
        }
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        heard.extend(await reader.read())
        writer.close()
        ended.set()

    false = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with false:
        port = false.sockets[0].getsockname()[1]
        pool = replace(server.authority.for_pool(), servers=(f"tls://127.0.0.1:{port}",))
        found = await connect(pool)
        await asyncio.wait_for(ended.wait(), LIMIT_S)
    assert isinstance(found, Problem) and found.code is FaultCode.NOT_THE_POOL
    assert bytes(heard) == b""


async def test_a_server_that_is_away_is_told_as_unreachable_and_the_next_one_is_tried(server: Server) -> None:
    pool = server.authority.for_pool()
    gone = replace(pool, servers=("tls://127.0.0.1:1",))
    found = await connect(gone)
    assert found == Problem(code=FaultCode.POOL_UNREACHABLE, about="tls://127.0.0.1:1")
    async with line(replace(pool, servers=(*gone.servers, *pool.servers))):
        pass


async def test_a_server_that_is_away_and_was_asked_first_ends_no_connection(server: Server) -> None:
    """Else whoever tries the lost one of a cluster first leaves the good one at once."""
    credential = await enrolled(server, "larch")
    ended: list[str] = []
    away = replace(credential, servers=("tls://127.0.0.1:1",))
    assert isinstance(await connect(away, on_close=lambda: ended.append("never began")), Problem)
    assert ended == []
    client = await connect(credential, on_close=lambda: ended.append("ended"))
    assert isinstance(client, Client)
    await client.close()
    assert ended == ["ended"]


async def test_a_connection_leaves_nothing_behind_however_it_ends(server: Server) -> None:
    """A worker that is refused tries again for weeks; each try once kept its whole TLS context."""
    larch = await enrolled(server, "larch")

    async def tries(count: int) -> int:
        for _ in range(count):
            found = await connect(larch)
            if isinstance(found, Client):
                await found.close()
        gc.collect()
        return sum(isinstance(each, ssl.SSLContext) for each in gc.get_objects())

    before = await tries(3)
    assert await tries(10) <= before
    assert isinstance(server.authority.revoke("larch"), Member)
    assert await tell_servers(server.authority) is None
    before = await tries(3)
    assert await tries(10) <= before
    assert isinstance(await connect(larch), Problem)


async def test_a_cancel_that_the_library_swallows_while_it_connects_counts(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    larch = await enrolled(server, "larch")
    connects, begun = Client.connect, asyncio.Event()

    async def swallowing(client: Client, *words: Any, **options: Any) -> None:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(LIMIT_S)
        await connects(client, *words, **options)

    monkeypatch.setattr(Client, "connect", swallowing)
    task = asyncio.create_task(connect(larch))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_pools_own_processes_may_use_streams(server: Server) -> None:
    async with line(server.authority.for_pool()) as pool:
        streams = pool.client.jetstream()
        await streams.add_stream(name="TASKS", subjects=["hivemind.task.*"])
        await streams.publish("hivemind.task.small", b"1")
        assert (await streams.stream_info("TASKS")).state.messages == 1


async def test_a_worker_that_takes_very_many_subscriptions_is_cut_off(server: Server) -> None:
    anna = await enrolled(server, "anna")
    async with line(anna) as worker:
        for number in range(100):
            await worker.client.subscribe(f"hivemind.to.anna.{number}")
        await worker.ended()
