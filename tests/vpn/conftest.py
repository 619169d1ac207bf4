"""Two computers with real WireGuard tunnels for a module's tests; all of it ends with them, failed or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vpn.namespaces import Inside, Town, why_not

PASSWORD = "Zwölf-blaue-Kühe-42"


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    if reason := why_not():
        pytest.skip(reason)
    made = Town()
    try:
        made.build()
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def password(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("password") / "password"
    file.write_text(PASSWORD + "\n")
    return file


@pytest.fixture(scope="module")
def pool(town: Town, tmp_path_factory: pytest.TempPathFactory, password: Path) -> Iterator[Inside]:
    """The embedded pool at 10.0.0.1, with accounts for a worker (wim) and a requester (rita)."""
    made = Inside(town, "pool", tmp_path_factory.mktemp("pool"))
    for name in ("wim", "rita"):
        done = made.run("pool", "user", "add", name, "--password-file", str(password))
        assert done.returncode == 0, done.stderr
    made.start("pool", "--json", "--listen", "10.0.0.1:50051")
    made.said('"ready"')
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def worker(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """The worker's computer and its home; nothing runs there yet."""
    made = Inside(town, "worker", tmp_path_factory.mktemp("worker"))
    try:
        yield made
    finally:
        made.end()
