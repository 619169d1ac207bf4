"""Bytes for the month's transfers, where they pass: calls to a pool, offers of it, images, containers."""

from __future__ import annotations

from typing import Any

import pytest

from hivemind_worker.pool.channel import Answer, Channel, Failure
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.wire import USERS
from hivemind_worker.runtimes.docker.gauge import Gauge
from hivemind_worker.runtimes.docker.pulls import PullFollower
from tests.fakes.pool import ScriptedPool


class Counter:
    def __init__(self) -> None:
        self.received = self.sent = 0

    def __call__(self, received: int, sent: int) -> None:
        self.received += received
        self.sent += sent


async def test_a_call_to_a_pool_counts_both_ways_and_one_without_a_connection_not_at_all() -> None:
    counter, request = Counter(), pb.LoginRequest(username="ann", password="x" * 500).SerializeToString()
    async with ScriptedPool(prompt=True) as pool:
        channel = Channel(pool.address, counter)
        outcome = await channel.call(USERS + "Login", request, pb.LoginResponse.FromString, limit_s=10)
        assert isinstance(outcome, Answer)
        assert counter.sent == len(request)
        assert counter.received > 0
        address = pool.address
        await channel.close()
    before = counter.sent
    channel = Channel(address, counter)
    outcome = await channel.call(USERS + "Login", request, pb.LoginResponse.FromString, limit_s=10)
    assert isinstance(outcome, Failure)
    assert counter.sent == before
    await channel.close()


def test_of_an_image_only_the_layers_that_came_count() -> None:
    follower = PullFollower("image")
    for line in (
        {"id": "a", "status": "Already exists"},
        {"id": "b", "status": "Downloading", "progressDetail": {"current": 10, "total": 500}},
        {"id": "c", "status": "Downloading", "progressDetail": {"current": 30, "total": 90}},
        {"id": "b", "status": "Download complete"},
    ):
        follower.feed(line, 0.0)
    assert follower.fetched_bytes == 530


class Engine:
    """A container's network counters, one answer after another."""

    def __init__(self, *moved: tuple[int, int]) -> None:
        self._moved = list(moved)

    async def stats(self, container: str) -> dict[str, Any]:
        received, sent = self._moved.pop(0)
        return {
            "memory_stats": {"usage": 1000},
            "networks": {"eth0": {"rx_bytes": received, "tx_bytes": sent}},
        }


@pytest.mark.parametrize(("adopted", "received", "sent"), [(False, 900, 50), (True, 800, 40)])
async def test_a_containers_network_counts_as_it_grows(adopted: bool, received: int, sent: int) -> None:
    counter = Counter()
    gauge = Gauge(Engine((100, 10), (600, 10), (900, 50)), 1 << 30, counter)  # type: ignore[arg-type]
    gauge.is_adopted = adopted
    for _ in range(3):
        await gauge._read("container")
    assert (counter.received, counter.sent) == (received, sent)
