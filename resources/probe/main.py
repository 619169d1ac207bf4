"""Tries the doors of the sandbox that it runs in, and says of each whether it is open.

Standard library alone; runs in a container and in the built-in sandbox. `probe.json` beside it
says which part to play (doors, memory, disk, log) and what to look for. Every line it prints is one
JSON object: {"check", "open": true, false or null (there is no such thing here), "seen"}; the
last says how many there were. The judge, in the program's own runtimes/probe, trusts none of it
to be complete. Nothing here harms the computer when a door is open: it knocks and goes.
"""

# The system's own calls are the subject here, and a sandbox may lack some of the modules.
# ruff: noqa: PLC0415, PTH100, PTH101, PTH107, PTH110, PTH112, PTH114, PTH116, PTH118, PTH119, PTH120, PTH123, PTH208

import errno
import hashlib
import json
import os
import platform
import signal
import socket
import stat
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20
CLOSED = (errno.EPERM, errno.EACCES, errno.ENOSYS)
FORKS_AT_MOST = 1200
FORKS_ALLOWED = 256
CONNECT_LIMIT_S = 1.5
CHILD_LIMIT_S = 10
SAFE_DEVICES = {
    "console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
    "stdout", "tty", "urandom", "zero", "init",
}  # fmt: skip
MAY_WRITE = ("/workspace", "/app/task", "/tmp", "/dev/shm", "/dev/mqueue")
MAY_BE_MOUNTED = ("/workspace", "/app/task", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts",
                  "/sbin/docker-init", "/usr/sbin/docker-init", "/dev/init")  # fmt: skip
KERNEL_MOUNTS = {"proc", "sysfs", "cgroup", "cgroup2", "tmpfs", "devpts", "mqueue", "devtmpfs"}
SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock",
           "/run/podman/podman.sock", "/run/crio/crio.sock")  # fmt: skip
KERNEL_SWITCHES = ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
                   "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger",
                   "/proc/sys/fs/binfmt_misc/register", "/sys/kernel/uevent_helper",
                   "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/memory/release_agent",
                   "/sys/kernel/mm/transparent_hugepage/enabled")  # fmt: skip
KERNEL_SECRETS = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats",
                  "/proc/kmsg", "/sys/kernel/security", "/sys/firmware", "/dev/mem", "/dev/kmsg")  # fmt: skip
# Some kernels put these into every network namespace; they lead nowhere.
EMPTY_INTERFACES = {"lo", "tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0",
                    "ip6gre0"}  # fmt: skip
# Numbers of system calls: x86-64, then arm64.
CALLS = {
    "io_uring": (425, 425), "userfaultfd": (323, 282), "keyctl": (250, 219), "bpf": (321, 280),
    "perf_event_open": (298, 241), "process_vm_readv": (310, 270), "open_by_handle_at": (304, 265),
    "finit_module": (313, 273),
}  # fmt: skip

CHECKS = {}


class Absent(Exception):
    """What a check looks at does not exist in this sandbox."""


def check(function):
    """Put a check on the list under its own name."""
    CHECKS[function.__name__] = function
    return function


def read(path, limit=MIB):
    with open(path, "rb") as file:
        return file.read(limit)


def status_field(name):
    """One line of what the kernel says of this process."""
    try:
        text = read("/proc/self/status").decode()
    except OSError:
        raise Absent("no /proc") from None
    for line in text.splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].strip()
    raise Absent(name + " is not told")


def in_child(work):
    """Run `work` in a forked child; its answer, or the signal that ended it. The child never returns."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(CHILD_LIMIT_S)
            os.close(reading)
            try:
                answer = str(work())
            except OSError as error:
                answer = f"errno {error.errno}"
            except Exception as error:
                answer = f"{type(error).__name__}: {error}"
            os.write(writing, answer.encode()[:4000])
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read().decode()
    _, code = os.waitpid(child, 0)
    return f"signal {os.WTERMSIG(code)}" if os.WIFSIGNALED(code) else answer


def libc():
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def call_by_name(name, *arguments):
    """A function of the C library: what it returned, or its error."""
    import ctypes

    result = getattr(libc(), name)(*arguments)
    return "done" if result >= 0 else f"errno {ctypes.get_errno()}"


def call_by_number(name, *arguments):
    """A system call by its number."""
    machine = {"x86_64": 0, "aarch64": 1}.get(platform.machine())
    if machine is None:
        raise Absent("numbers of this processor's calls are not known")
    words = [CALLS[name][machine]]
    import ctypes

    return call_by_name("syscall", *[ctypes.c_long(word) for word in words + list(arguments)])


def refused(answer):
    """(open, seen) of a call that must be refused: any other answer means that the kernel took it."""
    if answer.startswith(f"signal {getattr(signal, 'SIGSYS', 31)}"):
        return False, "killed for it"
    if answer.startswith("errno "):
        number = int(answer.split()[1])
        return number not in CLOSED, errno.errorcode.get(number, str(number))
    return True, answer


def failed(answer):
    """(open, seen) of a call that may fail in any way."""
    if answer == "done":
        return True, "it worked"
    return False, answer


# --- who ---------------------------------------------------------------------------------------


@check
def capabilities():
    held = {name: status_field(name) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    return any(int(word, 16) for word in held.values()), " ".join(
        "{}={}".format(*pair) for pair in held.items()
    )


@check
def no_new_privileges():
    word = status_field("NoNewPrivs")
    return word != "1", "NoNewPrivs=" + word


@check
def call_filter():
    word = status_field("Seccomp")
    return word != "2", "Seccomp=" + word


@check
def user():
    ids = (*os.getresuid(), *os.getresgid(), *os.getgroups())
    if outside(0) != 0:  # an engine without root: its 0 is somebody else's number outside
        return False, f"uid {os.getuid()} here, {outside(os.getuid())} outside"
    return 0 in ids, f"uid {os.getuid()} gid {os.getgid()} groups {os.getgroups()}"


def outside(uid):
    """Which user of the computer this one is; None for nobody."""
    for line in read("/proc/self/uid_map").decode().splitlines():
        inside, beyond, count = map(int, line.split())
        if inside <= uid < inside + count:
            return beyond + uid - inside
    return None


@check
def become_root():
    def work():
        os.setuid(0)
        return "done" if outside(0) == 0 else "it is not the computer's"

    return failed(in_child(work))


@check
def change_owner():
    path = os.path.join(HERE, "probe-owned")
    with open(path, "w"):
        pass
    try:
        os.chown(path, 0, 0)
        given = os.stat(path).st_uid == 0 and os.getuid() != 0
        return given or os.getuid() == 0, "it worked"
    except OSError as error:
        return False, errno.errorcode.get(error.errno, "?")
    finally:
        os.remove(path)


@check
def new_user_namespace():
    return failed(in_child(lambda: call_by_name("unshare", 0x10000000)))


@check
def mount_something():
    def work():
        answer = call_by_name("mount", b"none", b"/tmp", b"tmpfs", 0, None)
        if answer == "done":
            call_by_name("umount", b"/tmp")
        return answer

    return failed(in_child(work))


@check
def change_root():
    def work():
        os.chroot("/")
        return "done"

    return failed(in_child(work))


@check
def set_host_name():
    def work():
        socket.sethostname(socket.gethostname())
        return "done"

    return failed(in_child(work))


# --- files -------------------------------------------------------------------------------------


def mounts():
    """(place, options, kind) of every mount."""
    try:
        lines = read("/proc/self/mountinfo").decode().splitlines()
    except OSError:
        raise Absent("no /proc") from None
    for line in lines:
        left, _, right = line.partition(" - ")
        words = left.split()
        yield words[4], words[5].split(","), right.split()[0]


@check
def root_read_only():
    options = [options for place, options, _ in mounts() if place == "/"][-1]
    return "ro" not in options, "/ is " + options[0]


@check
def mounted_places():
    packages = [part for part in os.environ.get("PYTHONPATH", "").split(":") if part]
    found = []
    for place, options, kind in mounts():
        if place == "/" or kind in KERNEL_MOUNTS or place in MAY_BE_MOUNTED:
            continue
        if place in packages and "ro" in options:
            continue
        found.append(f"{place} ({kind}, {options[0]})")
    return bool(found), ", ".join(found) or "only the task's own"


def creates(folder):
    path = os.path.join(folder, f".probe-{os.getpid()}")
    try:
        with open(path, "x"):
            pass
        os.remove(path)
    except OSError:
        return False
    return True


@check
def writable_places():
    found = []
    for folder, below, _ in os.walk("/"):
        if folder in ("/proc", "/sys") or folder in MAY_WRITE:
            below[:] = []
            continue
        if (folder != "/" and os.path.islink(folder)) or os.path.realpath(folder) == os.path.realpath(HERE):
            below[:] = []
            continue
        if os.access(folder, os.W_OK) and creates(folder):
            found.append(folder)
    return bool(found), ", ".join(found[:5]) or "only the task's folder and /tmp"


@check
def size_of_temporary_places():
    sizes = {}
    for place in ("/tmp", "/dev/shm", "/var/tmp"):
        if os.path.isdir(place) and not os.path.islink(place) and creates(place):
            figures = os.statvfs(place)
            sizes[place] = figures.f_blocks * figures.f_frsize // MIB
    if not sizes:
        raise Absent("there are none")
    return any(size > 1024 for size in sizes.values()), ", ".join(
        f"{place} {size} MiB" for place, size in sizes.items()
    )


@check
def run_from_temporary_places():
    import subprocess

    ran = []
    for place in ("/tmp", "/dev/shm", "/var/tmp"):
        path = os.path.join(place, "probe-script")
        try:
            with open(path, "w") as file:
                file.write(f"#!{sys.executable}\nraise SystemExit(7)\n")
            os.chmod(path, 0o755)
        except OSError:
            continue
        try:
            if subprocess.run([path], timeout=CHILD_LIMIT_S, check=False).returncode == 7:
                ran.append(place)
        except OSError:
            pass
        finally:
            os.remove(path)
    return bool(ran), ", ".join(ran) or "refused"


@check
def devices():
    try:
        names = os.listdir("/dev")
    except OSError:
        raise Absent("no /dev") from None
    other = [name for name in names if name not in SAFE_DEVICES]
    return bool(other), ", ".join(sorted(other)[:8]) or "the harmless ones"


@check
def make_device():
    path = os.path.join(HERE, "probe-device")

    def work():
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 1))
        os.remove(path)
        return "done"

    return failed(in_child(work))


@check
def engine_socket():
    found = [path for path in SOCKETS if os.path.exists(path)]
    return bool(found), ", ".join(found) or "none"


@check
def host_files():
    """A file that lies on the host, outside the task's folder, known by its digest."""
    wanted, digest = TARGETS["canary"], TARGETS["canary_sha256"]
    tail = wanted.lstrip("/")
    ways = [wanted, *("../" * depth + tail for depth in range(1, 13)), "/proc/1/root" + wanted,
            "/proc/self/root" + wanted, os.path.join("..", os.path.basename(wanted)),
            os.path.join("..", "..", os.path.basename(wanted)), "/workspace/../" + os.path.basename(wanted),
            "/app/task/../" + os.path.basename(wanted), "/host" + wanted, "/mnt" + wanted]  # fmt: skip
    tries = 0
    for way in ways:
        for path in (way, *linked(way)):
            tries += 1
            try:
                if hashlib.sha256(read(path)).hexdigest() == digest:
                    return True, "read by " + path
            except (OSError, ValueError):
                continue
    return False, f"{tries} ways tried"


def linked(target):
    """A symbolic and a hard link to it inside the task's folder, as far as they can be made."""
    for kind, make in (("symbolic", getattr(os, "symlink", None)), ("hard", getattr(os, "link", None))):
        path = os.path.join(HERE, f"probe-{kind}")
        try:
            make(target, path)
        except (OSError, TypeError, NotImplementedError):
            continue
        yield path
        os.remove(path)


@check
def host_processes():
    try:
        seen = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        raise Absent("no /proc") from None
    if not seen:
        raise Absent("no processes in /proc")
    return len(seen) > 8, f"{len(seen)} processes"


@check
def host_name():
    name = platform.node() or socket.gethostname()
    return name == TARGETS["host_name"], "differs" if name != TARGETS["host_name"] else "the host's own"


@check
def environment():
    found = [f"{name} of this process" for name in os.environ if is_private(name, os.environ[name])]
    try:
        for word in read("/proc/1/environ").split(b"\0"):
            name, _, value = word.decode("utf-8", "replace").partition("=")
            if is_private(name, value):
                found.append(f"{name} of process 1")
    except OSError:
        pass
    return bool(found), ", ".join(found) or f"{len(os.environ)} variables, none of the worker's"


def is_private(name, value):
    if hashlib.sha256(value.encode("utf-8", "replace")).hexdigest() == TARGETS["canary_sha256"]:
        return True
    if name.startswith(("HIVEMIND_", "DOCKER_")) or name in ("MASTER_ADDRESS", "NODE_ID", "SSH_AUTH_SOCK"):
        return True
    return any(word in name.upper() for word in ("TOKEN", "SECRET", "PASSWORD")) and bool(value)


@check
def kernel_files_written():
    found = []
    if not os.path.isdir("/proc/self"):
        raise Absent("no /proc")
    for path in KERNEL_SWITCHES:
        try:
            os.close(os.open(path, os.O_WRONLY))
            found.append(path)
        except OSError:
            continue
    return bool(found), ", ".join(found) or "refused"


@check
def kernel_files_read():
    found = []
    if not os.path.isdir("/proc/self"):
        raise Absent("no /proc")
    for path in KERNEL_SECRETS:
        try:
            if os.listdir(path) if os.path.isdir(path) else first_bytes(path):
                found.append(path)
        except OSError:
            continue
    return bool(found), ", ".join(found) or "hidden"


def first_bytes(path):
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(handle, 64)
    finally:
        os.close(handle)


# --- network -----------------------------------------------------------------------------------


@check
def network_interfaces():
    names = [name for _, name in socket.if_nameindex()]
    other = [name for name in names if name not in EMPTY_INTERFACES]
    return bool(other), ", ".join(names) or "none"


def reach(kind):
    """Whether anything of this kind answers: a refusal is an answer too."""
    places = TARGETS["addresses"].get(kind, [])
    if not places:
        raise Absent("none is known")
    answered = []
    for host, port in places:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as line:
                line.settimeout(CONNECT_LIMIT_S)
                line.connect((host, port))
                answered.append(f"{host}:{port} answers")
        except ConnectionRefusedError:
            answered.append(f"{host}:{port} refuses, so it was reached")
        except OSError:
            continue
    return bool(answered), ", ".join(answered) or f"{len(places)} tried, no answer"


@check
def reach_host():
    return reach("host")


@check
def reach_home_network():
    return reach("lan")


@check
def reach_metadata():
    return reach("metadata")


@check
def reach_pool():
    return reach("pool")


@check
def reach_other_containers():
    return reach("containers")


@check
def abstract_sockets():
    try:
        lines = read("/proc/net/unix").decode().splitlines()
    except OSError:
        raise Absent("no /proc/net") from None
    names = [line.split()[-1] for line in lines if "@" in line]
    return bool(names), ", ".join(names[:3]) or "none"


def socket_of(family, kind, protocol=0):
    try:
        socket.socket(family, kind, protocol).close()
    except OSError as error:
        return False, errno.errorcode.get(error.errno, "?")
    return True, "it was made"


@check
def raw_socket():
    return socket_of(socket.AF_INET, socket.SOCK_RAW, 1)


@check
def packet_socket():
    return socket_of(17, 3, 768)


@check
def virtual_machine_socket():
    return socket_of(40, 1)


# --- calls of the kernel -----------------------------------------------------------------------


@check
def io_uring():
    return refused(in_child(lambda: call_by_number("io_uring", 1, 0)))


@check
def page_fault_handling():
    return refused(in_child(lambda: call_by_number("userfaultfd", 1)))


@check
def keyrings():
    return refused(in_child(lambda: call_by_number("keyctl", 0, -3, 0)))


@check
def bpf():
    return refused(in_child(lambda: call_by_number("bpf", 0, 0, 0)))


@check
def performance_counters():
    return refused(in_child(lambda: call_by_number("perf_event_open", 0, 0, -1, -1, 0)))


@check
def memory_of_processes():
    return refused(in_child(lambda: call_by_number("process_vm_readv", os.getpid(), 0, 0, 0, 0, 0)))


@check
def open_by_handle():
    return refused(in_child(lambda: call_by_number("open_by_handle_at", -100, 0, 0)))


@check
def kernel_module():
    return refused(in_child(lambda: call_by_number("finit_module", -1, 0, 0)))


@check
def trace_processes():
    return refused(in_child(lambda: call_by_name("ptrace", 0, 0, 0, 0)))


# --- limits ------------------------------------------------------------------------------------


def group_figure(*places):
    """The first of these control group files, or Absent."""
    for place in places:
        try:
            return read("/sys/fs/cgroup/" + place).decode().split()
        except OSError:
            continue
    raise Absent("no control group is shown")


@check
def memory_limit():
    word = group_figure("memory.max", "memory/memory.limit_in_bytes")[0]
    if word == "max" or int(word) > 2 * max(TARGETS["memory_bytes"], 512 * MIB):
        return True, word
    return False, f"{int(word) // MIB} MiB"


@check
def swap_limit():
    memory = group_figure("memory.max", "memory/memory.limit_in_bytes")[0]
    word = group_figure("memory.swap.max", "memory/memory.memsw.limit_in_bytes")[0]
    if not word.isdigit():
        return True, word
    return word not in ("0", memory), f"{int(word) // MIB} MiB of memory and swap"


@check
def process_limit():
    word = group_figure("pids.max", "pids/pids.max")[0]
    return word == "max" or int(word) > 1024, word


@check
def processor_limit():
    word = group_figure("cpu.max", "cpu/cpu.cfs_quota_us", "cpu,cpuacct/cpu.cfs_quota_us")[0]
    return word in ("max", "-1"), word


@check
def file_limits():
    import resource

    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    core = resource.getrlimit(resource.RLIMIT_CORE)[1]
    too_many = open_files == resource.RLIM_INFINITY or open_files > 4096
    return too_many or core != 0, f"{open_files} open files, core {core}"


@check
def fork_bomb():
    """Counted, each child waits for the end of a pipe; all are gone when this returns."""
    reading, writing = os.pipe()
    children = []
    try:
        while len(children) < FORKS_AT_MOST:
            child = os.fork()
            if child == 0:
                try:
                    os.close(writing)
                    os.read(reading, 1)
                finally:
                    os._exit(0)
            children.append(child)
    except OSError:
        pass
    finally:
        os.close(writing)
        os.close(reading)
        for child in children:
            os.waitpid(child, 0)
    return len(children) > FORKS_ALLOWED, f"{len(children)} processes at once"


# --- parts -------------------------------------------------------------------------------------


def say(name, is_open, seen):
    print(json.dumps({"check": name, "open": is_open, "seen": str(seen)[:300]}), flush=True)


def try_doors():
    for name, function in CHECKS.items():
        try:
            is_open, seen = function()
        except Absent as error:
            is_open, seen = None, error
        except (ImportError, AttributeError, NotImplementedError):
            is_open, seen = None, "nothing of that kind is in this sandbox"
        except OSError as error:
            is_open, seen = None, f"{type(error).__name__}: {error}"
        say(name, is_open, seen)
    print(json.dumps({"done": len(CHECKS)}), flush=True)


def take_memory():
    """Until refused or killed: the last figure printed is what was held."""
    held, limit = [], TARGETS["memory_bytes"] * 3
    try:
        while len(held) * 16 * MIB < limit:
            held.append(os.urandom(4096) * (16 * MIB // 4096))
            print(json.dumps({"held": len(held) * 16 * MIB}), flush=True)
    except MemoryError:
        held.clear()
        print(json.dumps({"refused": True}), flush=True)


def fill_disk():
    """Until refused or killed."""
    written, limit, block = 0, TARGETS["disk_bytes"] + 512 * MIB, os.urandom(MIB)
    try:
        with open(os.path.join(HERE, "filling"), "wb") as file:
            while written < limit:
                file.write(block)
                file.flush()
                written += len(block)
                # As fast as a slow disk: a watch has a chance, and an open door shows all the same.
                time.sleep(0.004)
                if written % (8 * MIB) == 0:
                    print(json.dumps({"written": written}), flush=True)
    except OSError as error:
        print(json.dumps({"refused": errno.errorcode.get(error.errno, "?")}), flush=True)


def flood_log():
    """One line without an end."""
    piece = b"x" * (256 << 10)
    left = TARGETS["log_bytes"]
    while left > 0:
        sys.stdout.buffer.write(piece[:left])
        left -= len(piece)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    TARGETS = json.loads(read(os.path.join(HERE, "probe.json")))
    {"doors": try_doors, "memory": take_memory, "disk": fill_disk, "log": flood_log}[TARGETS["part"]]()
