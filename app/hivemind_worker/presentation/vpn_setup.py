"""What the set-up of the pool's network says: steps, the commands that are run, what comes of it. Pure."""

from __future__ import annotations

from hivemind_worker.model.vpn import Review, VpnState, VpnView
from hivemind_worker.presentation.amounts import duration_words
from hivemind_worker.presentation.catalogue import _, mark
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.vpn import finding_words, state_words

STEPS = (
    (mark("Source"), mark("the pool's profile")),
    (mark("Review"), mark("what will be used")),
    (mark("Permission"), mark("the commands")),
    (mark("Connect"), mark("eleven checks")),
    (mark("Done"), ""),
)


def notes(review: Review) -> str:
    """What was changed or left out, for the review's foot."""
    return "\n".join(finding_words(finding) for finding in review.findings if not finding.refuses)


def commands(view: VpnView, interface: str, review: Review) -> str:
    """Exactly what is run to bring the tunnel up: by this program, or by its owner."""
    if view.command:
        return view.command
    used = {row.name: row.used for row in review.rows}
    allowed = used.get("allowed", "")
    length = allowed.rpartition("/")[2]
    otherwise = _("or, without the kernel’s own: wireguard-go")
    secretly = _("keys go through the input, never as words")
    lines = [
        f"ip link add dev {interface} type wireguard    # {otherwise}",
        f"wg setconf {interface} /dev/stdin    # {secretly}",
        f"ip -4 address add {used.get('address', '')}/{length} dev {interface}",
        f"ip link set mtu {used.get('mtu', '')} up dev {interface}",
    ]
    if length == "32":
        lines.append(f"ip -4 route add {allowed} dev {interface}")
    return "\n".join(lines)


def outcome(view: VpnView, now_s: float) -> tuple[Look, str, str]:
    """The last step: how it ended, and what follows."""
    if view.state is VpnState.CONNECTED:
        age = duration_words(now_s - view.handshake_s) if view.handshake_s else _("a while")
        title = _("You are in the pool's network")
        text = _("Handshake {age} ago; the pool reaches you at {own}.", age=age, own=view.address)
        return Look(tone="working", icon="check", word=_("connected")), title, text
    title, sentence, step = state_words(view, now_s)
    return Look(tone="warning", icon="warning", word=title), title, f"{sentence} {step}".strip()
