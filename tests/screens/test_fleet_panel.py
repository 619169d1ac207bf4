"""The owner's machines in the window: listed on the pool's screen, told from there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hivemind_worker.model.fleet import Fleet, Wish, WishKind
from hivemind_worker.model.pools import KeptPool
from hivemind_worker.ui.fleet_panel import FleetPanel
from hivemind_worker.ui.parts.buttons import MenuButton
from tests.fakes.node import NOW_S, FakeNode, make_machine
from tests.screens.stand import Stand, standing
from tests.screens.test_every_screen import SMALL


def two_machines(node: FakeNode) -> None:
    wish = Wish(kind=WishKind.PAUSE, by="larch", number=3, at_s=NOW_S - 60)
    pool = replace(node.picture.pool, address="tls://pool.example:4222")
    node.picture = replace(node.picture, pool=pool)
    node.pools.rows = [KeptPool(address=pool.address, user="larch", signed_in=True, active=True)]
    node.fleet.shown = Fleet(
        account="anna", balance=7, at_s=NOW_S,
        machines=(
            make_machine("attic", online=False, waiting=wish), make_machine("larch", "running", is_this=True),
        ),
    )  # fmt: skip


def panel(stand: Stand) -> FleetPanel:
    found = stand.screen.fleet  # type: ignore[attr-defined]
    assert isinstance(found, FleetPanel)
    return found


def test_the_machines_are_listed_with_state_reason_and_what_waits(tmp_path: Path, node: FakeNode) -> None:
    two_machines(node)
    with standing(tmp_path, "pools", node) as stand:
        assert list(panel(stand).lines) == ["larch", "attic"], "this one first"
        for text in ("larch (this one): Working", "attic: Away", "It will pause when it is back", "2 of 3"):
            assert stand.says(text), text
        assert panel(stand).lines["larch"].wishes.buttons[WishKind.PAUSE].isVisible()
        assert not panel(stand).lines["attic"].wishes.buttons[WishKind.PAUSE].isVisible(), "it waits already"


def test_one_machine_or_all_are_told_for_how_long(tmp_path: Path, node: FakeNode) -> None:
    two_machines(node)
    with standing(tmp_path, "pools", node) as stand:
        one = panel(stand).lines["larch"].wishes.buttons
        pause = one[WishKind.PAUSE]
        assert isinstance(pause, MenuButton)
        lengths = pause.menu().actions()
        lengths[0].trigger()
        lengths[-1].trigger()
        one[WishKind.FINISH].click()
        panel(stand).all.buttons[WishKind.RESUME].click()
        assert node.fleet.asked == [
            (WishKind.PAUSE, ("larch",), 900.0), (WishKind.PAUSE, ("larch",), None),
            (WishKind.FINISH, ("larch",), None), (WishKind.RESUME, None, None),
        ]  # fmt: skip
        assert stand.says("Told: larch. Away, will be told within 7 days if they come back: attic.")


def test_a_refused_wish_is_told_and_a_pool_without_machines_shows_none(
    tmp_path: Path, node: FakeNode
) -> None:
    with standing(tmp_path, "pools", node) as stand:
        assert not panel(stand).isVisible()
        two_machines(node)
        stand.look()
        assert panel(stand).isVisible()
        node.fleet.shown = None
        told = []
        stand.bridge.refused.connect(told.append)
        panel(stand).all.buttons[WishKind.PAUSE].menu().actions()[-1].trigger()
        panel(stand).ask()
        assert len(told) == 1 and stand.says("does not know which machines belong together")


def test_a_machine_that_the_pool_calls_is_listed_with_why_nothing_can_be_asked_of_it(
    tmp_path: Path, node: FakeNode
) -> None:
    two_machines(node)
    assert isinstance(node.fleet.shown, Fleet)
    box = make_machine("box", "running", is_called=True)
    node.fleet.shown = replace(node.fleet.shown, machines=(box,))
    with standing(tmp_path, "pools", node) as stand:
        for text in ("box: Working", "Pause or resume it at the computer itself", "Tasks: 2 ·", "trust: – "):
            assert stand.says(text), text
        assert not any(each.isVisible() for each in panel(stand).lines["box"].wishes.buttons.values())


def test_names_of_eighty_letters_are_shortened_in_their_middle_and_widen_nothing(
    tmp_path: Path, node: FakeNode
) -> None:
    two_machines(node)
    name, by = "m" * 80, "a-machine-in-the-attic-of-the-house-by-the-lake-with-a-name-of-eighty-letters-xx"
    wish = Wish(kind=WishKind.PAUSE, by=by, number=3, at_s=NOW_S - 60)
    shown = node.fleet.shown
    assert isinstance(shown, Fleet)
    machines = (make_machine(name, online=False, waiting=wish), make_machine(by, "paused"))
    node.fleet.shown = replace(shown, account="anna" * 20, machines=machines)
    with standing(tmp_path, "pools", node, size=SMALL) as stand:
        assert panel(stand).minimumSizeHint().width() <= SMALL[0] / 2
        line = panel(stand).lines[by]
        assert line.name.whole() == "a-machine-in-the-attic-of-the-h…ighty-letters-xx: Paused"
        assert line.name.accessibleName() == line.toolTip() == f"{by}: Paused"
        away = panel(stand).lines[name].waiting
        assert by in away.whole() and away.height() >= away.heightForWidth(away.width()), "no part is cut off"
