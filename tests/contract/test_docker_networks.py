"""Which network a task gets (row N of the security page), on a real engine with a small world around it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import docker
import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.runtimes.docker.firewall import CLOSED_NETWORKS, Firewall, forward_rules, resolvers
from hivemind_worker.runtimes.docker.networks import NetworkPolicy, TaskNetwork
from tests.contract.docker_engine import IMAGE
from tests.contract.docker_town import (
    CARRIER,
    FAR,
    FAR_PORT,
    HOME_NEIGHBOUR,
    HOME_OF_ENGINE,
    HOST_PORT,
    METADATA,
    METADATA_PORT,
    NEIGHBOUR_PORT,
    POOL,
    POOL_PORT,
    Town,
    session_town,
)

LOOK = """
import concurrent.futures, json, socket, sys
def look(host, port):
    try:
        with socket.create_connection((host, int(port)), 1.5) as line:
            return line.recv(9).decode().strip() or "connected"
    except OSError as error:
        return type(error).__name__
doors = sys.argv[1:]
with concurrent.futures.ThreadPoolExecutor(16) as people:
    print(json.dumps(dict(zip(doors, people.map(lambda door: look(*door.rsplit(":", 1)), doors)))))
"""
ANSWERED = ("hello", "connected", "ConnectionRefusedError")


def looked(town: Town, network: str, *doors: str) -> dict[str, str]:
    """What a container on `network` finds at these addresses."""
    import json

    words = ("run", "--rm", "--network", network, IMAGE, "python3", "-c", LOOK, *doors)
    answers: dict[str, str] = json.loads(town.engine.docker(*words))
    return answers


def rules_of(town: Town) -> str:
    """All rules in force."""
    words = [*town.engine.prefix, "iptables", "-S"]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stdout


@pytest.fixture(scope="module")
def crowded() -> Town:
    """The engine and the world around it."""
    return session_town()


@pytest.fixture
def no_resolver(tmp_path: Path) -> Path:
    return tmp_path / "resolv.conf"


class Bridge:
    """A task network with its client."""

    def __init__(self, api: docker.APIClient, make_firewall: Callable[[str], Firewall]) -> None:
        made = TaskNetwork("hivemind", make_firewall)
        self.mode_for = partial(made.mode_for, api)
        self.mode_for_install = partial(made.mode_for_install, api)
        self.why_not_internet = partial(made.why_not_internet, api)
        self.remove = partial(made.remove, api)


@pytest.fixture
def network(crowded: Town, no_resolver: Path) -> Iterator[Bridge]:
    """The worker's bridge, not made yet; gone afterwards."""
    api = docker.APIClient(base_url=crowded.engine.url, version="auto", timeout=30)
    made = Bridge(
        api, lambda bridge: Firewall(bridge, prefix=crowded.engine.prefix, resolver_files=(no_resolver,))
    )
    try:
        made.remove()  # the engine is shared: another file's worker may have left its own
        yield made
    finally:
        made.remove()
        api.close()


@pytest.mark.slow
def test_row_N_a_task_without_a_network_reaches_nothing(crowded: Town, network: Bridge) -> None:
    mode = network.mode_for(NetworkPolicy.NONE)
    assert mode == "none"
    doors = (f"{HOME_OF_ENGINE}:{HOST_PORT}", f"{HOME_NEIGHBOUR}:{NEIGHBOUR_PORT}", f"{FAR}:{FAR_PORT}",
             f"{METADATA}:{METADATA_PORT}", f"{POOL}:{POOL_PORT}")  # fmt: skip
    assert not [door for door, answer in looked(crowded, mode, *doors).items() if answer in ANSWERED]
    assert "hivemind" not in crowded.engine.docker("network", "ls", "--format", "{{.Name}}").split()


@pytest.mark.slow
def test_row_N_open_internet_reaches_the_far_side_and_nothing_of_the_owner(
    crowded: Town, network: Bridge
) -> None:
    mode = network.mode_for(NetworkPolicy.INTERNET)
    assert mode == "hivemind", mode
    gateway = crowded.engine.docker("network", "inspect", mode, "-f", "{{(index .IPAM.Config 0).Gateway}}")
    closed = (f"{gateway}:{HOST_PORT}", f"{HOME_OF_ENGINE}:{HOST_PORT}", f"172.17.0.1:{HOST_PORT}",
              f"{HOME_NEIGHBOUR}:{NEIGHBOUR_PORT}", f"{METADATA}:{METADATA_PORT}", f"{POOL}:{POOL_PORT}",
              f"{CARRIER}:80", f"{gateway}:22")  # fmt: skip
    answers = looked(crowded, mode, f"{FAR}:{FAR_PORT}", *closed)
    assert answers.pop(f"{FAR}:{FAR_PORT}") == "hello"
    assert not {door: answer for door, answer in answers.items() if answer in ANSWERED}
    # The same world answers on the engine's own bridge: what is closed above is closed by the rules.
    plain = looked(crowded, "bridge", *closed[1:-1])
    assert set(plain.values()) == {"hello"}, plain


@pytest.mark.slow
def test_row_N_there_is_no_second_address_family(crowded: Town, network: Bridge) -> None:
    mode = network.mode_for(NetworkPolicy.INTERNET)
    assert mode == "hivemind", mode
    show = "print([line.split()[-1] for line in open('/proc/net/if_inet6')])"
    shown = crowded.engine.docker("run", "--rm", "--network", mode, IMAGE, "python3", "-c", show)
    assert shown in ("[]", "['lo']")
    words = [*crowded.engine.prefix, "ip6tables", "-S"]
    rules = subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stdout
    assert rules.count("-j DROP") >= 2, rules


@pytest.mark.slow
def test_row_N_containers_on_the_bridge_do_not_see_each_other(crowded: Town, network: Bridge) -> None:
    mode = network.mode_for(NetworkPolicy.INTERNET)
    assert mode == "hivemind", mode
    serve = "import socket; door = socket.create_server(('', 7)); [door.accept() for _ in iter(int, 1)]"
    words = ("run", "-d", "--network", mode, IMAGE, "python3", "-c", serve)
    neighbour = crowded.engine.docker(*words)
    try:
        shape = "{{.NetworkSettings.Networks.hivemind.IPAddress}}"
        address = crowded.engine.docker("inspect", neighbour, "-f", shape)
        [answer] = looked(crowded, mode, f"{address}:7").values()
        assert answer == "TimeoutError"
    finally:
        crowded.engine.docker("rm", "-f", neighbour)


@pytest.mark.slow
def test_the_home_resolver_alone_is_let_through_and_at_its_port_alone(
    crowded: Town, network: Bridge, no_resolver: Path
) -> None:
    no_resolver.write_text(f"nameserver {HOME_NEIGHBOUR}\nnameserver 127.0.0.53\n")
    mode = network.mode_for(NetworkPolicy.INTERNET)
    assert mode == "hivemind", mode
    answers = looked(crowded, mode, f"{HOME_NEIGHBOUR}:53", f"{HOME_NEIGHBOUR}:{NEIGHBOUR_PORT}")
    assert list(answers.values()) == ["hello", "TimeoutError"]


@pytest.mark.slow
def test_rules_that_somebody_removed_are_back_before_the_next_start(crowded: Town, network: Bridge) -> None:
    assert network.mode_for(NetworkPolicy.INTERNET) == "hivemind"
    before = rules_of(crowded)
    prefix = list(crowded.engine.prefix)
    subprocess.run([*prefix, "iptables", "-F", "DOCKER-USER"], check=True, timeout=10)
    subprocess.run([*prefix, "iptables", "-F", "INPUT"], check=True, timeout=10)
    assert network.mode_for(NetworkPolicy.INTERNET) == "hivemind"
    again = rules_of(crowded)
    assert again.replace("-A DOCKER-USER -j RETURN\n", "") == before.replace("-A DOCKER-USER -j RETURN\n", "")
    assert network.mode_for(NetworkPolicy.INTERNET) == "hivemind"
    assert rules_of(crowded) == again  # nothing piles up


@pytest.mark.slow
def test_a_wider_permission_that_came_before_our_rules_is_overtaken(crowded: Town, network: Bridge) -> None:
    assert network.mode_for(NetworkPolicy.INTERNET) == "hivemind"
    prefix = list(crowded.engine.prefix)
    wide = ["DOCKER-USER", "-j", "ACCEPT"]
    subprocess.run([*prefix, "iptables", "-I", *wide], check=True, timeout=10)
    try:
        assert network.mode_for(NetworkPolicy.INTERNET) == "hivemind"
        [answer] = looked(crowded, "hivemind", f"{HOME_NEIGHBOUR}:{NEIGHBOUR_PORT}").values()
        assert answer == "TimeoutError"
    finally:
        subprocess.run([*prefix, "iptables", "-D", *wide], check=True, timeout=10)


@pytest.mark.slow
def test_at_the_end_neither_bridge_nor_rule_is_left(crowded: Town, network: Bridge) -> None:
    assert network.mode_for(NetworkPolicy.INTERNET) == "hivemind"
    network.remove()
    assert "HM-" not in rules_of(crowded)
    assert "hivemind" not in crowded.engine.docker("network", "ls", "--format", "{{.Name}}").split()


@pytest.mark.slow
def test_where_no_rules_can_be_set_open_internet_is_refused_with_the_reason(
    crowded: Town, no_resolver: Path
) -> None:
    api = docker.APIClient(base_url=crowded.engine.url, version="auto", timeout=30)
    prefix = (*crowded.engine.prefix, "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    unable = Bridge(api, lambda bridge: Firewall(bridge, prefix=prefix))
    try:
        refused = unable.mode_for(NetworkPolicy.INTERNET)
        assert isinstance(refused, Problem)
        assert refused.code is FaultCode.BAD_SETTING
        assert "open internet is not offered here" in refused.about
        assert unable.why_not_internet()
        assert unable.mode_for_install() == "hivemind"  # pip alone may have it
    finally:
        unable.remove()
        api.close()


def test_every_closed_network_has_a_rule_and_a_reason() -> None:
    written = [" ".join(rule) for rule in forward_rules("hm-0", ("192.168.1.1",))]
    assert written[:2] == [
        "-d 192.168.1.1/32 -p udp --dport 53 -j RETURN",
        "-d 192.168.1.1/32 -p tcp --dport 53 -j RETURN",
    ]
    assert all(f"-d {network} -j DROP" in written for network in CLOSED_NETWORKS)
    assert all(CLOSED_NETWORKS.values())
    assert written[-1] == "-j RETURN"


def test_resolvers_on_loopback_and_nonsense_are_not_let_through(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# nameserver 1.1.1.1\nnameserver 127.0.0.53\nnameserver fe80::1%2\nnameserver\n"
                    "search home\nnameserver 192.168.1.1\nnameserver 10.1.1.1;-j\n")  # fmt: skip
    assert resolvers((file, tmp_path / "absent")) == ("192.168.1.1",)
