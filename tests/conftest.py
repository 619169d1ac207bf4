"""Before all tests: grpc is imported the way the program does it, so that its own log lines stay quiet.

Two processes share the tests, file by file; what builds packages is one group, begun first, as it
shares one build and takes longest.
"""

import atexit
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

import hivemind_worker.pool  # noqa: F401
from tests.process_state import changed, standing

PACKAGING = "tests/packaging/"
ENDING_S = 10.0

# A run in the background inherits that these are ignored, and would hand that on to every program it starts.
for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if (number := getattr(signal, name, None)) and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

# What tests and their programs leave in the temporary folder is seen there. pytest's own stays out of it.
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="hm-")  # short: sockets lie in it
Path(os.environ["TMPDIR"]).chmod(0o1777)  # as the system's: some tests are of other users
atexit.register(
    shutil.rmtree, os.environ["TMPDIR"], ignore_errors=True
)  # the first to be named is the last to go


def group(test: str) -> str:
    """What runs in one process, in its order."""
    file = test.partition("::")[0]
    return PACKAGING if file.startswith(PACKAGING) else file


class ByGroup(LoadScopeScheduling):
    """Which process gets which tests. (The library's own groups do nothing with pytest 9.2.)"""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByGroup:
    return ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: group(item.nodeid) != PACKAGING)


@pytest.fixture(scope="module", autouse=True)
def nothing_stays_changed_for_the_next_file(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever order the files come in, each finds the process as the first one did."""
    before = standing()
    yield
    end = time.monotonic() + ENDING_S
    while (left := changed(before, standing())) and time.monotonic() < end:
        time.sleep(0.1)  # a program that was told to end may still be at it
    rows = [f"{what} was {was!r} and is {now!r}" for what, (was, now) in left.items()]
    assert not left, "\n".join([f"{request.node.nodeid} leaves changed:", *rows])
