"""The kept logins: in the system's keyring, or where there is none in a 0600 file that the owner allowed.

With HIVEMIND_HOME the file is used always: that folder holds everything of its worker.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.owned_file import leftovers, read_owned, write_owned
from hivemind_worker.places import Places

SERVICE = "hivemind-worker"
ENTRY = "pool-login"
MOST_KEPT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A pool account. The password never shows in a repr."""

    pool: str
    user: str
    password: str = field(repr=False)
    plain: bool = False  # the owner accepts that others on the network may read the password


class LoginStore:
    """Keeps one login a pool, the last kept first. All calls block (a keyring may ask its owner)."""

    def __init__(self, file: Path, *, use_keyring: bool) -> None:
        self._file = file
        self._use_keyring = use_keyring
        self._for_now: dict[str, Login] = {}

    @property
    def file(self) -> Path | None:
        """The file that holds passwords at present; None while there is none."""
        return self._file if self._file.exists() else None

    def has_keyring(self) -> bool:
        """Whether a login would be kept in the system's keyring, and not in the file."""
        return self._use_keyring and _keyring_usable()

    def keep(self, login: Login) -> Problem | None:
        """Keep the login for later starts, instead of an earlier one for the same pool."""
        others = [each for each in self._kept() if each.pool != login.pool]
        problem = self._write([login, *others][:MOST_KEPT])
        if problem is None:
            self._for_now.pop(login.pool, None)
        return problem

    def use_for_now(self, login: Login) -> None:
        """Use the login until this process ends; one that was kept for the same pool is forgotten."""
        self.forget(login.pool)
        self._for_now[login.pool] = login

    def find(self, pool: str = "") -> Login | None:
        """The kept login for this pool, or the last kept one. A file that others may read is not trusted."""
        return next((each for each in self.all() if pool in ("", each.pool)), None)

    def all(self) -> tuple[Login, ...]:
        """Every login, those for now before those kept, the last kept first."""
        kept = (each for each in self._kept() if each.pool not in self._for_now)
        return (*self._for_now.values(), *kept)

    def _kept(self) -> tuple[Login, ...]:
        text = self._from_file() or (_keyring_get() if self._use_keyring else None)
        try:
            rows = json.loads(text or "[]")
            return tuple(_login(row) for row in (rows if isinstance(rows, list) else [rows]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return ()

    def forget(self, pool: str | None = None) -> None:
        """Remove the login for this pool, or all, wherever they are kept."""
        for name in tuple(self._for_now) if pool is None else (pool,):
            self._for_now.pop(name, None)
        left = [each for each in self._kept() if pool is not None and each.pool != pool]
        if left:
            self._write(left)
            return
        self._clear_leftovers()
        with contextlib.suppress(FileNotFoundError):
            self._file.unlink()
        if self._use_keyring:
            _keyring_delete()

    def _write(self, logins: Sequence[Login]) -> Problem | None:
        # One login is written as it always was, so that an earlier version finds it.
        text = json.dumps([asdict(each) for each in logins] if len(logins) > 1 else asdict(logins[0]))
        if self._use_keyring and _keyring_set(text):
            with contextlib.suppress(FileNotFoundError):
                self._file.unlink()
            return None
        try:
            self._clear_leftovers()
            write_owned(self._file, text.encode())
        except OSError as error:
            return Problem(code=FaultCode.NO_PERMISSION, about=f"{self._file}: {error.strerror}")
        return None

    def _clear_leftovers(self) -> None:
        """Remove what a crash in the middle of `keep` has left: it may hold a password."""
        for path in leftovers(self._file):
            with contextlib.suppress(OSError):
                path.unlink()

    def _from_file(self) -> str | None:
        content = read_owned(self._file)
        return None if content is None else content.decode("utf-8", "replace")


def _login(row: dict[str, object]) -> Login:
    return Login(
        pool=str(row["pool"]), user=str(row["user"]), password=str(row["password"]),
        plain=row.get("plain") is True,
    )  # fmt: skip


def _keyring_usable() -> bool:
    import keyring  # noqa: PLC0415 - 100 ms, and only where a login is kept
    from keyring.backends import fail, null  # noqa: PLC0415

    return not isinstance(keyring.get_keyring(), fail.Keyring | null.Keyring)


def _keyring_set(text: str) -> bool:
    import keyring  # noqa: PLC0415
    from keyring.errors import KeyringError  # noqa: PLC0415

    try:
        keyring.set_password(SERVICE, ENTRY, text)
    except (KeyringError, RuntimeError):
        return False
    return True


def _keyring_get() -> str | None:
    import keyring  # noqa: PLC0415
    from keyring.errors import KeyringError  # noqa: PLC0415

    try:
        return keyring.get_password(SERVICE, ENTRY)
    except (KeyringError, RuntimeError):
        return None


def _keyring_delete() -> None:
    import keyring  # noqa: PLC0415
    from keyring.errors import KeyringError  # noqa: PLC0415

    with contextlib.suppress(KeyringError, RuntimeError):
        keyring.delete_password(SERVICE, ENTRY)


def login_store(places: Places) -> LoginStore:
    """The store of this home: a portable home never uses the system's keyring."""
    return LoginStore(places.state / "login.json", use_keyring=not places.portable)
