"""Every way that something goes wrong, once: code, whose fault, gRPC status, exit code, sentence, next step.

Sentences are message ids of the catalogue; `{about}` is replaced by the particulars.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Blame(StrEnum):
    """Whose fault it was: decides what the volunteer is asked to do, and whether it is a bug of ours."""

    POOL = "pool"
    TASK = "task"
    HOST = "host"
    NETWORK = "network"
    OWNER = "owner"
    BUG = "bug"


class FaultCode(StrEnum):
    """Stable names: they stand in the API, the journal, archives and the documentation."""

    # archives
    BAD_ARCHIVE = "bad_archive"
    ENCRYPTED = "encrypted"
    TOO_BIG = "too_big"
    UNSAFE_NAME = "unsafe_name"
    NO_ENTRY_POINT = "no_entry_point"
    MISSING_PACKAGES = "missing_packages"
    # offers
    BAD_REQUEST = "bad_request"
    BAD_TASK_ID = "bad_task_id"
    BAD_DEMAND = "bad_demand"
    ID_TAKEN = "id_taken"
    NO_SLOT = "no_slot"
    NO_ROOM = "no_room"
    IMPOSSIBLE_DEMAND = "impossible_demand"
    NOT_ACCEPTING = "not_accepting"
    STRANGER = "stranger"
    UNKNOWN_TASK = "unknown_task"
    NOT_SERVED = "not_served"
    BUSY = "busy"
    # runs
    EXIT_CODE = "exit_code"
    OUT_OF_MEMORY = "out_of_memory"
    OUT_OF_DISK = "out_of_disk"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"
    SANDBOX_FAILED = "sandbox_failed"
    SANDBOX_MISSING = "sandbox_missing"
    SANDBOX_PREPARING = "sandbox_preparing"
    ENGINE_MISSING = "engine_missing"
    ENGINE_DOWN = "engine_down"
    ENGINE_FORBIDDEN = "engine_forbidden"
    ENGINE_HUNG = "engine_hung"
    ENGINE_UNSUITABLE = "engine_unsuitable"
    ENGINE_RESTARTED = "engine_restarted"
    ENGINE_LOST = "engine_lost"
    IMAGE_MISSING = "image_missing"
    IMAGE_NOT_FETCHED = "image_not_fetched"
    RESULT_TOO_LARGE = "result_too_large"
    RESULT_UNREADABLE = "result_unreadable"
    # pool and account
    POOL_UNREACHABLE = "pool_unreachable"
    POOL_MUTE = "pool_mute"
    POOL_REFUSED = "pool_refused"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a code, not a secret
    NOT_LOGGED_IN = "not_logged_in"
    PLAIN_LOGIN = "plain_login"
    BAD_ADDRESS = "bad_address"
    # a pool on a NATS server
    NO_AUTHORITY = "no_authority"
    BAD_CREDENTIAL = "bad_credential"
    BAD_POOL_CREDENTIAL = "bad_pool_credential"
    BAD_INVITATION = "bad_invitation"
    CREDENTIAL_KEPT = "credential_kept"
    INVITATION_OVER = "invitation_over"
    CREDENTIAL_REFUSED = "credential_refused"
    NO_POOL_THERE = "no_pool_there"
    NOT_THE_POOL = "not_the_pool"
    NAME_TAKEN = "name_taken"
    NO_SUCH_WORKER = "no_such_worker"
    NO_FLEET = "no_fleet"
    NO_SUCH_MACHINE = "no_such_machine"
    MACHINE_IS_CALLED = "machine_is_called"
    NO_STREAMS = "no_streams"
    NO_QUORUM = "no_quorum"
    NO_CLUSTER = "no_cluster"
    LATER_POOL = "later_pool"
    SERVER_UNREACHABLE = "server_unreachable"
    NATS_IN_THE_OPEN = "nats_in_the_open"
    # the pool's network
    BAD_PROFILE = "bad_profile"
    NO_PROFILE = "no_profile"
    VPN_NO_PERMISSION = "vpn_no_permission"
    VPN_TOOL_MISSING = "vpn_tool_missing"
    VPN_RANGE_IN_USE = "vpn_range_in_use"
    VPN_NOT_OURS = "vpn_not_ours"
    VPN_NO_ENDPOINT = "vpn_no_endpoint"
    VPN_FAILED = "vpn_failed"
    VPN_DOWN = "vpn_down"
    BAD_SITE = "bad_site"
    SITE_REFUSED = "site_refused"
    # this computer
    PROGRAM_REPLACED = "program_replaced"
    PORT_IN_USE = "port_in_use"
    ALREADY_RUNNING = "already_running"
    NOT_RUNNING = "not_running"
    BAD_SETTING = "bad_setting"
    BAD_SETTINGS_FILE = "bad_settings_file"
    BAD_JOURNAL = "bad_journal"
    JOURNAL_UNWRITABLE = "journal_unwritable"
    DISK_FULL = "disk_full"
    NO_PERMISSION = "no_permission"
    BAD_PATH = "bad_path"
    BAD_PACK = "bad_pack"
    NO_NETWORK = "no_network"
    UNAUTHORISED = "unauthorised"
    FORBIDDEN = "forbidden"
    NO_RESULT = "no_result"
    NO_RECEIPT = "no_receipt"
    WORKER_MUTE = "worker_mute"
    BAD_USAGE = "bad_usage"
    BUG = "bug"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row of the table. `grpc_status` is OK where the protocol wants success=false instead."""

    blame: Blame
    sentence: str
    next_step: str
    grpc_status: str = "OK"
    exit_code: int = 1
    incurable: bool = False  # the same offer can never succeed here: see core.admission


def _task(sentence: str, next_step: str, *, incurable: bool = False) -> Fault:
    return Fault(blame=Blame.TASK, sentence=sentence, next_step=next_step, incurable=incurable)


def _pool(sentence: str, next_step: str, status: str = "OK", exit_code: int = 4) -> Fault:
    return Fault(
        blame=Blame.POOL, sentence=sentence, next_step=next_step, grpc_status=status, exit_code=exit_code
    )


def _host(sentence: str, next_step: str, exit_code: int = 1, status: str = "OK") -> Fault:
    return Fault(
        blame=Blame.HOST, sentence=sentence, next_step=next_step, exit_code=exit_code, grpc_status=status
    )


def _network(sentence: str, next_step: str, exit_code: int = 1) -> Fault:
    return Fault(blame=Blame.NETWORK, sentence=sentence, next_step=next_step, exit_code=exit_code)


def _owner(sentence: str, next_step: str, exit_code: int = 2) -> Fault:
    return Fault(blame=Blame.OWNER, sentence=sentence, next_step=next_step, exit_code=exit_code)


FAULTS: dict[FaultCode, Fault] = {
    FaultCode.BAD_ARCHIVE: _task(
        "The task's archive cannot be read: {about}.",
        "Make the zip again and send the task once more.",
        incurable=True,
    ),
    FaultCode.ENCRYPTED: _task(
        "The task's archive is encrypted: {about}.", "Send the zip without a password.", incurable=True
    ),
    FaultCode.TOO_BIG: _task(
        "The task's archive is over a limit: {about}.",
        "Send fewer or smaller files; the limits are in the documentation for task authors.",
        incurable=True,
    ),
    FaultCode.UNSAFE_NAME: _task(
        "The task's archive has a name that is not allowed: {about}.",
        "Rename the file and send the task again.",
        incurable=True,
    ),
    FaultCode.NO_ENTRY_POINT: _task(
        "The task's archive has no Python script to start.",
        "Put a main.py at the top of the zip.",
        incurable=True,
    ),
    FaultCode.MISSING_PACKAGES: _task(
        "This worker's sandbox does not have these packages: {about}.",
        "Remove them from requirements.txt, or run the task on a worker that has them.",
        incurable=True,
    ),
    FaultCode.BAD_REQUEST: _pool(
        "The pool's message cannot be read: {about}.",
        "Nothing was started. Tell the pool's owner if it happens again.",
        "INVALID_ARGUMENT",
    ),
    FaultCode.BAD_TASK_ID: _pool(
        "The task's id is not usable: {about}.",
        "Use 1 to 512 bytes of text without control characters.",
        "INVALID_ARGUMENT",
    ),
    FaultCode.BAD_DEMAND: _pool(
        "The task asks for an amount that makes no sense: {about}.",
        "Ask for numbers from 0 up.",
    ),
    FaultCode.ID_TAKEN: _pool(
        "Another task with this id is known here, with other contents.",
        "Send the new task under an id of its own.",
    ),
    FaultCode.NO_SLOT: _pool(
        "All {about} places for tasks are taken.", "The pool tries again by itself in a few seconds."
    ),
    FaultCode.NO_ROOM: _pool(
        "Not enough is free just now: {about}.", "The pool tries again by itself in a few seconds."
    ),
    FaultCode.IMPOSSIBLE_DEMAND: _pool(
        "The task asks for more than this worker lends at all: {about}.",
        "Ask for less, or send it to a larger worker.",
    ),
    FaultCode.NOT_ACCEPTING: _pool(
        "This worker takes no new task now: {about}.",
        "The pool tries again by itself; the worker's owner can resume it.",
    ),
    FaultCode.STRANGER: _pool(
        "Only the pool may call this worker.",
        "If the pool has moved, set MASTER_ADDRESS to its new address.",
        "PERMISSION_DENIED",
    ),
    FaultCode.UNKNOWN_TASK: _pool(
        "No such task is known here.", "Check the id with: hivemind-worker tasks", exit_code=4
    ),
    FaultCode.NOT_SERVED: _pool("A worker does not serve this call.", "Send it to the pool."),
    FaultCode.BUSY: _pool(
        "Too many offers at once.", "The pool tries again by itself in a few seconds.", "OK"
    ),
    FaultCode.EXIT_CODE: _task(
        "The task's program ended with exit code {about}.", "See the end of its log for the reason."
    ),
    FaultCode.OUT_OF_MEMORY: _task(
        "The task needed more memory than its limit of {about}.", "Ask for more memory when sending the task."
    ),
    FaultCode.OUT_OF_DISK: _task(
        "The task wrote more than its disk limit of {about}.", "Write less, or remove what is not needed."
    ),
    FaultCode.TIMED_OUT: _task(
        "The task ran longer than this worker's limit of {about}.",
        "Send it in smaller parts; the worker's owner can change the limit.",
    ),
    FaultCode.INTERRUPTED: _host(
        "The worker ended while the task was here: {about}.",
        "Send the task again; what it had written until then is in the archive.",
    ),
    FaultCode.SANDBOX_FAILED: _host(
        "The sandbox could not run the task: {about}.",
        "Run: hivemind-worker doctor",
    ),
    FaultCode.SANDBOX_MISSING: _host(
        "There is no sandbox to run tasks in: {about}.", "Run: hivemind-worker doctor"
    ),
    FaultCode.SANDBOX_PREPARING: _host(
        "The sandbox is being prepared: {about}.", "Work starts by itself when it is done."
    ),
    FaultCode.ENGINE_MISSING: _host(
        "Docker is not installed: {about}.",
        "Install Docker, or set runtime to auto for the built-in sandbox.",
        exit_code=15,
    ),
    FaultCode.ENGINE_DOWN: _host(
        "Docker is not running: {about}.", "Start Docker; work goes on by itself.", exit_code=16
    ),
    FaultCode.ENGINE_FORBIDDEN: _host(
        "Docker may not be used: {about}.",
        "Set up Docker without root (rootless), or add your user to the group docker, whose members can do "
        "all that root can; then sign in again.",
        exit_code=17,
    ),
    FaultCode.ENGINE_HUNG: _host(
        "Docker does not answer: {about}.",
        "If it stays so, restart Docker; work goes on by itself.",
        exit_code=18,
    ),
    FaultCode.ENGINE_UNSUITABLE: _host(
        "This Docker cannot hold tasks safely: {about}.",
        "Update Docker, or set runtime to auto for the built-in sandbox.",
        exit_code=19,
    ),
    FaultCode.ENGINE_RESTARTED: _host(
        "Docker was restarted while the task ran: {about}.",
        "Send the task again; what it had written until then is in the archive.",
    ),
    FaultCode.ENGINE_LOST: _host(
        "Docker went away while the task ran and did not come back within {about}.",
        "Send the task again; what it had written until then is in the archive.",
    ),
    FaultCode.IMAGE_MISSING: _host(
        "There is no image for tasks in Docker: {about}.",
        "Fetch it with: hivemind-worker image pull, or make one here with: hivemind-worker image build",
        exit_code=13,
    ),
    FaultCode.IMAGE_NOT_FETCHED: _network(
        "The image for tasks could not be fetched: {about}.",
        "It is tried again by itself. To make one here: hivemind-worker image build",
        exit_code=14,
    ),
    FaultCode.RESULT_TOO_LARGE: _task(
        "The result is larger than the pool takes: {about}.",
        "The whole result is kept on the worker for a week; write less than 99 MiB to have it delivered.",
    ),
    FaultCode.RESULT_UNREADABLE: _host(
        "The result could not be packed: {about}.", "Its log is in the archive all the same."
    ),
    FaultCode.POOL_UNREACHABLE: _pool(
        "The pool at {about} cannot be reached.",
        "It is tried again by itself; finished results are kept safely.",
    ),
    FaultCode.POOL_MUTE: _pool(
        "The pool at {about} does not answer.",
        "It is tried again by itself; finished results are kept safely.",
    ),
    FaultCode.POOL_REFUSED: _pool("The pool said no: {about}", "Ask the pool's owner for the reason."),
    FaultCode.WRONG_PASSWORD: _pool(
        "The pool did not accept the name and password: {about}", "Sign in again with: hivemind-worker login"
    ),
    FaultCode.NOT_LOGGED_IN: _owner(
        "No login is kept for a pool.", "Sign in with: hivemind-worker login", exit_code=4
    ),
    FaultCode.PLAIN_LOGIN: _owner(
        "A login to {about} would cross an open network unprotected.",
        "Connect the pool's VPN first, or add --insecure if you accept that others may read the password.",
        exit_code=4,
    ),
    FaultCode.BAD_ADDRESS: _owner("This is not an address: {about}.", "Write it as HOST:PORT."),
    FaultCode.NO_AUTHORITY: _owner(
        "No keys of a pool lie here: {about}.",
        "Make them with: hivemind-worker pool nats-config",
        exit_code=4,
    ),
    FaultCode.BAD_CREDENTIAL: _owner(
        "This credential cannot be used: {about}.",
        "Ask the pool's owner for a new invitation; the file must be readable by you alone.",
        exit_code=4,
    ),
    FaultCode.BAD_POOL_CREDENTIAL: _owner(
        "The credential of the pool's own processes cannot be used: {about}.",
        "Make it with: hivemind-worker pool nats-config; elsewhere name a copy with --engine-credential.",
        exit_code=4,
    ),
    FaultCode.NO_CLUSTER: _owner(
        "{about} needs a cluster of NATS servers; this server is alone.",
        "Leave --replicas out, or make and start a cluster first (pool nats-config --cluster NAME).",
    ),
    FaultCode.BAD_INVITATION: _owner(
        "This is no invitation: {about}.", "Copy the whole of it, as the pool's owner sent it.", exit_code=4
    ),
    FaultCode.INVITATION_OVER: _owner(
        "The invitation is over: {about}.", "Ask the pool's owner for a new one.", exit_code=4
    ),
    FaultCode.NO_POOL_THERE: _owner(
        "No pool answers at {about}.",
        "Check the address letter by letter, and that this computer is online; nothing was changed.",
        exit_code=4,
    ),
    FaultCode.CREDENTIAL_REFUSED: _pool(
        "The pool's server did not accept this credential: {about}.",
        "Ask the pool's owner whether it was revoked, and for a new invitation; check this computer's clock.",
    ),
    FaultCode.NOT_THE_POOL: _pool(
        "What answers there is not the pool's server: {about}.",
        "Nothing was told to it. Ask the pool's owner whether the server or its certificate has changed.",
    ),
    FaultCode.NAME_TAKEN: _owner(
        "A worker of that name is in the pool already: {about}.",
        "Choose another name, or shut that one out first with: hivemind-worker pool worker revoke NAME",
        exit_code=4,
    ),
    FaultCode.NO_SUCH_WORKER: _owner(
        "No worker of that name is in the pool: {about}.",
        "See the names with: hivemind-worker pool worker list",
        exit_code=4,
    ),
    FaultCode.NO_FLEET: _owner(
        "This pool does not know which machines belong together: {about}",
        "A pool whose address begins with tls:// lists the machines of an account and pauses them.",
        exit_code=4,
    ),
    FaultCode.NO_SUCH_MACHINE: _owner(
        "None of your machines has this name: {about}.",
        "See the names with: hivemind-worker fleet",
        exit_code=4,
    ),
    FaultCode.NATS_IN_THE_OPEN: _owner(
        "{about} is on another computer: without TLS everybody in between could read along.",
        "Use an address that begins with tls://, and a credential.",
    ),
    FaultCode.CREDENTIAL_KEPT: _owner(
        "This computer is in a pool already, as {about}.",
        "Use that one without an invitation, or say that it is given up.",
        exit_code=4,
    ),
    FaultCode.SERVER_UNREACHABLE: _owner(
        "The pool's NATS server cannot be reached: {about}.",
        "See that it runs (nats-server -c FILE, as pool nats-config said), then try again.",
        exit_code=4,
    ),
    FaultCode.NO_QUORUM: _owner(
        "The pool's NATS server answers and keeps nothing at present: {about}.",
        "Of a cluster more than half of the servers must run: start the others, then try again.",
        exit_code=4,
    ),
    FaultCode.LATER_POOL: _owner(
        "A later version of this program has taken over the pool's records ({about}).",
        "Nothing was changed. Install that version here too, then start the pool again.",
        exit_code=4,
    ),
    FaultCode.MACHINE_IS_CALLED: _owner(
        "The pool calls this machine, and has no word for a pause in that protocol: {about}.",
        "Pause it at the computer itself; nothing was asked of any machine.",
        exit_code=4,
    ),
    FaultCode.NO_STREAMS: _owner(
        "The NATS server does not keep what the pool needs: {about}.",
        "Start it with the configuration that this writes: hivemind-worker pool nats-config",
    ),
    FaultCode.BAD_PROFILE: _owner(
        "This VPN profile is not used: {about}.",
        "Ask the pool's owner for a new one; the profile in use stays as it is.",
        exit_code=4,
    ),
    FaultCode.NO_PROFILE: _owner(
        "No VPN profile is kept here.", "Import one with: hivemind-worker vpn import FILE", exit_code=4
    ),
    FaultCode.VPN_NO_PERMISSION: _owner(
        "This program may not change the network here.", "Run this yourself: {about}", exit_code=4
    ),
    FaultCode.VPN_TOOL_MISSING: _host(
        "The program {about} is not on this computer.",
        "Install WireGuard; on Debian and Ubuntu: sudo apt install wireguard-tools wireguard-go",
        exit_code=13,
    ),
    FaultCode.VPN_RANGE_IN_USE: _host(
        "Your own network uses the pool's addresses: {about}.",
        "Ask the pool's owner for another network, or change the numbers of your router.",
        exit_code=13,
    ),
    FaultCode.VPN_NOT_OURS: _owner(
        "The interface {about} belongs to another program; it was not touched.",
        "Remove it there, or choose another name with the setting vpn_interface.",
        exit_code=4,
    ),
    FaultCode.VPN_NO_ENDPOINT: _host(
        "The name of the other side is not found: {about}.",
        "Check that this computer is online; then ask the pool's owner whether the name is right.",
        exit_code=13,
    ),
    FaultCode.VPN_FAILED: _host(
        "The tunnel could not be brought up: {about}.", "Run: hivemind-worker vpn check", exit_code=13
    ),
    FaultCode.VPN_DOWN: _host(
        "The VPN is down: the pool cannot reach this worker at {about}.",
        "It is brought up again by itself where that is allowed; else run: hivemind-worker vpn up",
        exit_code=13,
    ),
    FaultCode.BAD_SITE: _owner(
        "The pool's site cannot be asked there: {about}.", "Write it as https://HOST.", exit_code=2
    ),
    FaultCode.SITE_REFUSED: _pool(
        "The pool's site gave no profile: {about}", "Ask the pool's owner for one."
    ),
    FaultCode.PROGRAM_REPLACED: _host(
        "This program was upgraded or removed while it runs.",
        "Restart it: it takes no new task until then, and those that run may end first.",
    ),
    FaultCode.PORT_IN_USE: _host(
        "Port {about} is in use by another program.",
        "Choose another port with that setting, or end the other program.",
        exit_code=5,
    ),
    FaultCode.ALREADY_RUNNING: _owner(
        "One is already running in this home: {about}.",
        "Use it, or give this one another HIVEMIND_HOME.",
        exit_code=4,
    ),
    FaultCode.NOT_RUNNING: _owner(
        "No worker is running here.", "Start one with: hivemind-worker run", exit_code=3
    ),
    FaultCode.BAD_SETTING: _owner(
        "A setting is not right: {about}.", "See: hivemind-worker config --help", exit_code=2
    ),
    FaultCode.BAD_SETTINGS_FILE: _owner(
        "The settings file cannot be read: {about}.",
        "Mend it or move it away; it was not changed.",
        exit_code=6,
    ),
    FaultCode.BAD_JOURNAL: _host(
        "The journal could not be read and was set aside: {about}.",
        "A new one was begun with all that could be read.",
        exit_code=7,
    ),
    FaultCode.JOURNAL_UNWRITABLE: _host(
        "The journal cannot be written: {about}.",
        "Look at the disk, then restart the worker; no task is taken until it can be written.",
        exit_code=7,
    ),
    FaultCode.DISK_FULL: _host(
        "The disk is too full: {about}.", "Free some space; work goes on by itself.", exit_code=8
    ),
    FaultCode.NO_PERMISSION: _host(
        "Not allowed to write: {about}.",
        "Give your user the right to that folder, or set HIVEMIND_HOME.",
        exit_code=9,
    ),
    FaultCode.BAD_PATH: _owner("This cannot be used as a task: {about}.", "Name a folder or a .zip file."),
    FaultCode.BAD_PACK: _host(
        "The interpreter pack is not the one expected: {about}.",
        "Install it again; nothing was run from it.",
        exit_code=10,
    ),
    FaultCode.NO_NETWORK: _network(
        "The download did not work: {about}.",
        "Try again, or name a file that you have with --wheel.",
        exit_code=11,
    ),
    FaultCode.UNAUTHORISED: _owner(
        "The worker did not accept this caller.", "Use the token of this worker.", 4
    ),
    FaultCode.FORBIDDEN: _owner(
        "This request did not come from this worker's own pages: {about}.",
        "Open the dashboard with: hivemind-worker dashboard",
        exit_code=4,
    ),
    FaultCode.NO_RESULT: _owner(
        "No result of this task is kept here.",
        "Results are kept for a week after their delivery.",
        exit_code=4,
    ),
    FaultCode.NO_RECEIPT: _owner(
        "No receipt of this task is kept here.",
        "It is written when the task has ended.",
        exit_code=4,
    ),
    FaultCode.WORKER_MUTE: _host(
        "The worker runs but does not answer: {about}.",
        "Wait a little; if it stays so, restart it.",
        exit_code=12,
    ),
    FaultCode.BAD_USAGE: _owner("{about}", "See: hivemind-worker --help"),
    FaultCode.BUG: Fault(
        blame=Blame.BUG,
        sentence="The worker made a mistake of its own: {about}.",
        next_step="Please report it with the worker's log.",
        grpc_status="INTERNAL",
        exit_code=70,
    ),
}


def sentence(code: FaultCode, about: str = "") -> str:
    """The untranslated sentence of a fault, particulars filled in (presentation translates)."""
    return FAULTS[code].sentence.replace("{about}", about or "unknown")
