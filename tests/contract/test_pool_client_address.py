"""Addresses: what a person may write, where to listen, what to announce, where a password may go."""

from __future__ import annotations

import asyncio

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.address import (
    Interfaces,
    OwnAddress,
    PoolAddress,
    choose_own_address,
    find_pool,
    login_problem,
    parse_address,
    resolve,
)

LAN: Interfaces = {"lo": ["127.0.0.1"], "eth0": ["192.168.1.5"]}
WITH_WG: Interfaces = {**LAN, "wg0": ["10.0.0.7"]}
LOCAL = OwnAddress(bind="127.0.0.1", announce="localhost")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.1:50051", "10.0.0.1", 50051),
        (" pool.example.org:1 ", "pool.example.org", 1),
        ("localhost:65535", "localhost", 65535),
        ("[::1]:50051", "::1", 50051),
        ("my_pool-2:80", "my_pool-2", 80),
    ],
)
def test_an_address_is_host_and_port(text: str, host: str, port: int) -> None:
    assert parse_address(text) == PoolAddress(host=host, port=port)
    assert parse_address(str(PoolAddress(host=host, port=port))) == PoolAddress(host=host, port=port)


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.1", ":50051", "pool:", "pool:0", "pool:65536", "pool:-1", "pool:x", "pool:５", "a b:1",
     "a/b:1", "http://pool:1", "user@pool:1", "::1:50051x", "pool:1:2", "pool\n:1", "-pool:1", "pool:000001"],
)  # fmt: skip
def test_anything_else_is_said_not_to_be_one(text: str) -> None:
    problem = parse_address(text)
    assert isinstance(problem, Problem) and problem.code is FaultCode.BAD_ADDRESS


@pytest.mark.parametrize(
    ("interfaces", "pool_ips", "setting", "expected"),
    [
        (WITH_WG, ["10.0.0.1"], "", OwnAddress(bind="10.0.0.7", announce="10.0.0.7")),
        ({**LAN, "HiveMind WireGuard": ["10.9.0.2"]}, ["10.9.0.1"], "",
         OwnAddress(bind="10.9.0.2", announce="10.9.0.2")),
        ({"wg0": ["10.5.0.2"], "wg1": ["10.0.0.7"]}, ["10.0.0.1"], "",
         OwnAddress(bind="10.0.0.7", announce="10.0.0.7")),
        ({**LAN, "utun4": ["10.0.0.9"]}, ["10.0.0.1"], "", OwnAddress(bind="10.0.0.9", announce="10.0.0.9")),
        ({"wg0": ["10.0.0.1"]}, ["10.0.0.1"], "", OwnAddress(bind="10.0.0.1", announce="10.0.0.1")),
        (WITH_WG, ["127.0.0.1"], "", LOCAL),
        (LAN, ["127.0.0.1", "::1"], "", LOCAL),
        ({}, ["::1"], "", LOCAL),
        (LAN, ["10.0.0.1"], "192.168.1.5", OwnAddress(bind="192.168.1.5", announce="192.168.1.5")),
        (LAN, ["10.0.0.1"], "127.0.0.1", LOCAL),
        (LAN, ["10.0.0.1"], "localhost", LOCAL),
        (LAN, ["10.0.0.1"], "::1", OwnAddress(bind="::1", announce="localhost")),
        (LAN, ["10.0.0.1"], "127.0.0.2", OwnAddress(bind="127.0.0.2", announce="127.0.0.2")),
    ],
)  # fmt: skip
def test_the_own_address_is_the_one_that_the_pool_can_reach(
    interfaces: Interfaces, pool_ips: list[str], setting: str, expected: OwnAddress
) -> None:
    assert choose_own_address(interfaces, pool_ips, setting) == expected


@pytest.mark.parametrize(
    "interfaces", [LAN, {}, {"eth0": ["10.0.0.1"]}, {"wg0": []}, {"wg0": ["169.254.1.1"]}]
)
def test_without_a_tunnel_only_loopback_is_used_with_a_warning(interfaces: Interfaces) -> None:
    own = choose_own_address(interfaces, ["10.0.0.1"])
    assert isinstance(own, OwnAddress)
    assert (own.bind, own.announce) == ("127.0.0.1", "localhost")
    assert "cannot reach" in own.warning


@pytest.mark.parametrize(
    "setting", ["0.0.0.0", "::", "[::]", "eth0", "10.0.0", "224.0.0.1", "::ffff:0.0.0.0"]
)
def test_all_addresses_are_never_chosen(setting: str) -> None:
    problem = choose_own_address(WITH_WG, ["10.0.0.1"], setting)
    assert isinstance(problem, Problem) and problem.code is FaultCode.BAD_ADDRESS


def test_a_set_address_that_is_not_there_is_kept_with_a_warning() -> None:
    own = choose_own_address(LAN, ["10.0.0.1"], "10.0.0.7")
    assert isinstance(own, OwnAddress)
    assert own.bind == "10.0.0.7" and own.warning


@pytest.mark.parametrize(
    ("ips", "interfaces"),
    [
        (["127.0.0.1"], LAN),
        (["::1", "127.0.0.1"], {}),
        (["192.168.1.5"], LAN),  # this computer's own
        (["10.0.0.1"], WITH_WG),
        (["10.0.0.1"], {"utun4": ["10.0.0.9"]}),
        (["10.9.0.1"], {"wg-office": ["10.9.0.2"]}),
    ],
)
def test_g10_a_password_may_go_to_this_computer_and_into_the_tunnel(
    ips: list[str], interfaces: Interfaces
) -> None:
    assert login_problem(PoolAddress(host="pool", port=1), ips, interfaces) is None


@pytest.mark.parametrize(
    ("ips", "interfaces"),
    [
        (["203.0.113.5"], WITH_WG),
        (["192.168.1.9"], LAN),
        (["10.0.0.1"], LAN),
        (["10.0.0.1"], {"eth0": ["10.0.1.7"]}),
        (["127.0.0.1", "203.0.113.5"], WITH_WG),
        (["2001:db8::1"], WITH_WG),
        (["0.0.0.0"], LAN),
    ],
)
def test_g10_a_password_does_not_go_anywhere_else(ips: list[str], interfaces: Interfaces) -> None:
    problem = login_problem(PoolAddress(host="pool", port=1), ips, interfaces)
    assert problem == Problem(code=FaultCode.PLAIN_LOGIN, about="pool:1")


async def test_names_are_looked_up_before_anything_is_decided() -> None:
    names = NamedThread("names")
    assert "127.0.0.1" in await resolve("localhost", names)
    assert await resolve("::ffff:10.0.0.1", names) == ("10.0.0.1",)
    assert await resolve("x" * 64, names) == ()
    names.close()


async def test_the_checked_address_itself_is_the_one_connected_to() -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    names = NamedThread("names")
    assert await find_pool(f"localhost:{port}", {}, names) == f"127.0.0.1:{port}"
    server.close()
    await server.wait_closed()
    gone = await find_pool(f"localhost:{port}", {}, names)
    assert gone == Problem(code=FaultCode.POOL_UNREACHABLE, about=f"localhost:{port}")
    names.close()
