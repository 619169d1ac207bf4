"""What builds and releases packages, as far as it can be looked at without doing it."""

from __future__ import annotations

import plistlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALLER = ROOT / "installer"
SCRIPTS = sorted(INSTALLER.rglob("*.sh")) + sorted((INSTALLER / "linux" / "debian").glob("p*"))
LOCKS = ("requirements.lock", "requirements-freeze.lock")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_can_be_read_and_run(script: Path) -> None:
    shell = script.read_text(encoding="utf-8").partition("\n")[0].removeprefix("#!").split()[-1]
    assert shell in ("bash", "/bin/sh")
    subprocess.run([shell.rpartition("/")[2], "-n", script], check=True)
    assert script.stat().st_mode & 0o111 or script.parent.name == "debian"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_pin_what_they_use_and_begin_with_no_rights(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    used = re.findall(r"uses: (\S+)", text)
    assert used and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each) for each in used), used
    assert "\npermissions: {}\n" in text
    assert text.count("contents: write") == 1, "only the job that drafts the release writes"
    assert not re.search(r"run: .*\$\{\{", text), "what comes from outside goes through the environment"
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_scripts_that_are_there_with_words_that_they_know(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    called = re.findall(r"(installer/[\w/-]+\.sh)(?: (\w+))?", text)
    assert len(called) > 5
    for script, word in called:
        content = (ROOT / script).read_text(encoding="utf-8")
        if script.endswith("system-packages.sh"):
            assert f"{word})" in content, word
    targets = re.findall(r"\bmake ([a-z-]+)", text)
    assert set(targets) <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))


def test_the_macs_files_are_property_lists_and_ask_for_what_the_sandbox_needs_alone() -> None:
    asked = plistlib.loads((INSTALLER / "macos" / "entitlements.plist").read_bytes())
    assert set(asked) == {
        "com.apple.security.cs.allow-jit",
        "com.apple.security.cs.allow-unsigned-executable-memory",
        "com.apple.security.cs.disable-library-validation",
    }
    agent = plistlib.loads((INSTALLER / "macos" / "io.hivemind.worker.plist").read_bytes())
    assert agent["ProgramArguments"][-1] == "run"


def test_the_build_freezes_what_the_program_is_locked_to() -> None:
    pins = [set(re.findall(r"^[\w.-]+==\S+", (ROOT / name).read_text("utf-8"), re.M)) for name in LOCKS]
    assert pins[0] <= pins[1], pins[0] - pins[1]


def test_services_are_not_root_and_do_not_try_for_ever() -> None:
    system = (INSTALLER / "linux" / "system.service").read_text(encoding="utf-8")
    assert "\nUser=hivemind-worker\n" in system and "\nNoNewPrivileges=yes\n" in system
    for name in ("system", "user"):
        assert "RestartPreventExitStatus=2 4" in (INSTALLER / "linux" / f"{name}.service").read_text("utf-8")
