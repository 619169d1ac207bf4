"""Each verdict on Home, in the tray, on the dashboard: whole, in both themes and languages, with a way on."""

from __future__ import annotations

import asyncio
import html
from pathlib import Path

import pytest
from PySide6.QtWidgets import QPushButton

from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.places import find_places
from hivemind_worker.presentation.health import verdicts
from hivemind_worker.presentation.page_words import PAGES, buttons, causes, headline, way
from hivemind_worker.ui.places import PLACES
from hivemind_worker.ui.screens.home import CAUSES
from hivemind_worker.ui.tray import Tray
from hivemind_worker.web.local_api import LocalApi
from hivemind_worker.web.token import load_or_make_token
from tests.e2e.test_verdict_table import all_codes
from tests.screens.stand import Stand, dress, language, standing
from tests.screens.test_every_screen import SMALL, clipped, scrolls_sideways
from tests.screens.test_history_forms import BROWSER
from tests.screens.verdict_scenes import node_of, scenes
from tests.web import wire

pytestmark = [pytest.mark.release]
SCENES = scenes()
WITHOUT = {
    "working", "waiting_for_work", "stopping", "connecting", "sandbox_preparing", "full", "paused",
    "paused_elsewhere", "snoozed", "finishing", "image_held_back",
}  # fmt: skip
NOTHING_TO_DO = {"working", "waiting_for_work", "stopping", "connecting", "sandbox_preparing", "full"}


def test_there_is_a_scene_for_every_code() -> None:
    assert all_codes() - {name.partition(" ")[0] for name in SCENES} <= {"no_network"}


@pytest.mark.parametrize("code", SCENES)
def test_the_first_cause_has_a_way_on(code: str) -> None:
    """A button, a screen to go to, or a sentence that says what to do."""
    snapshot = SCENES[code]
    first = verdicts(snapshot)[0]
    pressed = [button for button in buttons(snapshot) if button.action not in ("pause", "finish")]
    assert pressed or way(snapshot) or headline(snapshot).action or first.code in NOTHING_TO_DO


def test_every_way_leads_to_a_screen_that_is_there() -> None:
    found = {led.place for led in map(way, SCENES.values()) if led is not None}
    assert found == {"pools", "rules", "network", "doctor", "settings", "tasks"}
    assert found <= {place.key for place in PLACES}


@pytest.mark.parametrize(("theme", "code", "size"), [("light", "en", SMALL), ("dark", "zh_TW", (916, 668))])
def test_home_and_tray_say_each_of_them_whole(
    tmp_path: Path, theme: str, code: str, size: tuple[int, int]
) -> None:
    dress(theme)
    poor: dict[str, object] = {}
    for name, snapshot in SCENES.items():
        with language(code), standing(tmp_path, "home", node_of(tmp_path, snapshot), size=size) as stand:
            if found := [*clipped(stand), *lacks(stand, snapshot), *the_tray_lacks(stand, snapshot)]:
                poor[name] = found
            if scrolls_sideways(stand):
                poor[name] = "scrolls sideways"
    assert poor == {}


def lacks(stand: Stand, snapshot: Snapshot) -> list[str]:
    """What Home should show of it and does not: its sentence, and the button that leads on."""
    first = headline(snapshot)
    missing = [] if stand.says(first.text) else [first.text]
    shown = [child.text() for child in stand.screen.findChildren(QPushButton) if child.isVisible()]
    led = way(snapshot)
    wanted = [led.label] if led is not None else []
    for cause in causes(snapshot, stand.node.settings)[:CAUSES]:
        wanted += [each.label for each in (cause.press or cause.way,) if each is not None]
    return missing + [label for label in wanted if label not in shown]


def the_tray_lacks(stand: Stand, snapshot: Snapshot) -> list[str]:
    """The menu's first line and the icon's tip name the state."""

    def nothing() -> None:
        """Not pressed here."""

    tray = Tray(
        stand.bridge, toggle=nothing, show=nothing, dashboard=nothing, snooze_notices=nothing, quit=nothing,
        available=lambda: False,
    )  # fmt: skip
    tray.show_picture(stand.bridge.snapshot)
    said, tip = tray.menu.actions()[0].text(), tray.icon.toolTip()
    tray.close()
    tray.deleteLater()
    return [] if said and said in tip else [f"tray: {said!r}, {tip!r}"]


async def test_the_dashboard_says_each_of_them_with_its_action(tmp_path: Path) -> None:
    places = find_places(str(tmp_path))
    places.make()
    node = node_of(tmp_path, next(iter(SCENES.values())))
    token = load_or_make_token(places.token_file)
    api = LocalApi(node, token)
    await api.start(port=0)
    try:
        for name, snapshot in SCENES.items():
            node._clock = lambda snapshot=snapshot: snapshot.at_s  # type: ignore[misc]
            node.picture = snapshot
            answer = await wire.ask(api.port, "/dashboard", token=token, headers=BROWSER)
            page = " ".join(html.unescape(answer.body.decode()).split())
            for verdict in verdicts(node.snapshot()):
                assert (verdict.head or verdict.text).rstrip(".") in page, name
                assert verdict.text.removeprefix(verdict.head) in page or not verdict.head, name
            if (led := way(snapshot, PAGES)) is not None:
                assert f'href="/{led.place}">{led.label}<' in page, name
            else:
                assert headline(snapshot, PAGES).action in page, name
            for cause in causes(snapshot, node.settings, PAGES):
                if cause.press is not None:
                    assert f">{cause.press.label}<" in page, name
                elif cause.way is not None:
                    assert f'href="/{cause.way.place}">{cause.way.label}<' in page, name
            assert led or headline(snapshot, PAGES).action or verdicts(snapshot)[0].code in WITHOUT, name
    finally:
        await api.close()
        await asyncio.sleep(0)
