"""`user` and `dashboard` as their owner runs them, against a worker that runs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hivemind_worker.model.accounts import Role
from hivemind_worker.store.users import SqliteUsers
from hivemind_worker.web.endpoint import read_endpoint
from tests.e2e.process import WorkerProcess, command, worker
from tests.fakes.pool import ScriptedPool
from tests.web import wire

PASSWORD = "correct horse"


async def run(home: Path, *words: str, code: int = 0, **more: str) -> dict[str, Any]:
    """One command with --json; what it said."""
    done, out, err = await command(home, *words, "--json", **more)
    assert done == code, (words, out, err)
    return dict(json.loads(out or err))


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    return str(file)


async def test_accounts_are_made_listed_and_removed_without_a_worker(
    tmp_path: Path, password_file: str
) -> None:
    home = tmp_path / "home"
    made = await run(home, "user", "add", "anna", "--role", "owner", "--password-file", password_file)
    assert made == {"name": "anna", "role": "owner"}
    await run(home, "user", "add", "ben", "--password-file", password_file)
    listed = (await run(home, "user", "list"))["accounts"]
    assert [(row["name"], row["role"]) for row in listed] == [("anna", "owner"), ("ben", "viewer")]
    again = await run(home, "user", "add", "ANNA", "--password-file", password_file, code=2)
    assert again["error"] == "bad_usage"
    users = SqliteUsers(home / "state")
    assert await users.open() is None
    found = await users.check_password("anna", PASSWORD)
    assert found is not None
    assert found.role is Role.OWNER
    await users.close()
    await run(home, "user", "remove", "anna")
    await run(home, "user", "remove", "anna", code=2)
    assert [row["name"] for row in (await run(home, "user", "list"))["accounts"]] == ["ben"]


async def test_no_password_comes_from_the_command_line_or_by_default(tmp_path: Path) -> None:
    code, _out, err = await command(tmp_path, "user", "add", "anna", "--json")
    assert (code, json.loads(err)["error"]) == (2, "bad_usage")
    short = tmp_path / "short"
    short.write_text("1234567\n")
    refused = await run(tmp_path, "user", "add", "anna", "--password-file", str(short), code=2)
    assert "8 to 1024" in refused["message"]
    assert (await run(tmp_path, "user", "list"))["accounts"] == []


async def test_a_token_is_shown_once_and_revoked(tmp_path: Path) -> None:
    made = await run(tmp_path, "user", "token", "add", "grafana")
    assert len(made["token"]) >= 43
    listed = await run(tmp_path, "user", "token", "list")
    assert [row["name"] for row in listed["tokens"]] == ["grafana"]
    assert made["token"] not in json.dumps(listed)
    await run(tmp_path, "user", "token", "remove", "grafana")
    assert (await run(tmp_path, "user", "token", "list"))["tokens"] == []


async def test_without_remote_access_there_is_no_fingerprint(tmp_path: Path) -> None:
    told = await run(tmp_path, "dashboard", "--fingerprint", code=2)
    assert "web_listen" in told["message"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[WorkerProcess, int]]:
    remote = free_port()
    async with ScriptedPool() as pool, worker(
        tmp_path / "home", pool.address, HIVEMIND_WEB_LISTEN=f"127.0.0.1:{remote}"
    ) as made:  # fmt: skip
        await made.said("is open to other computers")
        yield made, remote


def port_of(made: WorkerProcess) -> int:
    endpoint = read_endpoint(made.places.endpoint_file)
    assert endpoint is not None
    return endpoint.port


@pytest.mark.slow
async def test_the_link_of_the_command_signs_in_and_removing_the_account_signs_out(
    running: tuple[WorkerProcess, int], password_file: str
) -> None:
    made, _remote = running
    port, home = port_of(made), made.home
    link = await run(home, "dashboard")
    assert link["expires_in_s"] == 60
    parts = urlsplit(link["url"])
    assert (parts.hostname, parts.port) == ("127.0.0.1", port)
    came = await wire.ask(port, f"{parts.path}?{parts.query}")
    assert came.status == 303
    cookie = came.headers["set-cookie"].partition(";")[0]
    assert (await wire.ask(port, "/api/v1/state", headers={"Cookie": cookie})).status == 200
    await run(home, "user", "add", "ben", "--password-file", password_file)
    answer = await wire.ask(port, "/login", method="POST", body={"name": "ben", "password": PASSWORD})
    bens = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
    sessions = (await run(home, "user", "session", "list"))["sessions"]
    assert [(row["user"], row["role"]) for row in sessions] == [("ben", "viewer"), ("", "owner")]
    assert (await wire.ask(port, "/api/v1/state", headers=bens)).status == 200
    await run(home, "user", "remove", "ben")
    assert (await wire.ask(port, "/api/v1/state", headers=bens)).status == 401
    await run(home, "user", "session", "end", str(sessions[1]["number"]))
    assert (await wire.ask(port, "/api/v1/state", headers={"Cookie": cookie})).status == 401
    token = (await run(home, "user", "token", "add", "grafana"))["token"]
    assert (await wire.ask(port, "/metrics", token=token)).status == 200
    assert (await wire.ask(port, "/api/v1/actions/pause", method="POST", token=token)).status == 403


@pytest.mark.slow
async def test_the_fingerprint_of_the_command_is_that_of_the_open_door(
    running: tuple[WorkerProcess, int],
) -> None:
    made, remote = running
    told = (await run(made.home, "dashboard", "--fingerprint"))["sha256"]
    trusting_all = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting_all.check_hostname, trusting_all.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(10):
        _reader, writer = await asyncio.open_connection("127.0.0.1", remote, ssl=trusting_all)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    assert told.replace(":", "").lower() == hashlib.sha256(certificate).hexdigest()
    assert any(told in line for line in made.lines), "the log names it too"


@pytest.mark.slow
async def test_settings_changed_over_the_api_are_in_force_after_a_restart(
    running: tuple[WorkerProcess, int],
) -> None:
    made, _remote = running
    port = port_of(made)
    token = made.places.token_file.read_text().strip()
    body = {"max_cpu_cores": 1, "trust_threshold": 77, "master_address": "pool.example:1"}
    answer = await wire.ask(port, "/api/v1/settings", method="PATCH", token=token, body=body)
    assert answer.status == 200
    assert "master_address" in answer.values["overruled"]
    assert (await wire.ask(port, "/api/status", token=token)).values["trust_threshold"] == 77
    for bad in ({"master_address": "no address"}, {"web_listen": "everywhere"}, {"web_names": "*"}):
        refused = await wire.ask(
            port, "/api/v1/settings", method="PATCH", token=token, body={**bad, "node_id": "x"}
        )
        assert refused.status == 400, bad
    told = await run(made.home, "config", "get", "max_cpu_cores", MAX_CPU_CORES="")
    assert (told["value"], told["source"]) == (1.0, "file")
    assert (await run(made.home, "config", "get", "node_id"))["value"] == ""
