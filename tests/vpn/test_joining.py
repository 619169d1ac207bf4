"""A worker joins the pool's network and works there: real tunnels, the embedded pool, real processes."""

from __future__ import annotations

import json
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.pool.address import PoolAddress
from tests.contract.docker_engine import IMAGE
from tests.contract.docker_town import TownEngine, why_no_town
from tests.e2e.process import keep_login
from tests.vpn.conftest import PASSWORD
from tests.vpn.namespaces import Inside, Town, knock

pytestmark = [pytest.mark.release]
POOL = str(PoolAddress(host="10.0.0.1", port=50051))
STATUS, VPN = "/api/status", "/api/v1/vpn"
PATIENCE_S = 90.0  # for a machine that is busy with other things; what it took is printed
PREPARED_S = 150.0  # a sandbox that nobody has used yet is prepared first
COUNTS = """import time
for number in range({seconds}):
    print("line", number, flush=True)
    time.sleep(1)
with open("sum.txt", "w") as file:
    file.write("5050")
"""


STRANGER = """import sys, grpc
channel = grpc.insecure_channel(sys.argv[1])
stop = channel.unary_unary("/nodepool.WorkerNodeService/StopTaskExecution")
try:
    stop(b"", timeout=10, metadata=(("authorization", "Bearer x"), ("x-forwarded-for", sys.argv[2])))
    print("done")
except grpc.RpcError as error:
    print(error.code().name)
"""
HELLO = """import socket
door = socket.create_server(("192.0.2.3", 8080))
print("ready", flush=True)
while True:
    line, _ = door.accept()
    line.sendall(b"hello")
    line.close()
"""
SILENCE = {"TimeoutError"}
FETCH = """import asyncio, sys, time
from pathlib import Path
from hivemind_worker.pool.requester import Requester
async def main(password, task_id, file):
    requester = Requester("10.0.0.1:50051", "rita", password)
    assert await requester.login() is None
    for _ in range(600):
        view = await requester.status(task_id)
        if view.status == "COMPLETED":
            break
        await asyncio.sleep(0.2)
    print(view.status, await requester.fetch(task_id, Path(file)))
    await requester.close()
asyncio.run(main(*sys.argv[1:]))
"""


class Sent:
    """A task that a requester at the pool's computer sends and waits for, in a thread of its own."""

    def __init__(
        self, pool: Inside, folder: Path, password: Path, seconds: int = 0, limit_s: float = 120
    ) -> None:
        self.folder = folder
        (folder / "task").mkdir(parents=True)
        (folder / "task" / "main.py").write_text(COUNTS.format(seconds=seconds))
        self._ended: list[object] = []

        def send() -> None:
            done = pool.run(
                "submit", str(folder / "task"), "--pool", POOL, "--user", "rita", "--password-file",
                str(password), "--wait", "--out", str(folder / "out"), limit_s=limit_s,
            )  # fmt: skip
            self._ended.append(done)

        self._limit_s = limit_s
        self._thread = threading.Thread(target=send, name="requester")
        self._thread.start()

    def wait(self) -> None:
        """Until the requester has been told how it ended."""
        self._thread.join(self._limit_s + 10)

    def result(self) -> str:
        """What the task wrote, once it has come back."""
        self.wait()
        found = list((self.folder / "out").rglob("sum.txt"))
        assert len(found) == 1, self._ended
        return found[0].read_text()


@pytest.fixture(scope="module")
def joined(town: Town, pool: Inside, worker: Inside) -> Iterator[Inside]:
    """A worker that runs with a login, and joins as the wizard has it do: review, keep, permission, up."""
    worker.home.mkdir(exist_ok=True)
    keep_login(worker.home, POOL, "wim", PASSWORD)
    worker.start("run")
    worker.said(" is up: ")
    assert worker.api("GET", VPN)["state"] == "not_set_up"
    pasted_s = time.monotonic()
    profile = {"profile": town.profile()}
    assert worker.api("POST", f"{VPN}/review", profile)["usable"]
    worker.api("POST", f"{VPN}/import", profile)
    up = worker.api("POST", f"{VPN}/up", {})
    assert up["is_ours"], up
    worker.until(VPN, lambda view: view["state"] == "connected")
    worker.until(STATUS, lambda status: bool(status["is_registered"]), PREPARED_S)
    worker.env["PASTED"] = str(pasted_s)
    yield worker


def test_from_a_pasted_profile_to_the_result_of_a_first_task_over_the_tunnel(
    joined: Inside, pool: Inside, password: Path, tmp_path: Path
) -> None:
    registered_s = time.monotonic() - float(joined.env["PASTED"])
    status = joined.api("GET", STATUS)
    assert status["grpc_address"].startswith("10.0.0.17:"), "it registers with its address in the VPN"
    sent_s = time.monotonic()
    assert Sent(pool, tmp_path, password).result() == "5050"
    took_s = time.monotonic() - sent_s
    print(f"paste to registered {registered_s:.1f} s, a task sent to its result {took_s:.1f} s")
    # The tunnel is looked at now and then: what the view holds may be from before the task.
    joined.until(VPN, lambda view: view["rx_bytes"] > 1000 and view["tx_bytes"] > 1000)
    view = joined.api("GET", VPN)
    assert view["handshake_age_s"] < 180
    assert view["peers"] == 1
    assert joined.api("GET", "/health")["checks"]["vpn"]["status"] == "healthy"


def test_every_rung_of_the_ladder_holds_the_clock_included(joined: Inside) -> None:
    found = joined.api("POST", f"{VPN}/check", {})
    assert found["passed"], found
    assert [row["state"] for row in found["checks"]] == ["passed"] * 11


def test_the_port_for_tasks_is_open_to_the_pools_address_and_to_no_other_member(
    joined: Inside, town: Town, tmp_path: Path
) -> None:
    """Rows V and G1: whoever else tries, through the tunnel, the road or a forged address, meets nothing."""
    port = int(joined.api("GET", STATUS)["grpc_address"].rpartition(":")[2])
    other, pool = town.interface("other"), town.interface("pool")
    assert knock(town, "pool", "10.0.0.17", port) == "open"
    town.tunnel_up("other")
    try:
        assert knock(town, "other", "10.0.0.1", 50051) == "open", "the other member is one of the network"
        assert knock(town, "other", "10.0.0.17", port) == "mute", "by a tunnel of its own to the worker"
        # By way of the pool, which passes on what its members send to one another.
        town.do("pool", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        key = town.keys["pool"].public
        town.do("other", "wg", "set", other, "peer", town.keys["worker"].public, "remove")
        town.do("other", "wg", "set", other, "peer", key, "allowed-ips", "10.0.0.0/24")
        before = _sent_to_worker(town, pool)
        assert knock(town, "other", "10.0.0.17", port) == "mute"
        assert _sent_to_worker(town, pool) > before, "the pool has passed it on; WireGuard here dropped it"
        # By the road, straight at the worker's address in the tunnel: the kernel would let that in.
        town.do("other", "ip", "link", "set", other, "down")
        assert knock(town, "other", "192.0.2.2", port) == "refused"
        town.do("other", "ip", "route", "add", "10.0.0.17/32", "via", "192.0.2.2")
        stranger = Inside(town, "other", tmp_path)
        for claim in ("10.0.0.1", ""):
            said = stranger.run("-c", STRANGER, f"10.0.0.17:{port}", claim, program=(sys.executable,))
            assert said.stdout.strip() == "PERMISSION_DENIED", said.stderr
        town.do("other", "ip", "address", "add", "10.0.0.1/32", "dev", "lo")
        assert knock(town, "other", "10.0.0.17", port, own="10.0.0.1") in ("mute", "refused"), (
            "a forged address"
        )
    finally:
        town.do("other", "ip", "link", "delete", "dev", other)
        for words in (("address", "delete", "10.0.0.1/32", "dev", "lo"), ("route", "delete", "10.0.0.17/32")):
            town.try_to("other", "ip", *words)
        town.do("pool", "sysctl", "-qw", "net.ipv4.ip_forward=0")


def _sent_to_worker(town: Town, interface: str) -> int:
    rows = [row.split("\t") for row in town.do("pool", "wg", "show", interface, "transfer").splitlines()]
    return next(int(row[2]) for row in rows if row[0] == town.keys["worker"].public)


def test_who_can_reach_me_names_every_port_with_the_pool_alone_for_tasks(joined: Inside) -> None:
    rows = joined.api("GET", f"{VPN}/ports")["ports"]
    tasks = next(row for row in rows if row["name"] == "tasks")
    assert (tasks["address"], tasks["vpn"], tasks["lan"]) == ("10.0.0.17", "pool_only", False)
    others = [row for row in rows if row is not tasks]
    assert {row["name"] for row in others} == {"dashboard"}
    assert {row["address"] for row in others} <= {"127.0.0.1", "::1"}
    assert not any(row["lan"] for row in others)


def test_the_private_key_stands_in_its_file_alone(joined: Inside, town: Town) -> None:
    """Sections S and V: not in a log, a report, an answer, an argument or an environment."""
    secret = town.keys["worker"].private
    holders = [
        path for path in joined.home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
    ]
    assert [path.suffix for path in holders] == [".conf"]
    assert holders[0].stat().st_mode & 0o077 == 0
    assert secret not in json.dumps([joined.api("GET", path) for path in (STATUS, VPN, "/api/v1/state")])
    for pid in town.pids("worker"):
        for name in ("cmdline", "environ"):
            assert secret.encode() not in Path("/proc", pid, name).read_bytes()
    done = joined.run("doctor", "--bundle", str(joined.home / "bundle.zip"))
    assert secret not in done.stdout + done.stderr


@pytest.mark.skipif(bool(why_no_town()), reason=why_no_town() or "a Docker engine")
def test_containers_of_tasks_do_not_reach_the_vpn_while_the_tunnel_is_up(
    joined: Inside, town: Town, tmp_path: Path
) -> None:
    """Rows N and V: with the owner's leave for the internet, the pool's network stays closed to tasks."""
    import docker

    from hivemind_worker.runtimes.docker.firewall import Firewall
    from hivemind_worker.runtimes.docker.networks import NetworkPolicy, TaskNetwork
    from tests.contract.test_docker_networks import LOOK

    port = int(joined.api("GET", STATUS)["grpc_address"].rpartition(":")[2])
    far, inside = "192.0.2.3:8080", ("10.0.0.1:50051", f"10.0.0.17:{port}", "192.0.2.2:22")
    listener = Inside(town, "other", tmp_path / "far")
    engine = TownEngine(town.space("worker"))
    try:
        town.do("worker", "ip", "route", "add", "default", "via", "192.0.2.3")
        listener.start("-c", HELLO, program=(sys.executable,))
        listener.said("ready")
        engine.start()
        engine.import_image()
        api = docker.APIClient(base_url=engine.url, version="auto", timeout=30)
        network = TaskNetwork("hivemind", lambda bridge: Firewall(
            bridge, prefix=engine.prefix, resolver_files=(tmp_path / "none",)))  # fmt: skip
        try:
            mode = network.mode_for(api, NetworkPolicy.INTERNET)
            assert mode == "hivemind", mode

            def look(network_name: str) -> dict[str, str]:
                words = ("run", "--rm", "--network", network_name, IMAGE, "python3", "-c", LOOK, far, *inside)
                return dict(json.loads(engine.docker(*words)))

            found = look(mode)
            assert found.pop(far) == "hello", "the internet is what was granted"
            assert set(found.values()) == SILENCE, found
            plain = look("bridge")
            assert plain["10.0.0.1:50051"] not in SILENCE, "without our rules the pool's network is open"
        finally:
            network.remove(api)
            api.close()
    finally:
        engine.remove()
        listener.end()
        town.try_to("worker", "ip", "route", "delete", "default")


def _is_down(status: dict[str, Any]) -> bool:
    return any(verdict["code"] == "vpn_down" for verdict in status["verdicts"])


def test_F16_a_tunnel_that_is_gone_stops_new_work_and_comes_back_by_itself(
    joined: Inside, pool: Inside, town: Town, password: Path, tmp_path: Path
) -> None:
    joined.api("POST", f"{VPN}/auto_off", {})
    town.do("worker", "ip", "link", "delete", "dev", town.worker_interface)
    joined.until(VPN, lambda view: view["state"] == "off", PATIENCE_S)
    joined.until(STATUS, _is_down, PATIENCE_S)
    assert joined.api("GET", "/health")["checks"]["vpn"]["status"] == "unhealthy"
    began_s = time.monotonic()
    joined.api("POST", f"{VPN}/auto_on", {})
    joined.until(VPN, lambda view: view["state"] == "connected", PATIENCE_S)
    joined.until(STATUS, lambda status: not _is_down(status), PATIENCE_S)
    joined.until(STATUS, lambda status: bool(status["is_registered"]), PATIENCE_S)
    print(f"F16: up again and registered after {time.monotonic() - began_s:.1f} s")
    assert Sent(pool, tmp_path, password).result() == "5050"


def test_F16_another_address_is_told_to_the_pool(
    joined: Inside, pool: Inside, town: Town, password: Path, tmp_path: Path
) -> None:
    moved = town.profile().replace("10.0.0.17/24", "10.0.0.18/24")
    allowed = ("peer", town.keys["worker"].public, "allowed-ips", "10.0.0.17/32,10.0.0.18/32")
    town.do("pool", "wg", "set", town.interface("pool"), *allowed)
    began_s = time.monotonic()
    joined.api("POST", f"{VPN}/import", {"profile": moved})
    joined.api("POST", f"{VPN}/up", {})
    joined.until(STATUS, lambda status: status["grpc_address"].startswith("10.0.0.18:"), PATIENCE_S)
    joined.until(STATUS, lambda status: bool(status["is_registered"]), PATIENCE_S)
    took_s = time.monotonic() - began_s
    print(f"F16: another address after {took_s:.1f} s")
    assert Sent(pool, tmp_path / "moved", password).result() == "5050"
    assert joined.api("POST", f"{VPN}/back", {})["has_previous"]
    joined.until(STATUS, lambda status: status["grpc_address"].startswith("10.0.0.17:"), PATIENCE_S)
    assert Sent(pool, tmp_path / "back", password).result() == "5050"


def test_a_worker_that_starts_finds_its_tunnel_or_brings_it_up_where_that_is_allowed(
    joined: Inside, pool: Inside, town: Town, password: Path, tmp_path: Path
) -> None:
    joined.api("POST", f"{VPN}/auto_on", {})
    for deleted in (False, True):
        joined.end()
        assert town.worker_interface in town.do("worker", "ip", "link"), "what is up stays up"
        if deleted:
            town.do("worker", "ip", "link", "delete", "dev", town.worker_interface)
        joined.log.unlink()
        began_s = time.monotonic()
        joined.start("run")
        joined.said(" is up: ")
        joined.until(VPN, lambda view: view["state"] == "connected")
        joined.until(STATUS, lambda status: status["grpc_address"].startswith("10.0.0.17:"))
        joined.until(STATUS, lambda status: bool(status["is_registered"]), PREPARED_S)
        print(f"started, joined and registered after {time.monotonic() - began_s:.1f} s")
    assert Sent(pool, tmp_path, password).result() == "5050"


def test_a_tunnel_cut_for_a_minute_in_the_middle_of_a_task_loses_nothing(
    joined: Inside, pool: Inside, town: Town, password: Path, tmp_path: Path
) -> None:
    sent = Sent(pool, tmp_path, password, seconds=15, limit_s=240)
    joined.until(STATUS, lambda status: status["running_tasks"] == 1, PATIENCE_S)
    town.cut()
    time.sleep(60)  # the drill itself
    town.mend()
    sent.wait()  # the pool may have given it up after 60 s of silence; a late result puts that right
    tasks = joined.api("GET", "/api/tasks")["tasks"]
    assert [task["status"] for task in tasks].count("COMPLETED") == len(tasks), "each ran once, to its end"
    task = max(tasks, key=lambda task: task["start_time"])
    archive = tmp_path / "result.zip"
    words = (PASSWORD, task["task_id"], str(archive))
    told = pool.run("-c", FETCH, *words, program=(sys.executable,), limit_s=150)
    assert told.stdout.strip() == "COMPLETED None", told.stderr
    with zipfile.ZipFile(archive) as result:
        assert result.read("sum.txt") == b"5050"
        said = result.read("task_logs.txt").decode().splitlines()
    assert [line for line in said if line.startswith("line ")] == [f"line {n}" for n in range(15)]
