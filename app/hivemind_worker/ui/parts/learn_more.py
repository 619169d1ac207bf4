"""The way from a screen to what the documentation says about it."""

from __future__ import annotations

from functools import partial

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.buttons import ToolButton


class LearnMore(ToolButton):
    """Opens the page about the place that it stands on, as F1 does."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(_("Learn more"), "help", "icon", partial(bridge.help_wanted.emit, ""))
