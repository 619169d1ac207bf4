"""Section V: every profile of the corpus gets its verdict, and what is used is the pool's address alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hivemind_worker.model.vpn import PROFILE_WORDS, ProfileCode
from hivemind_worker.presentation.vpn import fingerprint
from hivemind_worker.vpn.keys import is_key, new_pair, public_of
from hivemind_worker.vpn.narrowing import membership, usable
from hivemind_worker.vpn.profile import Profile, parse, render
from tests.vpn.corpus import CASES, GOOD, OWN, OWN_PUBLIC, REFUSED, SHARED, USED, Case

MEMBER = membership("10.0.0.1", "10.0.0.0/24")


def test_the_corpus_is_large_enough_and_names_each_case_once() -> None:
    assert len(REFUSED) >= 40
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_profile_gets_its_verdict_with_line_and_reason(case: Case) -> None:
    profile, review = usable(case.content, MEMBER)
    found = {finding.code for finding in review.findings}
    assert case.codes <= found, review.findings
    assert (profile is not None) == case.used == review.usable
    assert case.line is None or review.findings[0].line == case.line
    assert all(finding.about for finding in review.findings)


@pytest.mark.parametrize("case", USED, ids=[case.name for case in USED])
def test_what_is_used_leads_to_the_pool_alone_and_is_read_back_the_same(case: Case) -> None:
    profile, _ = usable(case.content, MEMBER)
    assert profile is not None
    assert [str(each) for peer in profile.peers for each in peer.allowed] == ["10.0.0.1/32"]
    assert [str(each) for each in profile.addresses] == ["10.0.0.17/32"]
    assert profile.dns == ""
    again, review = usable(render(profile).encode(), MEMBER)
    assert again is not None
    assert render(again) == render(profile)
    assert review.usable


def test_the_preshared_key_is_kept() -> None:
    case = next(case for case in USED if case.name == "preshared key")
    profile, _ = usable(case.content, MEMBER)
    assert profile is not None
    assert profile.peers[0].preshared_key == SHARED


def test_wider_is_an_explicit_choice_and_never_more_than_the_pools_network() -> None:
    wide = membership("10.0.0.1", "10.0.0.0/24", wide=True)
    for case in USED:
        profile, _ = usable(case.content, wide)
        assert profile is not None
        assert [str(each) for each in profile.peers[0].allowed] == ["10.0.0.0/24"]


def test_no_secret_is_in_a_repr_a_finding_or_a_review() -> None:
    for case in CASES:
        profile, review = usable(case.content, MEMBER)
        shown = repr(profile) + repr(review) + repr(parse(case.content))
        assert OWN not in shown
        assert SHARED not in shown


def test_every_code_has_words_and_every_refusing_code_a_case() -> None:
    assert set(PROFILE_WORDS) == set(ProfileCode)
    met = {code for case in CASES for code in case.codes}
    assert set(ProfileCode) - met == set()


def test_keys_are_those_that_wireguard_makes() -> None:
    pair = new_pair()
    assert is_key(pair.private)
    assert is_key(pair.public)
    assert public_of(pair.private) == pair.public
    assert public_of(OWN) == OWN_PUBLIC
    assert pair.private not in repr(pair)
    assert len(fingerprint(pair.public).split()) == 8


@pytest.mark.parametrize(
    ("host", "network", "pool", "used"),
    [
        ("10.0.0.1", "10.0.0.0/24", "10.0.0.1", "10.0.0.0/24"),
        ("127.0.0.1", "10.0.0.0/24", "10.0.0.1", "10.0.0.0/24"),
        ("pool.example", "10.0.0.0/24", "10.0.0.1", "10.0.0.0/24"),
        ("172.20.5.9", "10.0.0.0/24", "172.20.5.9", "172.20.5.9/32"),
    ],
)
def test_the_membership_follows_the_pools_address(host: str, network: str, pool: str, used: str) -> None:
    member = membership(host, network)
    assert (str(member.pool), str(member.network)) == (pool, used)


LINES = [*GOOD.splitlines(), "PostUp = x", "MTU = 1", "[Peer]", "DNS = ;", "", "\u202e", "Address ="]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(LINES) | st.text(max_size=30), max_size=14), st.binary(max_size=6))
def test_whatever_is_read_never_raises_and_is_either_refused_with_a_reason_or_narrow(
    lines: list[str], tail: bytes
) -> None:
    content = "\n".join(lines).encode("utf-8", "surrogatepass") + tail
    profile, review = usable(content, MEMBER)
    assert (profile is None) == any(finding.refuses for finding in review.findings)
    if isinstance(profile, Profile):
        assert b"postup" not in render(profile).lower().encode()
        assert all(str(each) == "10.0.0.1/32" for peer in profile.peers for each in peer.allowed)
