"""The owner's pools: several kept, one active, left in order for another. Fits `engine.face.PoolsFace`.

A pool is left only when nothing of its work is here any more, so no result can reach another pool.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from hivemind_worker.machine.interfaces import ipv4_addresses
from hivemind_worker.model.events import FinishAsked, PauseAsked, ResultRefused, ResumeAsked, StopAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pools import Balance, KeptPool, Leaving, is_asked
from hivemind_worker.model.settings import OVERRULING
from hivemind_worker.model.snapshot import Mode, NodeState, PoolView
from hivemind_worker.model.task import Delivery, Problem, StopReason
from hivemind_worker.pool.address import parse_address
from hivemind_worker.pool.login import check_login
from hivemind_worker.pool.session import Credentials
from hivemind_worker.store.kept_lists import PoolList
from hivemind_worker.store.secrets import Login
from hivemind_worker.store.settings_file import change as change_settings_file
from hivemind_worker.worker_node.demo_pool import DemoPool
from hivemind_worker.worker_node.doors import Doors
from hivemind_worker.worker_node.parts import Parts

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
KEEP_AFTER_S = 10.0
"""With `Leaving.KEEP`: for how long stopped tasks may still be packed and delivered."""


class Pools:
    """`switching_to` names the pool that is being switched to, "" when none is."""

    def __init__(self, parts: Parts, doors: Doors, changed: Callable[[], None]) -> None:
        self._parts, self._doors, self._changed = parts, doors, changed
        self._list = PoolList(parts.places.state / "pools.json")
        self._demo: DemoPool | None = None
        self._before_demo = ""
        self._switch: asyncio.Task[None] | None = None
        self.switching_to = ""

    # --- what others ask ----------------------------------------------------------------------

    @property
    def demo_runs(self) -> bool:
        """Whether the active pool is the one built in."""
        return self._demo is not None and self._parts.pool_address == self._demo.address

    async def credentials(self, address: str = "") -> Credentials | None:
        """The kept login for a pool; for the active one without an address."""
        wanted = address or self._parts.pool_address
        if self._demo is not None and wanted == self._demo.address:
            return self._demo.credentials
        login = await self._parts.probe.call(self._parts.logins.find, wanted)
        if login is None:
            return None
        return Credentials(user=login.user, password=login.password, plain=login.plain)

    async def kept(self) -> tuple[KeptPool, ...]:
        """The pools, the active one first, then those used last. The built-in one only while it runs."""
        rows, logins = await self._parts.probe.call(lambda: (self._list.all(), self._parts.logins.all()))
        found = {pool.address: pool for pool in rows}
        for login in logins:
            found[login.pool] = replace(
                found.get(login.pool, KeptPool(address=login.pool)), user=login.user, signed_in=True
            )
        found.update(await self._let_in(found))
        active = self._parts.pool_address
        if active in found:
            found[active] = replace(found[active], active=True)
        elif self.demo_runs and self._demo is not None:
            user = self._demo.credentials.user
            found[active] = KeptPool(address=active, user=user, signed_in=True, active=True, built_in=True)
        return tuple(sorted(found.values(), key=lambda pool: (not pool.active, -pool.used_until_s)))

    async def _let_in(self, rows: Mapping[str, KeptPool]) -> dict[str, KeptPool]:
        """Those of the pools that know this worker by its credential."""
        asked = [row for address, row in rows.items() if address.startswith("tls://")]
        if not asked:
            return {}
        from hivemind_worker.pool.nats.credential import Credential, load  # noqa: PLC0415

        kept = await self._parts.files.call(load, self._parts.places.pool_credential)
        names = {row.address: row for row in asked if isinstance(kept, Credential) and row.user == kept.name}
        return {address: replace(row, signed_in=True) for address, row in names.items()}

    async def balances(self, address: str, user: str, from_s: float) -> tuple[Balance, ...]:
        """An account's balance from a moment on, oldest first."""
        return await self._parts.balances.read(address, user, from_s)

    async def has_keyring(self) -> bool:
        """Whether the system keeps passwords for us; else `sign_in` keeps one in a file."""
        return await self._parts.probe.call(self._parts.logins.has_keyring)

    async def sign_in(
        self, address: str, user: str, password: str, *, plain: bool = False, keep: bool = True
    ) -> Problem | None:
        """Try the login at the pool; only one that works is used. The active pool takes it up at once.

        Without `keep` it is used until this process ends and written nowhere.
        """
        parsed = parse_address(address)
        if isinstance(parsed, Problem):
            return parsed
        name = str(parsed)
        problem = await self._why_not_in(name, user, password, plain=plain)
        if problem is not None:
            return problem
        login = Login(pool=name, user=user, password=password, plain=plain)
        logins = self._parts.logins
        problem = await self._parts.probe.call(logins.keep if keep else logins.use_for_now, login)
        if problem is not None:
            return problem
        await self._parts.probe.call(self._list.note, name, user, 0.0)
        self._parts.link.wake()
        self._changed()
        return None

    async def join(self, address: str, proof: str, *, give_up: bool = False) -> str | Problem:
        """Be let in by a pool that the worker asks over TLS; the address of the pool."""
        from hivemind_worker.pool.nats.joining import join  # noqa: PLC0415 - for who needs it

        parsed = parse_address(address) if address else None
        if isinstance(parsed, Problem):
            return parsed
        found = await join(proof.strip(), self._parts.places.pool_credential, give_up=give_up)
        if isinstance(found, Problem):
            return found
        name = str(parsed) if parsed else found.servers[0]
        await self._parts.probe.call(self._list.note, name, found.name, 0.0)
        self._parts.link.wake()
        self._changed()
        return name

    async def follow(self, address: str) -> None:
        """The settings name this pool: go there in order; from the built-in one when that ends."""
        parsed = parse_address(address)
        if isinstance(parsed, Problem) or self._parts.sources.get("master_address") in OVERRULING:
            return
        if self._demo is not None:
            self._before_demo = str(parsed)
        elif str(parsed) not in (self._parts.pool_address, self.switching_to):
            await self.cancel_switch()
            self._begin(str(parsed), Leaving.FINISH)

    async def _why_not_in(self, name: str, user: str, password: str, *, plain: bool) -> Problem | None:
        """Try the login; at a pool that is asked over TLS, the credential that `pool worker join` kept."""
        if is_asked(name):
            from hivemind_worker.pool.nats.pull_client import check_way  # noqa: PLC0415 - for who needs it

            known = await check_way(name, self._parts.places.pool_credential, user, password)
            return known if isinstance(known, Problem) else None
        answer = await check_login(
            name, user, password, interfaces=ipv4_addresses(), insist_plain_login=plain
        )
        return answer if isinstance(answer, Problem) else None

    async def sign_out(self, address: str) -> None:
        """Forget the password; the pool stays on the list."""
        kept = {pool.address: pool for pool in await self.kept()}
        used_s = time.time() if address == self._parts.pool_address else 0.0
        if address in kept:
            await self._parts.probe.call(self._list.note, address, kept[address].user, used_s)
        await self._parts.probe.call(self._parts.logins.forget, address)
        self._parts.link.wake()
        self._changed()

    async def forget(self, address: str) -> Problem | None:
        """Take a pool off the list, with its login; the active one stays."""
        if address == self._parts.pool_address:
            return Problem(
                code=FaultCode.BAD_USAGE, about="This pool is in use: switch to another one first."
            )
        await self._parts.probe.call(self._parts.logins.forget, address)
        await self._parts.probe.call(self._list.remove, address)
        self._changed()
        return None

    # --- leaving one for another --------------------------------------------------------------

    async def switch(self, address: str, leaving: Leaving) -> Problem | None:
        """Begin to leave the active pool for this one; `switching_to` tells when it is done."""
        parsed = parse_address(address)
        if isinstance(parsed, Problem):
            return parsed
        if self._parts.sources.get("master_address") in OVERRULING:
            source = self._parts.sources["master_address"]
            return Problem(code=FaultCode.BAD_SETTING, about=f"the pool's address is set by the {source}")
        return self._begin(str(parsed), leaving)

    async def start_demo(self, leaving: Leaving = Leaving.FINISH) -> Problem | None:
        """Start the built-in pool and switch to it; the settings keep naming the pool of before."""
        if self._demo is not None:
            return None
        demo = DemoPool(self._parts.places.data / "demo-pool", self._parts.files)
        problem = await demo.start()
        if problem is not None:
            return problem
        self._demo, self._before_demo = demo, self._parts.pool_address
        return self._begin(demo.address, leaving)

    async def stop_demo(self, leaving: Leaving = Leaving.STOP) -> Problem | None:
        """Go back to the pool of before; the built-in one ends when its tasks are done with."""
        return self._begin(self._before_demo, leaving) if self._demo is not None else None

    async def cancel_switch(self) -> None:
        """Stay with the active pool, and take work of it again."""
        if self._switch is None or self._switch.done():
            return
        self._switch.cancel()
        await asyncio.wait({self._switch})
        self.switching_to = ""
        await self._parts.engine.tell(ResumeAsked(at_s=time.time()))
        await self._end_idle_demo()
        self._changed()

    async def close(self) -> None:
        """The worker ends."""
        if self._demo is not None:
            await self._demo.close()

    def _begin(self, address: str, leaving: Leaving) -> Problem | None:
        if self._switch is not None and not self._switch.done():
            return Problem(code=FaultCode.BUSY, about=self.switching_to)
        if address == self._parts.pool_address:
            return None
        self.switching_to = address
        self._switch = self._parts.nursery.start("switch pool", self._leave_for(address, leaving))
        self._changed()
        return None

    async def _leave_for(self, address: str, leaving: Leaving) -> None:
        before = self._parts.engine.shown.node
        if self._parts.engine.state.tasks:
            await self._drain(leaving)
        await self._note_left()
        await self._move(address)
        await self._restore(before)
        self.switching_to = ""
        self._changed()
        await self._end_idle_demo()

    async def _drain(self, leaving: Leaving) -> None:
        """Until nothing of the pool's work is here."""
        engine = self._parts.engine
        await engine.tell(FinishAsked(at_s=time.time()))
        if leaving is not Leaving.FINISH:
            for task in engine.shown.unended():
                await engine.tell(StopAsked(at_s=time.time(), key=task.key, reason=StopReason.OWNER))
        limit_s = KEEP_AFTER_S if leaving is Leaving.KEEP else None
        try:
            async with asyncio.timeout(limit_s):
                while engine.state.tasks:  # noqa: ASYNC110 - a change of pool may take a tenth of a second
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            await self._keep_results()

    async def _keep_results(self) -> None:
        """The pool did not take what it is owed: it stays on this disk and is sent to nobody."""
        engine, left = (
            self._parts.engine,
            Problem(code=FaultCode.POOL_UNREACHABLE, about=self._parts.pool_address),
        )
        while engine.state.tasks:  # what is still being packed follows
            await self._parts.outbox.abandon()
            for task in tuple(engine.state.tasks.values()):
                if task.delivery is Delivery.OWED:
                    await engine.tell(
                        ResultRefused(at_s=time.time(), key=task.key, attempt=task.attempt, problem=left)
                    )
            await asyncio.sleep(LOOK_EVERY_S)

    async def _note_left(self) -> None:
        view: PoolView = self._parts.link.view
        if not self.demo_runs and view.user:
            await self._parts.probe.call(self._list.note, view.address, view.user, time.time())

    async def _move(self, address: str) -> None:
        parts = self._parts
        parts.pool_address = address
        is_demo = self._demo is not None and address == self._demo.address
        if not is_demo and address != parts.settings.master_address:
            await parts.files.call(
                change_settings_file, parts.places.settings_file, {"master_address": address}
            )
            parts.settings = replace(parts.settings, master_address=address)
        problem = await self._doors.move_task_door()
        if problem is not None:
            log.error("the task door cannot be opened for %s: %s", address, problem.about)
        parts.link.move(address)
        log.info("the active pool is %s now", address)

    async def _restore(self, before: NodeState) -> None:
        """The owner's wish of before: draining has changed it."""
        now_s = time.time()
        if before.mode is Mode.PAUSED and (before.until_s is None or before.until_s > now_s):
            await self._parts.engine.tell(PauseAsked(at_s=now_s, until_s=before.until_s, by=before.asked_by))
        elif self._parts.engine.shown.node.mode is not before.mode:
            await self._parts.engine.tell(ResumeAsked(at_s=now_s))
        self._parts.link.wake()

    async def _end_idle_demo(self) -> None:
        """End the built-in pool once it is neither in use nor switched to."""
        demo = self._demo
        if demo is not None and demo.address not in (self._parts.pool_address, self.switching_to):
            self._demo = None
            await demo.close()
            self._changed()
