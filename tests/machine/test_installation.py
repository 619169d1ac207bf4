"""An upgrade beside the running program is noticed once it is whole, and not a moment before."""

from __future__ import annotations

from pathlib import Path

from hivemind_worker.machine.installation import Installation, own_file


def replace(file: Path, content: str) -> None:
    """As a package is unpacked: a new file takes the name."""
    new = file.with_name("new")
    new.write_text(content)
    new.replace(file)


def test_files_that_stay_as_they_are_are_no_upgrade(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_text("1")
    installation = Installation(lambda: file)
    assert not any(installation.is_replaced() for _look in range(3))


def test_another_file_of_the_name_is_one_when_two_looks_agree(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_text("1")
    installation = Installation(lambda: file)
    assert not installation.is_replaced()
    replace(file, "half")
    assert not installation.is_replaced(), "it may still be written"
    replace(file, "whole")
    assert not installation.is_replaced()
    assert installation.is_replaced() and installation.is_replaced()


def test_a_removed_program_is_told_of_too(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_text("1")
    installation = Installation(lambda: file)
    assert not installation.is_replaced()
    file.unlink()
    assert not installation.is_replaced()
    assert installation.is_replaced()


def test_without_an_installation_nothing_is_looked_at(tmp_path: Path) -> None:
    for nothing in (None, tmp_path / "never there"):
        installation = Installation(lambda nothing=nothing: nothing)
        assert not any(installation.is_replaced() for _look in range(3))


def test_a_checkout_is_known_by_what_pip_writes_at_each_installation() -> None:
    found = own_file()
    assert found is not None and found.name == "METADATA" and found.is_file()
