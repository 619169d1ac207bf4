"""At the top of the repository lies what a newcomer needs to find there, and nothing that strayed in."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = """
    app docs installer proto resources tests
    .ci .dockerignore .github .gitignore CHANGELOG.md Dockerfile LICENSE Makefile NOTICE README.md
    compose.yaml pyinstaller.spec pyproject.toml
    requirements.lock requirements-dev.lock requirements-freeze.lock requirements-scientific.lock
"""


def test_the_top_of_the_repository_holds_the_named_files_and_folders_only() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: only git knows which files are the repository's")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert {line.partition("/")[0] for line in listed.splitlines()} == set(NAMED.split())
