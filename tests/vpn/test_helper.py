"""Section V, elevated helper: fixed verbs, an order over a pipe, every value checked again, no shell."""

from __future__ import annotations

import ast
import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hivemind_worker.vpn import helper
from hivemind_worker.vpn.pipe import HelperPipe
from hivemind_worker.vpn.rights import HELPER, Right, command_to_run, find_right, only_root_can_change
from tests.vpn.corpus import MARKER, OWN, POOL, SHARED

LINUX = Path(__file__).parents[2] / "installer" / "linux"
UP: dict[str, object] = {
    "verb": "up", "interface": "hivemind0", "private_key": OWN, "address": "10.0.0.17/32", "mtu": 1420,
    "listen_port": 0, "public_key": POOL, "preshared_key": SHARED, "endpoint": "192.0.2.1:51820",
    "allowed": "10.0.0.1/32", "keepalive_s": 25,
}  # fmt: skip
BAD = [
    ("interface", value) for value in (
        "", "UP", "a b", "a/b", "..", ".", "x" * 16, "eth0;reboot", "$(id)", "-x\n", None, 7, ["hivemind0"],
    )
] + [
    ("private_key", value) for value in (
        "", OWN[:-1], OWN + "\n", base64.b64encode(bytes(32)).decode(), base64.b64encode(b"x").decode(),
        OWN + f"\nPostUp = touch {MARKER}", None,
    )
] + [("public_key", "x"), ("preshared_key", "x")] + [
    ("address", value) for value in (
        "", "0.0.0.0/0", "8.8.8.8/32", "10.0.0.0/8", "127.0.0.1/8", "10.0.0.17/32\nPostUp = x", "fd00::1/64",
        "169.254.0.1/16", 17,
    )
] + [
    ("allowed", value) for value in ("0.0.0.0/0", "::/0", "10.0.0.0/8", "1.2.3.4/32", "10.0.0.1/32, ::/0", "")
] + [
    ("endpoint", value) for value in (
        "", "pool.example:51820", "192.0.2.1", "192.0.2.1:0", "192.0.2.1:65536", "127.0.0.1:1", "0.0.0.0:1",
        "224.0.0.1:1", "192.0.2.1:1\nPostUp = x", "$(id):1", "[::1]:1",
    )
] + [
    ("mtu", value) for value in (1, 575, 9001, -1, True, "1420", 1420.5)
] + [("listen_port", 65536), ("listen_port", -1), ("keepalive_s", 65536), ("keepalive_s", "off")]  # fmt: skip


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been run: for orders that must never come so far."""
    ran: list[Any] = []

    def remember(*words: Any, **_more: Any) -> Any:
        ran.append(words)
        raise AssertionError(f"{words} was run")

    monkeypatch.setattr(subprocess, "run", remember)
    return ran


@pytest.mark.parametrize("name,value", BAD, ids=lambda value: ascii(value)[:30])
def test_each_value_is_checked_again_before_anything_is_run(
    nothing_runs: list[Any], name: str, value: object
) -> None:
    answer = helper.obey(json.dumps(UP | {name: value}))
    assert answer == {"ok": False, "reason": "bad_order", "about": name}
    assert nothing_runs == []
    assert not Path(MARKER).exists()


@pytest.mark.parametrize(
    "line", ["", "{}", "[]", "null", "7", "{", '{"verb": "sh"}', '{"verb": ["up"]}', '{"verb": "UP"}',
             "[" * 9000, '{"verb": "up", "x": "' + "x" * helper.MAX_LINE + '"}'],
    ids=lambda line: line[:20],
)  # fmt: skip
def test_there_are_three_verbs_and_an_order_is_one_short_line(nothing_runs: list[Any], line: str) -> None:
    answer = helper.obey(line)
    assert (answer["ok"], answer["reason"]) == (False, "bad_order")
    assert helper.VERBS == ("up", "down", "status")
    assert nothing_runs == []


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*UP, "file"]), st.none() | st.integers() | st.text() | st.lists(st.text())
    )
)
def test_whatever_is_ordered_it_answers_and_never_raises(changes: dict[str, object]) -> None:
    order = UP | changes | {"verb": "up", "interface": "NOT OURS"}
    assert helper.obey(json.dumps(order)) == {"ok": False, "reason": "bad_order", "about": "interface"}


def test_it_is_one_file_of_the_standard_library_that_opens_none_and_uses_no_shell() -> None:
    tree = ast.parse(Path(helper.__file__).read_text("utf-8"))
    named = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)
    }  # fmt: skip
    assert {name.partition(".")[0] for name in named} <= sys.stdlib_module_names
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"open", "eval", "exec", "compile", "__import__"}
    assert "shell" not in {
        word.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords
    }


def test_the_secrets_go_through_its_input_and_stand_in_no_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[tuple[str, ...], str]] = []

    def pretend(words: tuple[str, ...], *, input: str, **_more: object) -> subprocess.CompletedProcess[str]:
        ran.append((words, input))
        missing = words[:3] == ("ip", "link", "show")
        return subprocess.CompletedProcess(words, int(missing), "[]", "")

    monkeypatch.setattr(subprocess, "run", pretend)
    assert helper.obey(json.dumps(UP)) == {"ok": True, "by": "kernel"}
    words = " ".join(word for run, _given in ran for word in run)
    assert OWN not in words and SHARED not in words
    assert any(OWN in given and SHARED in given for _run, given in ran)
    assert all(not set("\n;|&$") & set(word) for run, _given in ran for word in run)


def test_as_a_program_it_answers_line_by_line_and_ends_with_its_input() -> None:
    orders = "nonsense\n" + json.dumps({"verb": "status", "interface": "../x"}) + "\n"
    done = subprocess.run(
        [sys.executable, "-I", helper.__file__], input=orders, capture_output=True, text=True, timeout=30,
        check=True,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["about"] for answer in answers] == ["JSONDecodeError", "interface"]
    assert done.stderr == ""


def test_the_policy_names_the_one_path_at_which_the_package_puts_it() -> None:
    root = ElementTree.parse(LINUX / "io.hivemind.worker.vpn.policy").getroot()
    paths = [each.text for each in root.iter("annotate") if str(each.get("key")).endswith("exec.path")]
    assert paths == [str(HELPER)]
    allowed = [each.text for each in next(root.iter("defaults"))]
    assert len(allowed) == 3
    assert set(allowed) <= {"auth_admin", "auth_admin_keep"}, "nobody starts it without a password"
    assert f"$root{HELPER.as_posix()}" in (LINUX / "deb.sh").read_text()


# --- who may start it -------------------------------------------------------------------------


async def test_without_a_right_nothing_is_started() -> None:
    pipe = HelperPipe(Right(kind="none"))
    assert (await pipe.ask("up", UP))["reason"] == "no_permission"
    assert not pipe.is_open


@pytest.mark.parametrize(
    "program", ["import sys; sys.exit(1)", "print('no JSON', flush=True); input()", "print('[]'); input()"]
)
async def test_a_helper_that_dies_or_talks_nonsense_is_a_failure_and_is_ended(program: str) -> None:
    pipe = HelperPipe(Right(kind="helper", argv=(sys.executable, "-I", "-c", program)))
    try:
        assert await pipe.ask("status", {"interface": "hivemind0"}) == {
            "ok": False, "reason": "failed", "about": "the helper did not answer",
        }  # fmt: skip
        assert not pipe.is_open
    finally:
        await pipe.close()


@pytest.mark.skipif(sys.platform != "linux", reason="polkit is Linux's")
def test_only_a_file_that_nobody_but_root_can_change_is_ever_started_with_elevated_rights(
    tmp_path: Path,
) -> None:
    copy = tmp_path / "vpn-helper"
    copy.write_bytes(Path(helper.__file__).read_bytes())
    copy.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.stat().st_mode & stat.S_IWOTH:
            break
    else:
        pytest.fail("the temporary folder lies in no folder that others may write to")
    assert not only_root_can_change(copy)
    assert not only_root_can_change(tmp_path / "absent")
    system = Path("/bin/sh").resolve()
    assert only_root_can_change(system)
    link = tmp_path / "link"
    link.symlink_to(system)
    assert not only_root_can_change(link)
    if os.geteuid() != 0:
        assert find_right(copy).argv == ()


def test_where_the_right_is_missing_the_command_is_shown_with_its_file_quoted() -> None:
    file = Path("/home/ann o'neil/vpn/1/hivemind0.conf")
    shown = command_to_run(file, "up", "linux")
    assert shown.startswith("sudo wg-quick up '/home/ann o'")
    assert command_to_run(file, "down", "darwin").startswith("sudo wg-quick down ")
