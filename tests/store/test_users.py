"""The book of local accounts, sessions and named tokens."""

from __future__ import annotations

import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hivemind_worker.model.accounts import Role
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.store import users as users_module
from hivemind_worker.store.users import FILE_NAME, SqliteUsers

CHEAP = (16, 1, 1)
NOW_S = 1_795_530_720.0
PASSWORD = "correct horse"


@pytest.fixture
async def users(tmp_path: Path) -> AsyncIterator[SqliteUsers]:
    book = SqliteUsers(tmp_path, cost=CHEAP)
    assert await book.open() is None
    yield book
    await book.close()


async def begin(users: SqliteUsers, user: str = "", role: Role = Role.OWNER, hours: float = 1.0) -> str:
    secret, _ = await users.begin_session(
        user, role, at_s=NOW_S, length_s=hours * 3600, address="127.0.0.1", agent="a browser"
    )
    return secret


async def test_a_password_opens_its_own_account_alone(users: SqliteUsers) -> None:
    assert await users.add_account("Anna", PASSWORD, Role.OWNER, NOW_S) is None
    assert await users.add_account("ben", "another password", Role.VIEWER, NOW_S) is None
    found = await users.check_password("anna", PASSWORD)
    assert found is not None
    assert (found.name, found.role) == ("Anna", Role.OWNER)
    for name, password in (
        ("ben", PASSWORD),
        ("anna", PASSWORD + " "),
        ("anna", ""),
        ("carl", PASSWORD),
        ("", ""),
    ):
        assert await users.check_password(name, password) is None


async def test_names_are_told_apart_without_case_and_passwords_in_any_script(users: SqliteUsers) -> None:
    assert await users.add_account("anna", "пароль 密码 e\u0301", Role.OWNER, NOW_S) is None
    again = await users.add_account("ANNA", PASSWORD, Role.OWNER, NOW_S)
    assert isinstance(again, Problem)
    assert await users.check_password("anna", "пароль 密码 \u00e9"), (
        "the same letters, typed on another system"
    )


@pytest.mark.parametrize("name", ["", " ", "a b", "../x", "-x", "a" * 65, "a\n", "<b>", "ä"])
async def test_a_name_that_is_none_is_refused(users: SqliteUsers, name: str) -> None:
    problem = await users.add_account(name, PASSWORD, Role.VIEWER, NOW_S)
    assert problem is not None
    assert problem.code is FaultCode.BAD_USAGE
    assert isinstance(await users.add_token(name, NOW_S), Problem)
    assert await users.accounts() == ()


async def test_a_short_password_is_refused(users: SqliteUsers) -> None:
    for password in ("", "1234567", "x" * 1025):
        assert await users.add_account("anna", password, Role.VIEWER, NOW_S) is not None


async def test_a_session_is_found_by_its_id_until_it_ends(users: SqliteUsers) -> None:
    secret = await begin(users)
    found = await users.find_session(secret, NOW_S + 3599)
    assert found is not None
    assert (found.user, found.role, found.agent) == ("", Role.OWNER, "a browser")
    assert await users.find_session(secret, NOW_S + 3600) is None
    assert await users.find_session(secret[:-1], NOW_S) is None
    assert await users.end_session(found.number)
    assert await users.find_session(secret, NOW_S) is None
    assert not await users.end_session(found.number)


async def test_removing_an_account_ends_its_sessions_and_no_others(users: SqliteUsers) -> None:
    for name in ("anna", "ben"):
        await users.add_account(name, PASSWORD, Role.OWNER, NOW_S)
    gone, stays, link = await begin(users, "anna"), await begin(users, "ben"), await begin(users)
    assert await users.remove_account("ANNA")
    assert await users.find_session(gone, NOW_S) is None
    assert await users.find_session(stays, NOW_S) is not None
    assert not await users.remove_account("")
    assert await users.find_session(link, NOW_S) is not None


async def test_a_login_that_races_with_the_removal_of_its_account_makes_no_session(
    users: SqliteUsers,
) -> None:
    assert await users.find_session(await begin(users, "anna"), NOW_S) is None
    await users.add_account("anna", PASSWORD, Role.VIEWER, NOW_S)
    as_owner = await begin(users, "anna", Role.OWNER)
    assert await users.find_session(as_owner, NOW_S) is None, "nor one with a role that it no longer has"


async def test_the_oldest_session_makes_room(users: SqliteUsers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users_module, "MAX_SESSIONS", 3)
    secrets = [await begin(users) for _ in range(5)]
    found = [await users.find_session(secret, NOW_S) is not None for secret in secrets]
    assert found == [False, False, True, True, True]
    assert len(await users.sessions(NOW_S)) == 3


async def test_a_named_token_is_told_once_and_can_be_revoked(users: SqliteUsers) -> None:
    token = await users.add_token("grafana", NOW_S)
    assert isinstance(token, str)
    assert len(token) >= 43
    found = await users.find_token(token)
    assert found is not None
    assert found.name == "grafana"
    assert isinstance(await users.add_token("Grafana", NOW_S), Problem)
    assert [t.name for t in await users.tokens()] == ["grafana"]
    assert await users.remove_token("grafana")
    assert await users.find_token(token) is None


async def test_s_no_secret_stands_in_the_file(users: SqliteUsers, tmp_path: Path) -> None:
    await users.add_account("anna", PASSWORD, Role.OWNER, NOW_S)
    secrets = [PASSWORD, await begin(users, "anna"), await users.add_token("t", NOW_S)]
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert b"anna" in content
        assert not [secret for secret in secrets if str(secret).encode() in content]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_what_another_process_changes_counts_at_once(users: SqliteUsers, tmp_path: Path) -> None:
    other = SqliteUsers(tmp_path, cost=CHEAP)
    assert await other.open() is None
    await other.add_account("anna", PASSWORD, Role.OWNER, NOW_S)
    assert await users.check_password("anna", PASSWORD) is not None
    secret = await begin(users, "anna")
    await other.remove_account("anna")
    assert await users.find_session(secret, NOW_S) is None
    await other.close()


async def test_a_damaged_file_is_set_aside_and_an_empty_one_is_used(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is not a database" * 100)
    users = SqliteUsers(tmp_path, cost=CHEAP)
    problem = await users.open()
    assert problem is not None
    assert problem.code is FaultCode.BAD_JOURNAL
    assert len(list(tmp_path.glob(FILE_NAME + ".bad-*"))) == 1
    assert await users.add_account("anna", PASSWORD, Role.OWNER, NOW_S) is None
    await users.close()


async def test_a_file_that_cannot_be_opened_is_a_problem_and_then_every_call_an_oserror(
    tmp_path: Path,
) -> None:
    (tmp_path / FILE_NAME).mkdir()
    users = SqliteUsers(tmp_path, cost=CHEAP)
    problem = await users.open()
    assert problem is not None
    assert problem.code is FaultCode.NO_PERMISSION
    with pytest.raises(OSError, match="not open"):
        await users.accounts()
    await users.close()


async def test_a_hash_costs_what_was_decided_and_takes_as_long_for_a_name_that_is_not_there(
    tmp_path: Path,
) -> None:
    assert users_module.COST == (1 << 14, 8, 5)
    users = SqliteUsers(tmp_path)
    assert await users.open() is None
    await users.add_account("anna", PASSWORD, Role.OWNER, NOW_S)
    times = {}
    for name in ("anna", "nobody", "not a name"):
        began = time.process_time()
        assert await users.check_password(name, "a wrong one") is None
        times[name] = time.process_time() - began
    assert min(times.values()) > 0.5 * max(times.values())
    await users.close()
