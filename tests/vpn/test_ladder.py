"""Each rung of the ladder broken on purpose gives its own sentence and one action: by real tools."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.vpn import Rung
from hivemind_worker.presentation.vpn import FAILURES
from tests.e2e.process import keep_login
from tests.vpn.conftest import PASSWORD
from tests.vpn.namespaces import PROGRAM, Inside, Town

pytestmark = [pytest.mark.release]
LATER = """import sys, time
real = time.time
time.time = lambda: real() + {seconds}
from hivemind_worker.cli import main
sys.exit(main(sys.argv[1:]))
"""
MUTE = """import socket
door = socket.create_server(("10.0.0.1", 50051))
print("ready", flush=True)
lines = []
while True:
    lines.append(door.accept())
"""
shown: set[str] = set()
"""The failures that were met here."""


def climb(worker: Inside, *, later_s: float = 0.0) -> dict[str, Any]:
    """The checks as `vpn check` makes them; `later_s`: by a clock that is ahead."""
    return _told(worker.ask("vpn", "check", "--json", later_s=later_s))


def climb_anew(worker: Inside, *prefix: str) -> dict[str, Any]:
    """In a process of its own, behind these words: gRPC keeps to one loop."""
    return _told(worker.run("vpn", "check", "--json", program=(*prefix, *PROGRAM)))


def _told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout))


def fails(found: dict[str, Any], rung: Rung, reason: str) -> dict[str, Any]:
    """It stopped at this rung, for this reason, and said so in one sentence with one action."""
    number = list(Rung).index(rung)
    states = [row["state"] for row in found["checks"]]
    row = dict(found["checks"][number])
    assert not found["passed"]
    assert states[number] == "failed", found["checks"]
    assert set(states[:number]) <= {"passed", "skipped"}, found["checks"]
    assert set(states[number + 1 :]) <= {"not_checked"}
    assert row["reason"] == reason, row
    assert row["text"].endswith(".") and "{" not in row["text"] + row["action"]
    assert row["action"]
    shown.add(reason)
    return row


@pytest.fixture
def kept(worker: Inside, town: Town) -> Inside:
    """A profile is kept; the tunnel is down."""
    _import(worker, town.profile())
    worker.ask("vpn", "down")
    return worker


@pytest.fixture
def up(kept: Inside) -> Iterator[Inside]:
    """And the tunnel is up."""
    done = kept.ask("vpn", "up")
    assert done.returncode == 0, done.stderr
    yield kept
    kept.ask("vpn", "down")


def _import(worker: Inside, profile: str) -> None:
    worker.home.mkdir(exist_ok=True)
    file = worker.home.parent / "profile.conf"
    file.write_text(profile)
    done = worker.ask("vpn", "import", str(file))
    assert done.returncode == 0, done.stderr


def _kept_file(worker: Inside) -> Path:
    return next((worker.home / "state" / "vpn").rglob("*.conf"))


# --- 1 to 3: before anything is touched ---------------------------------------------------------


def test_01_without_a_profile(worker: Inside) -> None:
    row = fails(climb(worker), Rung.PROFILE, "no_profile")
    assert "hivemind-worker vpn import FILE" in row["action"]


def test_01_with_a_spoilt_profile(kept: Inside) -> None:
    file = _kept_file(kept)
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"PublicKey", b"PostUp"))
    try:
        fails(climb(kept), Rung.PROFILE, "bad_profile")
    finally:
        file.write_bytes(whole)


def test_02_without_permission(kept: Inside, tmp_path: Path) -> None:
    """As an account that may change nothing, with a home of its own."""
    nobody = Inside(kept.town, "worker", Path("/var/tmp") / f"hivemind-vpn-{os.getpid()}")
    shutil.copytree(kept.home, nobody.home)
    nobody.env["HIVEMIND_SANDBOX"] = str(nobody.home / "sandbox")
    try:
        for path in (nobody.home, *nobody.home.rglob("*")):
            os.lchown(path, 65534, 65534)
        prefix = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
        row = fails(climb_anew(nobody, *prefix), Rung.PERMISSION, "no_right")
        assert "sudo wg-quick up " in row["action"] and str(nobody.home) in row["action"]
        refused = nobody.run("vpn", "up", program=(*prefix, *PROGRAM))
        assert refused.returncode != 0
        assert "sudo wg-quick up " in refused.stderr
    finally:
        shutil.rmtree(nobody.home)


@pytest.mark.parametrize("tool", ["wg", "ip", "wireguard-go"])
def test_03_without_a_tool(kept: Inside, tool: str) -> None:
    """As if it were not installed: something that cannot be run lies over it, for this command alone."""
    path = shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert path is not None
    if tool == "wireguard-go" and Path("/sys/module/wireguard").exists():
        pytest.skip("this kernel has WireGuard itself: wireguard-go is not needed")
    hide = (
        "unshare",
        "-m",
        "sh",
        "-c",
        'mount --bind /dev/null "$0" && exec "$@"',
        str(Path(path).resolve()),
    )
    row = fails(climb_anew(kept, *hide), Rung.TOOL, "tool_missing")
    assert f"The program {tool} " in row["text"]
    assert "sudo apt install" in row["action"]


# --- 4 to 6: the computer's own side ------------------------------------------------------------


def test_04_without_an_interface(kept: Inside) -> None:
    row = fails(climb(kept), Rung.INTERFACE, "interface_missing")
    assert kept.town.worker_interface in row["text"]


def test_04_with_an_interface_that_is_switched_off(up: Inside) -> None:
    up.town.do("worker", "ip", "link", "set", up.town.worker_interface, "down")
    fails(climb(up), Rung.INTERFACE, "interface_down")


def test_04_with_an_interface_without_an_address(up: Inside) -> None:
    up.town.do("worker", "ip", "address", "flush", "dev", up.town.worker_interface)
    fails(climb(up), Rung.INTERFACE, "interface_bare")


def test_05_with_a_route_that_leads_elsewhere(up: Inside) -> None:
    up.town.do("worker", "ip", "route", "replace", "10.0.0.1/32", "dev", "eth0")
    try:
        row = fails(climb(up), Rung.ROUTE, "route_elsewhere")
        assert "eth0" in row["text"]
    finally:
        up.town.try_to("worker", "ip", "route", "delete", "10.0.0.1/32", "dev", "eth0")


def test_05_without_a_route(up: Inside) -> None:
    up.town.do("worker", "ip", "route", "delete", "10.0.0.1/32")
    fails(climb(up), Rung.ROUTE, "route_missing")


def test_06_with_a_name_that_nobody_knows(up: Inside) -> None:
    _import(up, up.town.profile(endpoint="nowhere.invalid:51820"))
    row = fails(climb(up), Rung.ENDPOINT, "endpoint_unknown")
    assert "nowhere.invalid" in row["text"]


def test_06_with_a_way_out_that_is_shut(up: Inside) -> None:
    up.town.do("worker", "ip", "route", "add", "prohibit", "192.0.2.1/32")
    try:
        row = fails(climb(up), Rung.ENDPOINT, "udp_cannot_leave")
        assert "192.0.2.1:51820" in row["text"]
    finally:
        up.town.do("worker", "ip", "route", "delete", "prohibit", "192.0.2.1/32")


# --- 7 to 11: the other side --------------------------------------------------------------------


def test_07_with_a_key_that_the_other_side_does_not_know(kept: Inside, town: Town) -> None:
    interface, key = town.interface("pool"), town.keys["worker"].public
    town.do("pool", "wg", "set", interface, "peer", key, "remove")
    try:
        assert kept.ask("vpn", "up").returncode == 0
        row = fails(climb(kept), Rung.HANDSHAKE, "handshake_never")
        assert "and 0 came back" in row["text"]
        assert "UDP 51820" in row["action"]
    finally:
        town.do("pool", "wg", "set", interface, "peer", key, "allowed-ips", "10.0.0.17/32")
        kept.ask("vpn", "down")


def test_07_with_a_handshake_that_is_long_ago(up: Inside) -> None:
    _reached(up)
    row = fails(climb(up, later_s=300), Rung.HANDSHAKE, "handshake_old")
    assert "5 min" in row["text"]


def _reached(worker: Inside) -> None:
    """A first handshake has been made."""
    found = climb(worker)
    assert found["checks"][6]["state"] == "passed", found["checks"]


def test_08_with_a_pool_whose_address_is_not_there(up: Inside, town: Town) -> None:
    _reached(up)
    interface = town.interface("pool")
    town.do("pool", "ip", "address", "delete", "10.0.0.1/24", "dev", interface)
    try:
        fails(climb(up), Rung.ADDRESS, "address_mute")
    finally:
        town.do("pool", "ip", "address", "add", "10.0.0.1/24", "dev", interface)


def test_09_with_a_computer_on_which_no_pool_runs(up: Inside) -> None:
    row = fails(climb(up), Rung.PORT, "port_refused")
    assert "port 50051" in row["text"]


def test_09_with_a_firewall_before_the_pools_port(up: Inside, town: Town) -> None:
    town.do("pool", "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "50051", "-j", "DROP")
    try:
        fails(climb(up), Rung.PORT, "port_mute")
    finally:
        town.do("pool", "iptables", "-F", "INPUT")


def test_10_with_something_else_at_the_pools_port(up: Inside, town: Town, tmp_path: Path) -> None:
    other = Inside(town, "pool", tmp_path / "other")
    try:
        other.start("-c", MUTE, program=(sys.executable,))
        other.said("ready")
        fails(climb_anew(up), Rung.SERVICE, "no_grpc")
    finally:
        other.end()


@pytest.mark.parametrize("ahead_s,reason", [(-400, "clock_fast"), (400, "clock_slow")])
def test_11_with_clocks_that_do_not_agree(
    up: Inside, town: Town, tmp_path: Path, password: Path, ahead_s: int, reason: str
) -> None:
    """The pool's clock is wrong; what is told is how far they are apart."""
    home = Inside(town, "pool", tmp_path / "pool")
    home.home.mkdir()
    added = home.run("pool", "user", "add", "wim", "--password-file", str(password))
    assert added.returncode == 0, added.stderr
    keep_login(up.home, "10.0.0.1:50051", "wim", PASSWORD)
    try:
        home.start("pool", "--json", "--listen", "10.0.0.1:50051",
                   program=(sys.executable, "-c", LATER.format(seconds=ahead_s)))  # fmt: skip
        home.said('"ready"')
        row = fails(climb_anew(up), Rung.CLOCK, reason)
        assert any(f"{seconds} s" in row["text"] for seconds in range(396, 405)), row
    finally:
        home.end()


def test_every_failure_that_has_words_was_met_here() -> None:
    """Run with the others: none of the sentences is only on paper."""
    assert shown >= set(FAILURES), set(FAILURES) - shown
