"""Looking after the worker: its checks, starting with the session, the report for support.

Fits `engine.face.CareFace`.
"""

from __future__ import annotations

import getpass
import platform
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hivemind_worker.checkup import Subject, all_checks
from hivemind_worker.machine import autostart
from hivemind_worker.machine.interfaces import ipv4_addresses
from hivemind_worker.machine.sampler import own_costs
from hivemind_worker.model.checkup import Autostart, Check
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.network_view import NetworkView
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.address import tunnel_addresses
from hivemind_worker.presentation.support import Private, private_words, report
from hivemind_worker.worker_node.parts import Parts

if TYPE_CHECKING:
    from hivemind_worker.worker_node.front import Front


class Care:
    """What the owner does to see whether all is well, and to have others help."""

    def __init__(self, parts: Parts, front: Front) -> None:
        self._parts, self._front = parts, front
        self._found: tuple[Check, ...] = ()

    async def checkup(self) -> tuple[Check, ...]:
        """Of the pool in use, which need not be that of the settings: it may be the one built in."""
        parts, pool = self._parts, self._front.pool_view
        settings = replace(parts.settings, master_address=parts.pool_address)
        signed_in = pool.link in (LinkState.REGISTERED, LinkState.WAITING)
        known_as = pool.user if signed_in else ""
        self._found = await all_checks(
            Subject(settings=settings, sources=parts.sources, places=parts.places, known_as=known_as)
        )
        return self._found

    def found(self) -> tuple[Check, ...]:
        return self._found

    async def autostart(self) -> Autostart | Problem:
        try:
            return await self._parts.probe.call(
                autostart.state, autostart.system_entry(), autostart.command_here()
            )
        except OSError as error:
            return _not_allowed(error)

    async def set_autostart(self, on: bool) -> Problem | None:
        entry = autostart.system_entry()
        try:
            if on:
                await self._parts.probe.call(entry.write, autostart.command_here())
            else:
                await self._parts.probe.call(entry.remove)
        except OSError as error:
            return _not_allowed(error)
        return None

    async def report(self) -> Mapping[str, str]:
        parts, front = self._parts, self._front
        kept = await front.pools.kept()
        private = self._private([name for pool in kept for name in (pool.user, pool.address)])
        return report(
            snapshot=front.snapshot(), sample=await front.sample(), settings=parts.settings,
            sources=parts.sources, checks=self._found or await self.checkup(), log=front.log_entries(),
            system=_system(), private=private,
        )  # fmt: skip

    def redacted(self, text: str) -> str:
        pool = self._front.snapshot().pool
        return self._private((pool.user, pool.address)).removed_from(text)

    def _private(self, accounts: Iterable[str]) -> Private:
        return private_words(
            user=getpass.getuser(), computer=platform.node(), home=str(Path.home()), accounts=accounts,
            settings=self._parts.settings,
        )  # fmt: skip

    async def save_report(self, files: Mapping[str, str], target: Path) -> Problem | None:
        try:
            await self._parts.files.call(_write_zip, files, target)
        except OSError as error:
            return _not_allowed(error)
        return None

    async def network(self) -> NetworkView:
        found = await self._parts.probe.call(ipv4_addresses)
        inside = frozenset(tunnel_addresses(found))
        return NetworkView(
            interfaces={name: tuple(listed) for name, listed in found.items()},
            tunnels=tuple(name for name, listed in found.items() if inside & set(listed)),
            dashboard=urlsplit(self._front.api_url).netloc,
        )

    def own_costs(self) -> tuple[float, int]:
        return own_costs()


def _not_allowed(error: OSError) -> Problem:
    about = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return Problem(code=FaultCode.NO_PERMISSION, about=about)


def _system() -> dict[str, str]:
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def _write_zip(files: Mapping[str, str], target: Path) -> None:
    """All of it, or nothing: a half-written report would be sent all the same."""
    draft = target.with_name(f".{target.name}.part")
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
