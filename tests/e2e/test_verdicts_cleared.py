"""Every verdict that names an action: forced through the real part, the action done, the verdict gone.

tests/e2e/test_verdict_table walks all codes that a verdict can have. Rules and wishes are followed in
tests/contract/test_verdicts; here are the pool, the login, the sandboxes and the computer, in whole workers,
by the ports that window and dashboard use.
"""

from __future__ import annotations

import errno
import http.server
import os
import shutil
import socketserver
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from hivemind_worker.machine import sampler
from hivemind_worker.machine.installation import Installation
from hivemind_worker.machine.interfaces import ipv4_addresses
from hivemind_worker.model.events import PauseAsked, ResumeAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.settings import Settings
from hivemind_worker.places import find_places
from hivemind_worker.pool import client
from hivemind_worker.pool.session import Deadlines
from hivemind_worker.presentation.health import is_loopback, verdicts
from hivemind_worker.presentation.verdict import Verdict
from hivemind_worker.runtimes.docker import images
from hivemind_worker.runtimes.docker import runtime as docker_runtime
from hivemind_worker.runtimes.docker.images import LOCAL_IMAGE
from hivemind_worker.runtimes.wasm import modules, packs
from hivemind_worker.store.worker_log import WorkerLog
from hivemind_worker.worker_node import WorkerNode, facts
from tests.contract.docker_engine import IMAGE, TestEngine, shared_engine, why_not
from tests.contract.stage import session_sandbox
from tests.contract.test_docker_engine import become_nobody
from tests.e2e.test_guest import offer, until
from tests.fakes.pool import HANG, GrpcError, ScriptedPool

pytestmark = [pytest.mark.release]
LIMIT_S = 60.0
NONE = "127.0.0.1:9"
LIMITS = ("connect_s", "login_s", "balance_s", "register_s", "output_s", "result_s")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Looks come often; a desktop of nobody's; a sandbox that is ready."""
    monkeypatch.setattr(facts, "EVERY_S", 0.3)
    monkeypatch.setattr(facts, "AGAIN_S", 0.3)
    monkeypatch.setattr(docker_runtime, "SELDOM_S", 0.3)
    monkeypatch.setattr(images, "RETRY_S", 0.1)
    monkeypatch.setattr(client, "Deadlines", lambda: Deadlines(**dict.fromkeys(LIMITS, 2.0)))
    monkeypatch.setenv("HIVEMIND_SANDBOX", str(session_sandbox()))
    monkeypatch.delenv("DISPLAY", raising=False)


@asynccontextmanager
async def life(home: Path, **changes: Any) -> AsyncIterator[WorkerNode]:
    """A worker in this home, whatever keeps it from working."""
    places = find_places(str(home))
    places.make()
    log = WorkerLog(places.logs, to_stdout=False)
    usual: dict[str, Any] = {
        "master_address": NONE, "node_port": 0, "web_port": 0, "runtime": "wasm", "bind_address": "127.0.0.1",
        "max_cpu_cores": 2, "max_memory_gb": 2, "pull_images": False,
    }  # fmt: skip
    settings = Settings(**usual | changes)
    hand = dict.fromkeys(("max_cpu_cores", "max_memory_gb", "web_port", "node_port"), "file")
    node = WorkerNode(settings=settings, set_by_hand=hand, places=places, worker_log=log)
    try:
        assert await node.start() is None
        yield node
    finally:
        await node.stop()
        log.close()


def told(node: WorkerNode) -> dict[str, Verdict]:
    return {each.code: each for each in verdicts(node.snapshot())}


async def tells(node: WorkerNode, code: str) -> Verdict:
    """The verdict, once it is there; none of its words is missing."""
    await until(lambda: code in told(node), LIMIT_S)
    verdict = told(node)[code]
    assert "{" not in verdict.text + verdict.action
    return verdict


async def gone(node: WorkerNode, code: str) -> None:
    await until(lambda: code not in told(node), LIMIT_S)


# --- pool and login ---------------------------------------------------------------------------------


async def test_causes_of_pool_and_login_go_with_their_actions(tmp_path: Path) -> None:
    async with ScriptedPool() as pool, life(tmp_path, master_address=pool.address) as node:
        assert "login" in (await tells(node, "not_logged_in")).action
        refused = await node.pools.sign_in(pool.address, "ann", "wrong")
        assert refused is not None
        assert refused.code is FaultCode.WRONG_PASSWORD
        assert await node.pools.sign_in(pool.address, "ann", "right horse", keep=False) is None
        await gone(node, "not_logged_in")
        await tells(node, "waiting_for_work")

        await pool.close()
        node.reconnect()
        assert "by itself" in (await tells(node, "pool_unreachable")).action
        await pool.start()
        node.reconnect()  # the button Try now
        await gone(node, "pool_unreachable")

        pool.users["ann"] = "a new one"
        pool.answers["RegisterWorkerNode"] = GrpcError(grpc.StatusCode.UNAUTHENTICATED)
        pool.answers["RefreshToken"] = GrpcError(grpc.StatusCode.UNAUTHENTICATED)
        node.reconnect()
        assert "login" in (await tells(node, "login_refused")).action
        pool.answers.clear()
        assert await node.pools.sign_in(pool.address, "ann", "a new one", keep=False) is None
        await gone(node, "login_refused")
        await tells(node, "waiting_for_work")

        pool.answers["RegisterWorkerNode"] = HANG
        node.reconnect()
        await tells(node, "pool_mute")
        pool.answers.clear()
        node.reconnect()
        await gone(node, "pool_mute")
        await tells(node, "waiting_for_work")


async def test_a_pool_elsewhere_reaches_this_worker_once_it_listens_for_others(tmp_path: Path) -> None:
    elsewhere = "0.0.0.0:9"  # no address of this computer's by any list
    own = [ip for listed in ipv4_addresses().values() for ip in listed if not is_loopback(ip)]
    if not own:
        pytest.skip("this computer has no address but its own")
    async with life(tmp_path, master_address=elsewhere) as node:
        assert "HIVEMIND_BIND_ADDRESS" in (await tells(node, "loopback_only")).action
    async with life(tmp_path, master_address=elsewhere, bind_address=own[0]) as node:
        await tells(node, "not_logged_in")
        assert "loopback_only" not in told(node)


async def test_a_result_that_waits_for_the_pool_is_said_to_be_kept(tmp_path: Path) -> None:
    async with ScriptedPool() as pool, life(tmp_path, master_address=pool.address) as node:
        assert await node.pools.sign_in(pool.address, "ann", "right horse", keep=False) is None
        await tells(node, "waiting_for_work")
        pool.answers["TaskResultUpload"] = HANG
        await until(lambda: node.snapshot().runtime.ready)
        await offer(node, 0, "print('done')\n")
        await pool.close()
        node.reconnect()
        assert "safely" in (await tells(node, "results_waiting")).text
        pool.answers.clear()
        await pool.start()
        node.reconnect()
        await gone(node, "results_waiting")


# --- Docker -----------------------------------------------------------------------------------------


class Door:
    """The path at which Docker is looked for; what stands behind it can be changed."""

    def __init__(self, folder: Path, engine: TestEngine, patch: pytest.MonkeyPatch) -> None:
        self.path, self.engine = folder / "docker.sock", engine
        patch.setenv("DOCKER_HOST", f"unix://{self.path}")

    def leads_to(self, socket: Path) -> None:
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(socket)


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    if why_not():
        pytest.skip(why_not())
    made = Door(tmp_path, shared_engine(), monkeypatch)
    made.leads_to(made.engine.socket)
    yield made


DOCKER = {"runtime": "docker", "task_image": IMAGE}


async def test_a_docker_that_is_absent_down_or_hung_is_told_until_it_is_there(
    tmp_path: Path, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", "/nowhere")
    door.leads_to(tmp_path / "nothing")
    async with life(tmp_path / "home", **DOCKER) as node:
        assert "Install Docker" in (await tells(node, "engine_missing")).action
        monkeypatch.setenv("PATH", path)  # it is installed, and not started
        await gone(node, "engine_missing")
        assert "Start Docker" in (await tells(node, "engine_down")).action
        door.leads_to(door.engine.socket)
        await gone(node, "engine_down")
        await until(lambda: node.snapshot().runtime.ready, LIMIT_S)

        door.engine.freeze()
        try:
            assert "restart Docker" in (await tells(node, "engine_hung")).action
        finally:
            door.engine.thaw()
        await gone(node, "engine_hung")
        await until(lambda: node.snapshot().runtime.ready, LIMIT_S)


async def test_without_docker_the_other_sandbox_is_a_setting_away(tmp_path: Path, door: Door) -> None:
    door.leads_to(tmp_path / "nothing")
    async with life(tmp_path / "home", **DOCKER) as node:
        await tells(node, "engine_down")
        assert await node.change_settings({"runtime": "auto"}) == ()  # "… or set runtime to auto"
        kept = await node.kept_settings()
    assert isinstance(kept, dict)
    async with life(tmp_path / "home", **{**DOCKER, **kept}) as node:
        await until(lambda: node.snapshot().runtime.ready, LIMIT_S)
        assert not {code for code in told(node) if code.startswith("engine_")}


async def test_a_docker_that_may_not_be_used_may_be_after_the_next_sign_in(
    tmp_path: Path, door: Door
) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    async with life(tmp_path / "home", **DOCKER) as node:
        assert node.parts.docker is not None
        await node.parts.docker.engine._look_thread.call(become_nobody)
        assert "group docker" in (await tells(node, "engine_forbidden")).action
    async with life(tmp_path / "home", **DOCKER) as node:
        await until(lambda: node.snapshot().runtime.ready, LIMIT_S)
        assert "engine_forbidden" not in told(node)


class _Old(http.server.BaseHTTPRequestHandler):
    """An engine of years ago."""

    def do_GET(self) -> None:
        body = b'{"Version": "18.09", "ApiVersion": "1.39", "MinAPIVersion": "1.12"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def address_string(self) -> str:
        return ""


@contextmanager
def old_engine(path: Path) -> Iterator[None]:
    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    with Server(str(path), _Old) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="old engine")
        thread.start()
        yield
        server.shutdown()
        thread.join()


async def test_a_docker_that_is_too_old_holds_tasks_once_it_is_updated(tmp_path: Path, door: Door) -> None:
    with old_engine(tmp_path / "old.sock"):
        door.leads_to(tmp_path / "old.sock")
        async with life(tmp_path / "home", **DOCKER) as node:
            assert "Update Docker" in (await tells(node, "engine_unsuitable")).action
            door.leads_to(door.engine.socket)
            await gone(node, "engine_unsuitable")
            await until(lambda: node.snapshot().runtime.ready, LIMIT_S)


async def test_an_image_that_is_missing_or_cannot_be_fetched_is_made_here(tmp_path: Path, door: Door) -> None:
    name = "127.0.0.1:9/nobody/has:this"
    try:
        async with life(tmp_path / "a", **{**DOCKER, "task_image": name}) as node:
            assert "image build" in (await tells(node, "image_missing")).action
            door.engine.docker("tag", IMAGE, LOCAL_IMAGE)  # what `image build` leaves
            await gone(node, "image_missing")
            await until(lambda: node.snapshot().runtime.ready, LIMIT_S)
        door.engine.docker("rmi", LOCAL_IMAGE)
        async with life(tmp_path / "b", **{**DOCKER, "task_image": name, "pull_images": True}) as node:
            await tells(node, "image_not_fetched")
            node.fetch_image()  # the button Fetch the image
            await tells(node, "sandbox_preparing")
            assert "image build" in (await tells(node, "image_not_fetched")).action
            door.engine.docker("tag", IMAGE, LOCAL_IMAGE)
            await gone(node, "image_not_fetched")
            await until(lambda: node.snapshot().runtime.ready, LIMIT_S)
    finally:
        door.engine.docker("rmi", LOCAL_IMAGE, check=False)


async def test_an_image_that_the_owner_does_not_allow_is_a_setting_to_mend(
    tmp_path: Path, door: Door
) -> None:
    async with life(tmp_path / "home", **DOCKER, allowed_images="example/other:1") as node:
        verdict = await tells(node, "bad_setting")
        assert "allowed_images" in verdict.text
        assert "config" in verdict.action
        assert await node.change_settings({"allowed_images": IMAGE}) == ()
        kept = await node.kept_settings()
    assert isinstance(kept, dict)
    async with life(tmp_path / "home", **{**DOCKER, **kept}) as node:
        await until(lambda: node.snapshot().runtime.ready, LIMIT_S)
        assert "bad_setting" not in told(node)


async def test_docker_that_is_chosen_and_switched_off_is_chosen_away(tmp_path: Path) -> None:
    async with life(tmp_path, runtime="docker", docker_enabled=False) as node:
        verdict = await tells(node, "sandbox_missing")
        assert "switched off" in verdict.text
    async with life(tmp_path, runtime="auto", docker_enabled=False) as node:
        await until(lambda: node.snapshot().runtime.ready, LIMIT_S)
        assert "sandbox_missing" not in told(node)


# --- the built-in sandbox ---------------------------------------------------------------------------


async def test_a_built_in_sandbox_that_is_put_right_is_used_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = tmp_path / "sandbox"
    monkeypatch.setenv("HIVEMIND_SANDBOX", str(sandbox))
    whole = packs.find_small()
    assert whole is not None
    spoilt = tmp_path / "python.wasm"
    spoilt.write_bytes(b"not the interpreter")
    found: dict[str, packs.Pack | None] = {"pack": None}
    monkeypatch.setattr(packs, "find_small", lambda: found["pack"])
    async with life(tmp_path / "home") as node:
        assert "doctor" in (await tells(node, "sandbox_missing")).action
        found["pack"] = replace(whole, module=spoilt)
        assert "Install it again" in (await tells(node, "bad_pack")).action
        (sandbox / "modules").write_text("a file where a folder should be")
        found["pack"] = whole
        await tells(node, "no_permission")

        def no_process(*_: object, **__: object) -> object:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

        with monkeypatch.context() as patch:
            patch.setattr(modules.ModuleCache, "ready", no_process)
            (sandbox / "modules").unlink()
            assert "doctor" in (await tells(node, "sandbox_failed")).action
            shutil.copytree(session_sandbox() / "modules", sandbox / "modules", dirs_exist_ok=True)
        await gone(node, "sandbox_failed")
        assert node.snapshot().runtime.ready
        await tells(node, "not_logged_in")


# --- the computer -----------------------------------------------------------------------------------


async def test_a_disk_that_is_freed_lets_work_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with life(tmp_path) as node:
        await tells(node, "not_logged_in")
        with monkeypatch.context() as patch:
            patch.setattr(sampler, "free_disk_bytes", lambda folder: 1 << 20)
            assert "Free some space" in (await tells(node, "disk_full")).action
        await gone(node, "disk_full")


async def test_a_journal_that_can_be_written_again_lets_work_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with life(tmp_path) as node:

        async def fails(entry: object) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        with monkeypatch.context() as patch:
            patch.setattr(node.parts.journal, "commit", fails)
            pausing = node.parts.nursery.start("pause", node.ask(PauseAsked(at_s=1.0)))
            assert "Look at the disk" in (await tells(node, "journal_unwritable")).action
        await pausing
        await gone(node, "journal_unwritable")
        await node.ask(ResumeAsked(at_s=2.0))


async def test_a_program_that_was_replaced_asks_for_a_restart_which_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "METADATA"
    file.write_text("1")
    async with life(tmp_path / "home") as node:
        node.facts._installation = Installation(lambda: file)
        await node.facts.look_again()
        file.write_text("version 2")
        assert "Restart" in (await tells(node, "program_replaced")).action
    async with life(tmp_path / "home") as node:
        node.facts._installation = Installation(lambda: file)
        await node.facts.look_again()
        await node.facts.look_again()
        assert "program_replaced" not in told(node)
