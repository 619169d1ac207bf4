"""Three machines of two accounts as processes of their own, told at their command lines through a pool."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.places import find_places
from hivemind_worker.pool.nats.credential import Credential, keep
from hivemind_worker.store import settings_file
from tests.e2e.process import UP, command, until, worker
from tests.nats.here import secure_pool
from tests.nats.server import enrolled, running_server

pytestmark = pytest.mark.release
LIMIT_S = 90.0  # under load; it takes a moment otherwise

MACHINES = (("larch", "anna"), ("attic", "anna"), ("birch", "bert"))


async def told(home: Path, *words: str) -> tuple[int, Any]:
    code, out, err = await command(home, *words, "--json")
    return code, json.loads(out or err)


async def stands(home: Path, code: str) -> None:
    """Wait until the machine itself says so first."""

    async def look() -> bool:
        return (await told(home, "status"))[1]["verdicts"][0]["code"] == code

    await until(look, LIMIT_S)


async def test_an_owners_machines_are_listed_and_told_from_each_other_and_nobody_elses(
    tmp_path: Path,
) -> None:
    async with running_server(tmp_path / "keys") as server, AsyncExitStack() as stack:
        keep(tmp_path / "process.json", server.authority.for_pool())
        address = server.authority.servers[0]
        await stack.enter_async_context(secure_pool(tmp_path / "pool", address, tmp_path / "process.json"))
        homes = {name: tmp_path / name for name, _ in MACHINES}
        for name, account in MACHINES:
            await joined(homes[name], address, await enrolled(server, name, account))
            await stack.enter_async_context(worker(homes[name], address, says=UP))
        larch, attic, birch = homes["larch"], homes["attic"], homes["birch"]
        for home in homes.values():
            await stands(home, "waiting_for_work")

        async def both() -> bool:
            return len((await told(larch, "fleet"))[1]["machines"]) == 2

        await until(both, LIMIT_S)
        assert [each["name"] for each in (await told(birch, "fleet"))[1]["machines"]] == ["birch"]

        assert (await told(larch, "fleet", "pause", "attic", "--for", "15m"))[0] == 0
        await stands(attic, "paused_elsewhere")
        code, refused = await told(birch, "fleet", "resume", "attic")
        assert (code, refused["error"]) == (4, "no_such_machine")
        assert (await told(birch, "fleet", "resume", "--all"))[1]["now"] == ["birch"]
        assert (await told(attic, "status"))[1]["verdicts"][0]["code"] == "paused_elsewhere"

        assert (await told(attic, "resume"))[0] == 0
        await stands(attic, "waiting_for_work")
        assert (await told(attic, "fleet", "finish", "--all"))[1]["now"] == ["attic", "larch"]
        await stands(larch, "paused_elsewhere")
        await stands(attic, "paused")  # asked on attic itself: no other machine
        assert (await told(birch, "status"))[1]["verdicts"][0]["code"] == "waiting_for_work"
        assert (await told(larch, "fleet", "resume", "larch"))[0] == 0
        await stands(larch, "waiting_for_work")


async def joined(home: Path, address: str, credential: Credential) -> None:
    """As `pool worker join` and `login` leave it."""
    places = find_places(str(home))
    await asyncio.to_thread(places.make)
    keep(places.pool_credential, credential)
    assert settings_file.save(places.settings_file, {"master_address": address}) is None


async def test_a_running_worker_goes_to_the_pool_of_a_new_login_at_once(tmp_path: Path) -> None:
    async with running_server(tmp_path / "keys") as server, AsyncExitStack() as stack:
        keep(tmp_path / "process.json", server.authority.for_pool())
        address = server.authority.servers[0]
        await stack.enter_async_context(secure_pool(tmp_path / "pool", address, tmp_path / "process.json"))
        home = tmp_path / "larch"
        await joined(home, "127.0.0.1:1", await enrolled(server, "larch", "anna"))
        await stack.enter_async_context(worker(home, "", says=UP))
        assert (await told(home, "status"))[1]["pool"]["address"] == "127.0.0.1:1"
        code, _ = await told(home, "login", "--pool", address)
        assert code == 0
        await stands(home, "waiting_for_work")
        assert (await told(home, "status"))[1]["pool"]["address"] == address
