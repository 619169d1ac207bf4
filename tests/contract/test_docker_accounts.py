"""What the kernel counts for a container: both kinds of cgroups, and a real container that ends quickly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hivemind_worker.runtimes.docker.accounts import Account, account_of
from tests.contract.docker_engine import docker_sandbox, shared_engine
from tests.contract.stage import Stage
from tests.machine.test_probes import lay

BOX = "ab" * 32
GROUPS = {
    "unified": "0::/system.slice/docker-{box}.scope\n",
    "several": "9:memory:/docker/{box}\n4:cpu,cpuacct:/docker/{box}\n1:name=systemd:/docker/{box}\n",
    "apart": "6:cpuacct:/docker/{box}\n3:memory:/docker/{box}\n",
}
FILES = {
    "unified": {
        f"system.slice/docker-{BOX}.scope/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
        f"system.slice/docker-{BOX}.scope/memory.peak": "4096\n",
    },
    "several": {
        f"cpu,cpuacct/docker/{BOX}/cpuacct.usage": "2500000000\n",
        f"memory/docker/{BOX}/memory.max_usage_in_bytes": "4096\n",
    },
    "apart": {
        f"cpuacct/docker/{BOX}/cpuacct.usage": "2500000000\n",
        f"memory/docker/{BOX}/memory.max_usage_in_bytes": "4096\n",
    },
}


@pytest.fixture
def told(tmp_path: Path) -> Callable[[str, str], Account]:
    def ask(kind: str, box: str) -> Account:
        lay(tmp_path / "cgroup", FILES[kind])
        lay(tmp_path / "proc", {"7/cgroup": GROUPS[kind].format(box=BOX)})
        return account_of(7, box, tmp_path / "cgroup", tmp_path / "proc")

    return ask


@pytest.mark.parametrize("kind", list(GROUPS))
def test_each_kind_of_cgroups_is_read(kind: str, told: Callable[[str, str], Account]) -> None:
    assert told(kind, BOX) == Account(cpu_s=2.5, peak_bytes=4096)


def test_another_containers_account_is_not_taken(told: Callable[[str, str], Account]) -> None:
    assert told("unified", "cd" * 32) == Account()


def test_what_cannot_be_read_counts_as_nothing(tmp_path: Path) -> None:
    assert account_of(7, BOX, tmp_path, tmp_path) == Account()
    lay(tmp_path, {"7/cgroup": GROUPS["unified"].format(box=BOX)})
    lay(tmp_path, {f"system.slice/docker-{BOX}.scope/cpu.stat": "usage_usec many\n"})
    assert account_of(7, BOX, tmp_path, tmp_path) == Account()


@pytest.mark.release
async def test_a_container_of_seconds_has_the_processor_time_that_it_used(tmp_path: Path) -> None:
    """The engine is asked after half a second and then every ten: most of it would be missing."""
    runtime = docker_sandbox(shared_engine(), tmp_path / "docker")
    assert (await runtime.view()).ready
    stage = Stage(runtime, tmp_path)
    burns = "import time\nwhile time.process_time() < 2.5:\n    pass\nbytearray(40 << 20)\n"
    outcome, _played = await stage.play(burns)
    await stage.clear()
    assert outcome.exit_code == 0
    assert 1.0 < outcome.usage.cpu_s < 4, "a look each quarter of a second, a second at most"
    assert outcome.usage.peak_memory_bytes > 1 << 20
