"""`demo`: real tasks through a real pool in a real sandbox, on this computer alone.

Pool and worker are processes of their own in a home of their own; they and this requester
share no object, every byte passes a socket.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.resolve import Resolved, resolve
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.places import find_places, resources

if TYPE_CHECKING:
    from hivemind_worker.pool.requester import Requester
    from hivemind_worker.runtimes.docker.looking import Seen

PLAIN_SAMPLES = ("mandelbrot", "pi", "words")
SCIENTIFIC_SAMPLE = "clusters"
SCIENTIFIC_PACKAGES = ("numpy", "matplotlib", "scikit-learn")
WORKER, REQUESTER = "demo-worker", "demo-requester"
READY_LIMIT_S, TASK_LIMIT_S, STOP_LIMIT_S = 120.0, 900.0, 12.0
MOST_TASKS = 1000
OWN_FILES = frozenset({"execution_log.txt", "task_logs.txt", "left_out.txt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How one task of the demo ended."""

    name: str
    status: str
    seconds: float
    last_line: str
    folder: Path | None
    files: tuple[str, ...] = ()
    runtime: str = ""  # the sandbox, as the result's own log names it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """Where the demo's tasks will run, and whether the packages of the larger sample are there."""

    name: str
    image: str
    scientific: bool


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `demo`."""
    parser = subparsers.add_parser(
        "demo", help="run sample tasks on this computer alone and show their results"
    )
    parser.add_argument(
        "--tasks", metavar="N", type=int, default=len(PLAIN_SAMPLES), help="how many; default: 3"
    )
    parser.add_argument("--runtime", choices=("auto", "docker", "wasm"), default="auto")
    parser.add_argument("--out", metavar="DIR", type=Path, help="folder for the results")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(func=demo)


def demo(args: argparse.Namespace) -> int:
    """Exit code 0 only when every task completed."""
    if not 1 <= args.tasks <= MOST_TASKS:
        return fail(Problem(code=FaultCode.BAD_USAGE, about=f"--tasks takes 1 to {MOST_TASKS}."), args.json)
    resolved = resolve({})
    if isinstance(resolved, Problem):
        return fail(resolved, args.json)
    sandbox = asyncio.run(_sandbox(args, resolved))
    if isinstance(sandbox, Problem):
        return fail(sandbox, args.json)
    places = resolved.places
    out: Path = args.out or places.data / "demo" / time.strftime("%Y-%m-%d-%H%M%S")
    try:
        places.make()
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="hivemind-demo-") as home:
            return asyncio.run(_demo(args, resolved, sandbox, Path(home), out.absolute()))
    except OSError as error:
        problem = Problem(code=FaultCode.NO_PERMISSION, about=f"{error.filename}: {error.strerror}")
        return fail(problem, args.json)


async def _demo(args: argparse.Namespace, resolved: Resolved, sandbox: Sandbox, home: Path, out: Path) -> int:
    password = secrets.token_urlsafe(16)
    problem = await _make_accounts(home, password)
    if problem is not None:
        return fail(problem, args.json)
    _tell(args, "Starting a pool and a worker on this computer. Nothing leaves it.")
    settings = _surroundings(resolved, sandbox)
    async with _pool(home) as address, _worker(args, home, address, password, settings):
        done = await _run_tasks(args, sandbox, address, password, out)
    if isinstance(done, Problem):
        return fail(done, args.json)
    return _summary(args, done, out)


async def _sandbox(args: argparse.Namespace, resolved: Resolved) -> Sandbox | Problem:
    """Docker with its image, or the built-in sandbox: as asked for, or as a worker would choose."""
    from hivemind_worker.runtimes.wasm.packs import find_scientific, installed_scientific

    image = resolved.settings.task_image
    if args.runtime != "wasm":
        found = await _docker(resolved)
        if not isinstance(found, Problem):
            scientific = set(SCIENTIFIC_PACKAGES) <= found.image.packages.keys()
            return Sandbox(name="docker", image=found.image.name, scientific=scientific)
        if args.runtime == "docker":
            return found
    there = find_scientific(resolved.places.sandbox) is not None or installed_scientific() is not None
    return Sandbox(name="wasm", image=image, scientific=there)


async def _docker(resolved: Resolved) -> Seen | Problem:
    """Docker as a worker would find it; a problem names the command that makes an image."""
    from hivemind_worker.runtimes.docker.looking import look_at_docker
    from hivemind_worker.runtimes.docker.rules import docker_rules

    if not resolved.settings.docker_enabled:
        about = "DOCKER_ENABLED (setting docker_enabled) is off"
        return Problem(code=FaultCode.BAD_SETTING, about=about)
    return await look_at_docker(resolved.places.data / "docker", docker_rules(resolved.settings).image)


def _tell(args: argparse.Namespace, text: str) -> None:
    if not args.json:
        say(text)


# --- the two processes ------------------------------------------------------------------------


async def _make_accounts(home: Path, password: str) -> Problem | None:
    from hivemind_worker.nursery import NamedThread
    from hivemind_worker.pool.local.accounts import open_account
    from hivemind_worker.store.pool_book import SqlitePoolBook

    book, hashing = SqlitePoolBook(home / "pool"), NamedThread("passwords")
    try:
        problem = await book.open()
        for name in (WORKER, REQUESTER):
            problem = problem or await open_account(book, hashing, name, password, 0)
        return problem
    finally:
        hashing.close()
        await book.close()


@asynccontextmanager
async def _process(
    home: Path, words: Sequence[str], **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """This program once more, with these words; ended in order when left."""
    from hivemind_worker.nursery.children import own_program

    program = own_program(words[0])
    environment = {**os.environ, **dict(program.env), "HIVEMIND_HOME": str(home), **settings}
    process = await asyncio.create_subprocess_exec(
        *program.argv, *words[1:], env=environment, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.communicate(), STOP_LIMIT_S)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def _pool(home: Path) -> AsyncIterator[str]:
    async with _process(home, ("pool", "--listen", "127.0.0.1:0", "--json")) as process:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), READY_LIMIT_S)
        if not line:
            raise OSError(0, f"the pool did not start: {await _last_words(process)}", "pool")
        yield str(json.loads(line)["address"])


async def _last_words(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    return (await process.stderr.read()).decode("utf-8", "replace").strip().partition("\n")[0]


def _surroundings(resolved: Resolved, sandbox: Sandbox) -> dict[str, str]:
    """The worker's settings: nothing is fetched, and the sandbox is the one that was found."""
    from hivemind_worker.machine.capacity import cores_here

    return {
        "NODE_PORT": "0", "FLASK_PORT": "0", "HIVEMIND_RUNTIME": sandbox.name, "NODE_ID": WORKER,
        "HIVEMIND_SANDBOX": str(resolved.places.sandbox), "HIVEMIND_TASK_IMAGE": sandbox.image,
        "HIVEMIND_PULL_IMAGES": "false", "HIVEMIND_TASK_NETWORK": "none", "MAX_CPU_CORES": str(cores_here()),
        "MAX_CONCURRENT_TASKS": "3", "HIVEMIND_BIND_ADDRESS": "127.0.0.1",
    }  # fmt: skip


@asynccontextmanager
async def _worker(
    args: argparse.Namespace, home: Path, pool: str, password: str, settings: Mapping[str, str]
) -> AsyncIterator[None]:
    _keep_login(home, pool, password)
    async with _process(home, ("run",), MASTER_ADDRESS=pool, **settings) as process:
        listening = asyncio.ensure_future(_listen(args, process))
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.wait({listening})


def _keep_login(home: Path, pool: str, password: str) -> None:
    from hivemind_worker.store.secrets import Login, login_store

    places = find_places(str(home))
    places.make()
    login_store(places).keep(Login(pool=pool, user=WORKER, password=password))


async def _listen(args: argparse.Namespace, process: asyncio.subprocess.Process) -> None:
    """Read the worker's log, which a full pipe would hold up; pass on what a person should know."""
    assert process.stdout is not None
    async for line in process.stdout:
        text = line.decode("utf-8", "replace").rstrip()
        if "] INFO: sandbox" in text or "] ERROR" in text or "] WARNING" in text:
            _tell(args, text.partition("]")[2].partition(":")[2].strip())


# --- the tasks --------------------------------------------------------------------------------


def _samples(sandbox: Sandbox, count: int) -> list[tuple[str, Path]]:
    """So many tasks, each with a name of its own, taking the samples in turn."""
    kinds = (*PLAIN_SAMPLES, SCIENTIFIC_SAMPLE) if sandbox.scientific else PLAIN_SAMPLES
    folder = resources() / "samples"
    return [(f"{kinds[n % len(kinds)]}-{n + 1}", folder / kinds[n % len(kinds)]) for n in range(count)]


async def _run_tasks(
    args: argparse.Namespace, sandbox: Sandbox, address: str, password: str, out: Path
) -> list[Done] | Problem:
    from hivemind_worker.pool.requester import Requester

    requester = Requester(address, REQUESTER, password)
    try:
        problem = await requester.login()
        if problem is not None:
            return problem
        tasks = [_one(args, requester, name, sample, out) for name, sample in _samples(sandbox, args.tasks)]
        return list(await asyncio.gather(*tasks))
    finally:
        await requester.close()


async def _one(args: argparse.Namespace, requester: Requester, name: str, sample: Path, out: Path) -> Done:
    begun = time.monotonic()
    lines: list[str] = []
    try:
        async with asyncio.timeout(TASK_LIMIT_S):
            done = await _see_through(args, requester, name, sample, out=out, lines=lines)
    except TimeoutError:
        done = Problem(code=FaultCode.TIMED_OUT, about=f"{TASK_LIMIT_S:g} s")
    if isinstance(done, Problem):
        fail(done, args.json)
        status, folder = "FAILED", None
    else:
        status, folder = done
    ended = Done(
        name=name, status=status, seconds=time.monotonic() - begun, folder=folder,
        last_line=next((line for line in reversed(lines) if line and not line.startswith("[")), ""),
        files=_made_files(sample, folder), runtime=_ran_in(folder),
    )  # fmt: skip
    _tell_done(args, ended)
    return ended


async def _see_through(
    args: argparse.Namespace, requester: Requester, name: str, sample: Path, *, out: Path, lines: list[str]
) -> tuple[str, Path] | Problem:
    """Send one sample, follow it to its end, unpack its result."""
    from hivemind_worker.commands.submit import fetch_result
    from hivemind_worker.pool.requester import ARCHIVE_BYTES_MOST, Demand, new_task_id
    from hivemind_worker.runtimes.workspace.bundle import bundle

    task_id = new_task_id()
    with tempfile.TemporaryDirectory(prefix="hivemind-sample-") as scratch:
        made = bundle(sample, Path(scratch), ARCHIVE_BYTES_MOST)
        if isinstance(made, Problem):
            return made
        problem = await requester.upload(task_id, made.archive, Demand())
    if problem is not None:
        return problem
    async for line in requester.follow(task_id):
        lines.append(line)
        _tell(args, f"  {name:14} {line}")
    view = await requester.wait(task_id)
    if isinstance(view, Problem):
        return view
    folder = await fetch_result(requester, view, out)
    if isinstance(folder, Problem):
        return folder
    return view.status, _named(folder, out / name)


def _named(folder: Path, wanted: Path) -> Path:
    """The result under the task's name; under its id when that name is taken already."""
    return folder if wanted.exists() else folder.rename(wanted)


def _ran_in(folder: Path | None) -> str:
    """The sandbox that the worker names in the result."""
    if folder is None:
        return ""
    log = folder / "execution_log.txt"
    lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("Sandbox: ")), "")


def _made_files(sample: Path, folder: Path | None) -> tuple[str, ...]:
    """What the task itself has written."""
    if folder is None:
        return ()
    return tuple(
        sorted(
            path.name
            for path in folder.iterdir()
            if path.is_file() and path.name not in OWN_FILES and not (sample / path.name).exists()
        )
    )


def _tell_done(args: argparse.Namespace, done: Done) -> None:
    if args.json:
        say_json(_row(done))
        return
    status = done.status.lower()
    where = {"docker": " in Docker", "wasm": " in the built-in sandbox"}.get(done.runtime, "")
    say(f"{done.name}: {status} in {done.seconds:.1f} s{where}. {done.last_line}")
    if done.folder is not None:
        say(f"  its files: {', '.join(done.files) or 'none'} in {done.folder}")


def _row(done: Done) -> Mapping[str, object]:
    return {
        "task": done.name,
        "status": done.status,
        "seconds": round(done.seconds, 2),
        "runtime": done.runtime,
        "output": done.last_line,
        "files": done.files,
        "result": None if done.folder is None else str(done.folder),
    }


def _summary(args: argparse.Namespace, done: list[Done], out: Path) -> int:
    counts = Counter(task.status == "COMPLETED" for task in done)
    if args.json:
        runtime = ",".join(sorted({task.runtime for task in done if task.runtime}))
        say_json(
            {"completed": counts[True], "failed": counts[False], "runtime": runtime, "results": str(out)}
        )
    else:
        say(f"\n{counts[True]} of {len(done)} tasks completed. Their results are in {out}")
        if counts[False] == 0 and sys.stdout.isatty():
            say("To work for a pool: hivemind-worker login, then hivemind-worker run")
    return 0 if counts[False] == 0 else 1
