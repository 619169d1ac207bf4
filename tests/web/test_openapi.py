"""The OpenAPI document is true: a real worker is asked thousands of things by it, and answers as it says."""

from __future__ import annotations

import json
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.web.conftest import Served
from tests.web.stand import ENDED, RUNNING, Stand, prepare, standing

DOCUMENT = "/api/v1/openapi.json"
TRUE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
BY_TOKEN = "POST /api/v1/sessions/link"
STREAM = "GET /api/v1/events"
CHANGES_THE_NETWORK = {f"POST /api/v1/vpn/{verb}" for verb in ("import", "up", "down", "back")}
"""Without a profile they only refuse here: tests/web/test_vpn_routes.py and tests/vpn show them work."""
NEEDS_A_FLEET = {
    "GET /api/v1/fleet",
    *(f"POST /api/v1/fleet/{kind}" for kind in ("pause", "resume", "finish")),
}
"""The pool here calls its workers and has no fleet: tests/web/test_fleet_routes.py shows them work."""
EXAMPLES = 50


async def test_the_document_names_every_route_of_the_table_and_no_other(served: Served) -> None:
    document = (await served.get(DOCUMENT)).values
    assert document["openapi"] == "3.1.0"
    named = {(verb.upper(), path) for path, verbs in document["paths"].items() for verb in verbs}
    table = {key for key, route in served.api.table.items() if route.doc is not None}
    assert named == table
    undocumented = {path for (_method, path), route in served.api.table.items() if route.doc is None}
    assert not [path for path in undocumented if path.startswith("/api/")], "the API is documented whole"
    assert "/login" in undocumented, "pages are not part of it"


async def test_each_operation_has_a_name_a_summary_and_the_answers_that_all_have(served: Served) -> None:
    document = (await served.get(DOCUMENT)).values
    operations = [operation for verbs in document["paths"].values() for operation in verbs.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert {"200", "400", "401", "403", "413", "415", "431", "500", "503"} <= set(operation["responses"])
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(schemas)


async def test_the_document_is_for_those_who_are_signed_in(served: Served) -> None:
    assert (await served.get(DOCUMENT, token=None)).status == 401


# --- against a real worker ----------------------------------------------------------------------


class Client:
    """Signed in as owner in a browser's way: a cookie, and the CSRF token on what is not a GET."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.headers: dict[str, str] = {}
        self.by_token = {"Authorization": f"Bearer {stand.token}"}
        self.sign_in()

    def sign_in(self) -> None:
        """A session by a one-time link."""
        url = self.stand.url
        link = requests.post(f"{url}/api/v1/sessions/link", headers=self.by_token, timeout=10).json()
        came = requests.get(url + link["path"], allow_redirects=False, timeout=10)
        cookie = came.headers["Set-Cookie"].partition(";")[0]
        who = requests.get(f"{url}/api/v1/sessions/current", headers={"Cookie": cookie}, timeout=10).json()
        assert who["role"] == "owner"
        self.headers = {"Cookie": cookie, "X-CSRF-Token": who["csrf"]}

    def get(self, target: str) -> Any:
        return requests.get(self.stand.url + target, headers=self.by_token, timeout=10).json()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("home")
    prepare(home)
    with standing(home) as stand:
        yield Client(stand)


@pytest.mark.release
def test_a_thousand_generated_requests_find_no_server_error_and_no_undocumented_answer(
    client: Client,
) -> None:
    tasks = client.get("/api/v1/tasks?limit=200")["tasks"]
    assert sum(task["status"] == "RUNNING" for task in tasks) == RUNNING
    assert len(tasks) == RUNNING + ENDED
    schema = schemathesis.openapi.from_dict(client.get(DOCUMENT))
    good: dict[str, int] = defaultdict(int)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 25
    for operation in operations:
        name = f"{operation.method.upper()} {operation.path}"
        if name == STREAM:
            good[name] += _stream_answers_as_documented(client)
            continue
        _ask(client, name, operation, [task["task_id"] for task in tasks], good)
    missing = {n for o in operations if not good[n := f"{o.method.upper()} {o.path}"]}
    assert missing == CHANGES_THE_NETWORK | NEEDS_A_FLEET


def _ask(client: Client, name: str, operation: Any, task_ids: list[str], good: dict[str, int]) -> None:
    """Many requests to one operation: such as it takes, and such as it must refuse."""
    known = st.one_of(st.none(), st.sampled_from(task_ids))
    quiet = hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip

    def call(case: Any, task_id: str | None, checks: list[Any]) -> None:
        _prepare(client, case, task_id)
        case.headers = dict(client.by_token if name == BY_TOKEN else client.headers)
        response = case.call(base_url=client.stand.url, timeout=20)
        case.validate_response(response, checks=checks)
        good[name] += response.status_code < 300

    takes = [*TRUE, positive_data_acceptance] if operation.method == "get" else TRUE

    @quiet
    @hypothesis.given(operation.as_strategy(), known)
    def positive(case: Any, task_id: str | None) -> None:
        call(case, task_id, takes)

    @quiet
    @hypothesis.given(operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE), st.none())
    def negative(case: Any, task_id: str | None) -> None:
        call(case, task_id, [*TRUE, negative_data_rejection])

    positive()
    if operation.body or any(operation.query):
        negative()


def _prepare(client: Client, case: Any, task_id: str | None) -> None:
    """Name a task or session that is there, for half of the cases."""
    if task_id is None:
        return
    if "id" in case.path_parameters:
        case.path_parameters["id"] = task_id
    if "number" in case.path_parameters:
        client.sign_in()  # another one, so that there is one to end
        client.sign_in()
        sessions = client.get("/api/v1/sessions")["sessions"]
        case.path_parameters["number"] = sessions[1]["number"]


def _stream_answers_as_documented(client: Client) -> int:
    """The stream has no end: its head and first words are looked at."""
    request = urllib.request.Request(f"{client.stand.url}/api/v1/events", headers=client.headers)
    with urllib.request.urlopen(request, timeout=10) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert stream.readline().startswith(b"retry: ")
        return int(stream.status == 200)


@pytest.mark.release
def test_what_the_walk_asked_for_has_left_the_worker_alive(client: Client, tmp_path: Path) -> None:
    assert requests.get(f"{client.stand.url}/livez", timeout=10).json() == {"ok": True}
    assert client.stand.process.poll() is None
