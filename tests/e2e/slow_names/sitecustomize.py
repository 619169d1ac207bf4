"""For a worker under test: names in slow.example are looked up for ever, as with a dead name server."""

import socket
import time

_look_up = socket.getaddrinfo


def _slow(host, *args, **kwargs):  # type: ignore[no-untyped-def]
    if str(host).endswith("slow.example"):
        time.sleep(120)
    return _look_up(host, *args, **kwargs)


socket.getaddrinfo = _slow
