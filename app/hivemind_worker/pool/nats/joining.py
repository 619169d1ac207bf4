"""Taking up what a pool's owner has given: an invitation, or a credential file; kept as this worker's own."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.owned_file import MAX_BYTES
from hivemind_worker.pool.nats.connection import connect
from hivemind_worker.pool.nats.credential import (
    INVITATION,
    Credential,
    from_invitation,
    from_json,
    keep,
    load,
)
from hivemind_worker.pool.nats.enrolment import enrol


async def join(proof: str, kept: Path, *, give_up: bool) -> Credential | Problem:
    """The credential to use from now on, tried at the pool's server.

    `proof`: an invitation, the path of a credential file, or "" for the one that is kept. Without `give_up` a
    kept one stays: CREDENTIAL_KEPT.
    """
    if not proof:
        return await _tried(await asyncio.to_thread(load, kept))
    before = await asyncio.to_thread(load, kept)
    if isinstance(before, Credential) and not give_up:
        return Problem(code=FaultCode.CREDENTIAL_KEPT, about=f"{before.name}, {before.servers[0]}")
    found = await (_invited(proof) if _is_invitation(proof) else asyncio.to_thread(_read, Path(proof)))
    if isinstance(found, Problem):
        return found
    if found.worker is None:
        return Problem(code=FaultCode.BAD_CREDENTIAL, about="it is not a worker's")
    if _is_invitation(proof):  # spent by now: kept before it is tried
        return await _kept(found, kept) or await _tried(found)
    tried = await _tried(found)
    return tried if isinstance(tried, Problem) else await _kept(found, kept) or found


def _is_invitation(proof: str) -> bool:
    return "".join(proof.split()).startswith(INVITATION)


async def _invited(proof: str) -> Credential | Problem:
    invitation = from_invitation(proof)
    return invitation if isinstance(invitation, Problem) else await enrol(invitation)


def _read(path: Path) -> Credential | Problem:
    """A file that somebody has brought here: it need not be private yet."""
    try:
        with path.expanduser().open("rb") as file:
            return from_json(file.read(MAX_BYTES))
    except (OSError, ValueError) as error:
        about = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Problem(code=FaultCode.BAD_CREDENTIAL, about=f"{path}: {about}")


async def _kept(credential: Credential, path: Path) -> Problem | None:
    try:
        await asyncio.to_thread(keep, path, credential)
    except OSError as error:
        return Problem(code=FaultCode.NO_PERMISSION, about=f"{path}: {error.strerror or error}")
    return None


async def _tried(credential: Credential | Problem) -> Credential | Problem:
    if isinstance(credential, Problem):
        return credential
    client = await connect(credential)
    if isinstance(client, Problem):
        return client
    await client.close()
    return credential
