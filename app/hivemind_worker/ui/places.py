"""The places of the window, in the order of the rail; each names its screen. To add one, write the module in
`ui.screens` and its line here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

from hivemind_worker.presentation.catalogue import mark

if TYPE_CHECKING:
    from hivemind_worker.ui.bridge import Bridge
    from hivemind_worker.ui.screens import Screen


class Place(NamedTuple):
    """A line of the rail: where the screen is, as "module:Class" inside `ui.screens`."""

    key: str
    title: str
    icon: str
    screen: str
    low: bool = False  # at the rail's foot

    def build(self, bridge: Bridge) -> Screen:
        """Import and make the screen: done when it is first opened."""
        module, _colon, name = self.screen.partition(":")
        made: Screen = getattr(importlib.import_module(f"hivemind_worker.ui.screens.{module}"), name)(bridge)
        return made


PLACES = (
    Place(key="home", title=mark("Home"), icon="home", screen="home:Home"),
    Place(key="tasks", title=mark("Tasks"), icon="tasks", screen="tasks:Tasks"),
    Place(key="resources", title=mark("Resources"), icon="resources", screen="resources:Resources"),
    Place(key="pools", title=mark("Pools"), icon="pools", screen="pools:Pools"),
    Place(key="network", title=mark("Network"), icon="network", screen="network:Network"),
    Place(key="rules", title=mark("Rules"), icon="rules", screen="rules:Rules"),
    Place(key="history", title=mark("History"), icon="history", screen="history:History"),
    Place(key="logs", title=mark("Logs"), icon="logs", screen="logs:Logs"),
    Place(key="doctor", title=mark("Doctor"), icon="doctor", screen="doctor:Doctor"),
    Place(key="help", title=mark("Help"), icon="help", screen="help:Help", low=True),
    Place(key="settings", title=mark("Settings"), icon="settings", screen="settings:Settings", low=True),
    Place(key="account", title=mark("Account"), icon="account", screen="account:Account", low=True),
)
