"""A look at everything that a worker needs, with what to do about what is missing.

The command line prints the findings, the window shows them; beside a running worker it changes nothing.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hivemind_worker.machine import autostart
from hivemind_worker.machine.capacity import cores_here, lent, memory_here_gb
from hivemind_worker.machine.gpu import GpuProbe
from hivemind_worker.machine.interfaces import ipv4_addresses
from hivemind_worker.machine.sampler import available_memory_bytes, free_disk_bytes
from hivemind_worker.model.checkup import Autostart, Check, CheckState
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pools import is_asked
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.task import Problem, TaskId, key_of
from hivemind_worker.model.work import RunOrder
from hivemind_worker.model.yields import STEPS_MS, YieldTimes, yield_times
from hivemind_worker.nursery import NamedThread
from hivemind_worker.places import Places
from hivemind_worker.pool.address import choose_own_address, parse_address, resolve
from hivemind_worker.pool.login import check_login
from hivemind_worker.presentation.amounts import cores_words
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.gpu import can_use_a_gpu, gpu_words
from hivemind_worker.presentation.rule_rows import yield_words
from hivemind_worker.store.records import Records, records_file
from hivemind_worker.store.secrets import login_store
from hivemind_worker.web.endpoint import read_endpoint

OK, WARN, FAIL, NOT_NEEDED = CheckState.OK, CheckState.WARN, CheckState.FAIL, CheckState.NOT_NEEDED
PROBE = "print(6 * 7)\n"
PROBE_LIMIT_S = 60.0
GIB = 1024**3
REPAIR_AUTOSTART = "repair_autostart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose needs are looked at. `known_as`: a worker that runs is registered at its pool under this name."""

    settings: Settings
    sources: Mapping[str, str]
    places: Places
    known_as: str = ""


async def checkup(subject: Subject) -> AsyncIterator[Check]:
    """Every finding as it comes; the sandbox really runs a program, the pool is really asked."""
    thread = NamedThread("checkup")
    try:
        for look in QUICK:
            yield await thread.call(look, subject)
        yield await _sandbox(subject)
        yield await _docker(subject)
        for look in LATER:
            yield await thread.call(look, subject)
        yield await _giving_way(subject)
        yield await _address(subject, thread)
        yield await _login(subject, thread)
    finally:
        thread.close(wait=False)


async def all_checks(subject: Subject) -> tuple[Check, ...]:
    """Every finding, those that need somebody first."""
    found = [check async for check in checkup(subject)]
    order = (FAIL, WARN, OK, NOT_NEEDED)
    return tuple(sorted(found, key=lambda check: order.index(check.state)))


def _from_problem(name: str, problem: Problem, state: CheckState = FAIL) -> Check:
    text, next_step = words(problem)
    return Check(name=name, state=state, text=text, next_step=next_step)


# --- what blocks for a moment, in the thread ----------------------------------------------------


def _python(_subject: Subject) -> Check:
    text = _("{python} {version} on {system}", python=platform.python_implementation(),
             version=platform.python_version(), system=platform.system())  # fmt: skip
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        step = _("Versions 3.11 to 3.13 are tested.")
        return Check(name="Python", state=WARN, text=text, next_step=step)
    return Check(name="Python", state=OK, text=text)


def _folders(subject: Subject) -> Check:
    places = subject.places
    try:
        places.make()
        for folder in (places.data, places.state, places.logs):
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        problem = Problem(code=FaultCode.NO_PERMISSION, about=f"{error.filename}: {error.strerror}")
        return _from_problem(_("Folders"), problem)
    return Check(
        name=_("Folders"), state=OK, text=str(places.data.parent if places.portable else places.data)
    )


def _disk(subject: Subject) -> Check:
    free_gb = free_disk_bytes(_existing(subject.places.data)) / GIB
    needed_gb = subject.settings.keep_free_gb + subject.settings.task_disk_gb
    text = _(
        "{free} GiB free, {needed} GiB needed for a task", free=f"{free_gb:.1f}", needed=f"{needed_gb:.1f}"
    )
    if free_gb < needed_gb:
        step = _("Free some space, or lower {setting}.", setting="task_disk_gb")
        return Check(name=_("Disk"), state=FAIL, text=text, next_step=step)
    return Check(name=_("Disk"), state=OK, text=text)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _share(subject: Subject) -> Check:
    share = lent(subject.settings, subject.sources)
    text = _(
        "lends {cores} and {memory} GiB of {all_cores} and {all_memory} GiB",
        cores=cores_words(share.cpu / CPU_SCORE_PER_CORE), memory=f"{share.memory_gb:g}",
        all_cores=cores_words(cores_here()),
        all_memory=f"{memory_here_gb():.1f}",
    )  # fmt: skip
    return Check(name=_("Share"), state=OK, text=text)


def _worker(subject: Subject) -> Check:
    endpoint = read_endpoint(subject.places.endpoint_file)
    text = _("not running") if endpoint is None else _("last started at {address}", address=endpoint.url)
    return Check(name=_("Worker"), state=OK, text=text)


def _gpu(_subject: Subject) -> Check:
    cards = GpuProbe().look()
    state = OK if can_use_a_gpu(cards) else WARN if cards else NOT_NEEDED
    return Check(name=_("Graphics card"), state=state, text=gpu_words(cards))


def _autostart(_subject: Subject) -> Check:
    name = _("Start with system")
    try:
        found = autostart.state(autostart.system_entry(), autostart.command_here())
    except OSError as error:
        return Check(name=name, state=WARN, text=_("cannot be read: {reason}", reason=error.strerror))
    if found is Autostart.STALE:
        return Check(
            name=name, state=WARN, text=_("Its entry starts another program, or one that is gone."),
            next_step=_("Have the entry written anew."), remedy=REPAIR_AUTOSTART,
        )  # fmt: skip
    on = found is Autostart.ON
    return Check(name=name, state=OK if on else NOT_NEEDED, text=_("on") if on else _("off"))


def _pack(subject: Subject) -> Check:
    from hivemind_worker.runtimes.wasm.packs import find_scientific, installed_scientific  # noqa: PLC0415

    name = _("Scientific pack")
    if find_scientific(subject.places.sandbox) or installed_scientific():
        return Check(name=name, state=OK, text="numpy, pandas, scipy, scikit-learn, matplotlib")
    return Check(
        name=name, state=WARN,
        text=_("not there: tasks that need numpy and the like are refused, and plain Python runs slower"),
        next_step=_("Add it (98 MB) with: hivemind-worker sandbox add scientific"),
    )  # fmt: skip


QUICK: tuple[Callable[[Subject], Check], ...] = (_python, _folders, _disk, _share, _worker)
LATER: tuple[Callable[[Subject], Check], ...] = (_pack, _gpu, _autostart)


# --- what waits for others ----------------------------------------------------------------------


async def _docker(subject: Subject) -> Check:
    """Whether tasks could run in Docker; only where Docker is insisted upon is that a failure."""
    from hivemind_worker.runtimes.docker.looking import look_at_docker  # noqa: PLC0415 - slow to import
    from hivemind_worker.runtimes.docker.rules import docker_rules  # noqa: PLC0415

    settings = subject.settings
    if not settings.docker_enabled or settings.runtime == "wasm":
        return Check(name="Docker", state=NOT_NEEDED, text=_("switched off: the built-in sandbox is used"))
    seen = await look_at_docker(subject.places.data / "docker", docker_rules(settings).image)
    if isinstance(seen, Problem):
        return _from_problem("Docker", seen, FAIL if settings.runtime == "docker" else NOT_NEEDED)
    text = _("{engine}, tasks run in {image}", engine=seen.engine, image=seen.image.version)
    return Check(name="Docker", state=OK, text=text)


async def _sandbox(subject: Subject) -> Check:
    """Run a real program in the real sandbox."""
    from hivemind_worker.runtimes.wasm.runtime import WasmRuntime  # noqa: PLC0415 - slow to import

    name, runtime, output = (
        _("Sandbox"),
        WasmRuntime(subject.places.sandbox, available_memory_bytes),
        bytearray(),
    )

    async def take(chunk: bytes, _mark: bytes = b"", /) -> None:
        output.extend(chunk)

    async def started(_where: str, /, *, image: str = "", runtime: str = "") -> None:
        return None

    try:
        problem = await runtime.prepare()
        if problem is not None:
            return _from_problem(name, problem)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "main.py").write_text(PROBE, encoding="utf-8")  # noqa: ASYNC240 - nothing else waits
            outcome = await runtime.run(_probe_order(Path(folder)), take, started)
        if outcome.problem is not None:
            return _from_problem(name, outcome.problem)
        if output.strip() != b"42":
            text = _("6 x 7 came out as {output}", output=repr(bytes(output[:40])))
            return Check(name=name, state=FAIL, text=text)
        detail = (await runtime.view()).detail
        return Check(name=name, state=OK, text=_("built-in, {detail}; a test program ran", detail=detail))
    finally:
        await runtime.close()


def _probe_order(folder: Path) -> RunOrder:
    task_id = TaskId("doctor")
    return RunOrder(
        key=key_of(task_id), attempt=1, task_id=task_id, workspace=folder, entry="main.py", cpu_cores=1,
        memory_bytes=GIB, disk_bytes=64 << 20, time_limit_s=PROBE_LIMIT_S,
    )  # fmt: skip


async def _giving_way(subject: Subject) -> Check:
    """How fast the computer was given back so far, as the worker has noted each time."""
    name, data = _("Giving way"), subject.places.data
    if not records_file(data).exists():
        return Check(name=name, state=NOT_NEEDED, text=yield_words(YieldTimes()))
    records = Records(data)
    try:
        times = yield_times(await records.yieldings())
    finally:
        await records.close()
    if times.p95_ms is not None and times.p95_ms > STEPS_MS[-1]:
        step = _("Pausing waits for the disk and for Docker: look what else keeps them busy.")
        return Check(name=name, state=WARN, text=yield_words(times), next_step=step)
    return Check(name=name, state=OK if times.count else NOT_NEEDED, text=yield_words(times))


async def _address(subject: Subject, thread: NamedThread) -> Check:
    name, pool = _("Network"), parse_address(subject.settings.master_address)
    if isinstance(pool, Problem):
        return _from_problem(name, pool)
    if is_asked(str(pool)):
        text = _("this worker asks {pool} for tasks: no port and no VPN are needed", pool=pool)
        return Check(name=name, state=OK, text=text)
    ips = await resolve(pool.host, thread)
    own = choose_own_address(ipv4_addresses(), ips, subject.settings.bind_address)
    if isinstance(own, Problem):
        return _from_problem(name, own)
    if own.warning:
        return Check(name=name, state=WARN, text=_(own.warning), next_step=_("Bring up the pool's VPN."))
    text = _("the pool at {pool} would reach this worker at {address}", pool=pool,
             address=f"{own.announce}:{subject.settings.node_port}")  # fmt: skip
    return Check(name=name, state=OK, text=text)


async def _asked_pool(name: str, subject: Subject, thread: NamedThread) -> Check:
    from hivemind_worker.pool.nats.pull_client import check_way  # noqa: PLC0415 - for who needs it

    address = subject.settings.master_address
    login = await thread.call(lambda: login_store(subject.places).find(address))
    user, password = (login.user, login.password) if login else ("", "")
    known = await check_way(address, subject.places.pool_credential, user, password)
    if isinstance(known, Problem):
        return _from_problem(name, known, WARN)
    return Check(name=name, state=OK, text=_("{pool} knows {user}", pool=address, user=known))


async def _login(subject: Subject, thread: NamedThread) -> Check:
    name, kept = _("Pool"), login_store(subject.places)
    if subject.known_as:
        said = _("{pool} knows {user}", pool=subject.settings.master_address, user=subject.known_as)
        return Check(name=name, state=OK, text=said)
    if is_asked(subject.settings.master_address):
        return await _asked_pool(name, subject, thread)
    login = await thread.call(lambda: kept.find(subject.settings.master_address) or kept.find())
    if login is None:
        return _from_problem(name, Problem(code=FaultCode.NOT_LOGGED_IN), WARN)
    answer = await check_login(login.pool, login.user, login.password, interfaces=ipv4_addresses(),
                               insist_plain_login=login.plain)  # fmt: skip
    if isinstance(answer, Problem):
        return _from_problem(name, answer, WARN)
    return Check(name=name, state=OK, text=_("{pool} knows {user}", pool=login.pool, user=login.user))
