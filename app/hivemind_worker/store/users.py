"""Local accounts, sessions and named tokens in one SQLite file, private to its owner.

Passwords are kept as scrypt hashes, session ids and tokens as SHA-256 (they are random, so that needs no
salt). The worker and the verb `user` may use the file at the same time; each call sees what the other wrote.
Fits `web.visitors.Users` by shape.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from hivemind_worker.model.accounts import (
    ACCOUNT_NAME,
    PASSWORD_LETTERS,
    Account,
    KeptSession,
    NamedToken,
    Role,
)
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread

FILE_NAME = "users.sqlite3"
SECRET_BYTES = 32
MAX_ACCOUNTS, MAX_SESSIONS, MAX_TOKENS = 100, 100, 100
COST = (1 << 14, 8, 5)
"""scrypt's n, r, p: 16 MiB and about 0.2 s. Each hash is kept with the cost that it was made with."""
AGENT_LETTERS = 200
BUSY_TIMEOUT_S = 5.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    role TEXT NOT NULL,
    created_at_s REAL NOT NULL,
    salt BLOB NOT NULL,
    hash BLOB NOT NULL,
    n INTEGER NOT NULL,
    r INTEGER NOT NULL,
    p INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS sessions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    user TEXT NOT NULL COLLATE NOCASE,
    role TEXT NOT NULL,
    began_at_s REAL NOT NULL,
    ends_at_s REAL NOT NULL,
    address TEXT NOT NULL,
    agent TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS tokens (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    digest BLOB NOT NULL UNIQUE,
    created_at_s REAL NOT NULL
);
"""
SESSION = "number, user, role, began_at_s, ends_at_s, address, agent"
ACCOUNT_LASTS = """(user = '' OR EXISTS
    (SELECT 1 FROM accounts WHERE accounts.name = sessions.user AND accounts.role = sessions.role))"""
"""A login that was under way while its account was removed makes no session that lasts."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


class SqliteUsers:
    """The file itself. `open` before use; `close` ends its threads.

    All calls raise OSError when the file cannot be used just now; nothing has changed then.
    """

    def __init__(self, folder: Path, *, cost: tuple[int, int, int] = COST) -> None:
        self._file = folder / FILE_NAME
        self._cost = cost
        self._thread = NamedThread("users")
        self._passwords = NamedThread("passwords")  # one: a flood of logins takes one core at most
        self._connection: sqlite3.Connection | None = None
        self._nobody = secrets.token_bytes(32)  # what no password comes out as

    async def open(self) -> Problem | None:
        """Open or make the file. BAD_JOURNAL: a damaged one was set aside and an empty one is in use."""
        return await self._thread.call(self._open)

    def _open(self) -> Problem | None:
        try:
            try:
                self._connection = _connect(self._file)
            except sqlite3.OperationalError as error:
                return Problem(code=FaultCode.NO_PERMISSION, about=f"{self._file} ({error})")
            except sqlite3.DatabaseError as error:
                aside = self._file.with_name(f"{FILE_NAME}.bad-{int(time.time())}")
                self._file.replace(aside)
                self._connection = _connect(self._file)
                return Problem(code=FaultCode.BAD_JOURNAL, about=f"{aside} ({error})")
        except (OSError, sqlite3.Error) as error:
            return Problem(code=FaultCode.NO_PERMISSION, about=f"{self._file} ({error})")
        return None

    async def close(self) -> None:
        """Close the file and end the threads."""
        await self._thread.call(self._close)
        self._thread.close(wait=False)
        self._passwords.close(wait=False)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _call(
        self,
        function: Callable[Concatenate[sqlite3.Connection, Given], Result],
        *values: Given.args,
        **named: Given.kwargs,
    ) -> Result:
        def on_file() -> Result:
            if self._connection is None:
                raise OSError("the file of accounts is not open")
            try:
                with self._connection:
                    return function(self._connection, *values, **named)
            except sqlite3.Error as error:
                raise OSError(f"the file of accounts cannot be used: {error}") from error

        return await self._thread.call(on_file)

    # --- accounts -----------------------------------------------------------------------------

    async def add_account(self, name: str, password: str, role: Role, at_s: float) -> Problem | None:
        """Make an account, or say why not."""
        problem = _name_problem(name) or _password_problem(password)
        if problem is not None:
            return problem
        salt = secrets.token_bytes(16)
        digest = await self._passwords.call(_hashed, password, salt, self._cost)
        row = (name, role.value, at_s, salt, digest, *self._cost)
        return await self._call(_insert_account, row)

    async def accounts(self) -> tuple[Account, ...]:
        """All accounts by name."""
        return await self._call(_accounts)

    async def remove_account(self, name: str) -> bool:
        """Remove an account and end its sessions; False when there is none of this name."""
        return await self._call(_remove_account, name)

    async def check_password(self, name: str, untrusted_password: str) -> Account | None:
        """The account when name and password are right; takes as long when there is no such account."""
        found = await self._call(_password_row, name)
        if found is None:
            salt, kept, cost = b"nobody", self._nobody, self._cost
        else:
            salt, kept, cost = found[3], found[4], (found[5], found[6], found[7])
        digest = await self._passwords.call(_hashed, untrusted_password, salt, cost)
        right = hmac.compare_digest(digest, kept)
        if found is None or not right:
            return None
        return Account(name=found[0], role=Role(found[1]), created_at_s=found[2])

    # --- sessions -----------------------------------------------------------------------------

    async def begin_session(
        self, user: str, role: Role, *, at_s: float, length_s: float, address: str, agent: str
    ) -> tuple[str, KeptSession]:
        """A new session and its id, which is kept nowhere; the oldest makes room when there are too many."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        row = (_digest(secret), user, role.value, at_s, at_s + length_s, address, agent[:AGENT_LETTERS])
        return secret, await self._call(_insert_session, row, at_s)

    async def find_session(self, untrusted_secret: str, now_s: float) -> KeptSession | None:
        """The session of this id, while it lasts."""
        return await self._call(_find_session, _digest(untrusted_secret), now_s)

    async def sessions(self, now_s: float) -> tuple[KeptSession, ...]:
        """All that last, newest first."""
        return await self._call(_sessions, now_s)

    async def end_session(self, number: int) -> bool:
        """End one; False when there is none of this number."""
        return await self._call(_delete, "DELETE FROM sessions WHERE number=?", number)

    # --- named tokens -------------------------------------------------------------------------

    async def add_token(self, name: str, at_s: float) -> str | Problem:
        """A new read-only token, told this once."""
        problem = _name_problem(name)
        if problem is not None:
            return problem
        secret = secrets.token_urlsafe(SECRET_BYTES)
        return await self._call(_insert_token, name, _digest(secret), at_s) or secret

    async def tokens(self) -> tuple[NamedToken, ...]:
        """All named tokens by name."""
        return await self._call(_tokens)

    async def find_token(self, untrusted_secret: str) -> NamedToken | None:
        """The token with this text."""
        return await self._call(_find_token, _digest(untrusted_secret))

    async def remove_token(self, name: str) -> bool:
        """Revoke a token; False when there is none of this name."""
        return await self._call(_delete, "DELETE FROM tokens WHERE name=?", name)


def _connect(file: Path) -> sqlite3.Connection:
    if not file.exists():
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
    if os.name == "posix":
        file.chmod(0o600)
    connection = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    try:
        connection.executescript(SCHEMA)
        connection.execute("SELECT count(*) FROM accounts, sessions, tokens").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _hashed(password: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    n, r, p = cost
    text = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(text, salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _name_problem(name: str) -> Problem | None:
    if ACCOUNT_NAME.fullmatch(name):
        return None
    about = "A name has 1 to 64 letters, digits or . _ @ - and begins with a letter or digit."
    return Problem(code=FaultCode.BAD_USAGE, about=about)


def _password_problem(password: str) -> Problem | None:
    low, high = PASSWORD_LETTERS
    if low <= len(password) <= high:
        return None
    return Problem(code=FaultCode.BAD_USAGE, about=f"A password has {low} to {high} letters.")


def _full(connection: sqlite3.Connection, table: str, most: int) -> bool:
    count = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
    return bool(count >= most)


def _insert_account(connection: sqlite3.Connection, row: tuple[object, ...]) -> Problem | None:
    if _full(connection, "accounts", MAX_ACCOUNTS):
        return Problem(code=FaultCode.BAD_USAGE, about=f"There are {MAX_ACCOUNTS} accounts already.")
    try:
        connection.execute("INSERT INTO accounts VALUES (?,?,?,?,?,?,?,?)", row)
    except sqlite3.IntegrityError:
        return Problem(code=FaultCode.BAD_USAGE, about=f"There is an account {row[0]} already.")
    return None


def _accounts(connection: sqlite3.Connection) -> tuple[Account, ...]:
    rows = connection.execute("SELECT name, role, created_at_s FROM accounts ORDER BY name").fetchall()
    return tuple(Account(name=name, role=Role(role), created_at_s=at_s) for name, role, at_s in rows)


def _remove_account(connection: sqlite3.Connection, name: str) -> bool:
    if not name:
        return False
    connection.execute("DELETE FROM sessions WHERE user=?", (name,))
    return _delete(connection, "DELETE FROM accounts WHERE name=?", name)


def _password_row(
    connection: sqlite3.Connection, name: str
) -> tuple[str, str, float, bytes, bytes, int, int, int] | None:
    if not ACCOUNT_NAME.fullmatch(name):
        return None
    found = connection.execute("SELECT * FROM accounts WHERE name=?", (name,)).fetchone()
    return None if found is None else tuple(found)


def _insert_session(connection: sqlite3.Connection, row: tuple[object, ...], at_s: float) -> KeptSession:
    connection.execute("DELETE FROM sessions WHERE ends_at_s <= ?", (at_s,))
    connection.execute(
        "DELETE FROM sessions WHERE number IN"
        " (SELECT number FROM sessions ORDER BY number DESC LIMIT -1 OFFSET ?)",
        (MAX_SESSIONS - 1,),
    )
    number = connection.execute(
        "INSERT INTO sessions (digest, user, role, began_at_s, ends_at_s, address, agent)"
        " VALUES (?,?,?,?,?,?,?)",
        row,
    ).lastrowid
    found = connection.execute(f"SELECT {SESSION} FROM sessions WHERE number=?", (number,)).fetchone()  # noqa: S608
    return _session(found)


def _find_session(connection: sqlite3.Connection, digest: bytes, now_s: float) -> KeptSession | None:
    query = f"SELECT {SESSION} FROM sessions WHERE digest=? AND ends_at_s > ? AND {ACCOUNT_LASTS}"  # noqa: S608
    found = connection.execute(query, (digest, now_s)).fetchone()
    return None if found is None else _session(found)


def _sessions(connection: sqlite3.Connection, now_s: float) -> tuple[KeptSession, ...]:
    query = f"SELECT {SESSION} FROM sessions WHERE ends_at_s > ? ORDER BY number DESC"  # noqa: S608
    return tuple(_session(row) for row in connection.execute(query, (now_s,)).fetchall())


def _session(row: tuple[int, str, str, float, float, str, str]) -> KeptSession:
    number, user, role, began_at_s, ends_at_s, address, agent = row
    return KeptSession(
        number=number, user=user, role=Role(role), began_at_s=began_at_s, ends_at_s=ends_at_s,
        address=address, agent=agent,
    )  # fmt: skip


def _delete(connection: sqlite3.Connection, statement: str, value: int | str) -> bool:
    return connection.execute(statement, (value,)).rowcount > 0


def _insert_token(connection: sqlite3.Connection, name: str, digest: bytes, at_s: float) -> Problem | None:
    if _full(connection, "tokens", MAX_TOKENS):
        return Problem(code=FaultCode.BAD_USAGE, about=f"There are {MAX_TOKENS} tokens already.")
    try:
        connection.execute("INSERT INTO tokens VALUES (?,?,?)", (name, digest, at_s))
    except sqlite3.IntegrityError:
        return Problem(code=FaultCode.BAD_USAGE, about=f"There is a token {name} already.")
    return None


def _tokens(connection: sqlite3.Connection) -> tuple[NamedToken, ...]:
    rows = connection.execute("SELECT name, created_at_s FROM tokens ORDER BY name").fetchall()
    return tuple(NamedToken(name=name, created_at_s=at_s) for name, at_s in rows)


def _find_token(connection: sqlite3.Connection, digest: bytes) -> NamedToken | None:
    found = connection.execute("SELECT name, created_at_s FROM tokens WHERE digest=?", (digest,)).fetchone()
    return None if found is None else NamedToken(name=found[0], created_at_s=found[1])
