"""Broken and hostile profiles, each with its verdict: the codes that must be among the findings.

A case whose codes are all notes is used; any other is refused. Keys are made for the tests.
"""

# ruff: noqa: E501 - one case a line
from __future__ import annotations

from dataclasses import dataclass

from hivemind_worker.model.vpn import NOTES, ProfileCode

OWN = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
OWN_PUBLIC = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
POOL = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
OTHER = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
SHARED = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="
INTERFACE = f"[Interface]\nPrivateKey = {OWN}\nAddress = 10.0.0.17/24\n"
PEER = f"[Peer]\nPublicKey = {POOL}\nEndpoint = pool.example:51820\nAllowedIPs = 10.0.0.0/24\n"
PEER += "PersistentKeepalive = 25\n"
GOOD = INTERFACE + PEER
MARKER = "/tmp/hivemind-vpn-marker"
C = ProfileCode


@dataclass(frozen=True)
class Case:
    name: str
    content: bytes
    codes: frozenset[ProfileCode]
    line: int | None = None  # of the first finding

    @property
    def used(self) -> bool:
        return self.codes <= NOTES


def case(name: str, text: str | bytes, *codes: ProfileCode, line: int | None = None) -> Case:
    content = text if isinstance(text, bytes) else text.encode()
    return Case(name, content, frozenset(codes), line)


def interface(extra: str, base: str = INTERFACE) -> str:
    return base + extra + "\n" + PEER


def peer(old: str, new: str) -> str:
    assert old in PEER
    return INTERFACE + PEER.replace(old, new)


def second(allowed: str, key: str = OTHER) -> str:
    return GOOD + f"\n[Peer]\nPublicKey = {key}\nEndpoint = a.example:1\nAllowedIPs = {allowed}\n"


USED = (
    case("as the site hands it out", GOOD.replace("[Peer]", "DNS = 10.0.0.1\nMTU = 1420\n[Peer]"), C.NARROWED, C.NO_DNS),
    case("windows line ends", GOOD.replace("\n", "\r\n"), C.NARROWED),
    case("byte order mark", b"\xef\xbb\xbf" + GOOD.encode(), C.NARROWED),
    case("lower case and no spaces", GOOD.replace(" = ", "=").replace("PublicKey", "publickey"), C.NARROWED),
    case("comments in any language", "# 池的網路\n" + GOOD.replace("/24\n", "/24 # mine\n"), C.NARROWED),
    case("preshared key", peer("Endpoint", f"PresharedKey = {SHARED}\nEndpoint"), C.NARROWED),
    case("the pool alone", peer("10.0.0.0/24", "10.0.0.1/32")),
    case("the whole internet", peer("10.0.0.0/24", "0.0.0.0/0, ::/0"), C.NARROWED),
    case("the whole internet in halves", peer("10.0.0.0/24", "0.0.0.0/1, 128.0.0.0/1"), C.NARROWED),
    case("all private tens", peer("10.0.0.0/24", "10.0.0.0/8"), C.NARROWED),
    case("SaveConfig", interface("SaveConfig = true"), C.DROPPED, C.NARROWED, line=4),
    case("Table", interface("Table = off"), C.DROPPED, C.NARROWED, line=4),
    case("FwMark", interface("FwMark = 0x1234"), C.DROPPED, C.NARROWED, line=4),
    case("no keepalive", peer("PersistentKeepalive = 25", ""), C.KEEPALIVE_ADDED, C.NARROWED),
    case("another member", second("10.0.0.9/32").replace("10.0.0.0/24", "10.0.0.1/32"), C.DROPPED_PEER),
    case("an IPv6 address too", GOOD.replace("10.0.0.17/24", "10.0.0.17/24, fd00::17/64"), C.DROPPED, C.NARROWED),
    case("endpoint at home", peer("pool.example", "192.168.1.5"), C.NEAR_ENDPOINT, C.NARROWED),
    case("IPv6 endpoint", peer("pool.example:51820", "[2001:db8::5]:51820"), C.NARROWED),
)  # fmt: skip
REFUSED = (
    case("PostUp", interface(f"PostUp = touch {MARKER}"), C.COMMAND, line=4),
    case("PreUp", interface(f"PreUp = touch {MARKER}"), C.COMMAND, line=4),
    case("PostDown", interface(f"PostDown = touch {MARKER}"), C.COMMAND, line=4),
    case("PreDown", interface(f"PreDown = touch {MARKER}"), C.COMMAND, line=4),
    case("hook in odd case", interface(f"pOsTuP={MARKER}"), C.COMMAND, line=4),
    case("hook in a peer", GOOD + f"PostUp = touch {MARKER}\n", C.COMMAND, line=9),
    case("hook behind a lone carriage return", interface(f"MTU = 1420\rPostUp = touch {MARKER}"), C.ODD_LETTER, line=4),
    case("hook behind a line separator", interface(f"MTU = 1420\u2028PostUp = touch {MARKER}"), C.ODD_LETTER, line=4),
    case("hook behind a form feed", interface(f"MTU = 1420\fPostUp = touch {MARKER}"), C.ODD_LETTER, line=4),
    case("hook hidden in a comment by direction", interface("# \u202epUtsoP"), C.ODD_LETTER, line=4),
    case("hook with a zero width space", interface(f"Post\u200bUp = touch {MARKER}"), C.ODD_LETTER, line=4),
    case("key name with a Cyrillic letter", GOOD.replace("PrivateKey", "Р" + "rivateKey"), C.ODD_LETTER, line=2),
    case("full width digits", GOOD.replace("10.0.0.17", "１0.0.0.17"), C.ODD_LETTER, line=3),
    case("NUL", interface("MTU = 1420\0"), C.ODD_LETTER, line=4),
    case("a command as a value", interface("MTU = $(touch /tmp/x)"), C.BAD_NUMBER, line=4),
    case("unknown key", interface("Colour = blue"), C.UNKNOWN_KEY, line=4),
    case("peer's key in the interface", interface("AllowedIPs = 10.0.0.1/32"), C.UNKNOWN_KEY, line=4),
    case("a line without a sign", interface("hello"), C.UNKNOWN_KEY, line=4),
    case("a private key on a line of its own", GOOD.replace("PrivateKey = ", ""), C.UNKNOWN_KEY, line=2),
    case("a private key under another name", GOOD.replace("PrivateKey", "Key"), C.UNKNOWN_KEY, line=2),
    case("a private key as a port", interface(f"ListenPort = {OWN}"), C.BAD_NUMBER, line=4),
    case("unknown section", GOOD + "[Script]\nRun = 1\n", C.UNKNOWN_SECTION),
    case("a setting before any section", "MTU = 1420\n" + GOOD, C.NO_SECTION, line=1),
    case("empty", b"", C.MISSING),
    case("only comments", "# nothing\n", C.MISSING),
    case("no peer", INTERFACE, C.MISSING),
    case("no private key", GOOD.replace(f"PrivateKey = {OWN}\n", ""), C.MISSING),
    case("no public key", peer(f"PublicKey = {POOL}\n", ""), C.MISSING),
    case("no address", GOOD.replace("Address = 10.0.0.17/24\n", ""), C.MISSING),
    case("no endpoint", peer("Endpoint = pool.example:51820\n", ""), C.MISSING),
    case("no allowed range", peer("AllowedIPs = 10.0.0.0/24\n", ""), C.NO_WAY_TO_POOL),
    case("two interfaces", GOOD + INTERFACE, C.TWICE),
    case("two private keys", interface(f"PrivateKey = {OTHER}"), C.TWICE, line=4),
    case("two endpoints", peer("Endpoint", "Endpoint = b.example:2\nEndpoint"), C.TWICE),
    case("one peer twice", second("10.0.0.9/32", POOL), C.TWICE),
    case("key of 31 bytes", GOOD.replace(POOL, POOL[:40] + "8A=="), C.BAD_KEY),
    case("key of 33 bytes", GOOD.replace(POOL, POOL[:-1] + "8"), C.BAD_KEY),
    case("key in hex", GOOD.replace(OWN, "c8" * 32), C.BAD_KEY, line=2),
    case("key of zeros", GOOD.replace(POOL, "A" * 43 + "="), C.BAD_KEY),
    case("key with loose bits", GOOD.replace(POOL, POOL[:42] + "h="), C.BAD_KEY),
    case("bad preshared key", peer("Endpoint", "PresharedKey = abc\nEndpoint"), C.BAD_KEY),
    case("own key as the other side's", GOOD.replace(POOL, OWN_PUBLIC), C.OWN_KEY),
    case("endpoint with a command", peer("pool.example:51820", "`id`.example:51820"), C.BAD_ENDPOINT),
    case("endpoint with words", peer("pool.example:51820", "a.example:1; id"), C.BAD_ENDPOINT),
    case("endpoint without a port", peer("pool.example:51820", "pool.example"), C.BAD_ENDPOINT),
    case("endpoint with port 0", peer(":51820", ":0"), C.BAD_ENDPOINT),
    case("endpoint with port 65536", peer(":51820", ":65536"), C.BAD_ENDPOINT),
    case("endpoint on loopback", peer("pool.example", "127.0.0.1"), C.BAD_ENDPOINT),
    case("endpoint named localhost", peer("pool.example", "localhost"), C.BAD_ENDPOINT),
    case("endpoint everywhere", peer("pool.example", "0.0.0.0"), C.BAD_ENDPOINT),
    case("endpoint to many", peer("pool.example", "224.0.0.1"), C.BAD_ENDPOINT),
    case("endpoint inside the tunnel", peer("pool.example", "10.0.0.1"), C.BAD_ENDPOINT),
    case("endpoint like an address", peer("pool.example", "1.2.3.4.5"), C.BAD_ENDPOINT),
    case("address with a script", GOOD.replace("10.0.0.17/24", "10.0.0.17/24;id"), C.BAD_ADDRESS, line=3),
    case("address out of range", GOOD.replace("10.0.0.17/24", "10.0.0.300/24"), C.BAD_ADDRESS, line=3),
    case("address of the pool", GOOD.replace("10.0.0.17", "10.0.0.1"), C.BAD_ADDRESS),
    case("address for all", GOOD.replace("10.0.0.17", "10.0.0.255"), C.BAD_ADDRESS),
    case("address elsewhere", GOOD.replace("10.0.0.17", "192.168.7.17"), C.BAD_ADDRESS),
    case("range that is none", peer("10.0.0.0/24", "10.0.0.0/33"), C.BAD_RANGE),
    case("home range beside the pool's", peer("10.0.0.0/24", "10.0.0.0/24, 192.168.1.0/24"), C.HOME_RANGE),
    case("loopback beside the pool's", peer("10.0.0.0/24", "10.0.0.1/32, 127.0.0.0/8"), C.HOME_RANGE),
    case("metadata beside the pool's", peer("10.0.0.0/24", "10.0.0.1/32, 169.254.169.254/32"), C.HOME_RANGE),
    case("one far host beside the pool's", peer("10.0.0.0/24", "10.0.0.1/32, 198.51.100.7/32"), C.OUTSIDE),
    case("another network alone", peer("10.0.0.0/24", "192.168.1.0/24"), C.HOME_RANGE, C.NO_WAY_TO_POOL),
    case("two peers with one range", second("10.0.0.0/24"), C.OVERLAP),
    case("two peers, one inside the other", second("10.0.0.1/32"), C.OVERLAP),
    case("MTU of 100", interface("MTU = 100"), C.BAD_NUMBER, line=4),
    case("MTU below zero", interface("MTU = -1"), C.BAD_NUMBER, line=4),
    case("port of letters", interface("ListenPort = http"), C.BAD_NUMBER, line=4),
    case("1 MB", GOOD + "#" * 1_000_000, C.TOO_LONG),
    case("one endless line", interface("MTU = " + "1" * 5000), C.TOO_LONG, line=4),
    case("a thousand peers", INTERFACE + "[Peer]\n" * 1000, C.TOO_LONG),
    case("UTF-16", GOOD.encode("utf-16"), C.NOT_TEXT),
    case("broken UTF-8", GOOD.encode() + b"\n# \xff\xfe\n", C.NOT_TEXT),
    case("a zip", b"PK\x03\x04" + bytes(range(256)), C.NOT_TEXT),
    case("a web page", "<!doctype html><title>login</title>\n" + GOOD, C.UNKNOWN_KEY),
)  # fmt: skip

CASES = (*USED, *REFUSED)
