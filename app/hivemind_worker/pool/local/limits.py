"""The embedded pool's figures, and its checks of everything that comes from outside.

Checks return the sentence of a refusal, or None; they never raise.
"""

from __future__ import annotations

import ipaddress
import re

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.channel import PINGS_UNCOUNTED

MESSAGE_BYTES = 100 * 1024 * 1024  # of the protocol, both ways, framing included
SMALL_MESSAGE_BYTES = 4 * 1024 * 1024  # of calls that carry no archive: they are parsed on the loop
LOG_BYTES = 1024 * 1024
TASKS_LISTED = 100
TOKEN_LIFE_S = 60 * 60
HEARD_LIMIT_S = 30.0  # a node that was heard from within this time is offered tasks
SILENCE_LIMIT_S = 60.0  # a task whose node was not heard from for so long is FAILED
STOP_DEADLINE_S = 50.0
CONNECT_S = 5.0
NODES_PER_ACCOUNT = 256
ID_BYTES = 512
TEXT_BYTES = 256
INT32_MOST = 2**31 - 1
HOST = re.compile(r"[0-9A-Za-z._-]{1,253}|[0-9A-Fa-f:.]{2,45}(%[0-9A-Za-z._-]{1,32})?")


def channel_options() -> list[tuple[str, int]]:
    """Options of every channel that the pool or a requester opens."""
    return [
        ("grpc.max_send_message_length", MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        # Pings during calls alone: a worker's server of the original kind ends connections that
        # ping while idle.
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.http2.max_pings_without_data", 0),
        # A proxy of the environment is meant for the web, not for a pool.
        ("grpc.enable_http_proxy", 0),
        # Else who waits for a pool that was away for a while notices up to two minutes late that it is back.
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # Otherwise channels of one process share the back-off of a dead connection.
        ("grpc.use_local_subchannel_pool", 1),
    ]


def server_options() -> list[tuple[str, int]]:
    """Options of the pool's server (protocol section 5)."""
    return [
        ("grpc.max_send_message_length", MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        *PINGS_UNCOUNTED,
        ("grpc.http2.max_pings_without_data", 0),
        # Linux would let a second pool listen on the same port and take half of the calls.
        ("grpc.so_reuseport", 0),
    ]


def bad_text(what: str, untrusted_text: str, most_bytes: int, *, empty: bool = False) -> str | None:
    """Why a text is not usable: too long, empty, or with control characters."""
    if not untrusted_text:
        return None if empty else f"The {what} is empty."
    if len(untrusted_text.encode("utf-8", "surrogatepass")) > most_bytes:
        return f"The {what} is longer than {most_bytes} bytes."
    if any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in untrusted_text):
        return f"The {what} holds control characters."
    return None


def bad_task_id(untrusted_id: str) -> str | None:
    """Ids are the requester's free text."""
    return bad_text("task id", untrusted_id, ID_BYTES)


def bad_amounts(**untrusted_amounts: int) -> str | None:
    """Amounts are whole numbers from 0 up; the wire limits them to 31 bits."""
    for name, amount in untrusted_amounts.items():
        if not 0 <= amount <= INT32_MOST:
            return f"{name} must be a number from 0 up, not {amount}."
    return None


def bad_endpoint(untrusted_host: str, port: int) -> str | None:
    """A node's address must be a plain name or IP: grpc would take unix:/path and the like."""
    if not HOST.fullmatch(untrusted_host):
        return "The hostname is not a name or an IP address."
    if not 0 < port < 65536:
        return f"The port must be from 1 to 65535, not {port}."
    return None


def target(host: str, port: int) -> str:
    """The address as grpc writes it; the scheme is fixed so that a host cannot name another."""
    if ":" in host:
        return f"ipv6:[{host}]:{port}"
    return f"dns:///{host}:{port}"


def parse_address(untrusted_text: str) -> tuple[str, int] | Problem:
    """HOST:PORT, also [IPv6]:PORT. Port 0 is passed on: listeners choose one then."""
    host, colon, port = untrusted_text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    usable = colon and HOST.fullmatch(host) and port.isascii() and port.isdigit() and int(port[:6]) < 65536
    if not usable:
        return Problem(code=FaultCode.BAD_ADDRESS, about=untrusted_text or "empty")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach the address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
