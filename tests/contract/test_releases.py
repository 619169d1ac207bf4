"""New versions: a signed list is believed only when all is right with it, and asked for like a good guest."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hivemind_worker.model.release import Newer
from hivemind_worker.presentation.health import verdicts
from hivemind_worker.releases import watch
from hivemind_worker.releases.listing import RefusedListError, newer_than, read
from hivemind_worker.releases.minisign import verify
from hivemind_worker.releases.watch import DAY_S, HEADERS, ReleaseWatch, Source, fetch, shipped_source
from tests.contract.test_verdicts import shown
from tests.core.test_giving_way import Life

NOW_S = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
ROW: dict[str, object] = {
    "serial": 7, "expires": "2027-02-01T00:00:00+00:00", "version": "0.2.0", "page": "https://example.org/0.2.0",
}  # fmt: skip


class Signer:
    """Signs as minisign does, with a key of its own."""

    def __init__(self) -> None:
        self._key, self._id = Ed25519PrivateKey.generate(), b"12345678"

    @property
    def public(self) -> str:
        return base64.b64encode(b"Ed" + self._id + self._key.public_key().public_bytes_raw()).decode()

    def sign(self, content: bytes, comment: str = "timestamp:1", kind: bytes = b"ED") -> str:
        signed = hashlib.blake2b(content).digest() if kind == b"ED" else content
        signature = self._key.sign(signed)
        line = base64.b64encode(kind + self._id + signature).decode()
        over_all = base64.b64encode(self._key.sign(signature + comment.encode())).decode()
        return f"untrusted comment: x\n{line}\ntrusted comment: {comment}\n{over_all}\n"


SIGNER = Signer()


def listed(**changes: object) -> bytes:
    return json.dumps({**ROW, **changes}).encode()


def test_a_good_list_names_a_newer_version_and_no_older_or_same_one() -> None:
    found = read(listed(), SIGNER.sign(listed()), SIGNER.public, now_s=NOW_S, seen=7)
    assert newer_than("0.1.0", found) == Newer(version="0.2.0", page="https://example.org/0.2.0")
    assert newer_than("0.2.0", found) is None
    assert newer_than("0.10.0", found) is None


def test_a_signature_made_by_minisign_itself_is_read() -> None:
    """Key and signature of minisign's own making, over a file with the word "test"."""
    key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
    signature = (
        "untrusted comment: signature from minisign secret key\n"
        "RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n"
        "trusted comment: timestamp:1556193335\tfile:test\n"
        "y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg=="
    )
    assert verify(b"test", signature, key) == "timestamp:1556193335\tfile:test"


BAD: dict[str, Callable[[], tuple[bytes, str]]] = {
    "a byte is another": lambda: (listed(version="0.3.0"), SIGNER.sign(listed())),
    "somebody else's key": lambda: (listed(), Signer().sign(listed())),
    "the comment is another": lambda: (listed(), SIGNER.sign(listed()).replace("timestamp:1", "timestamp:2")),
    "the old kind of signature": lambda: (listed(), SIGNER.sign(listed(), kind=b"Ed")),
    "no signature": lambda: (listed(), ""),
    "letters that are no base64": lambda: (listed(), "a\n\xe9\ntrusted comment: x\n!\n"),
    "expired": lambda: (listed(expires="2026-12-31T00:00:00+00:00"),) * 2,  # type: ignore[return-value]
    "an older list": lambda: (listed(serial=6),) * 2,  # type: ignore[return-value]
    "no list": lambda: (b"[]",) * 2,  # type: ignore[return-value]
    "a page without TLS": lambda: (listed(page="http://example.org"),) * 2,  # type: ignore[return-value]
    "a page that is a program": lambda: (listed(page="javascript:alert(1)"),) * 2,  # type: ignore[return-value]
    "no version": lambda: (listed(version="newest"),) * 2,  # type: ignore[return-value]
    "a time without a zone": lambda: (listed(expires="2027-02-01T00:00:00"),) * 2,  # type: ignore[return-value]
    "deep nesting": lambda: (b"[" * 40000,) * 2,  # type: ignore[return-value]
}


@pytest.mark.parametrize("kind", BAD)
def test_a_list_with_anything_wrong_is_refused(kind: str) -> None:
    content, signature = BAD[kind]()
    if isinstance(signature, bytes):  # wrong in itself, and rightly signed
        signature = SIGNER.sign(signature)
    with pytest.raises(RefusedListError):
        read(content, signature, SIGNER.public, now_s=NOW_S, seen=7)


# --- asking -----------------------------------------------------------------------------------


@dataclass
class Site:
    """Where lists are, who asks for them, and when."""

    folder: Path
    content: bytes = field(default_factory=listed)
    asked: list[str] = field(default_factory=list)
    now_s: float = NOW_S
    wanted: bool = True
    busy: bool = False
    down: bool = False

    def get(self, url: str) -> bytes:
        self.asked.append(url)
        if self.down:
            raise OSError("no way there")
        return SIGNER.sign(self.content).encode() if url.endswith(".minisig") else self.content

    def watch(self) -> ReleaseWatch:
        return ReleaseWatch(
            source=SOURCE, memory=self.folder / "versions.json", own="0.1.0", wanted=lambda: self.wanted,
            busy=lambda: self.busy, changed=lambda: None, get=self.get, clock=lambda: self.now_s,
        )  # fmt: skip


SOURCE = Source(url="https://example.org/list.json", key=SIGNER.public)


def test_it_asks_once_a_day_also_over_restarts_and_remembers_the_answer(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.watch().look(SOURCE)
    again = site.watch()
    again.look(SOURCE)
    assert len(site.asked) == 2, "list and signature, once"
    assert again.newer == Newer(version="0.2.0", page="https://example.org/0.2.0")
    site.now_s += DAY_S
    again.look(SOURCE)
    assert len(site.asked) == 4


def test_a_site_that_is_away_is_asked_again_a_day_later(tmp_path: Path) -> None:
    site = Site(tmp_path, down=True)
    seen = site.watch()
    for _hour in range(3):
        seen.look(SOURCE)
    assert len(site.asked) == 1
    assert seen.newer is None


def test_a_list_older_than_one_believed_before_is_not_believed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.watch().look(SOURCE)
    site.now_s += DAY_S
    site.content = listed(serial=6, version="0.9.0")
    seen = site.watch()
    seen.look(SOURCE)
    assert seen.newer is None


async def test_it_waits_while_a_task_is_open_and_asks_nothing_when_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "QUIET_S", 0.001)
    site = Site(tmp_path, busy=True)
    seen = site.watch()
    running = asyncio.ensure_future(seen.run())
    await asyncio.sleep(0.05)
    assert not site.asked
    site.busy, site.wanted = False, False
    await asyncio.sleep(0.05)
    assert not site.asked
    site.wanted = True
    async with asyncio.timeout(10):
        while seen.newer is None:
            await asyncio.sleep(0.001)
    site.wanted = False
    assert seen.newer is None, "whoever does not want to know is not told"
    running.cancel()
    await asyncio.wait({running})


def test_a_damaged_memory_is_as_none(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (tmp_path / "versions.json").write_text('{"asked_s": "often"}')
    seen = site.watch()
    seen.look(SOURCE)
    assert seen.newer is not None


def test_nothing_that_is_sent_names_the_asker_and_only_tls_is_used(tmp_path: Path) -> None:
    assert HEADERS == {"User-Agent": "hivemind-worker", "Accept": "application/json, text/plain"}
    with pytest.raises(OSError, match="TLS"):
        fetch("http://127.0.0.1:9/list.json")
    file = tmp_path / "release-list.json"
    assert shipped_source(file) is None
    for url, known in (("http://example.org/l", False), ("https://example.org/l", True)):
        file.write_text(json.dumps({"url": url, "key": SIGNER.public}))
        assert (shipped_source(file) is not None) is known


def test_every_front_end_says_it_by_the_same_verdict_and_it_never_comes_first() -> None:
    picture = replace(shown(Life()), newer=Newer(version="0.2.0", page="https://example.org/0.2.0"))
    found = verdicts(picture)
    assert found[-1].code == "new_version"
    assert found[-1].text == "Version 0.2.0 is there; this is 0."
    assert found[0].code != "new_version"
