"""`hivemind-worker vpn …`: every step without a tunnel; up and down by a running worker.

What changes the network is run in network namespaces alone: tests/vpn/test_tunnel.py.
"""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.faults import FAULTS, FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import VpnState
from hivemind_worker.places import find_places
from hivemind_worker.web.endpoint import write_endpoint
from hivemind_worker.web.token import load_or_make_token
from tests.vpn.conftest import Run
from tests.vpn.corpus import GOOD, OTHER, OWN, OWN_PUBLIC, REFUSED
from tests.web import hosting
from tests.web.conftest import TOKEN


def test_a_profile_is_imported_shown_and_removed(run: Run, file: Path, home: Path) -> None:
    done = run("import", str(file))
    assert (done.code, done.err) == (0, "")
    assert "10.0.0.1/32" in done.out and "narrowed" in done.out
    assert "Bring it up with: hivemind-worker vpn up" in done.out
    shown = run("show", "--json").values
    assert shown["usable"] is True
    assert shown["own_key"] == OWN_PUBLIC
    assert run("status").out.startswith("Off: A profile is kept; the tunnel is down.")
    assert run("remove").code == 0
    assert run("status", "--json").values["state"] == "not_set_up"
    assert [path for path in (home / "state" / "vpn").rglob("*") if path.is_file()] == []


def test_trying_changes_nothing_and_wide_lets_the_pools_network_in(run: Run, file: Path) -> None:
    assert run("import", str(file), "--try").code == 0
    assert run("show").code == FAULTS[FaultCode.NO_PROFILE].exit_code
    rows = run("import", str(file), "--wide", "--json").values["rows"]
    assert any(row["used"] == "10.0.0.0/24" for row in rows)
    shown = run("show", "--json").values["rows"]
    assert any(row["used"] == "10.0.0.0/24" for row in shown), "the owner's choice is kept"


def test_a_profile_may_come_by_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    assert run("import", "-").code == 0


@pytest.mark.parametrize("case", REFUSED[::6], ids=lambda case: case.name)
def test_a_refused_profile_is_told_with_its_lines_and_the_kept_one_stays(
    run: Run, file: Path, case: Any
) -> None:
    run("import", str(file))
    file.write_bytes(case.content)
    done = run("import", str(file))
    assert done.code == FAULTS[FaultCode.BAD_PROFILE].exit_code
    assert done.out == ""
    assert "Nothing was changed." in done.err
    assert case.line is None or f"Line {case.line}: " in done.err
    assert run("show", "--json").values["own_key"] == OWN_PUBLIC


@pytest.mark.parametrize("words", [(), ("a.conf", "--site", "pool.example")])
def test_a_file_or_a_site_is_needed_and_not_both(run: Run, words: tuple[str, ...]) -> None:
    done = run("import", *words)
    assert done.code == 2
    assert "Name a file, or a site" in done.err


def test_a_file_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    done = run("import", str(tmp_path / "absent.conf"))
    assert done.code != 0
    assert "absent.conf" in done.err and "Traceback" not in done.err


def test_going_back_swaps_the_two_and_needs_one_before(run: Run, file: Path) -> None:
    run("import", str(file))
    assert run("back").code == FAULTS[FaultCode.NO_PROFILE].exit_code
    file.write_text(GOOD.replace(OWN, OTHER))
    run("import", str(file))
    assert run("show", "--json").values["own_key"] != OWN_PUBLIC
    assert run("back").code == 0
    assert run("show", "--json").values["own_key"] == OWN_PUBLIC


def test_a_key_is_made_for_a_pool_that_enrols_by_hand_and_completes_its_profile(run: Run, file: Path) -> None:
    public = run("key", "--json").values["public_key"]
    file.write_text(GOOD.replace(f"PrivateKey = {OWN}\n", ""))
    assert run("import", str(file)).code == 0
    assert run("show", "--json").values["own_key"] == public


def test_without_a_profile_up_and_down_say_so_and_the_checks_stop_at_the_first(run: Run) -> None:
    for verb in ("up", "down"):
        done = run(verb)
        assert done.code == FAULTS[FaultCode.NO_PROFILE].exit_code
        assert "hivemind-worker vpn import FILE" in done.err
    done = run("check", "--json")
    assert done.code == 1
    states = [check["state"] for check in done.values["checks"]]
    assert states == ["failed", *["not_checked"] * 10]
    assert "No VPN profile is kept here." in run("check").out


def test_whether_it_comes_up_by_itself_is_a_setting(run: Run, home: Path) -> None:
    assert run("auto", "on").code == 0
    assert "vpn_auto = true" in (home / "config" / "settings.toml").read_text()
    assert run("status", "--json").values["joins_by_itself"] is True
    assert run("auto", "off").code == 0
    assert run("status", "--json").values["joins_by_itself"] is False


def test_a_running_worker_is_told_to_bring_it_up_and_down_and_names_its_ports(
    run: Run, home: Path, tmp_path: Path
) -> None:
    assert "running" in run("ports").err
    places = find_places(str(home))
    places.make()
    places.token_file.write_text(TOKEN)
    places.token_file.chmod(0o600)
    assert load_or_make_token(places.token_file) == TOKEN
    (tmp_path / "files").mkdir()
    with hosting.hosted(tmp_path / "files", lambda _node, _now_s: None) as hosted:
        write_endpoint(places.endpoint_file, url=hosted.url, pid=1, started_at_s=time.time())
        assert run("up").code == 0
        assert hosted.node.vpn.view.state is VpnState.CONNECTED
        assert run("down").code == 0
        assert [asked[0] for asked in hosted.node.vpn.asked] == ["up", "down"]
        hosted.node.vpn.refuse_with = Problem(code=FaultCode.VPN_RANGE_IN_USE, about="10.0.0.0/24 on eth0")
        refused = run("up")
        assert refused.code == FAULTS[FaultCode.VPN_RANGE_IN_USE].exit_code
        assert "10.0.0.0/24 on eth0" in refused.err
        ports = run("ports")
        assert "pool only" in ports.out and "10.0.0.7:50053" in ports.out
