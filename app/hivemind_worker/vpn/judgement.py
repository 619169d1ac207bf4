"""How the tunnel is: by its last handshake where that can be read, else by when the pool was heard.

Pure. An interface that is up proves nothing: it stays up when nothing passes.
"""

from __future__ import annotations

from hivemind_worker.model.vpn import FRESH_HANDSHAKE_S, VpnState

FIRST_HANDSHAKE_S = 20.0
"""WireGuard tries every 5 s; three tries and some room."""


def judge(*, now_s: float, up_since_s: float, handshake_s: float | None, heard_s: float | None) -> VpnState:
    """The state of a tunnel whose interface is there.

    `handshake_s` is when the last one was (0: never, None: not to be read here), `heard_s` when the
    pool last answered through it.
    """
    proof_s = heard_s if handshake_s is None else handshake_s
    if proof_s and now_s - proof_s < FRESH_HANDSHAKE_S:
        return VpnState.CONNECTED
    if now_s - up_since_s < FIRST_HANDSHAKE_S:
        return VpnState.STARTING
    return VpnState.STALE if proof_s else VpnState.BLOCKED
