"""The kept profiles: replaced whole or not at all, the one before stays, nobody else reads them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.vpn import shelf as shelf_module
from hivemind_worker.vpn.keys import public_of
from hivemind_worker.vpn.narrowing import membership, usable
from hivemind_worker.vpn.profile import Profile
from hivemind_worker.vpn.shelf import Shelf
from tests.vpn.corpus import GOOD, OTHER, OWN, REFUSED, SHARED

MEMBER = membership("10.0.0.1", "10.0.0.0/24")


def profile(content: str = GOOD) -> Profile:
    found, review = usable(content.encode(), MEMBER)
    assert found is not None, review
    return found


FIRST, SECOND = profile(), profile(GOOD.replace(OWN, OTHER))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "vpn", "hivemind0")


def test_what_is_kept_is_found_again_named_after_the_interface_and_for_its_owner_alone(
    shelf: Shelf, tmp_path: Path
) -> None:
    assert shelf.find(MEMBER) is None
    assert shelf.keep(FIRST) is None
    found = shelf.find(MEMBER)
    assert isinstance(found, Profile)
    assert found.private_key == OWN
    assert shelf.file.name == "hivemind0.conf"
    if os.name == "posix":
        for path in tmp_path.rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_profile_before_comes_back_and_the_present_one_takes_its_place(shelf: Shelf) -> None:
    shelf.keep(FIRST)
    shelf.keep(SECOND)
    for now, before in ((FIRST, SECOND), (SECOND, FIRST), (FIRST, SECOND)):
        assert shelf.go_back() is None
        found, previous = shelf.find(MEMBER), shelf.previous(MEMBER)
        assert isinstance(found, Profile)
        assert previous is not None
        assert (found.private_key, previous.private_key) == (now.private_key, before.private_key)


def test_keeping_the_same_again_leaves_the_one_before_it(shelf: Shelf) -> None:
    for each in (FIRST, SECOND, SECOND):
        assert shelf.keep(each) is None
    previous = shelf.previous(MEMBER)
    assert previous is not None
    assert previous.private_key == FIRST.private_key


def test_without_one_before_going_back_changes_nothing(shelf: Shelf) -> None:
    shelf.keep(FIRST)
    problem = shelf.go_back()
    assert problem is not None
    assert problem.code is FaultCode.NO_PROFILE
    assert isinstance(shelf.find(MEMBER), Profile)


@pytest.mark.parametrize("at", range(1, 3))
@pytest.mark.parametrize("change", ["keep", "go_back"])
def test_a_change_that_fails_at_any_write_leaves_both_as_they_were(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, change: str, at: int
) -> None:
    third = profile(GOOD.replace(OWN, SHARED))
    shelf.keep(FIRST)
    shelf.keep(SECOND)
    written, real = [], shelf_module.write_owned

    def failing(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) == at:
            raise OSError(28, "No space left on device")
        real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(shelf_module, "write_owned", failing)
        problem = shelf.keep(third) if change == "keep" else shelf.go_back()
    if change == "go_back" and at == 2:
        assert problem is None, "it is one write"
        assert len(written) == 1
        return
    assert isinstance(problem, Problem)
    assert "No space left" in problem.about
    found, previous = shelf.find(MEMBER), shelf.previous(MEMBER)
    assert isinstance(found, Profile)
    assert previous is not None
    assert (found.private_key, previous.private_key) == (SECOND.private_key, FIRST.private_key)


def test_a_file_that_others_may_read_or_that_was_spoilt_is_not_used(shelf: Shelf) -> None:
    shelf.keep(FIRST)
    content = shelf.file.read_bytes()
    shelf.file.write_bytes(content + b"PostUp = true\n")
    spoilt = shelf.find(MEMBER)
    assert isinstance(spoilt, Problem)
    assert spoilt.code is FaultCode.BAD_PROFILE
    shelf.file.write_bytes(content)
    shelf.file.chmod(0o644)
    found = shelf.find(MEMBER)
    assert isinstance(found, Problem) or os.name != "posix"


def test_a_profile_for_another_pool_is_said_to_fit_no_more(shelf: Shelf) -> None:
    shelf.keep(FIRST)
    found = shelf.find(membership("10.7.0.1", "10.7.0.0/24"))
    assert isinstance(found, Problem)
    assert "10.7.0.1" in found.about


def test_removing_leaves_no_key_behind(shelf: Shelf, tmp_path: Path) -> None:
    public = shelf.new_key()
    shelf.keep(FIRST)
    shelf.keep(SECOND)
    assert isinstance(public, str)
    shelf.remove()
    assert shelf.find(MEMBER) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_profile_that_comes_without_a_private_key_gets_the_one_that_was_made_for_it(shelf: Shelf) -> None:
    public = shelf.new_key()
    came = GOOD.replace(f"PrivateKey = {OWN}\n", "").encode()
    assert usable(came, MEMBER)[0] is None
    assert shelf.completed(GOOD.encode()) == GOOD.encode()
    found, review = usable(shelf.completed(came), MEMBER)
    assert found is not None
    assert review.own_key == public == public_of(found.private_key)
    assert shelf.keep(found) is None
    assert shelf.completed(came) == came, "the key is in the profile by now, and nowhere else"


def test_no_refused_profile_comes_near_the_shelf(shelf: Shelf) -> None:
    shelf.keep(FIRST)
    before = shelf.file.read_bytes()
    for case in REFUSED:
        assert usable(shelf.completed(case.content), MEMBER)[0] is None
    assert shelf.file.read_bytes() == before
