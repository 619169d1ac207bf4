"""Facts about this computer, asked of the real system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hivemind_worker.machine import capacity
from hivemind_worker.machine.interfaces import ipv4_addresses
from hivemind_worker.machine.sampler import free_disk_bytes, take_sample
from hivemind_worker.machine.single_instance import SingleInstance
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.settings import Settings


def test_a_sample_is_within_what_a_computer_can_be(tmp_path: Path) -> None:
    sample = take_sample(tmp_path)
    assert 0 <= sample.cpu_percent <= 100
    assert 0 < sample.memory_percent < 100
    assert 0 < sample.memory_available_gb < sample.memory_total_gb
    assert sample.disk_available_gb == pytest.approx(free_disk_bytes(tmp_path) / 2**30, abs=1)


def test_loopback_is_among_the_interfaces() -> None:
    assert "127.0.0.1" in [address for listed in ipv4_addresses().values() for address in listed]


@pytest.mark.parametrize(
    ("cores", "memory_gb", "by_hand", "cpu", "memory"),
    [
        (8, 32.0, (), 400, 8.0),  # the defaults are below half of a large machine
        (2, 4.0, (), 100, 2.0),  # half of a small one
        (1, 0.8, (), 100, 0.5),  # never below one core and the smallest task
        (2, 4.0, ("max_cpu_cores", "max_memory_gb"), 200, 4.0),  # by hand: up to all of it
    ],
)
def test_what_is_lent(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    memory_gb: float,
    by_hand: tuple[str, ...],
    cpu: float,
    memory: float,
) -> None:
    monkeypatch.setattr(capacity, "cores_here", lambda: cores)
    monkeypatch.setattr(capacity, "memory_here_gb", lambda: memory_gb)
    total = capacity.lent(Settings(), by_hand)
    assert (total.cpu, total.memory_gb, total.gpu) == (cpu, memory, 0)


def test_a_home_has_one_worker_and_the_second_is_told_its_process(tmp_path: Path) -> None:
    first, second = SingleInstance(tmp_path / "lock"), SingleInstance(tmp_path / "lock")
    assert first.take() is None
    problem = second.take()
    assert problem is not None
    assert (problem.code, problem.about) == (FaultCode.ALREADY_RUNNING, f"process {os.getpid()}")
    first.give_up()
    assert second.take() is None
    second.give_up()


def test_the_lock_of_a_killed_worker_is_free(tmp_path: Path) -> None:
    source = (
        "import sys, os, signal; from pathlib import Path\n"
        "from hivemind_worker.machine.single_instance import SingleInstance\n"
        "lock = SingleInstance(Path(sys.argv[1])); assert lock.take() is None\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", source, str(tmp_path / "lock")], check=False)
    assert done.returncode == -9
    again = SingleInstance(tmp_path / "lock")
    assert again.take() is None
    again.give_up()


@pytest.mark.skipif(os.name != "posix", reason="links in the way are a POSIX matter")
def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic"):
        SingleInstance(tmp_path / "lock").take()
    assert (tmp_path / "victim").read_text() == "precious"
