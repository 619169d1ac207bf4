"""What the window says about this computer's networks: the pool's tunnel, its checks, and every address."""

from __future__ import annotations

from collections.abc import Sequence

from hivemind_worker.model.network_view import NetworkView
from hivemind_worker.model.vpn import Exposure, Rung, RungResult, RungState, VpnState, VpnView
from hivemind_worker.presentation.amounts import took_words
from hivemind_worker.presentation.catalogue import _, mark
from hivemind_worker.presentation.health import is_loopback
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.vpn import TITLES, exposure_row, rung_words, state_words

STATE_LOOKS = {
    VpnState.NOT_NEEDED: ("offline", "dash", mark("not needed")),
    VpnState.NOT_SET_UP: ("offline", "dash", mark("not set up")),
    VpnState.STARTING: ("waiting", "tray-waiting", mark("starting")),
    VpnState.CONNECTED: ("working", "check", mark("connected")),
    VpnState.STALE: ("warning", "warning", mark("silent")),
    VpnState.BLOCKED: ("error", "cross", mark("blocked")),
    VpnState.NO_PERMISSION: ("warning", "lock", mark("no permission")),
    VpnState.OFF: ("offline", "dash", mark("off")),
}
RUNG_LOOKS = {
    RungState.PASSED: ("working", "check", mark("fine")),
    RungState.FAILED: ("error", "cross", mark("not working")),
    RungState.SKIPPED: ("offline", "dash", mark("not needed")),
    RungState.WAITING: ("waiting", "tray-waiting", mark("waiting")),
}


def tunnel_look(view: VpnView) -> Look:
    """How the tunnel is, by shape and word."""
    tone, icon, word = STATE_LOOKS[view.state]
    return Look(tone=tone, icon=icon, word=_(word))


def tunnel_line(view: VpnView) -> str:
    """One line for a menu."""
    return _("VPN: {state}", state=tunnel_look(view).word)


def tunnel_words(view: VpnView, now_s: float) -> tuple[str, str]:
    """Title and sentence, with the command to run where this program has no permission."""
    title, sentence, step = state_words(view, now_s)
    return title, f"{sentence} {step}".strip() if view.state is VpnState.NO_PERMISSION else sentence


def check_rows(
    results: Sequence[RungResult], waiting: RungResult | None = None
) -> tuple[tuple[Look, str, str, str, str], ...]:
    """All eleven checks: shape, number, title, detail, how long it took. Those that the climb did not
    reach say so."""
    rows = [_row(each) for each in (*results, *((waiting,) if waiting else ()))]
    for rung in list(Rung)[len(rows) :]:
        look = Look(tone="offline", icon="dash", word=_("not checked"))
        rows.append((look, _number(rung), _(TITLES[rung]), _("not checked"), ""))
    return tuple(rows)


def _row(result: RungResult) -> tuple[Look, str, str, str, str]:
    tone, icon, word = RUNG_LOOKS[result.state]
    title, text, _action = rung_words(result)
    detail = "" if result.state is RungState.FAILED else text
    done = result.state in (RungState.PASSED, RungState.FAILED)
    took = took_words(result.took_s) if done else ""
    return Look(tone=tone, icon=icon, word=_(word)), _number(result.rung), title, detail, took


def _number(rung: Rung) -> str:
    return str(list(Rung).index(rung) + 1)


def checks_note(results: Sequence[RungResult]) -> str:
    """How far the climb got, and in what time."""
    failed = next((each for each in results if each.state is RungState.FAILED), None)
    count = len(Rung)
    if failed is not None:
        return _("stopped at {number} of {count}", number=list(Rung).index(failed.rung) + 1, count=count)
    if not results:
        return ""
    took = took_words(sum(each.took_s for each in results))
    return _("{number} of {count} passed, {time} so far", number=len(results), count=count, time=took)


def door_row(row: Exposure) -> tuple[str, str, str, str]:
    """What listens, where, and whether the VPN and the home network reach it."""
    shown = exposure_row(row)
    return str(shown["title"]), f"{row.address}:{row.port}", str(shown["vpn_words"]), str(shown["lan_words"])


def address_rows(view: NetworkView) -> tuple[tuple[str, str, str], ...]:
    """Interface, address, and what kind of network it is."""
    found = []
    for name, listed in sorted(view.interfaces.items()):
        for address in listed:
            kind = _("this computer only") if is_loopback(address) else _("local network")
            found.append((name, address, _("VPN") if name in view.tunnels else kind))
    return tuple(found)
