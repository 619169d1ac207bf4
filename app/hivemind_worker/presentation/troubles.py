"""What is wrong behind a place of the window, for the shape beside its word; None where nothing is known."""

from __future__ import annotations

from collections.abc import Iterable

from hivemind_worker.model.checkup import Check, CheckState
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.health import verdicts
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.network_words import tunnel_look
from hivemind_worker.presentation.page_facts import sandbox

ABOUT_NETWORK = ("vpn_down", "loopback_only", "pool_unreachable", "pool_mute")
WORST_FIRST = ("error", "warning")


def check_look(state: CheckState) -> Look:
    """How a finding stands, by shape and word."""
    tone, icon, word = {
        CheckState.OK: ("working", "check", _("fine")),
        CheckState.WARN: ("warning", "warning", _("could be better")),
        CheckState.FAIL: ("error", "cross", _("fails")),
        CheckState.NOT_NEEDED: ("offline", "dash", _("not needed")),
    }[state]
    return Look(tone=tone, icon=icon, word=word)


def network_trouble(snapshot: Snapshot) -> Look | None:
    """The tunnel's state, or that the pool and this computer do not reach each other."""
    trouble = Look(tone="warning", icon="warning", word=_("trouble"))
    found = any(each.code in ABOUT_NETWORK for each in verdicts(snapshot))
    return _worst([tunnel_look(snapshot.vpn), *([trouble] if found else [])])


def doctor_trouble(snapshot: Snapshot, found: Iterable[Check]) -> Look | None:
    """The worst of the sandbox now and of what the last checkup found."""
    return _worst([sandbox(snapshot).look, *(check_look(check.state) for check in found)])


def _worst(looks: Iterable[Look | None]) -> Look | None:
    wrong = [look for look in looks if look is not None and look.tone in WORST_FIRST]
    return min(wrong, key=lambda look: WORST_FIRST.index(look.tone), default=None)
