"""Settings file, kept login, worker log."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.settings import Settings, apply, from_environment, rows
from hivemind_worker.model.task import Problem
from hivemind_worker.store.secrets import Login, LoginStore
from hivemind_worker.store.settings_file import load, save
from hivemind_worker.store.worker_log import RING_FULL, RING_KEEPS, Calm, WorkerLog


def test_settings_come_back_as_they_were_saved(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    values = {
        "node_port": 6000,
        "region": "Europe",
        "node_id": 'a "quoted" \\ näme',
        "docker_enabled": False,
        "max_cpu_cores": 1.5,
    }
    assert save(path, values) is None
    assert load(path) == values


def test_an_absent_file_is_no_settings(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml") == {}


@pytest.mark.parametrize(
    "content",
    [
        b"node_port = ",
        b"node_port = 70000",
        b"node_port = 'many'",
        b"colour = 1",
        b"\xff\xfe",
        b"[a]\nb=1",
        b"x" * (2 << 20),
    ],
)
def test_a_bad_settings_file_is_told_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    problem = load(path)
    assert isinstance(problem, Problem)
    assert problem.code is FaultCode.BAD_SETTINGS_FILE
    assert path.read_bytes() == content


def test_a_refused_change_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    save(path, {"node_port": 6000})
    before = path.read_bytes()
    problem = save(path, {"node_port": -1})
    assert problem is not None
    assert "node_port" in problem.about
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["settings.toml"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_concurrent_tasks", "nan", "whole"),
        ("max_concurrent_tasks", "0", "at least 1"),
        ("max_memory_gb", "inf", "at most"),
        ("docker_enabled", "maybe", "true or false"),
        ("runtime", "host", "one of"),
        ("node_id", "a\nb", "control"),
        ("max_cpu_cores", True, "number"),
    ],
)
def test_a_bad_value_says_what_is_wrong(name: str, value: object, words: str) -> None:
    base = Settings()
    settings, problems = apply(base, {name: value, "node_port": 6000})
    assert settings is base
    assert len(problems) == 1
    assert words in problems[0].about


def test_environment_names_are_those_of_the_original_documentation() -> None:
    names = {row.metadata["env"] for row in rows()}
    assert names >= {
        "NODE_PORT",
        "FLASK_PORT",
        "MASTER_ADDRESS",
        "NODE_ID",
        "DOCKER_ENABLED",
        "DOCKER_NETWORK",
        "MAX_CPU_CORES",
        "MAX_MEMORY_GB",
        "MAX_CONCURRENT_TASKS",
        "SESSION_TIMEOUT",
        "TRUST_THRESHOLD",
    }
    assert from_environment({"NODE_PORT": "7", "MASTER_ADDRESS": "", "OTHER": "x"}) == {"node_port": "7"}


def test_a_login_is_kept_privately_found_and_forgotten(tmp_path: Path) -> None:
    store = LoginStore(tmp_path / "login.json", use_keyring=False)
    login = Login(pool="127.0.0.1:1", user="bee", password="s3cret-word")
    assert store.keep(login) is None
    assert store.find() == login
    assert "s3cret-word" not in repr(login)
    if os.name == "posix":
        assert (tmp_path / "login.json").stat().st_mode & 0o777 == 0o600
    store.forget()
    assert store.find() is None


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_login_for_now_is_found_first_and_written_nowhere(tmp_path: Path) -> None:
    store = LoginStore(tmp_path / "login.json", use_keyring=False)
    kept = [Login(pool=name, user="bee", password="kept-word") for name in ("one", "two")]
    for login in kept:
        store.keep(login)
    now = Login(pool="two", user="cat", password="word-for-now")
    store.use_for_now(now)
    assert (store.find("two"), store.find("one"), store.all()) == (now, kept[0], (now, kept[0]))
    store.keep(Login(pool="three", user="bee", password="kept-word"))
    assert b"word-for-now" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [each.pool for each in LoginStore(tmp_path / "login.json", use_keyring=False).all()] == [
        "three",
        "one",
    ]
    store.keep(now)  # kept after all
    assert store.file is not None and b"word-for-now" in store.file.read_bytes()
    store.use_for_now(now)
    store.forget("two")
    assert store.find("two") is None
    store.use_for_now(now)
    store.forget()
    assert (store.all(), store.file) == ((), None)


def test_a_login_file_that_others_may_read_or_a_link_is_not_trusted(tmp_path: Path) -> None:
    store = LoginStore(tmp_path / "login.json", use_keyring=False)
    store.keep(Login(pool="p", user="u", password="w"))
    (tmp_path / "login.json").chmod(0o644)
    assert store.find() is None
    (tmp_path / "login.json").chmod(0o600)
    (tmp_path / "login.json").rename(tmp_path / "real.json")
    (tmp_path / "login.json").symlink_to(tmp_path / "real.json")
    assert store.find() is None


def test_the_worker_log_goes_to_output_ring_and_file_in_one_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = WorkerLog(tmp_path)
    logging.getLogger("hivemind_worker.x").info("task %s\n[forged] line \x1b[31m", "a\u202eb")
    log.close()
    line = capsys.readouterr().out
    assert line.startswith("[20")
    assert "] INFO: task a\\u202eb\\n[forged] line \\x1b[31m\n" in line
    assert (tmp_path / "worker.log").read_text() == line
    assert [entry.level for entry in log.ring.entries()] == ["INFO"]


def test_an_entry_of_the_log_names_the_part_that_wrote_it_and_its_task(tmp_path: Path) -> None:
    log = WorkerLog(tmp_path, to_stdout=False)
    logging.getLogger("hivemind_worker.pool.local.door").info("open")
    logging.getLogger("hivemind_worker.engine").warning("late: %s", "k1", extra={"task": "k1"})
    log.close()
    assert [(each.source, each.task) for each in log.ring.entries()] == [("pool", ""), ("engine", "k1")]


def test_the_ring_over_a_thousand_is_cut_to_the_latest_five_hundred(tmp_path: Path) -> None:
    log = WorkerLog(tmp_path, to_stdout=False)
    for n in range(RING_FULL + 1):
        logging.getLogger("hivemind_worker.x").info("line %d", n)
    log.close()
    entries = log.ring.entries()
    assert len(entries) == RING_KEEPS
    assert entries[-1].message == f"line {RING_FULL}"
    assert log.ring.entries(after=entries[-2].number) == entries[-1:]


def test_log_files_rotate_at_two_megabytes_and_ten_are_kept(tmp_path: Path) -> None:
    log = WorkerLog(tmp_path, to_stdout=False)
    for _ in range(230):
        logging.getLogger("hivemind_worker.x").info("x" * 100_000)
    log.close()
    files = list(tmp_path.iterdir())
    assert len(files) == 10
    assert all(file.stat().st_size <= 2 * 1024 * 1024 for file in files)


def test_a_repeated_warning_is_written_once_a_minute_with_how_often_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr(Calm.__init__, "__defaults__", (lambda: now_s,))
    log, logger = WorkerLog(tmp_path, to_stdout=False), logging.getLogger("hivemind_worker.x")
    for _ in range(50):
        logger.warning("the disk is full")
        logger.info("a line")
    logger.warning("another")
    now_s += 61
    logger.warning("the disk is full")
    logger.warning("the disk is full")
    log.close()
    messages = [entry.message for entry in log.ring.entries() if entry.level == "WARNING"]
    assert messages == ["the disk is full", "another", "the disk is full (49 times more since)"]
    assert (tmp_path / "worker.log").read_text().count("the disk is full") == 2
    assert len(log.ring.entries()) == 53
