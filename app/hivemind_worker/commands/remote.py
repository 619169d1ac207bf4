"""A small client of the running worker's local API, for commands. Standard library only: commands start fast.

Before the token is sent, the server at the other end of the same connection must prove
that it knows it (web.token.proof_of): the port of a killed worker may be another program's by now.
"""

from __future__ import annotations

import hmac
import http.client
import json
import secrets
from collections.abc import Mapping

from hivemind_worker.commands.resolve import home_places
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.web.endpoint import Endpoint, read_endpoint
from hivemind_worker.web.token import PROOF_HEADER, load_token, proof_of

TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 64 << 20
NOT_RUNNING = Problem(code=FaultCode.NOT_RUNNING)
Values = dict[str, object]


class Remote:
    """One connection to the worker, opened when it is needed and proved before it is trusted."""

    def __init__(self, endpoint: Endpoint, token: str, limit_s: float = TIMEOUT_S) -> None:
        self._endpoint = endpoint
        self._token = token
        self._limit_s = limit_s
        self._connection: http.client.HTTPConnection | None = None

    @property
    def url(self) -> str:
        """Where the worker's pages and API are."""
        return self._endpoint.url

    def get(self, path: str) -> Values | Problem:
        """The JSON answer, or the problem that the worker named."""
        return self._call("GET", path, None)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Values | Problem:
        """As `get`, for a wish."""
        return self._call("POST", path, body)

    def patch(self, path: str, body: Mapping[str, object]) -> Values | Problem:
        """As `get`, for a change of some values."""
        return self._call("PATCH", path, body)

    def close(self) -> None:
        """End the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _call(self, method: str, path: str, body: Mapping[str, object] | None) -> Values | Problem:
        reused = self._connection is not None
        try:
            return self._exchange(method, path, body)
        except TimeoutError:
            self.close()
            return Problem(code=FaultCode.WORKER_MUTE, about=f"nothing came within {self._limit_s:g} s")
        except (OSError, http.client.HTTPException):
            self.close()
        # The worker ends connections that idle; asking once more is safe where nothing changes.
        return self._call(method, path, body) if reused and method == "GET" else NOT_RUNNING

    def _exchange(self, method: str, path: str, body: Mapping[str, object] | None) -> Values | Problem:
        connection = self._proved()
        if connection is None:
            return NOT_RUNNING
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
        return _understood(connection.getresponse())

    def _proved(self) -> http.client.HTTPConnection | None:
        """The connection, whose other end has shown that it knows the token, or None."""
        if self._connection is None:
            connection = http.client.HTTPConnection(
                self._endpoint.host, self._endpoint.port, timeout=self._limit_s
            )
            try:
                proved = _proves(connection, self._token)
            except BaseException:
                connection.close()
                raise
            if not proved:
                connection.close()
                return None
            self._connection = connection
        return self._connection


def _proves(connection: http.client.HTTPConnection, token: str) -> bool:
    nonce = secrets.token_hex(16)
    connection.request("GET", "/livez", headers={PROOF_HEADER: nonce})
    response = connection.getresponse()
    response.read(MAX_ANSWER_BYTES)
    answer = response.headers.get(PROOF_HEADER, "")
    return hmac.compare_digest(answer.encode("utf-8", "replace"), proof_of(token, nonce).encode())


def _understood(response: http.client.HTTPResponse) -> Values | Problem:
    content = response.read(MAX_ANSWER_BYTES)
    try:
        values = json.loads(content)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        return Problem(code=FaultCode.BUG, about=f"its answer ({response.status}) cannot be read")
    return values if response.status < http.client.BAD_REQUEST else _problem(values)


def _problem(values: Values) -> Problem:
    """What the worker answered as a row of the faults table."""
    detail = str(values.get("detail") or values.get("error") or "unknown")
    try:
        code = FaultCode(str(values.get("code")))
    except ValueError:
        return Problem(code=FaultCode.BUG, about=detail)
    return Problem(code=code, about=str(values.get("about", "")))


def find_worker(limit_s: float = TIMEOUT_S) -> Remote | Problem:
    """The worker of this home, or the problem that none runs."""
    places = home_places()
    endpoint, token = read_endpoint(places.endpoint_file), load_token(places.token_file)
    if endpoint is None or token is None:
        return NOT_RUNNING
    return Remote(endpoint, token, limit_s)


def task_path(task_id: str, rest: str = "") -> str | Problem:
    """The address of a task in the API; every byte of the id is escaped, whatever it is."""
    if not task_id:
        return Problem(code=FaultCode.UNKNOWN_TASK)
    quoted = "".join(f"%{byte:02X}" for byte in task_id.encode("utf-8", "surrogateescape"))
    return f"/api/v1/tasks/{quoted}{rest}"


def ask_worker(
    path: str | Problem, body: Mapping[str, object] | None = None, *, post: bool = False, patch: bool = False,
    limit_s: float = TIMEOUT_S,
) -> Values | Problem:  # fmt: skip
    """One question to the worker of this home. `limit_s`: longer where its owner may be asked first."""
    if isinstance(path, Problem):
        return path
    worker = find_worker(limit_s)
    if isinstance(worker, Problem):
        return worker
    try:
        if patch:
            return worker.patch(path, body or {})
        return worker.post(path, body) if post else worker.get(path)
    finally:
        worker.close()
