"""States by handshake, and the watcher: up again where that is allowed, with growing time between tries."""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import replace

import pytest

from hivemind_worker.model.vpn import NO_VPN, VpnState, VpnView
from hivemind_worker.vpn import watcher as watcher_module
from hivemind_worker.vpn.judgement import judge
from hivemind_worker.vpn.rights import Right
from hivemind_worker.vpn.watcher import Watcher

NOW_S = 10_000.0
S = VpnState


@pytest.mark.parametrize(
    "handshake_s,heard_s,up_since_s,state",
    [
        (NOW_S - 1, None, NOW_S - 900, S.CONNECTED),
        (NOW_S - 179, None, NOW_S - 900, S.CONNECTED),
        (NOW_S - 181, None, NOW_S - 900, S.STALE),
        (NOW_S - 181, NOW_S - 1, NOW_S - 900, S.STALE),  # what was heard came by another way
        (0, None, NOW_S - 5, S.STARTING),
        (0, None, NOW_S - 60, S.BLOCKED),
        (None, NOW_S - 5, NOW_S - 900, S.CONNECTED),  # not to be read here: by when the pool was heard
        (None, NOW_S - 400, NOW_S - 900, S.STALE),
        (None, None, NOW_S - 900, S.BLOCKED),
        (None, None, NOW_S - 3, S.STARTING),
    ],
)
def test_the_state_follows_the_handshake_and_not_the_interface(
    handshake_s: float | None, heard_s: float | None, up_since_s: float, state: VpnState
) -> None:
    found = judge(now_s=NOW_S, up_since_s=up_since_s, handshake_s=handshake_s, heard_s=heard_s)
    assert found is state


class FakeTunnel:
    """Set `view` and `found`; `tries` holds when it was brought up."""

    def __init__(self) -> None:
        self.view: VpnView = NO_VPN
        self.right = Right(kind="root", argv=("helper",))
        self.found: dict[str, tuple[str, ...]] = {"eth0": ("192.168.1.5",)}
        self.tries: list[float] = []
        self.clock = Steady()

    def interfaces(self) -> dict[str, tuple[str, ...]]:
        return self.found

    async def look(self, _joins: bool = False) -> VpnView:
        return self.view

    async def up(self) -> None:
        self.tries.append(self.clock.now_s)


class Steady:
    """Stands in for the module `time` of the watcher."""

    now_s = 0.0
    slept_s = 0.0  # the wall's clock goes on while the other one stands

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s + self.slept_s


class Scene:
    """A watcher over a fake tunnel; `wait` lets seconds pass with a look every two."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, wanted: bool = True) -> None:
        self.tunnel, self.told, self.moves = FakeTunnel(), [], 0
        monkeypatch.setattr(watcher_module, "time", self.tunnel.clock)
        self.watcher = Watcher(
            self.tunnel, joins_by_itself=lambda: wanted, changed=self.told.append,  # type: ignore[arg-type]
            moved=self._moved, chance=random.Random(7),
        )  # fmt: skip
        self.tunnel.view = replace(NO_VPN, state=S.OFF, has_profile=True)

    told: list[VpnView]

    def _moved(self) -> None:
        self.moves += 1

    async def wait(self, seconds: int) -> None:
        for _second in range(0, seconds, 2):
            await self.watcher.look()
            self.tunnel.clock.now_s += 2


async def test_it_is_brought_up_at_once_and_then_with_more_and_more_time_between_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(monkeypatch)
    await scene.wait(3600)
    tries = scene.tunnel.tries
    assert tries[0] == 0.0
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert gaps[0] <= 6
    assert all(200 <= gap <= 302 for gap in gaps[7:]), gaps
    assert 12 <= len(tries) <= 24


async def test_another_network_or_a_wake_is_a_reason_to_try_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    await scene.wait(1800)
    before = len(scene.tunnel.tries)
    scene.tunnel.found = {"wlan0": ("172.20.10.2",)}
    await scene.wait(2)
    assert len(scene.tunnel.tries) == before + 1
    assert scene.moves == 2, "the first look, and the change"
    scene.watcher.wake()
    await scene.wait(2)
    assert len(scene.tunnel.tries) == before + 2


@pytest.mark.parametrize("state", [S.CONNECTED, S.STARTING, S.NO_PERMISSION, S.NOT_SET_UP])
async def test_what_needs_no_mending_is_left_alone(monkeypatch: pytest.MonkeyPatch, state: VpnState) -> None:
    scene = Scene(monkeypatch)
    scene.tunnel.view = replace(scene.tunnel.view, state=state)
    await scene.wait(60)
    assert scene.tunnel.tries == []


async def test_nothing_is_brought_up_without_the_owners_leave_a_profile_or_a_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unwanted = Scene(monkeypatch, wanted=False)
    await unwanted.wait(60)
    assert unwanted.tunnel.tries == []
    scene = Scene(monkeypatch)
    scene.tunnel.view = replace(scene.tunnel.view, has_profile=False)
    await scene.wait(60)
    scene.tunnel.view = replace(scene.tunnel.view, has_profile=True)
    scene.tunnel.right = Right(kind="none")
    await scene.wait(60)
    assert scene.tunnel.tries == []
    scene.tunnel.right = Right(kind="root", argv=("helper",))
    scene.tunnel.view = replace(scene.tunnel.view, state=S.STALE, interface="wg0", is_ours=False)
    await scene.wait(60)
    assert scene.tunnel.tries == [], "a tunnel of the owner's own is his"


async def test_what_the_owner_took_down_stays_down_until_he_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(monkeypatch)
    scene.watcher.hold_down(True)
    await scene.wait(600)
    assert scene.tunnel.tries == []
    scene.watcher.hold_down(False)
    await scene.wait(2)
    assert len(scene.tunnel.tries) == 1


async def test_a_silent_tunnel_is_made_anew_and_given_time_for_its_handshake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(monkeypatch)
    scene.tunnel.view = replace(scene.tunnel.view, state=S.STALE, interface="hivemind0", is_ours=True)
    await scene.wait(60)
    assert len(scene.tunnel.tries) == 2
    assert scene.tunnel.tries[1] - scene.tunnel.tries[0] >= 25


async def test_only_changes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, wanted=False)
    await scene.wait(20)
    assert len(scene.told) == 1
    scene.tunnel.view = replace(scene.tunnel.view, state=S.CONNECTED)
    await scene.wait(20)
    assert [view.state for view in scene.told] == [S.OFF, S.CONNECTED]


async def test_after_sleep_it_looks_and_tries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    await scene.wait(1800)
    before = len(scene.tunnel.tries)
    looks = 0
    real = scene.tunnel.look

    async def look(joins: bool = False) -> VpnView:
        nonlocal looks
        looks += 1
        if looks == 1:
            # The lid is closed after this look ...
            asyncio.get_running_loop().call_soon(_later, scene)
        elif looks == 3:
            raise _EnoughError
        return await real(joins)

    scene.tunnel.look = look  # type: ignore[method-assign]
    monkeypatch.setattr(watcher_module, "LOOK_EVERY_S", 0.01)
    with pytest.raises(_EnoughError):
        await scene.watcher.run()
    assert len(scene.tunnel.tries) == before + 1


class _EnoughError(Exception):
    """Ends a watcher that would go on for ever."""


def _later(scene: Scene) -> None:
    scene.tunnel.clock.slept_s += 3600  # ... and opened an hour later
