"""Keys, credentials and invitations as texts and files; no server is needed."""

from __future__ import annotations

import base64
import json
import stat
import time
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.nats.authority import SERVER, Authority, Member, make_authority, open_authority
from hivemind_worker.pool.nats.claims import read_claim
from hivemind_worker.pool.nats.credential import (
    INVITATION,
    Credential,
    from_invitation,
    from_json,
    keep,
    load,
)
from hivemind_worker.pool.nats.nkeys import KeyPair, Kind, from_seed, is_public, new_key
from hivemind_worker.pool.nats.server_config import ServerPlan


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = make_authority(tmp_path / "keys", ["tls://pool.example:4222"], time.time)
    assert isinstance(made, Authority)
    return made


@pytest.mark.parametrize(("kind", "letter"), [(Kind.OPERATOR, "O"), (Kind.ACCOUNT, "A"), (Kind.USER, "U")])
def test_a_key_survives_being_written_down_and_shows_its_kind(kind: Kind, letter: str) -> None:
    key = new_key(kind)
    again = from_seed(key.seed)
    assert (again.public, again.kind) == (key.public, kind)
    assert key.public[0] == letter and key.seed[:2] == f"S{letter}"
    assert len(key.public) == 56 and len(key.seed) == 58
    assert is_public(key.public, kind) and not is_public(key.seed, kind)
    assert key.seed not in repr(key)


def test_a_key_with_one_wrong_letter_is_no_key() -> None:
    key = new_key(Kind.USER)
    for at in range(len(key.seed)):
        changed = key.seed[:at] + ("A" if key.seed[at] != "A" else "B") + key.seed[at + 1 :]
        with pytest.raises(ValueError):
            from_seed(changed)
    for junk in ("", "U", "U" * 56, key.public[:-1], key.public + "A", "\u00e4" * 56, key.public.lower()):
        assert not is_public(junk, Kind.USER)


def test_a_credential_is_kept_for_its_owner_alone_and_read_back(authority: Authority, tmp_path: Path) -> None:
    credential, file = authority.for_pool(), tmp_path / "credential.json"
    keep(file, credential)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load(file) == credential
    assert credential.seed not in repr(credential) and credential.claim not in repr(credential)
    file.chmod(0o644)
    found = load(file)
    assert isinstance(found, Problem) and found.code is FaultCode.BAD_CREDENTIAL and str(file) in found.about


def spoilt(credential: Credential) -> list[bytes]:
    good = json.loads(credential.as_json())
    changes: list[dict[str, object]] = [
        {"servers": []}, {"servers": "tls://x"}, {"servers": [1]}, {"servers": ["nats://x:4222"]},
        {"claim": ""}, {"claim": "a.b"}, {"claim": "a.W10.c"}, {"seed": 7}, {"seed": new_key(Kind.USER).seed},
        {"seed": new_key(Kind.ACCOUNT).seed}, {"more": "x"},
    ]  # fmt: skip
    return [json.dumps(good | each).encode() for each in changes] + [
        b"", b"{", b"[]", b"null", b"\xff", b"[" * 60_000, json.dumps({"seed": "x"}).encode(),
    ]  # fmt: skip


def test_a_spoilt_credential_is_told_and_never_used(authority: Authority, tmp_path: Path) -> None:
    file = tmp_path / "credential.json"
    for content in spoilt(authority.for_pool()):
        file.write_bytes(content)
        file.chmod(0o600)
        found = load(file)
        assert isinstance(found, Problem) and found.code is FaultCode.BAD_CREDENTIAL, content
    file.unlink()
    assert isinstance(load(file), Problem)


def test_an_invitation_survives_line_breaks_and_nothing_else(authority: Authority) -> None:
    given, _ = authority.invite(600)
    text = given.as_invitation()
    assert len(text) < 2000
    assert from_invitation("\n ".join((text[:40], text[40:900], text[900:]))) == given
    bomb = INVITATION + base64.urlsafe_b64encode(zlib.compress(b" " * 20_000_000)).decode().rstrip("=")
    for junk in ("", "hello", INVITATION, text[:-9], text[:300], text[20:], INVITATION + "\u00e4", bomb):
        found = from_invitation(junk)
        assert isinstance(found, Problem) and found.code is FaultCode.BAD_INVITATION, junk[:60]


def test_keys_are_made_once_and_stay_while_addresses_may_change(authority: Authority) -> None:
    again = make_authority(authority.folder, ["tls://new.example:4222"], time.time)
    assert isinstance(again, Authority) and again.servers == ("tls://new.example:4222",)
    old, new = (read_claim(each.for_pool().claim) for each in (authority, again))
    assert old["iss"] == new["iss"]
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((authority.folder / "keys.json").stat().st_mode) == 0o600


def test_spoilt_keys_are_told_and_never_written_over(authority: Authority) -> None:
    file = authority.folder / "keys.json"
    file.write_text("{")
    for found in (
        open_authority(authority.folder, time.time),
        make_authority(authority.folder, ["tls://x:1"], time.time),
    ):
        assert isinstance(found, Problem) and found.code is FaultCode.BAD_CREDENTIAL
    assert file.read_text() == "{"
    absent = open_authority(authority.folder / "nothing", time.time)
    assert isinstance(absent, Problem) and absent.code is FaultCode.NO_AUTHORITY


def test_who_was_shut_out_is_never_forgotten_in_silence(authority: Authority) -> None:
    key = new_key(Kind.USER)
    assert isinstance(authority.admit("anna", key.public), str)
    gone = authority.revoke("anna")
    assert isinstance(gone, Member) and authority.revoke("anna") == gone
    assert read_claim(authority.account())["nats"]["revocations"] == {key.public: gone.revoked_at_s}
    (authority.folder / "members" / f"{key.public}.json").write_text("{")
    with pytest.raises(ValueError, match=key.public):
        authority.account()


@pytest.mark.parametrize("name", ["", "Anna", "a.b", "a*", ">", "a b", "-a", "a" * 64, "\u00e4", "a\n"])
def test_a_name_that_is_not_one_token_of_a_subject_is_no_name(authority: Authority, name: str) -> None:
    found = authority.admit(name, new_key(Kind.USER).public)
    assert isinstance(found, Problem) and found.code is FaultCode.BAD_USAGE
    assert authority.members() == ()


def test_the_servers_files_hold_no_key_that_signs(authority: Authority) -> None:
    folder = authority.folder / SERVER
    authority.write_server(
        ServerPlan(name="n1", host="0.0.0.0", port=4222, folder=folder), ["pool.example", "10.0.0.1"]
    )
    written = "".join(each.read_text() for each in folder.rglob("*") if each.is_file())
    kept = json.loads((authority.folder / "keys.json").read_text())
    assert not any(kept[name] in written for name in ("operator", "account", "system", "certificate_key"))
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in folder.rglob("*") if each.is_file())


def test_a_worker_that_never_joined_cannot_be_shut_out(authority: Authority) -> None:
    found = authority.revoke("anna")
    assert isinstance(found, Problem) and found.code is FaultCode.NO_SUCH_WORKER


def test_a_credential_of_json_is_the_same_after_a_round(authority: Authority) -> None:
    credential = replace(authority.for_pool(), servers=("tls://a:1", "tls://[::1]:2"))
    assert from_json(credential.as_json()) == credential
    assert isinstance(credential.key, KeyPair)
