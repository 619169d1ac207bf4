"""The escape probe: finds nothing open in either sandbox, and everything in a deliberately weakened one."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Outcome, Problem
from hivemind_worker.runtimes.docker import launch
from hivemind_worker.runtimes.docker.hardening import Rule
from hivemind_worker.runtimes.probe import Surroundings, knocks
from hivemind_worker.runtimes.probe.doors import DOORS, TRIED_APART
from hivemind_worker.runtimes.probe.judgement import judge_disk, judge_doors, judge_log, judge_memory
from tests.contract.docker_engine import docker_sandbox, shared_engine
from tests.e2e.process import command

MIB = 1 << 20
WELL = Outcome(exit_code=0, problem=None)

# What each line of the hardening list keeps closed: without it the probe must say so.
WEAKER: dict[str, Any] = {
    "HostConfig.CapDrop": [],
    "HostConfig.ReadonlyRootfs": False,
    "HostConfig.SecurityOpt": ["seccomp=unconfined"],
    "HostConfig.NetworkMode": "host",
    "HostConfig.PidsLimit": 400,
    "HostConfig.Memory": 2 << 30,
    "HostConfig.MemorySwap": 4 << 30,
    "HostConfig.CpuQuota": 0,
    "HostConfig.PidMode": "host",
    "HostConfig.UTSMode": "host",
    "HostConfig.Tmpfs": {"/tmp": "rw,exec,mode=1777"},
    "HostConfig.Ulimits": [{"Name": "core", "Soft": -1, "Hard": -1}],
    "HostConfig.Dns": [],
    "HostConfig.DnsSearch": [],
    "Hostname": "",
    "User": "0:0",
}
FOUND = {
    "capabilities", "no_new_privileges", "call_filter", "user", "root_read_only", "mounted_places",
    "writable_places", "size_of_temporary_places", "run_from_temporary_places", "make_device", "host_files",
    "engine_socket", "host_processes", "host_name", "environment", "network_interfaces", "reach_host",
    "raw_socket", "virtual_machine_socket", "io_uring", "page_fault_handling", "memory_limit", "fork_bomb",
    "swap_limit", "processor_limit", "file_limits", "become_root",
}  # fmt: skip


@pytest.fixture
def listener() -> Iterator[int]:
    """Somebody on this computer who answers."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield door.getsockname()[1]


@pytest.mark.slow
async def test_nothing_is_open_in_either_sandbox_as_the_owner_s_own_command_finds(tmp_path: Path) -> None:
    engine = shared_engine()
    more = {"DOCKER_HOST": engine.url, "HIVEMIND_TASK_IMAGE": "hivemind-tests/python:latest"}
    code, out, err = await command(tmp_path, "doctor", "--sandbox", "--json", limit_s=180, **more)
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row for row in rows if not row.get("ok")] == []
    assert code == 0, err
    for runtime in ("wasm", "docker"):
        assert [row["check"] for row in rows if row["runtime"] == runtime] == list(DOORS)
    assert engine.containers() == []
    assert not list((tmp_path / "data").glob("probe-*"))


@pytest.mark.slow
async def test_a_deliberately_weakened_profile_is_caught_line_by_line(
    tmp_path: Path, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = shared_engine()

    def weaker(*words: Any) -> tuple[Rule, ...]:
        rules = hardened(*words)
        changed = tuple(replace(rule, value=WEAKER.get(rule.option, rule.value)) for rule in rules)
        given = {rule.option: rule.value for rule in rules}
        binds = [
            *given["HostConfig.Binds"],
            f"{tmp_path}:/host{tmp_path}",
            f"{engine.socket}:/run/docker.sock",
        ]
        variables = [*given["Env"], "HIVEMIND_TOKEN=abc"]
        own = {"HostConfig.Binds": binds, "Env": variables}
        return tuple(replace(rule, value=own.get(rule.option, rule.value)) for rule in changed)

    hardened = launch.rules_for
    monkeypatch.setattr(launch, "rules_for", weaker)
    around = Surroundings(
        host_name=socket.gethostname(), canary="a secret of the host",
        addresses={"host": [("127.0.0.1", listener)], "metadata": [], "pool": []},
    )  # fmt: skip
    (tmp_path / "canary").write_text(around.canary)
    runtime = docker_sandbox(engine, tmp_path / "docker")
    try:
        assert (await runtime.view()).ready
        outcome, heard, _ = await knocks._play(runtime, around, tmp_path, "doors")
    finally:
        await runtime.close()
    found = {finding.door for finding in judge_doors(bytes(heard.text), "docker") if not finding.closed}
    assert FOUND - found == set(), (outcome, bytes(heard.text).decode()[-3000:])


# --- the judge --------------------------------------------------------------------------------


def said(*rows: dict[str, object]) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in rows)


def test_a_probe_that_says_nothing_has_found_nothing_closed() -> None:
    for output in (
        b"",
        b"\xff\xfe{",
        said({"done": 99}),
        said({"check": "user"}),
        said({"check": "user", "open": 0}),
    ):
        assert not any(finding.closed for finding in judge_doors(output, "docker"))
    assert [finding.door for finding in judge_doors(b"", "docker")] == [
        door for door in DOORS if door not in TRIED_APART
    ]


def test_of_two_answers_the_worse_counts() -> None:
    for order in ((False, True), (True, False)):
        rows = [{"check": "user", "open": answer, "seen": ""} for answer in order]
        [finding] = [one for one in judge_doors(said(*rows), "docker") if one.door == "user"]
        assert not finding.closed


def test_there_is_no_such_thing_is_an_answer_only_where_that_can_be() -> None:
    row = {"check": "capabilities", "open": None, "seen": "no /proc"}
    for runtime, closed in (("wasm", True), ("docker", False), ("another", False)):
        [finding] = [one for one in judge_doors(said(row), runtime) if one.door == "capabilities"]
        assert finding.closed is closed


def test_bombs_are_closed_only_when_they_were_ended_at_their_limits() -> None:
    ended = Outcome(exit_code=None, problem=Problem(code=FaultCode.OUT_OF_MEMORY))
    held = said({"held": 400 * MIB})
    assert judge_memory(held, ended, 512 * MIB).closed
    assert judge_memory(held + b"\n" + said({"refused": True}), WELL, 512 * MIB).closed
    assert not judge_memory(held, WELL, 512 * MIB).closed
    assert not judge_memory(said({"held": 600 * MIB}), ended, 512 * MIB).closed
    assert not judge_memory(b"", ended, 512 * MIB).closed
    full = Outcome(exit_code=None, problem=Problem(code=FaultCode.OUT_OF_DISK))
    assert judge_disk(said({"written": 100 * MIB}), full, 64 * MIB, 100 * MIB).closed
    assert not judge_disk(said({"written": 100 * MIB}), WELL, 64 * MIB, 100 * MIB).closed
    assert not judge_disk(said({"written": 1}), full, 64 * MIB, 900 * MIB).closed  # what lies there counts
    assert judge_log(64 << 10, 64 * MIB, 64 * MIB, WELL).closed
    assert not judge_log(64 * MIB, 64 * MIB, 64 * MIB, WELL).closed
    assert not judge_log(0, 0, 64 * MIB, WELL).closed
