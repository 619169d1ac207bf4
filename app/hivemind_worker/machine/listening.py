"""The sockets on which this process listens."""

from __future__ import annotations

import psutil


def listening() -> tuple[tuple[str, int], ...]:
    """Address and port of each listening TCP socket of this process."""
    try:
        rows = psutil.Process().net_connections(kind="tcp")
    except psutil.Error:
        return ()
    return tuple((str(row.laddr.ip), int(row.laddr.port)) for row in rows if row.status == psutil.CONN_LISTEN)
