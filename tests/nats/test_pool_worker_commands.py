"""Owner and volunteer at their command lines, with a real server between them."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import stat
from pathlib import Path

import pytest

from hivemind_worker.pool.nats.authority import CONFIG
from hivemind_worker.pool.nats.connection import connect
from hivemind_worker.pool.nats.credential import Credential, load
from tests.e2e.process import PROGRAM, command, environment
from tests.nats.server import LIMIT_S, start


async def configured(home: Path) -> asyncio.subprocess.Process:
    """A server with the configuration that the command wrote."""
    for _ in range(5):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        code, out, err = await command(home, "pool", "nats-config", "--port", str(port), "--json")
        assert (code, err) == (0, "")
        told = json.loads(out)
        assert told["servers"] == [f"tls://127.0.0.1:{port}"] and told["config"].endswith(CONFIG)
        process = await start(Path(told["config"]))
        if process is not None:
            return process
    raise AssertionError("no free port")


@pytest.mark.slow
async def test_an_owner_invites_a_worker_lists_it_and_shuts_it_out(tmp_path: Path) -> None:
    owner, volunteer = tmp_path / "owner", tmp_path / "volunteer"
    server = await configured(owner)
    invite = await asyncio.create_subprocess_exec(
        *PROGRAM, "pool", "worker", "invite", "anna", "--json", env=environment(owner),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert invite.stdout is not None
        invited = json.loads(await asyncio.wait_for(invite.stdout.readline(), LIMIT_S))
        (tmp_path / "invitation").write_text(invited["invitation"])
        join = ("pool", "worker", "join", "--invitation-file", str(tmp_path / "invitation"))
        code, out, err = await command(volunteer, *join, "--json")
        assert (code, err) == (0, ""), err
        kept = Path(json.loads(out)["credential"])
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        told, err_bytes = await asyncio.wait_for(invite.communicate(), LIMIT_S)
        assert (invite.returncode, err_bytes) == (0, b"")
        assert json.loads(told)["name"] == "anna"

        for words, error in (
            (("login", "--pool", "tls://127.0.0.1:1"), "no_pool_there"),
            (("login", "--pool", "tsl://127.0.0.1:4222"), "bad_address"),
            (join, "invitation_over"),
        ):
            code, _, err = await command(tmp_path / "other" if words is join else volunteer, *words, "--json")
            assert (code, json.loads(err)["error"]) == (2 if error == "bad_address" else 4, error)
        kept.chmod(0o644)
        code, _, err = await command(volunteer, "login", "--pool", json.loads(out)["servers"][0])
        assert code == 4 and "others may read it" in err
        kept.chmod(0o600)

        before = kept.read_bytes()
        code, _, err = await command(volunteer, *join)
        assert code == 2 and "--replace" in err and kept.read_bytes() == before

        code, out, _ = await command(owner, "pool", "worker", "revoke", "anna")
        assert (code, out) == (0, "anna is shut out of the pool.\n")
        credential = load(kept)
        assert isinstance(credential, Credential)
        assert not hasattr(await connect(credential), "publish")
        code, out, _ = await command(owner, "pool", "worker", "list", "--json")
        assert code == 0 and json.loads(out)["revoked_at"]
    finally:
        if invite.returncode is None:
            invite.kill()
            await invite.wait()
        server.send_signal(signal.SIGTERM)
        await asyncio.wait_for(server.wait(), LIMIT_S)


@pytest.mark.release
async def test_what_is_missing_or_wrong_is_told_with_what_to_do(tmp_path: Path) -> None:
    code, _, err = await command(tmp_path, "pool", "worker", "list")
    assert code == 4 and "hivemind-worker pool nats-config" in err
    code, _, err = await command(tmp_path, "pool", "nats-config", "--host", "a b")
    assert code == 2 and "This is not an address: a b." in err
    code, _, err = await command(
        tmp_path, "pool", "worker", "join", "--invitation-file", str(tmp_path / "absent")
    )
    assert code == 9 and "absent" in err
    (tmp_path / "spoilt").write_text("hivemind-invitation-xyz")
    code, _, err = await command(
        tmp_path, "pool", "worker", "join", "--invitation-file", str(tmp_path / "spoilt")
    )
    assert code == 4 and err.startswith("This is no invitation:")
