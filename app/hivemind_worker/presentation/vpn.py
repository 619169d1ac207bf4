"""Words for the pool's network: the tunnel's state, findings in a profile, the checks, who can reach us."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hivemind_worker.model.vpn import (
    PROFILE_WORDS,
    Exposure,
    Finding,
    Review,
    ReviewRow,
    Rung,
    RungResult,
    RungState,
    VpnState,
    VpnView,
)
from hivemind_worker.presentation.amounts import duration_words, iso, size_words
from hivemind_worker.presentation.catalogue import _, mark
from hivemind_worker.presentation.faults import problem_row, words

STATE_WORDS: dict[VpnState, tuple[str, str]] = {
    VpnState.NOT_NEEDED: (
        mark("Not needed"),
        mark(
            "This worker asks its pool for tasks: nothing needs to reach this computer, no port and no VPN."
        ),
    ),
    VpnState.NOT_SET_UP: (mark("Not set up"), mark("No VPN profile is kept here and no tunnel was found.")),
    VpnState.STARTING: (mark("Starting"), mark("Waiting for the first handshake.")),
    VpnState.CONNECTED: (mark("Connected"), mark("The other side answers.")),
    VpnState.STALE: (mark("VPN is up but silent"), mark("No handshake for {age}.")),
    VpnState.BLOCKED: (mark("Blocked"), mark("Nothing comes back from the other side.")),
    VpnState.NO_PERMISSION: (mark("No permission"), mark("This program may not change the network here.")),
    VpnState.OFF: (mark("Off"), mark("A profile is kept; the tunnel is down.")),
}

TITLES: dict[Rung, str] = {
    Rung.PROFILE: mark("Profile and keys are valid"),
    Rung.PERMISSION: mark("Permission to manage the tunnel"),
    Rung.TOOL: mark("WireGuard tool found"),
    Rung.INTERFACE: mark("Interface is up"),
    Rung.ROUTE: mark("Route to the pool goes into it"),
    Rung.ENDPOINT: mark("Endpoint name resolves, UDP can leave"),
    Rung.HANDSHAKE: mark("Handshake in the last three minutes"),
    Rung.ADDRESS: mark("Pool address answers"),
    Rung.PORT: mark("gRPC port is open"),
    Rung.SERVICE: mark("gRPC service answers"),
    Rung.CLOCK: mark("Clocks agree"),
}

PASSED: dict[Rung, str] = {
    Rung.PROFILE: "{file}",
    Rung.PERMISSION: "{right}",
    Rung.TOOL: "{tool}",
    Rung.INTERFACE: "{interface}, {address}",
    Rung.ROUTE: mark("{pool} by {interface}"),
    Rung.ENDPOINT: "{endpoint}",
    Rung.HANDSHAKE: mark("{age} s ago"),
    Rung.ADDRESS: "{pool}",
    Rung.PORT: "{port}",
    Rung.SERVICE: "{status}",
    Rung.CLOCK: mark("within {seconds} s"),
}

SERVICE_SAYS: dict[str, str] = {
    "OK": mark("answers"),
    "UNAUTHENTICATED": mark("answers, and asks for a login"),
    "PERMISSION_DENIED": mark("answers, and asks for a login"),
    "RESOURCE_EXHAUSTED": mark("answers, but is busy: try again later"),
    "UNIMPLEMENTED": mark("answers, but not as a pool: ask its owner"),
}
"""By the status of the call, whose own word says nothing to people."""
ANSWERS_ODDLY = mark("answers with an error: tell its owner")

SKIPPED: dict[str, str] = {
    "own_wireguard": mark("you manage WireGuard yourself"),
    "up_by_hand": mark("not needed: the tunnel is up"),
    "handshake_unreadable": mark("only administrators may read it here"),
    "clock_unknown": mark("known after a login at the pool"),
}

RECONNECT, IMPORT, CHECK, LOGIN, NONE = "reconnect", "import", "check", "login", ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed check: what is wrong, the one thing to do, and the button that does it ("" for none)."""

    sentence: str
    action: str
    button: str = NONE


FAILURES: dict[str, Failure] = {
    "no_profile": Failure(
        mark("No VPN profile is kept here."),
        mark("Import the file that the pool's owner sent you: hivemind-worker vpn import FILE"),
        IMPORT,
    ),
    "bad_profile": Failure(
        mark("The kept profile cannot be used: {about}."),
        mark("Import it again from the pool's owner."),
        IMPORT,
    ),
    "no_right": Failure(
        mark("This program may not change the network here."), mark("Run this in a terminal: {command}")
    ),
    "tool_missing": Failure(
        mark("The program {tool} is not on this computer."),
        mark("Install WireGuard; on Debian and Ubuntu: sudo apt install wireguard-tools wireguard-go"),
    ),
    "interface_missing": Failure(
        mark("The tunnel is down: there is no interface {interface}."),
        mark("Bring it up with: hivemind-worker vpn up"),
        RECONNECT,
    ),
    "interface_down": Failure(
        mark("The interface {interface} is there, but switched off."),
        mark("Bring it up again with: hivemind-worker vpn up"),
        RECONNECT,
    ),
    "interface_bare": Failure(
        mark("The interface {interface} has no address."),
        mark("Bring it up again with: hivemind-worker vpn up"),
        RECONNECT,
    ),
    "route_elsewhere": Failure(
        mark("Packets for the pool at {pool} leave by {way} instead of the tunnel."),
        mark("Bring it up again with: hivemind-worker vpn up. If it stays so, another VPN has them."),
        RECONNECT,
    ),
    "route_missing": Failure(
        mark("There is no route to the pool at {pool}."),
        mark("Bring it up again with: hivemind-worker vpn up"),
        RECONNECT,
    ),
    "endpoint_unknown": Failure(
        mark("The name of the other side is not found: {name}."),
        mark("Check that this computer is online; then ask the pool's owner whether the name is right."),
        CHECK,
    ),
    "udp_cannot_leave": Failure(
        mark("No packet leaves for {endpoint}: {error}."),
        mark("Check that this computer is online, and that its firewall lets UDP out."),
        CHECK,
    ),
    "handshake_never": Failure(
        mark("No handshake: {sent} bytes went out and {received} came back."),
        mark(
            "Usual cause: UDP {port} is blocked on the way, the other side is off, or knows not your key."
            " Send your public key to the pool's owner."
        ),
        RECONNECT,
    ),
    "handshake_old": Failure(
        mark("No handshake for {minutes} min."),
        mark(
            "Usual cause: UDP {port} is blocked by now, or the other side is off. Reconnect, or ask the pool."
        ),
        RECONNECT,
    ),
    "address_mute": Failure(
        mark("The tunnel works, but the pool's address {pool} does not answer."),
        mark("The pool itself is off or has moved: ask its owner."),
        CHECK,
    ),
    "port_refused": Failure(
        mark("The computer at {pool} answers, but no pool runs on its port {port}."),
        mark("The pool is being restarted, or MASTER_ADDRESS has a wrong port: ask its owner."),
        CHECK,
    ),
    "port_mute": Failure(
        mark("The computer at {pool} answers, but its port {port} does not."),
        mark("A firewall on the pool's side closes it: ask the pool's owner."),
        CHECK,
    ),
    "no_grpc": Failure(
        mark("Something listens at {pool}:{port}, but it is no pool."),
        mark("MASTER_ADDRESS names another program, or the pool hangs: ask its owner."),
        CHECK,
    ),
    "clock_slow": Failure(
        mark("This computer's clock is {seconds} s behind the pool's."),
        mark("Set the clock, best by itself over the network; a login may be refused until then."),
        CHECK,
    ),
    "clock_fast": Failure(
        mark("This computer's clock is {seconds} s ahead of the pool's."),
        mark("Set the clock, best by itself over the network; a login may be refused until then."),
        CHECK,
    ),
}

RIGHTS = {
    "root": mark("as administrator"),
    "helper": mark("you are asked for your password"),
}
TOOLS = {"kernel": mark("the kernel's own"), "wireguard-go": mark("wireguard-go")}

ROW_NAMES = {
    "address": mark("Your address"),
    "private_key": mark("Your private key"),
    "preshared_key": mark("Preshared key"),
    "endpoint": mark("Pool's endpoint"),
    "allowed": mark("Goes into the tunnel"),
    "dns": mark("Name server (DNS)"),
    "keepalive": mark("Keepalive"),
    "mtu": mark("Packet size (MTU)"),
}
VERDICTS = {
    "as_is": mark("as in the file"),
    "hidden": mark("kept, hidden"),
    "narrowed": mark("narrowed"),
    "left_off": mark("left off"),
    "dropped": mark("dropped"),
    "added": mark("added"),
    "none": "",
}
VALUES = {
    "present": mark("present, valid"),
    "kept_0600": mark("stored for your account only (0600)"),
    "used": mark("used"),
}

EXPOSED = {
    "tasks": mark("Tasks from the pool"),
    "dashboard": mark("Web dashboard"),
    "remote_dashboard": mark("Web dashboard for other computers"),
    "other": mark("Another port of this program"),
}
BY_VPN = {"no": mark("no"), "pool_only": mark("pool only"), "whole_network": mark("the whole pool network")}


def state_words(view: VpnView, now_s: float) -> tuple[str, str, str]:
    """Title, sentence, and what to do next ("" when nothing)."""
    title, text = STATE_WORDS[view.state]
    age = duration_words(now_s - view.handshake_s) if view.handshake_s else _("a while")
    if view.problem is not None:
        sentence, step = words(view.problem)
        return _(title), sentence, step
    return _(title), _(text, age=age), _(NEXT[view.state])


NEXT = {
    VpnState.NOT_NEEDED: "",
    VpnState.NOT_SET_UP: mark("Import a profile with: hivemind-worker vpn import FILE"),
    VpnState.STARTING: "",
    VpnState.CONNECTED: "",
    VpnState.STALE: mark("Find the cause with: hivemind-worker vpn check"),
    VpnState.BLOCKED: mark("Find the cause with: hivemind-worker vpn check"),
    VpnState.NO_PERMISSION: "",
    VpnState.OFF: mark("Bring it up with: hivemind-worker vpn up"),
}


def finding_words(finding: Finding) -> str:
    """One finding in a profile, with its line."""
    text = _(PROFILE_WORDS[finding.code], about=finding.about or _("unknown"))
    return _("Line {line}: {text}", line=finding.line, text=text) if finding.line else text


def refusal_words(review: Review) -> str:
    """All that refuses a profile, in one text; "" for one that is used."""
    return " ".join(finding_words(finding) for finding in review.findings if finding.refuses)


def row_words(row: ReviewRow) -> tuple[str, str, str, str]:
    """Setting, in the file, will be used, how they differ."""
    name = _(ROW_NAMES.get(row.name, row.name))
    in_file, used = (_(VALUES.get(text, text)) or "–" for text in (row.in_file, row.used))
    if row.name == "dns" and row.verdict == "left_off":
        used = _("your own, unchanged")
    if row.name == "keepalive":
        in_file, used = (
            _("{seconds} s", seconds=text) if text.isdigit() else text for text in (in_file, used)
        )
    return name, in_file, used, _(VERDICTS[row.verdict])


def review_report(review: Review) -> dict[str, object]:
    """A review as the API and `--json` show it."""
    return {
        "usable": review.usable,
        "findings": [
            {"code": finding.code.value, "line": finding.line, "about": finding.about,
             "refuses": finding.refuses, "sentence": finding_words(finding)}
            for finding in review.findings
        ],
        "rows": [
            dict(zip(("name", "in_file", "used", "verdict"), row_words(row), strict=True))
            for row in review.rows
        ],
        "pool_key": review.pool_key,
        "own_key": review.own_key,
    }  # fmt: skip


def fingerprint(public: str) -> str:
    """Eight groups of four digits to read out over a telephone: the start of the key's SHA-256."""
    digits = hashlib.sha256(public.encode()).hexdigest()[:32]
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def vpn_row(view: VpnView, now_s: float) -> dict[str, object]:
    """The tunnel as the API and `--json` show it."""
    title, sentence, step = state_words(view, now_s)
    return {
        "state": view.state.value, "title": title, "sentence": sentence, "next_step": step,
        "since": iso(view.since_s or None), "interface": view.interface, "address": view.address,
        "endpoint": view.endpoint, "handshake_at": iso(view.handshake_s),
        "rx_bytes": view.rx_bytes, "tx_bytes": view.tx_bytes, "peers": view.peers, "allowed": view.allowed,
        "is_ours": view.is_ours, "has_profile": view.has_profile, "has_previous": view.has_previous,
        "joins_by_itself": view.joins_by_itself, "own_key": view.own_key, "pool_key": view.pool_key,
        "command": view.command, "problem": problem_row(view.problem),
    }  # fmt: skip


def fact_rows(view: VpnView, now_s: float) -> tuple[tuple[str, str], ...]:
    """The tunnel's figures for people; what is unknown is a dash, never a zero."""
    dash = "–"
    age = duration_words(now_s - view.handshake_s) if view.handshake_s else ""
    moved = dash
    if view.tx_bytes is not None and view.rx_bytes is not None:
        moved = _("{sent} up, {received} down", sent=size_words(view.tx_bytes),
                  received=size_words(view.rx_bytes))  # fmt: skip
    return (
        (_("Interface"), view.interface or dash),
        (_("Your address"), view.address or dash),
        (_("Other side"), view.endpoint or dash),
        (_("Last handshake"), _("{age} ago", age=age) if age else dash),
        (_("Sent, received"), moved),
        (_("Only these go in"), _("{allowed}; your internet stays outside", allowed=view.allowed)
         if view.allowed else dash),
        (_("Your public key"), view.own_key or dash),
    )  # fmt: skip


def rung_words(result: RungResult) -> tuple[str, str, str]:
    """Title, detail or sentence, and the one action ("" unless it failed)."""
    fields = dict(result.fields)
    fields["right"] = _(RIGHTS.get(fields.get("right", ""), ""))
    fields["status"] = _(SERVICE_SAYS.get(fields.get("status", ""), ANSWERS_ODDLY))
    fields["tool"] = _(TOOLS.get(fields.get("tool", ""), fields.get("tool", "")))
    title = _(TITLES[result.rung])
    match result.state:
        case RungState.PASSED:
            return title, _(PASSED[result.rung], **fields), ""
        case RungState.SKIPPED:
            return title, _(SKIPPED[result.reason]), ""
        case RungState.WAITING:
            waiting = _("{waited} of {limit} s: {sent} bytes sent, nothing came back so far", **fields)
            return title, waiting, ""
        case RungState.FAILED:
            failure = FAILURES[result.reason]
            return title, _(failure.sentence, **fields), _(failure.action, **fields)


def rung_row(result: RungResult) -> dict[str, object]:
    """A check as the API and `--json` show it."""
    title, text, action = rung_words(result)
    return {
        "number": list(Rung).index(result.rung) + 1, "check": result.rung.value, "state": result.state.value,
        "title": title, "text": text, "action": action, "reason": result.reason,
        "took_s": round(result.took_s, 3),
    }  # fmt: skip


def ladder_rows(results: Sequence[RungResult]) -> list[dict[str, object]]:
    """All eleven; those that the climb did not reach are `not_checked`."""
    rows = [rung_row(result) for result in results]
    rest = list(Rung)[len(results) :]
    return rows + [
        {"number": list(Rung).index(rung) + 1, "check": rung.value, "state": "not_checked",
         "title": _(TITLES[rung]), "text": _("not checked"), "action": "", "reason": "", "took_s": 0.0}
        for rung in rest
    ]  # fmt: skip


def ladder_failure(results: Sequence[RungResult]) -> RungResult | None:
    """The check that stopped the climb."""
    return next((result for result in results if result.state is RungState.FAILED), None)


def button_of(result: RungResult) -> str:
    """Which button helps with a failed check: reconnect, import, check, login, or "" for none."""
    return FAILURES[result.reason].button if result.state is RungState.FAILED else NONE


def exposure_row(row: Exposure) -> dict[str, object]:
    """A port as the API and `--json` show it."""
    return {
        "name": row.name, "title": _(EXPOSED[row.name]), "address": row.address, "port": row.port,
        "vpn": row.vpn, "lan": row.lan, "vpn_words": _(BY_VPN[row.vpn]),
        "lan_words": _("yes") if row.lan else _("no"),
    }  # fmt: skip
