"""Questions to D-Bus services, each with a short time limit. No answer of any kind is None.

Kept open between questions; a bus that has gone is tried again after a while.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)
ANSWER_LIMIT_S = 0.5
TRY_AGAIN_S = 30.0


class Bus:
    """One connection: `which` is SESSION or SYSTEM, as the environment says where it is. One thread only."""

    def __init__(self, which: str, steady: Callable[[], float] = time.monotonic) -> None:
        self._which = which
        self._steady = steady
        self._connection: Any = None
        self._next_try_s = -TRY_AGAIN_S
        self._absent_until: dict[tuple[str, str], float] = {}

    def get(self, service: str, path: str, interface: str, name: str) -> Any:
        """A property's value."""
        answer = self.call(
            service, path, "org.freedesktop.DBus.Properties", "Get", sends="ss", body=(interface, name)
        )
        return answer[1] if isinstance(answer, tuple) and len(answer) == 2 else None

    def call(
        self,
        service: str,
        path: str,
        interface: str,
        method: str,
        *,
        sends: str = "",
        body: tuple[Any, ...] = (),
    ) -> Any:
        """A method's first answer. A service that did not answer is left alone for a while."""
        absent = (service, method)
        if self._steady() < self._absent_until.get(absent, 0.0) or not self._is_open():
            return None
        from jeepney import DBusAddress, DBusErrorResponse, new_method_call  # noqa: PLC0415 - Linux alone

        address = DBusAddress(path, bus_name=service, interface=interface)
        message = new_method_call(address, method, sends or None, body)
        try:
            reply = self._connection.send_and_get_reply(message, timeout=ANSWER_LIMIT_S)
            if reply.header.message_type.name == "error":
                raise DBusErrorResponse(reply)
        except DBusErrorResponse as error:
            log.debug("%s: %s", service, error)
            self._absent_until[absent] = self._steady() + TRY_AGAIN_S
            return None
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            log.debug("%s: %r", service, error)
            self.close()
            self._absent_until[absent] = self._steady() + TRY_AGAIN_S
            return None
        return reply.body[0] if reply.body else None

    def _is_open(self) -> bool:
        if self._connection is not None:
            return True
        if self._steady() < self._next_try_s:
            return False
        self._next_try_s = self._steady() + TRY_AGAIN_S
        try:
            from jeepney.io.blocking import open_dbus_connection  # noqa: PLC0415

            self._connection = open_dbus_connection(bus=self._which)
        except Exception as error:  # no library, no address, no right: there is nobody to ask
            log.debug("%s bus: %r", self._which, error)
            return False
        self._next_try_s = 0.0
        return True

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
