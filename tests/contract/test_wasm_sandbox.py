"""What a program in the built-in sandbox sees, and what it cannot reach: the real engine, always."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.plain_text import short_image
from hivemind_worker.runtimes.wasm import orders
from hivemind_worker.runtimes.wasm.packs import find_small
from tests.contract.stage import MIB, Stage, small_sandbox


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(small_sandbox(), tmp_path)
    yield stage
    await stage.clear()


async def said(stage: Stage, source: str) -> str:
    outcome, played = await stage.play(source)
    assert outcome.exit_code == 0, played.text
    return played.text


# --- surroundings -----------------------------------------------------------------------------


async def test_the_environment_is_exactly_the_task_id_and_the_unbuffered_word(stage: Stage) -> None:
    os.environ["HIVEMIND_TEST_SECRET"] = "never"
    try:
        text = await said(stage, "import os; print(sorted(os.environ.items()))")
    finally:
        del os.environ["HIVEMIND_TEST_SECRET"]
    assert text == "[('PYTHONUNBUFFERED', '1'), ('TASK_ID', 'task 1')]\n"


async def test_the_interpreter_is_recorded_with_the_digest_of_its_module(stage: Stage) -> None:
    _, played = await stage.play("print('on')")
    pack = find_small()
    assert pack is not None
    name, _, digest = played.image.partition("@sha256:")
    assert name.startswith("cpython-3.")
    assert digest == hashlib.sha256(pack.module.read_bytes()).hexdigest()
    assert short_image(played.image) == f"{name}@sha256:{digest[:12]}"


async def test_a_task_id_of_any_text_reaches_the_program_whole(stage: Stage) -> None:
    task_id = 'tâsk "1"; rm -rf $HOME \\ 任务'
    outcome, played = await stage.play("import os; print(ascii(os.environ['TASK_ID']))", task_id=task_id)
    assert outcome.exit_code == 0
    assert played.text == ascii(task_id) + "\n"


async def test_the_task_id_is_in_nobodys_list_of_processes(stage: Stage) -> None:
    played = await stage.start(
        stage.order({"main.py": "import time; print('on'); time.sleep(60)"}, task_id="secret-id-4711")
    )
    await played.hears(b"on\n")
    for kind in ("cmdline", "environ"):
        assert b"secret-id-4711" not in Path(f"/proc/{played.pid}/{kind}").read_bytes()


async def test_the_child_knows_nothing_of_the_workers_environment_or_files(stage: Stage) -> None:
    with socket.socket() as held:
        os.set_inheritable(held.fileno(), True)
        played = await stage.start(stage.order({"main.py": "import time; print('on'); time.sleep(60)"}))
        await played.hears(b"on\n")
        inode = os.fstat(held.fileno()).st_ino
        targets = [str(path.readlink()) for path in Path(f"/proc/{played.pid}/fd").iterdir()]
    assert f"socket:[{inode}]" not in targets
    names = {
        entry.partition(b"=")[0]
        for entry in Path(f"/proc/{played.pid}/environ").read_bytes().split(b"\0")
        if entry
    }
    assert names <= {b"LD_LIBRARY_PATH"}
    niceness = Path(f"/proc/{played.pid}/stat").read_text().rsplit(")", 1)[1].split()[16]
    assert int(niceness) == min(os.nice(0) + 10, 19)
    assert os.getpgid(played.pid) == played.pid


async def test_the_script_is_main_in_its_own_folder_and_works_in_app_task(stage: Stage) -> None:
    source = """
import os, sys, helper
print(__name__, __file__, sys.argv, os.getcwd(), sys.path[0], helper.__file__)
print('_start' in globals(), 'script' in globals(), sys.modules['__main__'].__dict__ is globals())
"""
    files = {"code/run.py": source, "code/helper.py": ""}
    played = await stage.start(stage.order(files, entry="code/run.py"))
    assert (await played.outcome()).exit_code == 0, played.text
    assert played.text.splitlines() == [
        "__main__ /app/task/code/run.py ['/app/task/code/run.py'] /app/task /app/task/code "
        "/app/task/code/helper.py",
        "False False True",
    ]


async def test_both_names_show_one_folder_and_relative_files_land_in_it(stage: Stage) -> None:
    outcome, played = await stage.play("""
open('here.txt', 'w').write('1')
open('/workspace/there.txt', 'w').write('2')
import os
print(sorted(os.listdir('/app/task')) == sorted(os.listdir('/workspace')) == sorted(os.listdir('.')))
os.makedirs('deep/er')
open('deep/er/x', 'w').write('3')
""")
    assert (outcome.exit_code, played.text) == (0, "True\n")
    workspace = played.order.workspace
    assert (workspace / "here.txt").read_text() + (workspace / "there.txt").read_text() == "12"
    assert (workspace / "deep/er/x").read_text() == "3"


async def test_tmp_is_writable_private_and_no_part_of_the_result(stage: Stage) -> None:
    source = """
import os, tempfile
with tempfile.NamedTemporaryFile() as file:
    file.write(b'x')
    print(file.name.startswith('/tmp/'))
open('/tmp/left', 'w').write('y')
os.makedirs('/tmp/a/b/c')
"""
    outcome, played = await stage.play(source)
    assert (outcome.exit_code, played.text) == (0, "True\n")
    assert sorted(path.name for path in played.order.workspace.parent.iterdir()) == ["workspace"]
    assert sorted(path.name for path in played.order.workspace.iterdir()) == ["main.py"]


async def test_a_traceback_begins_with_the_tasks_own_code(stage: Stage) -> None:
    outcome, played = await stage.play("def f():\n    raise ValueError('seven')\n\nf()\n")
    assert outcome.problem == Problem(code=FaultCode.EXIT_CODE, about="1")
    assert played.text.splitlines() == [
        "Traceback (most recent call last):",
        '  File "/app/task/main.py", line 4, in <module>',
        "    f()",
        '  File "/app/task/main.py", line 2, in f',
        "    raise ValueError('seven')",
        "ValueError: seven",
    ]


async def test_a_syntax_error_is_shown_with_its_line(stage: Stage) -> None:
    outcome, played = await stage.play("x = (\n")
    assert outcome.exit_code == 1
    assert 'File "/app/task/main.py", line 1' in played.text
    assert "SyntaxError: '(' was never closed" in played.text
    assert "Traceback" not in played.text


async def test_both_streams_come_in_the_order_in_which_they_were_written(stage: Stage) -> None:
    text = await said(
        stage,
        "import sys\nfor n in range(500):\n    print('out', n)\n    print('err', n, file=sys.stderr)",
    )
    assert text == "".join(f"out {n}\nerr {n}\n" for n in range(500))


async def test_text_without_a_line_end_arrives_before_the_program_ends(stage: Stage) -> None:
    played = await stage.start(stage.order({"main.py": "import time; print('half', end=''); time.sleep(60)"}))
    await played.hears(b"half")


async def test_there_is_no_input(stage: Stage) -> None:
    assert "EOFError" in await said(
        stage, "try: input()\nexcept EOFError as e: print('EOFError')\nimport sys; print(sys.stdin.read())"
    )


@pytest.mark.parametrize("code", [0, 1, 2, 125, 126, 127, 200, 255])
async def test_every_exit_code_of_a_program_arrives(stage: Stage, code: int) -> None:
    for source in (f"import sys; sys.exit({code})", f"import os; os._exit({code})"):
        outcome, _ = await stage.play(source)
        assert outcome.exit_code == code
        expected = None if code == 0 else Problem(code=FaultCode.EXIT_CODE, about=str(code))
        assert outcome.problem == expected


async def test_leaving_with_a_sentence_prints_it_and_is_code_1(stage: Stage) -> None:
    outcome, played = await stage.play("import sys; sys.exit('that was it')")
    assert (outcome.exit_code, played.text) == (1, "that was it\n")


async def test_handlers_at_exit_still_run(stage: Stage) -> None:
    assert await said(stage, "import atexit; atexit.register(print, 'bye')") == "bye\n"


async def test_an_abort_is_the_tasks_failure_with_the_code_of_a_signal(stage: Stage) -> None:
    outcome, _ = await stage.play("import os; os.abort()")
    assert outcome.exit_code == 134
    assert outcome.problem == Problem(code=FaultCode.EXIT_CODE, about="134 (unreachable)")


async def test_endless_recursion_is_an_error_in_the_program(stage: Stage) -> None:
    outcome, played = await stage.play("def f(): f()\nf()")
    assert outcome.exit_code == 1
    assert "RecursionError" in played.text


# --- walls ------------------------------------------------------------------------------------

REACHES = """
import os, sys
for path in {paths!r}:
    for way in (lambda: open(path).read(), lambda: os.listdir(path), lambda: os.stat(path)):
        try:
            way()
            print('REACHED', path)
        except OSError:
            pass
print('done')
"""


async def test_no_path_leads_to_the_host(stage: Stage, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    paths = [
        "/etc/passwd",
        "../../etc/passwd",
        "../secret.txt",
        "../../secret.txt",
        "/app/task/../../../../../../etc/passwd",
        "/workspace/../secret.txt",
        "/app/task/./../workspace/../../etc/passwd",
        "/tmp/../workspace",
        str(secret),
        "/proc/self/environ",
        "/proc/1/root",
        "/dev/null",
        "/sys",
        "/app",
        "//etc/passwd",
        "/workspace//..//..//etc/passwd/",
    ]
    assert await said(stage, REACHES.format(paths=paths)) == "done\n"


async def test_links_that_the_archive_brought_lead_nowhere(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    order = stage.order({})
    targets = (
        "/etc/passwd",
        str(tmp_path / "secret.txt"),
        "../../secret.txt",
        "/",
        "..",
        "/proc/self/environ",
    )
    for n, target in enumerate(targets):
        (order.workspace / f"link{n}").symlink_to(target)
    paths = [f"link{n}{end}" for n in range(6) for end in ("", "/", "/.", "/..", "//")]
    paths += ["link3/etc/passwd", "link4/../secret.txt", "link4/workspace"]
    (order.workspace / "main.py").write_text(REACHES.format(paths=paths))
    played = await stage.start(order)
    assert (await played.outcome()).exit_code == 0, played.text
    assert played.text == "done\n"


async def test_links_that_the_program_makes_lead_nowhere(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    source = """
import os
made = []
for n, target in enumerate(('/etc/passwd', '../../secret.txt', '..', '/', '/app/task/../..')):
    try:
        os.symlink(target, f'link{n}')
        made.append(f'link{n}')
    except OSError:
        pass
    try:
        os.link(target, f'hard{n}')
        print('REACHED', target)
    except OSError:
        pass
    for end in ('', '/'):
        try:
            os.rename(f'link{n}' + end, f'../moved{n}')
            print('REACHED', target)
        except OSError:
            pass
""" + REACHES.replace("{paths!r}", "made + [name + '/secret.txt' for name in made]")
    outcome, played = await stage.play(source)
    assert outcome.exit_code == 0, played.text
    assert played.text == "done\n"
    assert (tmp_path / "secret.txt").stat().st_nlink == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.txt", "task-1"]
    assert [path.name for path in (tmp_path / "task-1").iterdir()] == ["workspace"]


async def test_renaming_works_and_where_it_is_guarded_a_trailing_slash_is_refused(stage: Stage) -> None:
    source = """
import os
def attempt(old, new):
    try:
        os.rename(old, new)
        return 'yes'
    except OSError as error:
        return type(error).__name__
open('a', 'w').write('kept')
os.mkdir('folder')
os.symlink('folder', 'link')
print(attempt('a', 'b'), attempt('b', 'folder/c'), attempt('none', 'x'), attempt('folder', 'moved'))
print(attempt('moved/', 'again'), attempt('link/', 'there'), attempt('moved', 'there/'))
print(open('moved/c').read())
"""
    # The guard of other systems, on this one: a child of its own, told to use it.
    await stage.runtime.prepare()  # type: ignore[attr-defined]
    chosen = stage.runtime._chosen  # type: ignore[attr-defined]
    order = stage.order({"main.py": source})
    temporary = order.workspace.with_name("tmp")
    temporary.mkdir()
    lines = orders.preparation_line(chosen.module, guard_renames=True)
    lines += orders.guest_line(order, chosen.pack, temporary)
    ran = subprocess.run(orders.sandbox_program().argv, input=lines, capture_output=True, check=True)
    assert ran.stdout.decode().splitlines() == [
        "yes yes FileNotFoundError yes",
        "NotADirectoryError NotADirectoryError NotADirectoryError",
        "kept",
    ]
    assert json.loads(ran.stderr)["ended"] == "exit"


async def test_there_is_no_network_and_no_other_process(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        port = server.getsockname()[1]
        text = await said(
            stage,
            f"""
import os, socket, threading
def attempt(name, way):
    try:
        way()
        print('REACHED', name)
    except Exception as error:
        pass
attempt('tcp', lambda: socket.create_connection(('127.0.0.1', {port}), 2))
attempt('socket', lambda: socket.socket())
attempt('dns', lambda: socket.getaddrinfo('localhost', 80))
attempt('urllib', lambda: __import__('urllib.request').request.urlopen('http://127.0.0.1:{port}', timeout=2))
attempt('fork', lambda: os.fork())
attempt('system', lambda: os.system('true'))
attempt('subprocess', lambda: __import__('subprocess').run(['true']))
attempt('thread', lambda: threading.Thread(target=print).start())
attempt('kill', lambda: os.kill(1, 0))
attempt('open fd', lambda: [os.write(fd, b'x') for fd in (7, 8, 9, 10, 11)])
print('done')
""",
        )
        assert text == "done\n"
        with pytest.raises(TimeoutError):
            server.accept()


async def test_the_report_of_the_sandbox_cannot_be_forged_through_the_output(stage: Stage) -> None:
    outcome, played = await stage.play(
        """
import os
line = b'{"ended": "exit", "code": 0}\\n'
for fd in range(64):
    try:
        os.write(fd, line)
    except OSError:
        pass
raise SystemExit(5)
"""
    )
    assert outcome.exit_code == 5
    assert played.text.count("ended") == 2  # its own two streams took it, nothing else did


async def test_a_file_deleted_by_the_program_is_still_only_its_own(stage: Stage) -> None:
    order = stage.order({"main.py": "import os; os.remove('main.py'); os.rmdir('/tmp'); print('?')"})
    played = await stage.start(order)
    outcome = await played.outcome()
    assert outcome.exit_code == 1
    assert order.workspace.is_dir()


# --- bytes ------------------------------------------------------------------------------------


async def test_a_hundred_megabytes_without_a_line_end_arrive_in_pieces(stage: Stage) -> None:
    count, largest = 0, 0

    async def output(chunk: bytes) -> None:
        nonlocal count, largest
        count, largest = count + len(chunk), max(largest, len(chunk))

    async def started(where: str, **_: str) -> None: ...

    source = "import sys\nfor _ in range(100): sys.stdout.write('x' * 1000000)"
    outcome = await stage.runtime.run(stage.order({"main.py": source}), output, started)
    assert outcome.exit_code == 0
    assert count == 100_000_000
    assert largest <= 64 << 10


async def test_two_hundred_thousand_lines_arrive_whole_and_in_order(stage: Stage) -> None:
    outcome, played = await stage.play("for n in range(200000): print('line', n)")
    assert outcome.exit_code == 0
    assert played.output == b"".join(b"line %d\n" % n for n in range(200_000))


async def test_bytes_that_are_no_text_arrive_as_they_are(stage: Stage) -> None:
    every = bytes(range(256)) * 8
    outcome, played = await stage.play("import sys; sys.stdout.buffer.write(bytes(range(256)) * 8)")
    assert outcome.exit_code == 0
    assert played.output == every


async def test_a_larger_memory_limit_is_really_given(stage: Stage) -> None:
    outcome, _ = await stage.play("x = bytearray(300 << 20)", memory_bytes=512 * MIB)
    assert outcome.exit_code == 0
    assert outcome.usage.peak_memory_bytes > 300 * MIB


async def test_what_a_guest_uses_is_measured_while_it_runs_and_nothing_of_it_afterwards(stage: Stage) -> None:
    source = "open('big', 'wb').write(bytes(8 << 20))\nprint('on')\nn = 0\nwhile True: n += 1"
    played = await stage.start(stage.order({"main.py": source}))
    await played.hears(b"on\n")
    async with asyncio.timeout(30):
        while (found := stage.runtime.figures(played.order.key, 1)) is None or found.cores < 0.05:
            await asyncio.sleep(0.1)
        while (found := stage.runtime.figures(played.order.key, 1)) is None or found.disk_bytes < 8 * MIB:
            await asyncio.sleep(0.1)
    assert found.cores < 1.5
    assert found.memory_bytes > 10 * MIB
    assert (stage.runtime.memory_bytes(played.order.key, 1) or 0) > 10 * MIB
    assert found.memory_limit_bytes == played.order.memory_bytes
    if sys.platform == "linux":
        assert found.write_bytes is not None and found.read_bytes is not None
    await stage.runtime.stop(played.order.key, 1)
    await played.outcome()
    assert stage.runtime.figures(played.order.key, 1) is None
    assert stage.runtime.memory_bytes(played.order.key, 1) is None
