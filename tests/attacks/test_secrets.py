"""Section S: where the password, the pool's tokens and the API's token are, and that they are nowhere else.

A worker lives its whole life here; then everything that it wrote, printed or passed on is searched.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import os
import signal
import stat
import subprocess
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from hivemind_worker.model.faults import FAULTS, FaultCode
from hivemind_worker.places import find_places
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.store.journal import connect
from hivemind_worker.web.endpoint import read_endpoint
from tests.attacks.ground import HELLO, ground
from tests.e2e.process import WorkerProcess, command, keep_login, worker
from tests.e2e.test_stopping import rising
from tests.engine.harness import zip_of
from tests.fakes.pool import Call, GrpcError, ScriptedPool
from tests.web import wire

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="modes and users are POSIX")]

PASSWORD, WRONG = "Zwölf-blaue-Kühe-42", "Dreizehn-rote-Schafe-99"
ROOT = Path(__file__).parents[2]
NOBODY = 65534
SNOOPS = """import os, sys
print('MY ENVIRONMENT', sorted(os.environ.items()))
for where in ('/', '/workspace', '/app/task', '/proc/self/environ', '/etc/passwd', os.getcwd()):
    try:
        print(where, os.listdir(where))
    except Exception as error:
        print(where, error)
    try:
        print(open(where).read())
    except Exception as error:
        print(where, error)
print(sys.argv)
sys.stdout.flush()
import time
time.sleep(SECONDS)
"""


def snoops(seconds: float) -> bytes:
    """A task that prints all that it can see of its surroundings."""
    return zip_of({"main.py": SNOOPS.replace("SECONDS", str(seconds))})


class Search:
    """Text collected from everywhere, and the secrets that must not be in it."""

    def __init__(self) -> None:
        self.secrets: dict[str, bytes] = {}
        self.places: list[tuple[str, bytes]] = []

    def add_secret(self, name: str, secret: str) -> None:
        """In every form in which it may be written down by accident."""
        raw = secret.encode()
        forms = {
            "": raw, "in ASCII": ascii(secret)[1:-1].encode(), "in base64": base64.b64encode(raw)[:-3],
            "in hex": raw.hex().encode(), "in UTF-16": secret.encode("utf-16-le"),
        }  # fmt: skip
        self.secrets |= {f"{name} {form}".strip(): found for form, found in forms.items()}

    def look_into(self, name: str, content: str | bytes) -> None:
        self.places.append((name, content.encode() if isinstance(content, str) else content))

    def look_at_processes(self, pid: int) -> None:
        """Words and environments of the worker and its children, as `ps e` shows them."""
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
                for name in ("cmdline", "environ"):
                    self.look_into(
                        f"{name} of {process.name()}", Path(f"/proc/{process.pid}/{name}").read_bytes()
                    )

    def look_through(self, folder: Path, but_not: tuple[Path, ...] = ()) -> int:
        """Every file below, packed ones opened; how many there were."""
        files = [path for path in folder.rglob("*") if path.is_file() and path not in but_not]
        for path in files:
            self.look_into(str(path), path.read_bytes())
            self.look_into(f"the name {path}", str(path))
            if zipfile.is_zipfile(path):
                self.look_into_archive(str(path), path.read_bytes())
        return len(files)

    def look_into_archive(self, name: str, content: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                self.look_into(f"{member} of {name}", archive.read(member))

    def found(self) -> list[str]:
        assert self.places and self.secrets
        return [
            f"{secret} in {place}"
            for place, content in self.places
            for secret, letters in self.secrets.items()
            if letters in content
        ]


def test_the_search_finds_what_it_should_find(tmp_path: Path) -> None:
    search = Search()
    search.add_secret("it", PASSWORD)
    (tmp_path / "a").write_bytes(zip_of({"b": f"x{PASSWORD}y"}))
    (tmp_path / "c").write_text(ascii(PASSWORD))
    (tmp_path / "d").write_bytes(base64.b64encode(PASSWORD.encode()))
    assert search.look_through(tmp_path) == 3
    assert len(search.found()) == 4  # the archive is not packed: seen in it and in its member


def echoing_login(pool: ScriptedPool) -> Callable[[object, Call], object]:
    """A pool that repeats what it was sent, as careless ones do."""

    def answer(request: object, call: Call) -> object:
        password = call.fields["password"]
        if password != PASSWORD:
            return pb.LoginResponse(success=False, message=f"no account ann with password {password}")
        return pb.LoginResponse(success=True, token=pool.new_token(username="ann"))

    return answer


def modes(home: Path) -> dict[str, str]:
    """What others could get at below `home`, task folders' own insides left out: those lie behind 0700."""
    open_ones = {}
    for path in [home, *home.rglob("*")]:
        parts = path.relative_to(home).parts
        if path.is_symlink() or "workspace" in parts:
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode != (0o700 if path.is_dir() else 0o600):
            open_ones[str(path.relative_to(home))] = oct(mode)
    return open_ones


async def test_s_no_secret_is_anywhere_but_in_its_own_file(tmp_path: Path) -> None:
    home, secret_file, wrong_file = tmp_path / "home", tmp_path / "password", tmp_path / "wrong"
    secret_file.write_text(PASSWORD + "\n")
    wrong_file.write_text(WRONG)
    search = Search()
    search.add_secret("the password", PASSWORD)
    search.add_secret("the wrong password", WRONG)
    async with ScriptedPool(users={"ann": PASSWORD}, prompt=True) as pool:
        pool.answers["Login"] = echoing_login(pool)
        words = ("login", "--pool", pool.address, "--user", "ann", "--password-file")
        code, out, err = await command(home, *words, str(wrong_file))
        assert code == FAULTS[FaultCode.WRONG_PASSWORD].exit_code
        search.look_into("output of a refused login", out + err)
        assert "(hidden)" in err
        code, out, err = await command(home, *words, str(secret_file))
        assert code == 0, err
        search.look_into("output of login", out + err)
        assert modes(home) == {}
        places = find_places(str(home))
        await first_life(home, pool, search)
        await second_life(home, pool, search)
        own = (places.state / "login.json", places.token_file)
        assert PASSWORD in own[0].read_text(encoding="unicode_escape")
        for token in pool._tokens | {call.fields.get("token") or "-" * 40 for call in pool.calls}:
            search.add_secret("a token of the pool", token)
        search.add_secret("the token of the API", places.token_file.read_text().strip())
        for name in ("status", "tasks", "config", "doctor"):
            search.look_into(f"output of {name}", "".join((await command(home, name, "--json"))[1:]))
        for task_id, archives in pool.results.items():
            for content in archives:
                search.look_into_archive(f"the result of {task_id}", content)
            search.look_into(f"the output of {task_id}", pool.outputs[task_id])
        assert search.look_through(home, own) > 10
        search.look_through(tmp_path / "cwd")
        assert search.found() == []
        assert modes(home) == {}
        (places.state / ".login.json.0123456789abcdef").write_text(
            PASSWORD
        )  # of a crash while it was written
        code, out, err = await command(home, "logout")
        search.look_into("output of logout", out + err)
        search.look_through(home, (places.token_file,))
        assert code == 0
        assert search.found() == []


async def first_life(home: Path, pool: ScriptedPool, search: Search) -> None:
    """Tasks, lost tokens, a wrong answer or two, then a crash that would leave its memory behind."""
    cwd = home.parent / "cwd"
    cwd.mkdir()
    unlimited = ("bash", "-c", f'ulimit -c unlimited && cd "{cwd}" && exec "$@"', "start")
    async with rising(home, pool.address, before=unlimited) as made:
        await made.said("sandbox ready")
        await pool.heard("RegisterWorkerNode")
        assert (await pool.offer(await made.address(), "snoop", snoops(0))).success
        await pool.until(lambda: bool(pool.results["snoop"]), 30)
        old = {call.fields["token"] for call in pool.of("TaskResultUpload")}
        for token in old:
            search.add_secret("an old token", token)
        pool.invalidate_tokens()

        def refuses(request: object, call: Call) -> object:
            return pb.TaskResultUploadResponse(success=False, message=f"not with {call.fields['token']}")

        pool.answers["TaskResultUpload"] = refuses
        assert (await pool.offer(await made.address(), "refused", HELLO)).success
        await made.said("will not take the result")
        pool.answers["TaskResultUpload"] = GrpcError(
            code=_failed_precondition(), details=f"bearer {max(old)}"
        )
        assert (await pool.offer(await made.address(), "refused too", HELLO)).success
        await pool.until(lambda: len(pool.of("TaskResultUpload")) >= 3, 30)
        del pool.answers["TaskResultUpload"]
        assert (await pool.offer(await made.address(), "long", snoops(60))).success
        await pool.until(lambda: "MY ENVIRONMENT" in pool.outputs["long"], 30)
        search.look_at_processes(made.process.pid)
        search.look_into("the journal's log", Path(f"{made.places.journal}-wal").read_bytes())
        os.kill(made.process.pid, signal.SIGABRT)
        assert await asyncio.wait_for(made.process.wait(), 10) == -signal.SIGABRT
        search.look_into("what a crashed worker printed", "\n".join(made.lines))
    assert list(cwd.iterdir()) == []  # no core


def _failed_precondition() -> object:
    import grpc

    return grpc.StatusCode.FAILED_PRECONDITION


async def second_life(home: Path, pool: ScriptedPool, search: Search) -> None:
    """The crash is told of; then kill -9 and an orderly end."""
    async with worker(home, pool.address) as made:
        await pool.until(lambda: bool(pool.results["long"]), 30)
        status = await command(home, "status")
        search.look_into("output of status", "".join(status[1:]))
        await made.kill()
        search.look_into("what a killed worker printed", "\n".join(made.lines))
    async with worker(home, pool.address) as made:
        search.look_at_processes(made.process.pid)
        assert await made.end() == 0
        search.look_into("what a worker printed", "\n".join(made.lines))


async def test_s_a_task_sees_its_id_and_nothing_of_the_worker(tmp_path: Path) -> None:
    async with ground(tmp_path, SOME_TOKEN="sesame-open-yourself") as field:
        archive = await field.works("a", snoops(0))
        seen = archive.read("task_logs.txt").decode()
        assert "'TASK_ID', 'a'" in seen and "PYTHONUNBUFFERED" in seen
        for hidden in ("sesame", "HIVEMIND", "MASTER_ADDRESS", str(tmp_path), "root:", field.address):
            assert hidden not in seen, seen


def keyring_home(home: Path) -> dict[str, str]:
    return {
        "HIVEMIND_HOME": "", "XDG_CONFIG_HOME": str(home / "config"), "XDG_DATA_HOME": str(home / "data"),
        "XDG_STATE_HOME": str(home / "state"), "XDG_CACHE_HOME": str(home / "cache"),
        "PYTHONPATH": str(ROOT), "PYTHON_KEYRING_BACKEND": "tests.attacks.file_keyring.Keyring",
        "KEYRING_FILE": str(home.parent / "keyring.json"),
    }  # fmt: skip


async def test_s_where_there_is_a_keyring_the_password_is_there_alone(tmp_path: Path) -> None:
    home, secret_file = tmp_path / "home", tmp_path / "password"
    home.mkdir()
    secret_file.write_text(PASSWORD)
    more = keyring_home(home)
    search = Search()
    search.add_secret("the password", PASSWORD)
    async with ScriptedPool(users={"ann": PASSWORD}) as pool:
        words = ("login", "--pool", pool.address, "--user", "ann", "--password-file", str(secret_file))
        assert (await command(home, *words, **more))[0] == 0
        assert "blaue" in (tmp_path / "keyring.json").read_text()
        async with worker(home, pool.address, **more) as made:
            await pool.heard("RegisterWorkerNode")
            assert await made.end() == 0
        assert search.look_through(home) > 3
        assert search.found() == []
        assert (await command(home, "logout", **more))[0] == 0
        assert (tmp_path / "keyring.json").read_text() == "{}"


# ---- links and strangers' files in the way ---------------------------------------------


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder of somebody else's with a file in it; both must be as they were afterwards."""
    folder = tmp_path / "victim"
    folder.mkdir(mode=0o755)
    file = folder / "diary"
    file.write_text("dear diary")
    file.chmod(0o644)
    before = (folder.stat().st_mode, file.stat())
    yield folder
    assert [path.name for path in folder.iterdir()] == ["diary"]
    assert file.read_text() == "dear diary"
    after = file.stat()
    assert (folder.stat().st_mode, after.st_mode, after.st_mtime_ns, after.st_ino) == (
        before[0], before[1].st_mode, before[1].st_mtime_ns, before[1].st_ino,
    )  # fmt: skip


@pytest.fixture
async def pool() -> AsyncIterator[ScriptedPool]:
    async with ScriptedPool(prompt=True) as made:
        yield made


FOLDERS = ("config", "data", "state", "logs", "data/spool", "data/tasks", "data/results")


@pytest.mark.parametrize("name", FOLDERS)
async def test_s_a_link_in_the_place_of_a_folder_is_not_followed(
    tmp_path: Path, victim: Path, name: str
) -> None:
    link = tmp_path / "home" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(victim, target_is_directory=True)
    code, _, err = await command(tmp_path / "home", "run")
    assert code == FAULTS[FaultCode.NO_PERMISSION].exit_code
    assert f"{link}: it is a link" in err


async def test_s_a_link_in_the_place_of_the_sandbox_or_its_modules_is_not_followed(
    tmp_path: Path, victim: Path, pool: ScriptedPool
) -> None:
    (tmp_path / "sandbox").symlink_to(victim)
    code, _, err = await command(tmp_path / "home", "run", HIVEMIND_SANDBOX=str(tmp_path / "sandbox"))
    assert code == FAULTS[FaultCode.NO_PERMISSION].exit_code and "it is a link" in err
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "modules").symlink_to(victim)
    async with rising(tmp_path / "home", pool.address, HIVEMIND_SANDBOX=str(tmp_path / "own")) as made:
        await made.said("it is a link")
        assert (await made.status())["verdicts"][0]["code"] != "ready"


async def test_s_a_folder_of_another_user_is_not_used(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(home / "data", NOBODY, NOBODY)
    else:  # only root can give a folder away: take one that is another's already
        (home / "data").rmdir()
        home = Path("/")
    code, _, err = await command(home, "run")
    assert code == FAULTS[FaultCode.NO_PERMISSION].exit_code
    assert "another user" in err or os.geteuid() != 0


def plant_link(path: Path, victim: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(victim / "diary")


async def works(made: WorkerProcess, pool: ScriptedPool) -> None:
    await made.said("sandbox ready")
    await pool.heard("RegisterWorkerNode")
    assert (await pool.offer(await made.address(), "a", HELLO)).success
    await pool.until(lambda: bool(pool.results["a"]), 30)
    assert await made.end() == 0


async def test_s_links_in_the_place_of_files_are_replaced_and_the_worker_works(
    tmp_path: Path, victim: Path, pool: ScriptedPool
) -> None:
    places = keep_login(tmp_path / "home", pool.address)
    for planted in (places.token_file, places.endpoint_file, places.logs / "worker.log"):
        plant_link(planted, victim)
    async with rising(tmp_path / "home", pool.address) as made:
        await made.said("worker.log was a link")
        await works(made, pool)
    assert "sandbox ready" in (places.logs / "worker.log").read_text()
    assert not (places.logs / "worker.log").is_symlink() and not places.token_file.is_symlink()
    assert modes(tmp_path / "home" / "state") == {}


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
async def test_s_a_link_in_the_place_of_the_journal_is_set_aside_unread(
    tmp_path: Path, victim: Path, pool: ScriptedPool, suffix: str
) -> None:
    places = keep_login(tmp_path / "home", pool.address)
    connect(places.journal).close()
    plant_link(Path(f"{places.journal}{suffix}"), victim)
    async with rising(tmp_path / "home", pool.address) as made:
        await made.said("set aside")
        await works(made, pool)
    assert not places.journal.is_symlink()
    aside = [path for path in places.data.iterdir() if "damaged" in path.name and path.is_symlink()]
    assert len(aside) == 1


async def test_s_a_link_in_the_place_of_the_login_is_not_believed_and_replaced_by_the_next(
    tmp_path: Path, victim: Path, pool: ScriptedPool
) -> None:
    home = tmp_path / "home"
    places = keep_login(home, pool.address)
    plant_link(places.state / "login.json", victim)
    async with worker(home, pool.address) as made:
        assert (await made.status())["verdicts"][0]["code"] == "not_logged_in"
        assert await made.end() == 0
    (tmp_path / "password").write_text("right horse")
    words = ("login", "--pool", pool.address, "--user", "ann", "--password-file", str(tmp_path / "password"))
    assert (await command(home, *words))[0] == 0
    assert not (places.state / "login.json").is_symlink()
    plant_link(places.state / "login.json", victim)
    assert (await command(home, "logout"))[0] == 0
    assert not os.path.lexists(places.state / "login.json")


async def test_s_a_link_in_the_place_of_the_lock_is_an_error_that_names_it(
    tmp_path: Path, victim: Path
) -> None:
    places = keep_login(tmp_path / "home", "127.0.0.1:9")
    plant_link(places.lock_file, victim)
    code, _, err = await command(tmp_path / "home", "run")
    assert code == FAULTS[FaultCode.NO_PERMISSION].exit_code
    assert str(places.lock_file) in err


async def test_s_token_and_login_that_others_could_read_or_wrote_are_not_trusted(
    tmp_path: Path, pool: ScriptedPool
) -> None:
    home = tmp_path / "home"
    places = keep_login(home, pool.address)
    places.token_file.write_text("A" * 43)
    places.token_file.chmod(0o644)
    (places.state / "login.json").chmod(0o640)
    async with worker(home, pool.address) as made:
        assert (await made.status())["verdicts"][0]["code"] == "not_logged_in"
        assert await made.end() == 0
    first = places.token_file.read_text()
    assert "A" * 43 not in first and modes(home)["state/login.json"] == "0o640"
    os.chown(places.token_file, 65534, 65534)
    async with worker(home, pool.address) as made:
        assert await made.end() == 0
    assert places.token_file.read_text() != first
    assert places.token_file.stat().st_uid == os.geteuid()


async def test_s_pipes_in_the_way_do_not_hold_up_the_worker(tmp_path: Path, pool: ScriptedPool) -> None:
    places = keep_login(tmp_path, pool.address)
    for name in (places.token_file, places.endpoint_file, places.logs / "worker.log", places.journal):
        os.mkfifo(name)
    async with rising(tmp_path, pool.address) as made:
        await works(made, pool)


async def test_s_folders_that_were_open_to_others_are_closed_at_the_start(
    tmp_path: Path, pool: ScriptedPool
) -> None:
    home = tmp_path / "home"
    places = keep_login(home, pool.address)
    folders = (home, places.config, places.data, places.state, places.logs, places.tasks, places.results)
    for folder in folders:
        folder.chmod(0o777)
    async with worker(home, pool.address) as made:
        assert (await pool.offer(await made.address(), "a", HELLO)).success
        await pool.until(lambda: bool(pool.results["a"]), 30)
        assert await made.end() == 0
    # The home itself may hold other things as well: nobody else may write in it any more.
    assert modes(home) == {".": "0o755"}


# ---- other users of this computer -------------------------------------------------------


def open_to_others(path: Path) -> list[str]:
    """What user 65534 may do with it, asked of the system itself; who is not root reads its mode."""
    if os.geteuid() != 0:
        return [oct(path.stat().st_mode)] if path.stat().st_mode & 0o077 else []
    return [
        right
        for right in ("-r", "-w", "-x")
        if subprocess.run(
            ["test", right, str(path)], user=NOBODY, group=NOBODY, extra_groups=[], check=False, cwd="/"
        ).returncode
        == 0
    ]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Where anybody may look in; pytest closes its own folder whenever another run begins."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


async def test_s_another_local_user_reads_nothing_and_gets_only_401(
    open_folder: Path, pool: ScriptedPool
) -> None:
    home = open_folder / "home"
    places = keep_login(home, pool.address)
    async with worker(home, pool.address) as made:
        assert (await pool.offer(await made.address(), "a", HELLO)).success
        await pool.until(lambda: bool(pool.results["a"]), 30)
        assert await asyncio.to_thread(open_to_others, open_folder)  # the question itself works
        for path in (home, *home.rglob("*")):
            assert await asyncio.to_thread(open_to_others, path) == [], path
        endpoint = read_endpoint(places.endpoint_file)
        assert endpoint is not None
        for path in ("/api/status", "/api/tasks", "/api/v1/state", "/api/nowhere", "/openapi.json"):
            assert (await wire.ask(endpoint.port, path)).status == 401
            assert (await wire.ask(endpoint.port, path, token="A" * 43)).status == 401
        family = [made.process.pid, *(child.pid for child in psutil.Process(made.process.pid).children())]
        for pid in family:
            assert Path(f"/proc/{pid}/environ").stat().st_mode & 0o077 == 0
        assert await made.end() == 0
    assert modes(home) == {}


async def test_s_a_second_start_in_one_home_ends_with_code_4_and_names_the_first(tmp_path: Path) -> None:
    keep_login(tmp_path, "127.0.0.1:9")
    async with worker(tmp_path, "127.0.0.1:9") as made:
        answers = await asyncio.gather(*(command(tmp_path, "run") for _ in range(3)))
        assert all(code == 4 and str(made.process.pid) in err for code, _, err in answers)
        assert (await made.status())["node_id"]
        assert await made.end() == 0


async def test_s_running_as_root_is_warned_about_plainly(tmp_path: Path) -> None:
    async with worker(tmp_path, "127.0.0.1:9") as made:
        warned = any("Warning" in line and "root" in line for line in made.lines)
        assert warned == (os.geteuid() == 0)
        assert await made.end() == 0
