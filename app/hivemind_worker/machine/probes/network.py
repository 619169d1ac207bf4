"""Whether the network is metered, as far as the system tells."""

from __future__ import annotations

from hivemind_worker.machine.probes.bus import Bus

YES, GUESS_YES, UNKNOWN = 1, 3, 0


def metered(system: Bus) -> bool | None:
    """NetworkManager's word for the connection in use; None where there is none of it."""
    service = "org.freedesktop.NetworkManager"
    found = system.get(service, "/org/freedesktop/NetworkManager", service, "Metered")
    if not isinstance(found, int) or found == UNKNOWN:
        return None
    return found in (YES, GUESS_YES)
