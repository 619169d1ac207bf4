"""Looks after the tunnel while the worker runs: how it is, up again where the owner allowed that.

Brings our own interface up when it is gone, and makes it anew when no handshake comes (the
endpoint's name is looked up again then: an address at home changes). After sleep, and when this
computer's addresses changed, it looks at once. Counterpart: `tunnel`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

from hivemind_worker.model.vpn import VpnState, VpnView
from hivemind_worker.vpn.tunnel import Tunnel

log = logging.getLogger(__name__)

LOOK_EVERY_S, SELDOM_S = 2.0, 10.0
"""While there is a tunnel to look after, and while there is none: this computer's addresses may change."""
SHORTEST_WAIT_S, LONGEST_WAIT_S = 5.0, 300.0
ASLEEP_S = 30.0
BROKEN = (VpnState.OFF, VpnState.STALE, VpnState.BLOCKED)


class Watcher:
    """One tunnel's. `changed` is told of a new view, `moved` when this computer's addresses changed."""

    def __init__(
        self, tunnel: Tunnel, *, joins_by_itself: Callable[[], bool], changed: Callable[[VpnView], None],
        moved: Callable[[], None], chance: random.Random | None = None,
    ) -> None:  # fmt: skip
        self._tunnel = tunnel
        self._joins_by_itself = joins_by_itself
        self._changed = changed
        self._moved = moved
        self._chance = chance or random.Random()  # noqa: S311 - jitter, not a secret
        self._wait_s = 0.0
        self._next_try = 0.0
        self._held_down = False
        self._woken = asyncio.Event()
        self._addresses: object = None
        self._told = tunnel.view

    def hold_down(self, held: bool) -> None:
        """Whether the owner has taken the tunnel down by hand: then it stays down until he says otherwise."""
        self._held_down = held
        self.wake()

    def wake(self) -> None:
        """Look now, and try now."""
        self._next_try = self._wait_s = 0.0
        self._woken.set()

    async def run(self) -> None:
        """Watch for ever; what is up at the end stays up."""
        while True:
            slept_from = time.time()
            await self.look()
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            if time.time() - slept_from > ASLEEP_S:
                log.info("this computer was asleep: looking at the tunnel anew")
                self.wake()

    async def look(self) -> None:
        """One look, and one try to mend what is broken when it is time for that."""
        found = self._tunnel.interfaces()  # those without an address come and go with each container
        addresses = {name: tuple(listed) for name, listed in found.items() if listed}
        if addresses != self._addresses:
            self._addresses = addresses
            self._next_try = self._wait_s = 0.0
            self._moved()
        before = self._told
        view = await self._tunnel.look(self._joins_by_itself())
        if self._is_to_mend(view):
            view = await self._mend(view)
        if view.state is VpnState.CONNECTED:
            self._wait_s = 0.0
        if view.state is not before.state:
            log.info("VPN: %s", view.state.value.replace("_", " "))
        self._told = view
        if view != before:
            self._changed(view)

    def _pause_s(self) -> float:
        return SELDOM_S if self._told.state is VpnState.NOT_SET_UP else LOOK_EVERY_S

    def _is_to_mend(self, view: VpnView) -> bool:
        wanted = self._joins_by_itself() and not self._held_down and self._tunnel.right.given
        ours = view.is_ours or not view.interface
        return wanted and view.has_profile and ours and view.state in BROKEN and self._is_time()

    def _is_time(self) -> bool:
        return time.monotonic() >= self._next_try

    async def _mend(self, view: VpnView) -> VpnView:
        """Bring it up (again), with more and more time between tries that bring nothing."""
        self._wait_s = min(max(self._wait_s * 2, SHORTEST_WAIT_S), LONGEST_WAIT_S)
        # A first handshake takes up to 20 s: a tunnel that was only just made anew is left to it.
        patience_s = 25.0 if view.interface else 0.0
        self._next_try = time.monotonic() + patience_s + self._wait_s * self._chance.uniform(0.7, 1.0)
        await self._tunnel.up()
        return await self._tunnel.look(True)
