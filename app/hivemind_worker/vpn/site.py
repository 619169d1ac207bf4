"""Asking the pool's site for a profile (protocol.md, section 8), over TLS alone: its answer holds a key.

Blocks: call it from a thread. What comes back is a profile like any other, and is checked like one.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
from urllib.parse import urlsplit

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem

PATH = "/api/vpn/join"
LIMIT_S = 15.0
MAX_ANSWER = 128 << 10
MAX_WORDS = 200
CLIENT_NAME = re.compile(r"[A-Za-z0-9_-]{1,20}")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def client_name(host: str) -> str:
    """A name that the site keeps, made of this computer's."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", host).strip("-")[:20] or "worker"


def ask_site(site: str, name: str, context: ssl.SSLContext | None = None) -> bytes | Problem:
    """The profile that the site gives to `name`, or why it gives none, in its own words."""
    if not CLIENT_NAME.fullmatch(name):
        return Problem(
            code=FaultCode.BAD_SITE, about=f"the name {name!a:.40} has other than 20 letters, _ and -"
        )
    connection = _connection(site, context)
    if isinstance(connection, Problem):
        return connection
    try:
        body = json.dumps({"client_name": name}).encode()
        connection.request("POST", PATH, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return _understood(response.status, response.read(MAX_ANSWER + 1), site)
    except ssl.SSLCertVerificationError as error:
        return Problem(
            code=FaultCode.BAD_SITE, about=f"its certificate is not trusted: {error.verify_message}"
        )
    except (OSError, http.client.HTTPException) as error:
        return Problem(code=FaultCode.SITE_REFUSED, about=f"{site} does not answer ({type(error).__name__}).")
    finally:
        connection.close()


def _connection(site: str, context: ssl.SSLContext | None) -> http.client.HTTPConnection | Problem:
    try:
        parts = urlsplit(site if "//" in site else f"https://{site}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return Problem(code=FaultCode.BAD_SITE, about=site[:100])
    if not host or parts.path not in ("", "/") or parts.username or parts.query:
        return Problem(code=FaultCode.BAD_SITE, about=site[:100])
    if parts.scheme == "https":
        trusted = context or ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=LIMIT_S, context=trusted)
    if parts.scheme == "http" and host in LOOPBACK:
        return http.client.HTTPConnection(host, port, timeout=LIMIT_S)
    return Problem(
        code=FaultCode.BAD_SITE, about=f"{site[:100]} is not protected, and the answer holds a key"
    )


def _understood(status: int, content: bytes, site: str) -> bytes | Problem:
    try:
        values = json.loads(content) if len(content) <= MAX_ANSWER else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        about = f"{site} answered {status} with something that is no profile."
        return Problem(code=FaultCode.SITE_REFUSED, about=about)
    profile = values.get("config")
    if status < http.client.BAD_REQUEST and values.get("success") is True and isinstance(profile, str):
        return profile.encode("utf-8", "surrogatepass")
    said = str(values.get("error") or values.get("message") or f"it answered {status}")
    shown = "".join(letter if letter.isprintable() else " " for letter in said[:MAX_WORDS])
    return Problem(code=FaultCode.SITE_REFUSED, about=shown)
