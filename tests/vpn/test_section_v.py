"""Section V of the security page, row by row: each attack by the command that people use, with its answer.

The elevated helper's row stands in test_helper, the tunnel's own behaviour in test_joining.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.faults import FAULTS, FaultCode
from tests.vpn.conftest import Run
from tests.vpn.corpus import CASES, GOOD, MARKER, OWN, OWN_PUBLIC

BY_NAME = {case.name: case for case in CASES}
HOOKS = [
    "PostUp",
    "PreUp",
    "PostDown",
    "PreDown",
    "hook in odd case",
    "hook in a peer",
    "hook behind a lone carriage return",
    "hook hidden in a comment by direction",
    "unknown key",
]
HOME = [
    "home range beside the pool's",
    "loopback beside the pool's",
    "metadata beside the pool's",
    "two peers with one range",
    "two peers, one inside the other",
]
BROKEN = [
    "endpoint with a command",
    "endpoint with words",
    "address with a script",
    "key of 31 bytes",
    "key in hex",
    "1 MB",
    "two interfaces",
]


def _imported(run: Run, file: Path, name: str) -> Any:
    file.write_bytes(BY_NAME[name].content)
    return run("import", str(file), "--json")


@pytest.mark.parametrize("name", [*HOOKS, *HOME, *BROKEN])
def test_row_V_is_refused_with_its_line_nothing_is_run_and_the_kept_profile_stays(
    run: Run, file: Path, home: Path, name: str
) -> None:
    """Hooks, unknown keys; ranges of home, loopback, link-local; overlaps; shell text, wrong keys, size."""
    file.write_text(GOOD)
    assert run("import", str(file)).code == 0
    kept = next((home / "state" / "vpn").rglob("*.conf"))
    before = kept.read_bytes()
    done = _imported(run, file, name)
    assert done.code == FAULTS[FaultCode.BAD_PROFILE].exit_code
    assert done.values["usable"] is False
    first = done.values["findings"][0]
    assert first["refuses"] is True
    assert BY_NAME[name].line in (None, first["line"])
    assert kept.read_bytes() == before
    assert not Path(MARKER).exists()


@pytest.mark.parametrize(
    "name,setting",
    [
        ("SaveConfig", "SaveConfig"),
        ("Table", "Table"),
        ("FwMark", "FwMark"),
        ("as the site hands it out", "Name server (DNS)"),
    ],
)
def test_row_V_what_the_program_decides_itself_is_dropped_and_named(
    run: Run, file: Path, home: Path, name: str, setting: str
) -> None:
    done = _imported(run, file, name)
    assert done.code == 0
    row = next(row for row in done.values["rows"] if row["name"] == setting)
    assert row["verdict"] in ("dropped", "left off")
    text = next((home / "state" / "vpn").rglob("*.conf")).read_text()
    assert not {"SaveConfig", "Table", "FwMark", "DNS"} & {
        line.partition(" ")[0] for line in text.splitlines()
    }


@pytest.mark.parametrize("name", ["the whole internet", "the whole internet in halves", "all private tens"])
def test_row_V_the_whole_internet_is_narrowed_to_the_pool_and_that_is_said(
    run: Run, file: Path, home: Path, name: str
) -> None:
    done = _imported(run, file, name)
    assert done.code == 0
    assert any(each["code"] == "narrowed" for each in done.values["findings"])
    text = next((home / "state" / "vpn").rglob("*.conf")).read_text()
    assert "AllowedIPs = 10.0.0.1/32\n" in text


@pytest.mark.parametrize("name", ["windows line ends", "byte order mark"])
def test_row_V_line_ends_and_marks_of_other_systems_are_read_as_meant(
    run: Run, file: Path, name: str
) -> None:
    done = _imported(run, file, name)
    assert (done.code, done.values["own_key"]) == (0, OWN_PUBLIC)
    assert OWN not in done.out
