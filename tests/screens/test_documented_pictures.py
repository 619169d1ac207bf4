"""Every picture of the documentation is made by the one command that makes them, and by nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.screens.pictures import FIRST_STEPS, WANTED, Picture, take

KEPT = Path(__file__).parents[2] / "docs" / "pictures"


def test_the_command_makes_exactly_the_pictures_that_the_documentation_has() -> None:
    made = {*FIRST_STEPS, *(wanted.name for wanted in WANTED)}
    assert made == {file.stem for file in KEPT.iterdir()}


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("wanted", [WANTED[1]], ids=lambda wanted: str(wanted.name))
def test_a_picture_is_made_and_is_not_empty(tmp_path: Path, wanted: Picture) -> None:
    take(wanted, tmp_path)
    assert (tmp_path / f"{wanted.name}.png").stat().st_size > 20_000
