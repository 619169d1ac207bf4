"""Access from other computers: off unless `web_listen` names an address, always TLS, always a login."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.web.certificate import tls_context

if TYPE_CHECKING:
    from hivemind_worker.web.local_api import LocalApi

log = logging.getLogger(__name__)
DEFAULT_PORT = 5443
AGAIN_S = 30.0
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where other computers may connect, and the names under which they do."""

    address: str
    port: int
    names: tuple[str, ...]


def parse_listening(
    text: str, more_names: str, own_addresses: Sequence[str], host_name: str
) -> Listening | Problem | None:
    """The settings `web_listen` (ADDRESS or ADDRESS:PORT) and `web_names`; None when it is switched off.

    An address that stands for all of them is reached by each of `own_addresses` and by `host_name`.
    """
    if not text.strip():
        return None
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)|([0-9A-Fa-f:]+))(?::(\d{1,5}))?", text.strip())
    port = int(found[4] or DEFAULT_PORT) if found else 0
    try:
        address = ipaddress.ip_address((found[1] or found[2] or found[3]) if found else "")
    except ValueError:
        return _bad(text)
    if not 0 < port < 65536:
        return _bad(text)
    names = [name.strip().lower() for name in more_names.split(",") if name.strip()]
    wrong = [name for name in names if len(name) > 253 or not NAME.fullmatch(name)]
    if wrong:
        return Problem(code=FaultCode.BAD_SETTING, about=f"web_names: {wrong[0]!a:.80} is not a host name")
    if address.is_unspecified:
        host = [host_name.lower()] if NAME.fullmatch(host_name.lower()) else []
        names += [*own_addresses, *host]
    else:
        names.append(str(address))
    return Listening(address=str(address), port=port, names=tuple(dict.fromkeys(names)))


def _bad(text: str) -> Problem:
    about = f"web_listen: {text!a:.80} is not ADDRESS or ADDRESS:PORT; an address is made of numbers"
    return Problem(code=FaultCode.BAD_SETTING, about=about)


async def keep_open(
    api: LocalApi, listening: Listening, folder: Path, files: NamedThread, opened: Callable[[str], None]
) -> None:
    """Open the door to other computers, trying again while it cannot be (an address may come later)."""
    while True:
        problem = await _open(api, listening, folder, files, opened)
        if problem is None:
            return
        log.warning("remote access: %s", sentence(problem.code, problem.about))
        await asyncio.sleep(AGAIN_S)


async def _open(
    api: LocalApi, listening: Listening, folder: Path, files: NamedThread, opened: Callable[[str], None]
) -> Problem | None:
    now = datetime.datetime.now(datetime.UTC)
    try:
        context, fingerprint = await files.call(tls_context, folder, listening.names, now)
    except OSError as error:
        return Problem(code=FaultCode.NO_PERMISSION, about=str(error))
    problem = await api.listen_remote(listening.address, listening.port, listening.names, context)
    if problem is None:
        opened(fingerprint)
    return problem
