"""An invitation or a credential file taken up from the window: tried at a real server, kept for its owner."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.nats.credential import Credential, load
from hivemind_worker.pool.nats.enrolment import host
from hivemind_worker.pool.nats.joining import join
from tests.nats.server import Server, enrolled, running_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running_server(tmp_path / "keys") as running:
        yield running


async def invitation(server: Server, name: str) -> tuple[str, asyncio.Task[object]]:
    invited: asyncio.Future[Credential] = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(host(server.authority, name, 60, invited.set_result, "anna"))
    await asyncio.wait([waiting, invited], return_when=asyncio.FIRST_COMPLETED)
    return (await invited).as_invitation(), waiting


async def test_an_invitation_and_a_file_let_this_computer_in_and_what_is_kept_is_given_up_only_when_asked(
    server: Server, tmp_path: Path
) -> None:
    kept = tmp_path / "pool-credential.json"
    text, waiting = await invitation(server, "larch")
    found = await join(f" {text[:50]}\n{text[50:]}\n", kept, give_up=False)
    await waiting
    assert isinstance(found, Credential) and found.worker is not None
    assert (found.worker.name, found.worker.account) == ("larch", "anna")
    assert load(kept) == found and stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert await join("", kept, give_up=False) == found, "the kept one, tried again"

    other = await enrolled(server, "attic")
    brought = tmp_path / "brought.json"
    brought.write_bytes(other.as_json())  # readable for others, as a file from a stick is
    refused = await join(str(brought), kept, give_up=False)
    assert isinstance(refused, Problem) and refused.code is FaultCode.CREDENTIAL_KEPT
    assert refused.about.startswith("larch, tls://") and load(kept) == found
    assert await join(str(brought), kept, give_up=True) == other
    assert load(kept) == other and stat.S_IMODE(kept.stat().st_mode) == 0o600


async def test_what_lets_nobody_in_changes_nothing_and_is_told(server: Server, tmp_path: Path) -> None:
    kept = tmp_path / "pool-credential.json"
    (tmp_path / "notes.txt").write_text("{}")
    (tmp_path / "process.json").write_bytes(server.authority.for_pool().as_json())
    for proof, code in (
        ("", FaultCode.BAD_CREDENTIAL), ("hivemind-invitation-xyz", FaultCode.BAD_INVITATION),
        (str(tmp_path / "absent"), FaultCode.BAD_CREDENTIAL), (str(tmp_path), FaultCode.BAD_CREDENTIAL),
        (str(tmp_path / "notes.txt"), FaultCode.BAD_CREDENTIAL), ("\0", FaultCode.BAD_CREDENTIAL),
        (str(tmp_path / "process.json"), FaultCode.BAD_CREDENTIAL),  # the pool's own is no worker's
    ):  # fmt: skip
        refused = await join(proof, kept, give_up=True)
        assert isinstance(refused, Problem) and refused.code is code, (proof, refused)
        assert not kept.exists()
