"""`doctor`: looks at everything that a worker needs and says what to do about what is missing."""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.resolve import Resolved, resolve
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem, TaskId, key_of
from hivemind_worker.model.work import RunOrder
from hivemind_worker.presentation.faults import words

OK, WARN, FAIL = "ok", "warn", "fail"
MARKS = {OK: "  ok ", WARN: "note ", FAIL: "FAIL "}
PROBE = "print(6 * 7)\n"
PROBE_LIMIT_S = 60.0
GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding; `next_step` is empty when there is nothing to do."""

    name: str
    state: str
    text: str
    next_step: str = ""

    def as_json(self) -> dict[str, str]:
        """The finding by its names in the API."""
        return {"name": self.name, "state": self.state, "text": self.text, "next": self.next_step}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `doctor`."""
    parser = subparsers.add_parser("doctor", help="check everything that a worker needs")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print the findings as they come; exit code 1 when one of them keeps the worker from working."""
    resolved = resolve({})
    if isinstance(resolved, Problem):
        return fail(resolved, args.json)
    found = asyncio.run(_all_checks(resolved, args.json))
    return 1 if any(check.state == FAIL for check in found) else 0


async def _all_checks(resolved: Resolved, as_json: bool) -> list[Check]:
    found = []
    looks: tuple[Callable[[Resolved], Awaitable[Check]], ...] = (
        _python, _folders, _disk, _memory, _worker, _sandbox, _pack, _address, _login,
    )  # fmt: skip
    for look in looks:
        check = await look(resolved)
        found.append(check)
        if as_json:
            say_json(check.as_json())
        else:
            say(f"{MARKS[check.state]} {check.name}: {check.text}")
            if check.next_step:
                say(f"      {check.next_step}")
    return found


def _from_problem(name: str, problem: Problem, state: str = FAIL) -> Check:
    text, next_step = words(problem)
    return Check(name=name, state=state, text=text, next_step=next_step)


async def _python(_resolved: Resolved) -> Check:
    text = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()}"
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Check(name="Python", state=WARN, text=text, next_step="Versions 3.11 to 3.13 are tested.")
    return Check(name="Python", state=OK, text=text)


async def _folders(resolved: Resolved) -> Check:
    try:
        resolved.places.make()
        for folder in (resolved.places.data, resolved.places.state, resolved.places.logs):
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        problem = Problem(code=FaultCode.NO_PERMISSION, about=f"{error.filename}: {error.strerror}")
        return _from_problem("Folders", problem)
    return Check(
        name="Folders",
        state=OK,
        text=str(resolved.places.data.parent if resolved.places.portable else resolved.places.data),
    )


async def _disk(resolved: Resolved) -> Check:
    from hivemind_worker.machine.sampler import free_disk_bytes

    free_gb = free_disk_bytes(_existing(resolved.places.data)) / GIB
    needed_gb = resolved.settings.keep_free_gb + resolved.settings.task_disk_gb
    text = f"{free_gb:.1f} GiB free, {needed_gb:.1f} GiB needed for a task"
    if free_gb < needed_gb:
        return Check(name="Disk", state=FAIL, text=text, next_step="Free some space, or lower task_disk_gb.")
    return Check(name="Disk", state=OK, text=text)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


async def _memory(resolved: Resolved) -> Check:
    from hivemind_worker.machine.capacity import cores_here, lent, memory_here_gb

    share = lent(resolved.settings, resolved.sources)
    whole = f"{cores_here()} cores and {memory_here_gb():.1f} GiB"
    text = f"lends {share.cpu / 100:g} cores and {share.memory_gb:g} GiB of {whole}"
    return Check(name="Share", state=OK, text=text)


async def _worker(resolved: Resolved) -> Check:
    from hivemind_worker.web.endpoint import read_endpoint

    endpoint = read_endpoint(resolved.places.endpoint_file)
    text = "not running" if endpoint is None else f"last started at {endpoint.url}"
    return Check(name="Worker", state=OK, text=text)


async def _sandbox(resolved: Resolved) -> Check:
    """Run a real program in the real sandbox."""
    from hivemind_worker.machine.sampler import available_memory_bytes
    from hivemind_worker.runtimes.wasm.runtime import WasmRuntime

    runtime = WasmRuntime(resolved.places.sandbox, available_memory_bytes)
    output = bytearray()

    async def take(chunk: bytes) -> None:
        output.extend(chunk)

    async def started(_where: str, *, image: str = "") -> None:
        return None

    try:
        problem = await runtime.prepare()
        if problem is not None:
            return _from_problem("Sandbox", problem)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "main.py").write_text(PROBE, encoding="utf-8")  # noqa: ASYNC240 - nothing else waits
            outcome = await runtime.run(_probe_order(Path(folder)), take, started)
        if outcome.problem is not None:
            return _from_problem("Sandbox", outcome.problem)
        if output.strip() != b"42":
            return Check(name="Sandbox", state=FAIL, text=f"6 x 7 came out as {bytes(output[:40])!r}")
        detail = (await runtime.view()).detail
        return Check(name="Sandbox", state=OK, text=f"built-in, {detail}; a test program ran")
    finally:
        await runtime.close()


def _probe_order(folder: Path) -> RunOrder:
    return RunOrder(
        key=key_of(TaskId("doctor")),
        attempt=1,
        task_id=TaskId("doctor"),
        workspace=folder,
        entry="main.py",
        cpu_cores=1,
        memory_bytes=GIB,
        disk_bytes=64 << 20,
        time_limit_s=PROBE_LIMIT_S,
    )


async def _pack(resolved: Resolved) -> Check:
    from hivemind_worker.runtimes.wasm.packs import find_scientific, installed_scientific

    if find_scientific(resolved.places.sandbox) or installed_scientific():
        return Check(name="Scientific pack", state=OK, text="numpy, pandas, scipy, scikit-learn, matplotlib")
    return Check(
        name="Scientific pack",
        state=WARN,
        text="not there: tasks that need numpy and the like are refused, and plain Python runs slower",
        next_step="Add it (98 MB) with: hivemind-worker sandbox add scientific",
    )


async def _address(resolved: Resolved) -> Check:
    from hivemind_worker.machine.interfaces import ipv4_addresses
    from hivemind_worker.nursery import NamedThread
    from hivemind_worker.pool.address import choose_own_address, parse_address
    from hivemind_worker.pool.address import resolve as look_up

    pool = parse_address(resolved.settings.master_address)
    if isinstance(pool, Problem):
        return _from_problem("Network", pool)
    names = NamedThread("names")
    try:
        ips = await look_up(pool.host, names)
    finally:
        names.close(wait=False)
    own = choose_own_address(ipv4_addresses(), ips, resolved.settings.bind_address)
    if isinstance(own, Problem):
        return _from_problem("Network", own)
    text = f"the pool at {pool} would reach this worker at {own.announce}:{resolved.settings.node_port}"
    if own.warning:
        return Check(name="Network", state=WARN, text=own.warning, next_step="Bring up the pool's VPN.")
    return Check(name="Network", state=OK, text=text)


async def _login(resolved: Resolved) -> Check:
    from hivemind_worker.machine.interfaces import ipv4_addresses
    from hivemind_worker.pool.login import check_login
    from hivemind_worker.store.secrets import login_store

    login = login_store(resolved.places).find()
    if login is None:
        return _from_problem("Pool", Problem(code=FaultCode.NOT_LOGGED_IN), WARN)
    answer = await check_login(login.pool, login.user, login.password, interfaces=ipv4_addresses())
    if isinstance(answer, Problem):
        return _from_problem("Pool", answer, WARN)
    return Check(name="Pool", state=OK, text=f"{login.pool} knows {login.user}")
