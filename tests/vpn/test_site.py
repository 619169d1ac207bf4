"""Asking the pool's site for a profile: a real server on loopback plays the site, with its refusals."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.vpn.narrowing import membership, usable
from hivemind_worker.vpn.site import MAX_ANSWER, ask_site, client_name
from tests.vpn.corpus import GOOD, OWN

GRANTED = {"success": True, "config": GOOD, "client_name": "larch", "client_ip": "10.0.0.17",
           "server_endpoint": "pool.example:51820", "filename": "larch.conf"}  # fmt: skip


@dataclass
class Site:
    """Set `status` and `answer`; read `asked`."""

    url: str = ""
    status: int = 200
    answer: object = field(default_factory=lambda: GRANTED)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.asked.append((self.path, self.headers["Content-Type"], body))
            said = made.answer if isinstance(made.answer, bytes) else json.dumps(made.answer).encode()
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="site")
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def test_the_site_gives_a_profile_to_the_name_that_was_asked_for(site: Site) -> None:
    given = ask_site(site.url, "larch")
    assert isinstance(given, bytes)
    assert site.asked == [("/api/vpn/join", "application/json", {"client_name": "larch"})]
    assert usable(given, membership("10.0.0.1", "10.0.0.0/24"))[0] is not None


@pytest.mark.parametrize(
    "status,answer,words",
    [
        (429, {"error": "Please wait 5 seconds"}, "Please wait 5 seconds"),
        (400, {"success": False, "error": "Name is taken"}, "Name is taken"),
        (200, {"success": False, "message": "No address left"}, "No address left"),
        (200, {"success": False}, "it answered 200"),
        (200, {"success": True}, "it answered 200"),
        (200, {"success": True, "config": 7}, "it answered 200"),
        (500, {"success": True, "config": GOOD}, "it answered 500"),
        (502, b"<html>Bad Gateway</html>", "something that is no profile"),
        (200, b"[]", "something that is no profile"),
        (200, b"[" * 100_000, "something that is no profile"),
        (200, b"x" * (MAX_ANSWER + 10), "something that is no profile"),
        (200, {"error": "請稍候\x1b[31m"}, "請稍候 [31m"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_each_refusal_is_told_in_the_sites_own_words(
    site: Site, status: int, answer: object, words: str
) -> None:
    site.status, site.answer = status, answer
    told = ask_site(site.url, "larch")
    assert isinstance(told, Problem)
    assert told.code is FaultCode.SITE_REFUSED
    assert words in told.about
    assert OWN not in told.about
    assert told.about.isprintable()


def test_a_site_that_does_not_answer_is_named(site: Site) -> None:
    told = ask_site("http://127.0.0.1:1", "larch")
    assert isinstance(told, Problem)
    assert "does not answer" in told.about


@pytest.mark.parametrize(
    "address", ["http://pool.example", "ftp://pool.example", "https://u:p@pool.example", "pool.example/x",
                "https://pool.example?x=1", "https://[::1", "https://"],
)  # fmt: skip
def test_no_site_is_asked_where_others_could_read_the_key_or_that_is_no_site(address: str) -> None:
    told = ask_site(address, "larch")
    assert isinstance(told, Problem)
    assert told.code is FaultCode.BAD_SITE


def test_a_site_with_a_certificate_of_its_own_making_is_not_believed(site: Site) -> None:
    told = ask_site(site.url.replace("http:", "https:"), "larch")
    assert isinstance(told, Problem)


@pytest.mark.parametrize(
    "host,name", [("larch", "larch"), ("anna's larch.home", "anna-s-larch-home"), ("圖書館", "worker"),
                  ("x" * 40, "x" * 20)],
)  # fmt: skip
def test_a_computers_name_becomes_one_that_the_site_keeps(host: str, name: str) -> None:
    assert client_name(host) == name
    assert isinstance(ask_site("http://127.0.0.1:1", "not a name"), Problem)
