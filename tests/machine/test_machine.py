"""Facts about this computer, asked of the real system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hivemind_worker.machine import capacity
from hivemind_worker.machine.interfaces import ipv4_addresses
from hivemind_worker.machine.sampler import Sampler, free_disk_bytes
from hivemind_worker.machine.single_instance import SingleInstance
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.settings import Settings


def test_a_sample_is_within_what_a_computer_can_be(tmp_path: Path) -> None:
    sample = Sampler(tmp_path).take()
    assert 0 <= sample.cpu_percent <= 100
    assert 0 < sample.memory_percent < 100
    assert 0 < sample.memory_available_gb < sample.memory_total_gb
    assert sample.disk_available_gb == pytest.approx(free_disk_bytes(tmp_path) / 2**30, abs=1)


def test_rates_are_unknown_at_first_and_never_negative(tmp_path: Path) -> None:
    sampler = Sampler(tmp_path)
    assert sampler.take().net_down_bps is None
    second = sampler.take()
    assert second.net_down_bps is not None
    assert second.net_down_bps >= 0


def test_what_our_children_take_is_told_from_what_others_take(tmp_path: Path) -> None:
    """A child of ours that is busy is ours; this process itself and its idle moments are not."""
    steps = iter(float(n) for n in range(100))
    sampler = Sampler(tmp_path, steady=lambda: next(steps))
    sampler.take()
    assert sampler.take().ours_cpu_percent == 0.0, "the test itself has no busy child yet"
    busy = "import sys, time\nwhile time.process_time() < 0.6: pass\nprint(flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()  # its 0.6 s of processor are spent
        sample = sampler.take()  # one second later by the clock given
        cores = os.cpu_count() or 1
        assert 50 / cores <= sample.ours_cpu_percent <= 100 / cores + 1
        assert sample.ours_memory_percent > 0
        assert sampler.take().ours_cpu_percent < 20, "what was counted once is not counted again"
        child.communicate()
    assert sampler.take().ours_cpu_percent == 0.0


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
