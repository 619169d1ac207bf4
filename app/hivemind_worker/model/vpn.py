"""The pool's network as front ends see it: findings in a profile, the tunnel's state, the ladder, exposure.

Sentences are message ids of the catalogue, as in `faults`; `{about}` is replaced by the particulars.
No value here holds a private key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hivemind_worker.model.task import Problem

FRESH_HANDSHAKE_S = 180.0
"""WireGuard renews its keys every two minutes while anything passes; after three nothing does."""


TUNNEL_NAMES = ("wg", "wireguard", "hivemind")
"""What the name of a tunnel's interface holds: as the original documentation has it, and our own."""


class ProfileCode(StrEnum):
    """Everything that may be said of a profile's lines. `NOTES` are said, the others refuse it."""

    # refused
    TOO_LONG = "too_long"
    NOT_TEXT = "not_text"
    ODD_LETTER = "odd_letter"
    NO_SECTION = "no_section"
    UNKNOWN_SECTION = "unknown_section"
    UNKNOWN_KEY = "unknown_key"
    COMMAND = "command"
    TWICE = "twice"
    MISSING = "missing"
    BAD_KEY = "bad_key"
    BAD_ADDRESS = "bad_address"
    BAD_ENDPOINT = "bad_endpoint"
    BAD_NUMBER = "bad_number"
    BAD_RANGE = "bad_range"
    OWN_KEY = "own_key"
    HOME_RANGE = "home_range"
    OUTSIDE = "outside"
    OVERLAP = "overlap"
    NO_WAY_TO_POOL = "no_way_to_pool"
    # said, and used all the same
    NARROWED = "narrowed"
    DROPPED = "dropped"
    DROPPED_PEER = "dropped_peer"
    NO_DNS = "no_dns"
    KEEPALIVE_ADDED = "keepalive_added"
    NEAR_ENDPOINT = "near_endpoint"


NOTES = frozenset(
    {
        ProfileCode.NARROWED,
        ProfileCode.DROPPED,
        ProfileCode.DROPPED_PEER,
        ProfileCode.NO_DNS,
        ProfileCode.KEEPALIVE_ADDED,
        ProfileCode.NEAR_ENDPOINT,
    }
)

PROFILE_WORDS: dict[ProfileCode, str] = {
    ProfileCode.TOO_LONG: "The file is too long for a profile: {about}.",
    ProfileCode.NOT_TEXT: "This is not a text in UTF-8: {about}.",
    ProfileCode.ODD_LETTER: "There is a letter that no profile needs: {about}.",
    ProfileCode.NO_SECTION: "This stands in no section: {about}.",
    ProfileCode.UNKNOWN_SECTION: "There is no such section: {about}.",
    ProfileCode.UNKNOWN_KEY: "This setting is not known: {about}.",
    ProfileCode.COMMAND: "{about} would run a command on this computer, so the profile is not taken.",
    ProfileCode.TWICE: "This stands there twice: {about}.",
    ProfileCode.MISSING: "This is missing: {about}.",
    ProfileCode.BAD_KEY: "{about} is not a WireGuard key: 32 bytes in base64, 44 letters, are needed.",
    ProfileCode.BAD_ADDRESS: "This cannot be your address in the pool's network: {about}.",
    ProfileCode.BAD_ENDPOINT: "This is not where the other side can be reached (HOST:PORT): {about}.",
    ProfileCode.BAD_NUMBER: "This number is not right: {about}.",
    ProfileCode.BAD_RANGE: "This is not a range of addresses: {about}.",
    ProfileCode.OWN_KEY: "The other side has your own key: {about} was filled in on the wrong side.",
    ProfileCode.HOME_RANGE: "{about} belongs to this computer or its home; a tunnel must not take it.",
    ProfileCode.OUTSIDE: "{about} lies outside the pool's network.",
    ProfileCode.OVERLAP: "Two sides claim the same addresses: {about}.",
    ProfileCode.NO_WAY_TO_POOL: "Nothing in the profile leads to the pool at {about}.",
    ProfileCode.NARROWED: "The tunnel was narrowed to the pool's address: {about}.",
    ProfileCode.DROPPED: "Left out, since the program decides that itself: {about}.",
    ProfileCode.DROPPED_PEER: "Another member of the network was left out: {about}.",
    ProfileCode.NO_DNS: "Names are looked up as before; the profile's name server is left off: {about}.",
    ProfileCode.KEEPALIVE_ADDED: "A sign of life every {about} s was added, so that the pool can reach you.",
    ProfileCode.NEAR_ENDPOINT: "The other side is on a private network, reached from there only: {about}.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to say of a profile. `line` counts from 1; 0 speaks of the whole."""

    code: ProfileCode
    line: int = 0
    about: str = ""

    @property
    def refuses(self) -> bool:
        return self.code not in NOTES


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRow:
    """One line of the review: what the file says and what will be used. `verdict` names how they differ."""

    name: str
    in_file: str
    used: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What a profile would do. Usable when nothing in `findings` refuses it; `rows` are empty else."""

    findings: tuple[Finding, ...]
    rows: tuple[ReviewRow, ...] = ()
    pool_key: str = ""  # the other side's public key, to compare
    own_key: str = ""  # our public key

    @property
    def usable(self) -> bool:
        return not any(finding.refuses for finding in self.findings)


class VpnState(StrEnum):
    """How the tunnel is, judged by its handshake and not by its interface."""

    NOT_SET_UP = "not_set_up"
    NOT_NEEDED = "not_needed"  # the worker asks its pool for tasks, and none is set up
    STARTING = "starting"
    CONNECTED = "connected"
    STALE = "stale"
    BLOCKED = "blocked"
    NO_PERMISSION = "no_permission"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class VpnView:
    """The tunnel at one moment. Figures are None where the system lets only administrators see them."""

    state: VpnState
    since_s: float = 0.0
    interface: str = ""
    address: str = ""  # our own in the tunnel
    endpoint: str = ""
    handshake_s: float | None = None  # when, UTC epoch seconds
    rx_bytes: int | None = None
    tx_bytes: int | None = None
    peers: int = 0
    allowed: str = ""  # what goes into the tunnel
    is_ours: bool = False  # brought up by this program from the kept profile
    has_profile: bool = False
    has_previous: bool = False
    joins_by_itself: bool = False
    own_key: str = ""  # our public key
    pool_key: str = ""
    command: str = ""  # what the owner may run instead, where this program may not
    problem: Problem | None = None


NO_VPN = VpnView(state=VpnState.NOT_SET_UP)


class Rung(StrEnum):
    """The eleven checks, bottom-up."""

    PROFILE = "profile"
    PERMISSION = "permission"
    TOOL = "tool"
    INTERFACE = "interface"
    ROUTE = "route"
    ENDPOINT = "endpoint"
    HANDSHAKE = "handshake"
    ADDRESS = "address"
    PORT = "port"
    SERVICE = "service"
    CLOCK = "clock"


class RungState(StrEnum):
    """What a check came to. One that could not be judged (no login for the clock) is SKIPPED, not passed."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class RungResult:
    """One check. `reason` names the sentence of a failed one, see presentation.vpn; `fields` fill it in."""

    rung: Rung
    state: RungState
    reason: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    took_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One port on which the worker listens, and from where it can be reached."""

    name: str  # tasks, dashboard, remote_dashboard, other
    address: str
    port: int
    vpn: str  # no, pool_only, whole_network
    lan: bool
