"""Sockets: on loopback the port that was asked for, or the next free one; elsewhere only what is set."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem

SEARCH = 50
SETTING = "FLASK_PORT"
BACKLOG = 128


def open_sockets(host: str, port: int, *, search: bool) -> tuple[socket.socket, ...] | Problem:
    """Bound sockets on `host`, and on ::1 at the same port where the computer has it.

    Port 0 takes any. With `search`, up to 50 ports above a taken one are tried. The caller closes them.

    Raises:
        ValueError: the host is not a loopback address.
    """
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"{host} is not a loopback address")
    for candidate in range(port, min(port + (SEARCH if search and port else 0), 65535) + 1):
        try:
            return _pair(host, candidate, strict=search)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return Problem(
                    code=FaultCode.BAD_SETTING,
                    about=f"{SETTING} {candidate}: {os.strerror(error.errno or 0)}",
                )
    return Problem(code=FaultCode.PORT_IN_USE, about=f"{port} ({SETTING})")


def open_remote(address: str, port: int) -> socket.socket | Problem:
    """A bound socket on an address that other computers reach. The caller closes it, and speaks TLS on it."""
    try:
        return _bound(address, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return Problem(code=FaultCode.PORT_IN_USE, about=f"{port} (web_listen)")
        about = f"web_listen {address}: {os.strerror(error.errno or 0)}"
        return Problem(code=FaultCode.BAD_SETTING, about=about)


def _pair(host: str, port: int, *, strict: bool) -> tuple[socket.socket, ...]:
    """`strict`: another program on the second address counts, for browsers may try that one first.

    Raises:
        OSError: the port cannot be had.
    """
    first = _bound(host, port)
    if host != "127.0.0.1" or not socket.has_ipv6:
        return (first,)
    try:
        return first, _bound("::1", first.getsockname()[1])
    except OSError as error:
        if strict and error.errno == errno.EADDRINUSE and port:
            first.close()
            raise
        return (first,)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if os.name == "posix":
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, port))
        # Here and not at the first accept: with SO_REUSEADDR only listening shows that a port is taken.
        server.listen(BACKLOG)
        server.setblocking(False)
    except BaseException:
        server.close()
        raise
    return server
