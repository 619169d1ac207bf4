"""Bytes that pass the network for tasks. Counterpart: store.traffic, which keeps their sums."""

from __future__ import annotations

from collections.abc import Callable

Moved = Callable[[int, int], None]
"""Told of bytes received and bytes sent, as they pass; may be called in any thread, and returns at once."""


def uncounted(received: int, sent: int) -> None:
    """Where nobody counts."""
    del received, sent
