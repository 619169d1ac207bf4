"""Access from other computers: what the setting means, the certificate, and that nothing is ever plain."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.web.certificate import CERTIFICATE, KEY, LASTS, kept_fingerprint, tls_context
from hivemind_worker.web.remote import Listening, keep_open, parse_listening
from tests.web import wire
from tests.web.conftest import TOKEN, Served

NOW = datetime.datetime(2026, 11, 24, 14, 32, tzinfo=datetime.UTC)
OWN = ("127.0.0.1", "192.168.1.5")


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("192.168.1.5", "", ("192.168.1.5", 5443, ("192.168.1.5",))),
        ("192.168.1.5:8443", "Larch.local", ("192.168.1.5", 8443, ("larch.local", "192.168.1.5"))),
        ("0.0.0.0", "", ("0.0.0.0", 5443, ("127.0.0.1", "192.168.1.5", "larch"))),
        ("[fe80::1]:8443", "", ("fe80::1", 8443, ("fe80::1",))),
        ("fe80::1", "", ("fe80::1", 5443, ("fe80::1",))),
        ("::", "a.example, b.example", ("::", 5443, ("a.example", "b.example", *OWN, "larch"))),
    ],
)
def test_the_setting_names_an_address_and_its_names(text: str, names: str, expected: Any) -> None:
    found = parse_listening(text, names, OWN, "Larch")
    assert isinstance(found, Listening)
    assert (found.address, found.port, found.names) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [("localhost", ""), ("192.168.1", ""), ("1.2.3.4:0", ""), ("1.2.3.4:99999", ""), ("1.2.3.4:x", ""),
     ("http://1.2.3.4", ""), ("1.2.3.4", "evil.com:80"), ("1.2.3.4", "a b"), ("1.2.3.4", "*")],
)  # fmt: skip
def test_a_setting_that_names_no_address_is_refused(text: str, names: str) -> None:
    assert isinstance(parse_listening(text, names, OWN, "larch"), Problem)


def test_switched_off_means_nothing_is_opened() -> None:
    assert parse_listening(" ", "a.example", OWN, "larch") is None


def test_the_certificate_is_kept_private_and_used_again(tmp_path: Path) -> None:
    assert kept_fingerprint(tmp_path) is None
    _, first = tls_context(tmp_path, ("192.168.1.5", "larch.local"), NOW)
    for name in (CERTIFICATE, KEY):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert kept_fingerprint(tmp_path) == first
    assert len(first.split(":")) == 32
    _, again = tls_context(tmp_path, ("larch.local",), NOW + datetime.timedelta(days=300))
    assert again == first, "who compared it once need not again"


def test_the_certificate_is_made_anew_when_it_ends_or_lacks_a_name_or_its_key_is_open(tmp_path: Path) -> None:
    _, first = tls_context(tmp_path, ("larch.local",), NOW)
    _, later = tls_context(tmp_path, ("larch.local",), NOW + LASTS - datetime.timedelta(days=20))
    _, other = tls_context(tmp_path, ("oak.local",), NOW)
    (tmp_path / KEY).chmod(0o644)
    _, renewed = tls_context(tmp_path, ("oak.local",), NOW)
    (tmp_path / CERTIFICATE).write_text("no certificate")
    _, mended = tls_context(tmp_path, ("oak.local",), NOW)
    assert len({first, later, other, renewed, mended}) == 5


class Remote:
    """A server with its remote door open on loopback, and a client that trusts its certificate."""

    def __init__(self, served: Served, folder: Path) -> None:
        self.served = served
        self.context = ssl.create_default_context(cafile=str(folder / CERTIFICATE))

    @property
    def port(self) -> int:
        return self.served.api.remote_port

    async def ask(self, target: str, *, method: str = "GET", host: str = "", **headers: str) -> wire.Answer:
        lines = {"Host": host or f"127.0.0.1:{self.port}", "Connection": "close"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines.items())
        async with asyncio.timeout(wire.LIMIT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context)
            writer.write(head.encode() + b"\r\n")
            raw = await reader.read()
            writer.close()
        return wire.parse(raw)


@pytest.fixture
async def remote(served: Served, tmp_path: Path) -> Remote:
    now = datetime.datetime.now(datetime.UTC)
    context, _ = tls_context(tmp_path, ("127.0.0.1", "larch.local"), now)
    assert await served.api.listen_remote("127.0.0.1", 0, ("127.0.0.1", "larch.local"), context) is None
    return Remote(served, tmp_path)


async def test_w_a_browser_that_trusts_the_certificate_signs_in_over_tls(remote: Remote) -> None:
    assert (await remote.ask("/livez")).status == 200
    assert (await remote.ask("/api/status")).status == 401
    link = (await remote.served.post("/api/v1/sessions/link")).values["path"]
    came = await remote.ask(link)
    assert came.status == 303
    cookie = came.headers["set-cookie"]
    assert "; Secure" in cookie
    assert (await remote.ask("/api/status", Cookie=cookie.partition(";")[0])).status == 200


async def test_w_nothing_is_plain_off_loopback(remote: Remote) -> None:
    plain = f"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:{remote.port}\r\nConnection: close\r\n\r\n"
    try:
        raw = await wire.exchange(remote.port, plain.encode())
    except ConnectionError:
        raw = b""
    assert b"HTTP/" not in raw


async def test_w_only_the_names_of_the_door_that_was_used_count(remote: Remote) -> None:
    port, local = remote.port, remote.served.api.port
    assert (await remote.ask("/livez", host=f"larch.local:{port}")).status == 200
    for host in (
        f"localhost:{local}",
        f"127.0.0.1:{local}",
        f"evil.com:{port}",
        "larch.local",
        f"127.0.0.2:{port}",
    ):
        assert (await remote.ask("/livez", host=host)).status == 403, host
    for host in (f"larch.local:{port}", f"127.0.0.1:{port}", f"larch.local:{local}"):
        assert (await remote.served.get("/livez", host=host)).status == 403, host
    for origin in (f"http://127.0.0.1:{port}", f"https://larch.local:{port}", "https://evil.com"):
        assert (await remote.ask("/api/status", Authorization=f"Bearer {TOKEN}", Origin=origin)).status == 403
    ours = f"https://127.0.0.1:{port}"
    assert (await remote.ask("/api/status", Authorization=f"Bearer {TOKEN}", Origin=ours)).status == 200


async def test_w_strangers_cannot_use_up_the_owners_connections(
    make_served: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hivemind_worker.web.local_api.MAX_REMOTE_CONNECTIONS", 2)
    async with make_served(max_connections=3) as served:
        context, _ = tls_context(tmp_path, ("127.0.0.1",), datetime.datetime.now(datetime.UTC))
        assert await served.api.listen_remote("127.0.0.1", 0, ("127.0.0.1",), context) is None
        trusting = ssl.create_default_context(cafile=str(tmp_path / CERTIFICATE))
        held = [
            await asyncio.open_connection("127.0.0.1", served.api.remote_port, ssl=trusting) for _ in range(2)
        ]
        for reader, writer in held:
            writer.write(f"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:{served.api.remote_port}\r\n\r\n".encode())
            assert b" 200 " in await reader.readuntil(b"\r\n")
        reader, third = await asyncio.open_connection("127.0.0.1", served.api.remote_port, ssl=trusting)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        assert (await served.get("/livez")).status == 200
        for writer in (third, *(pair[1] for pair in held)):
            writer.close()


async def test_an_address_that_is_not_there_yet_is_waited_for(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hivemind_worker.web.remote.AGAIN_S", 0.01)
    tried: list[str] = []
    real = served.api.listen_remote

    async def at_third(address: str, *rest: Any) -> Problem | None:
        tried.append(address)
        return await real("127.0.0.1" if len(tried) == 3 else "203.0.113.7", *rest)

    monkeypatch.setattr(served.api, "listen_remote", at_third)
    files, told = NamedThread("files"), list[str]()
    listening = Listening(address="203.0.113.7", port=0, names=("203.0.113.7",))
    async with asyncio.timeout(10):
        await keep_open(served.api, listening, tmp_path, files, told.append)
    files.close()
    assert len(tried) == 3
    assert told == [kept_fingerprint(tmp_path)]
    assert "web_listen 203.0.113.7" in caplog.text
