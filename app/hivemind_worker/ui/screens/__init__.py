"""The screens: one module each. To add one, write the module and its line in PLACES.

A screen is a widget that shows a worker's picture: `render` is called while it is seen, at most four
times a second; `opened` and `closed` when it comes and goes. It gets the bridge, and asks that alone.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from hivemind_worker.presentation.catalogue import mark

if TYPE_CHECKING:
    from hivemind_worker.model.snapshot import Snapshot
    from hivemind_worker.ui.bridge import Bridge


class Screen(QWidget):
    """One place of the window."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.bridge = bridge
        self.setProperty("kind", "page")

    def render_picture(self, snapshot: Snapshot) -> None:
        """Show this picture. Only ever called while the screen is seen."""

    def opened(self) -> None:
        """The screen is seen from now on: begin to ask for what it needs beside pictures."""

    def closed(self) -> None:
        """It is not seen any more: ask for nothing."""

    def refresh(self) -> None:
        """The reader wants everything looked at anew (F5)."""
        self.opened()

    def look_for(self) -> None:
        """The reader wants to look for something (Ctrl+F)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line of the rail: where the screen is, as "module:Class" inside `ui.screens`."""

    key: str
    title: str
    icon: str
    screen: str
    low: bool = False  # at the rail's foot

    def build(self, bridge: Bridge) -> Screen:
        """Import and make the screen: done when it is first opened."""
        module, _colon, name = self.screen.partition(":")
        made = getattr(importlib.import_module(f"hivemind_worker.ui.screens.{module}"), name)(bridge)
        assert isinstance(made, Screen)
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
