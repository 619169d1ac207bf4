"""A cluster loses a server: one that tells a pool process what it follows, or the one it is connected to."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from nats.aio.client import Client

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import Nursery
from hivemind_worker.pool.nats.authority import Member
from hivemind_worker.pool.nats.connection import connect
from hivemind_worker.pool.nats.credential import load
from hivemind_worker.pool.nats.engine import Engine
from hivemind_worker.pool.nats.enrolment import tell_servers
from hivemind_worker.pool.nats.following import Kept
from hivemind_worker.pool.nats.layout import NODES, STREAMS, node_subject
from tests.contract.local_pool import until
from tests.nats.cluster import HOSTS, ClusterServers, cluster
from tests.nats.server import enrolled

LIMIT_S, SHUT_OUT_S = 60.0, 20.0


def by_way_of(servers: ClusterServers, *numbers: int, replicas: int = 3) -> Engine:
    kept = load(servers.credential)
    assert not isinstance(kept, Problem)
    only = replace(kept, servers=tuple(servers.addresses[each] for each in numbers))

    async def come(ended: Callable[[], None]) -> Client | Problem:
        return await connect(only, on_close=ended)

    return Engine(come, replicas=replicas)


async def is_open(engine: Engine) -> None:
    """Once it is: a new cluster takes a while to agree."""

    async def opened() -> bool:
        return await engine.open() is None

    await until(opened, LIMIT_S)


async def where_it_is_told(engine: Engine) -> list[str]:
    """Names of the servers that tell what is followed."""
    consumers = await engine.client.jetstream().consumers_info(NODES.name)
    return [each.cluster.leader for each in consumers if each.cluster and each.cluster.leader]


@pytest.mark.release
async def test_what_is_followed_is_told_by_another_server_and_no_call_is_given_up(tmp_path: Path) -> None:
    async with cluster(tmp_path / "owner") as servers:
        engine, heard = by_way_of(servers, 0), list[Kept]()
        await is_open(engine)
        try:
            followed = 0
            while not (away := set(await where_it_is_told(engine)) - {HOSTS[0]}):
                await engine.follow(NODES, NODES.subjects[0], heard.append, heard.clear)
                followed += 1
            before = engine.client
            await servers.kill(HOSTS.index(away.pop()))
            assert await engine.write(node_subject("larch"), b"{}") is not None

            async def told_by_all() -> bool:
                return len(heard) >= followed

            await until(told_by_all, LIMIT_S)
            assert engine.client is before
        finally:
            await engine.close()


@pytest.mark.release
async def test_what_one_server_keeps_is_kept_by_all_once_that_is_asked_for_and_never_by_fewer(
    tmp_path: Path,
) -> None:
    """An owner who makes accounts before the first start of the pool makes the streams, too."""
    async with cluster(tmp_path / "owner") as servers:
        for replicas, keepers in ((1, 0), (3, 3), (1, 3)):  # a stream at one server names no keepers
            engine = by_way_of(servers, 0, replicas=replicas)
            await is_open(engine)
            try:
                if keepers == 0:
                    assert await engine.write(node_subject("larch"), b"{}") is not None

                async def so(engine: Engine = engine, wanted: int = keepers) -> bool:
                    return {len(await engine.keepers(stream)) for stream in STREAMS} == {wanted}

                await until(so, LIMIT_S)
                kept = await engine.read(NODES, node_subject("larch"))
                assert kept is not None and kept.data == b"{}"
            finally:
                await engine.close()


@pytest.mark.release
async def test_a_server_that_was_away_while_a_worker_was_shut_out_soon_hears_of_it_from_the_others(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path / "owner") as servers:
        larch = await enrolled(servers, "larch")
        there = replace(larch, servers=(servers.addresses[0],))

        async def told() -> bool:
            return await tell_servers(servers.authority) is None

        await until(told, LIMIT_S)
        await servers.kill(0)
        assert isinstance(servers.authority.revoke("larch"), Member)
        await until(told, LIMIT_S)
        await servers.start(0)
        await servers.listens(0)

        async def shut_out() -> bool:
            found = await connect(there)
            if isinstance(found, Client):
                await found.close()
                return False
            return found.code is FaultCode.CREDENTIAL_REFUSED

        await until(shut_out, SHUT_OUT_S)


@pytest.mark.release
async def test_a_server_that_hangs_without_ending_its_connections_is_left_for_another(tmp_path: Path) -> None:
    async with cluster(tmp_path / "owner") as servers:
        engine, nursery = by_way_of(servers, 0, 1), Nursery("engine")
        await is_open(engine)
        nursery.start("engine", engine.run())
        try:
            before = engine.client
            assert before.connected_url is not None
            hung = [each.removeprefix("tls://") for each in servers.addresses].index(
                before.connected_url.netloc
            )
            servers.processes[hung].send_signal(signal.SIGSTOP)

            async def written() -> bool:
                try:
                    return await engine.write(node_subject("larch"), b"{}") is not None
                except OSError:
                    return False

            await until(written, LIMIT_S)
            assert engine.client is not before
        finally:
            servers.processes[hung].send_signal(signal.SIGCONT)
            await nursery.close()
            await engine.close()
