"""A real tunnel, in network namespaces: up, connected by its handshake, down; only ours is touched."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from hivemind_worker.model.faults import FAULTS, FaultCode
from tests.vpn.namespaces import Inside, Town

pytestmark = pytest.mark.slow
LIMIT_S = 60.0


def status(worker: Inside, state: str = "") -> dict[str, Any]:
    """How it is; with a state, once it is that."""
    limit_s = time.monotonic() + LIMIT_S
    while True:
        found = dict(json.loads(worker.ask("vpn", "status", "--json").stdout))
        if state in ("", found["state"]):
            return found
        assert time.monotonic() < limit_s, found


def test_a_profile_becomes_a_tunnel_to_the_pool_alone_and_goes_again(worker: Inside, town: Town) -> None:
    worker.home.mkdir(exist_ok=True)
    file = worker.home / "profile.conf"
    file.write_text(town.profile())
    interface = town.worker_interface
    assert worker.ask("vpn", "import", str(file)).returncode == 0
    assert interface not in town.do("worker", "ip", "link"), "importing brings nothing up"
    up = worker.ask("vpn", "up")
    assert up.returncode == 0, up.stderr
    found = status(worker, "connected")
    assert (found["interface"], found["address"], found["peers"]) == (interface, "10.0.0.17", 1)
    assert found["handshake_at"] and found["tx_bytes"] > 0 and found["rx_bytes"] > 0
    routes = town.do("worker", "ip", "route").splitlines()
    assert [line.split()[0] for line in routes if interface in line] == ["10.0.0.1"]
    assert "10.0.0.1/32" in town.do("worker", "wg", "show", interface, "allowed-ips")
    assert worker.ask("vpn", "up").returncode == 0, "made anew"
    assert worker.ask("vpn", "down").returncode == 0
    assert interface not in town.do("worker", "ip", "link")
    assert status(worker)["state"] == "off"


def test_an_interface_of_somebody_else_and_a_home_with_the_same_numbers_are_left_alone(
    worker: Inside, town: Town
) -> None:
    interface = town.worker_interface
    town.do("worker", "ip", "link", "add", interface, "type", "bridge")
    try:
        refused = worker.ask("vpn", "up")
        assert refused.returncode == FAULTS[FaultCode.VPN_NOT_OURS].exit_code, refused.stderr
        assert worker.ask("vpn", "down").returncode == FAULTS[FaultCode.VPN_NOT_OURS].exit_code
        assert interface in town.do("worker", "ip", "link")
    finally:
        town.do("worker", "ip", "link", "delete", "dev", interface)
    town.do("worker", "ip", "address", "add", "10.0.0.77/24", "dev", "eth0")
    try:
        refused = worker.ask("vpn", "up")
        assert refused.returncode == FAULTS[FaultCode.VPN_RANGE_IN_USE].exit_code, refused.stderr
        assert "10.0.0.0/24 on eth0" in refused.stderr
        assert interface not in town.do("worker", "ip", "link")
    finally:
        town.do("worker", "ip", "address", "delete", "10.0.0.77/24", "dev", "eth0")
