"""The words: verdicts in order, statuses, amounts, problems, one catalogue."""

from __future__ import annotations

import gettext
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FAULTS, FaultCode
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.rules import DAYS, SLOTS_A_DAY, preset
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.snapshot import LinkState, Mode, NodeState, RuntimeView, Snapshot
from hivemind_worker.model.task import Problem, TaskState
from hivemind_worker.presentation import catalogue
from hivemind_worker.presentation.amounts import clock, cores_words, duration_words, iso, size_words
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.health import host_of, is_loopback, status_word, verdicts
from hivemind_worker.presentation.page_words import subline
from hivemind_worker.presentation.setup_words import pauses_of, planned_words, weekday_of
from hivemind_worker.presentation.status import health_report
from hivemind_worker.presentation.story import SENTENCES
from tests.fakes.node import NOW_S, make_snapshot, make_task


def codes(snapshot: Snapshot) -> list[str]:
    return [verdict.code for verdict in verdicts(snapshot)]


def in_mode(mode: Mode, *tasks: TaskState, **node: object) -> Snapshot:
    rows = (make_task(f"t{number}", state) for number, state in enumerate(tasks))
    picture = make_snapshot(*rows, mode=mode)
    return replace(picture, node=replace(picture.node, **node))


def with_pool(link: LinkState, **fields: object) -> Snapshot:
    picture = make_snapshot(link=link)
    return replace(picture, pool=replace(picture.pool, **fields))


R, A, P = TaskState.RUNNING, TaskState.ALLOCATED, TaskState.PAUSED
MUTE = Problem(code=FaultCode.POOL_MUTE, about="10.0.0.1:50051")
WRONG = Problem(code=FaultCode.WRONG_PASSWORD, about="no such user")

FULL = Problem(code=FaultCode.DISK_FULL, about="1 GiB free")
NO_SANDBOX = Problem(code=FaultCode.SANDBOX_MISSING)

CONDITIONS: list[tuple[str, Snapshot, list[str], str]] = [
    ("nothing to do", make_snapshot(), ["waiting_for_work"], "idle"),
    ("one task", in_mode(Mode.RUN, R), ["working"], "running"),
    ("one starting", in_mode(Mode.RUN, A), ["working"], "running"),
    ("all places taken", in_mode(Mode.RUN, R, R, A), ["working", "full"], "running"),
    ("an ended task takes no place", in_mode(Mode.RUN, R, R, TaskState.COMPLETED), ["working"], "running"),
    ("paused", in_mode(Mode.PAUSED), ["paused"], "paused"),
    ("paused with held tasks", in_mode(Mode.PAUSED, P, P, P), ["paused"], "paused"),
    ("snoozed", in_mode(Mode.PAUSED, until_s=NOW_S + 900), ["snoozed"], "paused"),
    ("paused elsewhere", in_mode(Mode.PAUSED, asked_by="larch"), ["paused_elsewhere"], "paused"),
    ("snoozed elsewhere", in_mode(Mode.PAUSED, until_s=NOW_S + 900, asked_by="larch"),
     ["paused_elsewhere"], "paused"),
    ("finishing elsewhere", in_mode(Mode.FINISHING, R, asked_by="larch"),
     ["working", "finishing"], "finishing"),
    ("finishing", in_mode(Mode.FINISHING, R), ["working", "finishing"], "finishing"),
    ("finishing, to quit", in_mode(Mode.FINISHING, R, quit_after=True), ["working", "finishing"],
     "finishing"),
    ("stopping", in_mode(Mode.STOPPING, R), ["stopping"], "stopping"),
    ("no sandbox", make_snapshot(blocker=NO_SANDBOX), ["sandbox_missing"], "idle"),
    ("disk full", make_snapshot(blocker=FULL), ["disk_full"], "idle"),
    ("no login", with_pool(LinkState.NOT_LOGGED_IN), ["not_logged_in"], "offline"),
    ("login refused", with_pool(LinkState.LOGIN_REFUSED, problem=WRONG), ["login_refused"], "offline"),
    ("pool away", with_pool(LinkState.UNREACHABLE), ["pool_unreachable"], "offline"),
    ("pool mute", with_pool(LinkState.UNREACHABLE, problem=MUTE), ["pool_mute"], "offline"),
    ("first connection", with_pool(LinkState.CONNECTING, last_heard_s=None), ["connecting"], "starting"),
    ("connecting again", with_pool(LinkState.CONNECTING), ["connecting"], "offline"),
    ("pool away while working", replace(with_pool(LinkState.UNREACHABLE), tasks=(make_task(),)),
     ["working", "pool_unreachable"], "running"),
    ("results owed, pool away", replace(with_pool(LinkState.UNREACHABLE), owed_results=2),
     ["pool_unreachable", "results_waiting"], "offline"),
    ("results owed, pool there", make_snapshot(owed_results=2), ["waiting_for_work"], "idle"),
    ("loopback only", make_snapshot(grpc_address="127.0.0.1:50053"), ["loopback_only", "waiting_for_work"],
     "idle"),
    ("recovered", make_snapshot(recovery="1 task was cut off."), ["waiting_for_work", "recovered"], "idle"),
    ("everything", replace(with_pool(LinkState.NOT_LOGGED_IN), owed_results=1, recovery="x",
                           blocker=FULL, node=NodeState(mode=Mode.PAUSED)),
     ["paused", "disk_full", "not_logged_in", "results_waiting", "recovered"], "paused"),
]  # fmt: skip


@pytest.mark.parametrize("picture,expected,word", [c[1:] for c in CONDITIONS], ids=[c[0] for c in CONDITIONS])
def test_each_condition_is_told_first_and_in_order(picture: Snapshot, expected: list[str], word: str) -> None:
    assert codes(picture) == expected
    assert status_word(picture) == word


def test_whatever_holds_there_is_a_verdict_with_a_finished_sentence() -> None:
    states = [(), (R,), (A,), (P,), (TaskState.FAILED,)]
    for mode, link, tasks, blocker in itertools.product(Mode, LinkState, states, (None, FULL)):
        picture = replace(in_mode(mode, *tasks), blocker=blocker)
        picture = replace(picture, pool=replace(picture.pool, link=link))
        found = verdicts(picture)
        assert found, (mode, link, tasks, blocker)
        for verdict in found:
            assert verdict.text.rstrip().endswith("."), verdict
            assert "{" not in verdict.text + verdict.action, verdict


def test_a_verdict_tells_since_when_and_until_when() -> None:
    [snoozed] = verdicts(in_mode(Mode.PAUSED, until_s=NOW_S + 900))
    assert snoozed.as_json() == {
        "code": "snoozed",
        "text": "Snoozed: work resumes in 15 minutes.",
        "since": iso(NOW_S - 60),
        "ends_at": iso(NOW_S + 900),
        "action": "Resume with: hivemind-worker resume",
    }
    [paused] = verdicts(in_mode(Mode.PAUSED, mode_since_s=0.0))
    assert (paused.as_json()["since"], paused.as_json()["ends_at"]) == (None, None)


def test_what_to_do_stands_beside_every_cause_that_an_owner_can_cure() -> None:
    for name, picture, expected, _word in CONDITIONS:
        first = verdicts(picture)[0]
        if expected[0] not in ("working", "waiting_for_work", "stopping", "connecting"):
            assert first.action, name


@pytest.mark.parametrize(
    "address,host,loopback",
    [("127.0.0.1:50053", "127.0.0.1", True), ("localhost:1", "localhost", True), ("[::1]:50053", "::1", True),
     ("::1", "::1", True), ("10.0.0.7:50053", "10.0.0.7", False), ("127.evil.com:1", "127.evil.com", False),
     ("pool.example", "pool.example", False), ("", "", False), ("127.9.9.9:1", "127.9.9.9", True)],
)  # fmt: skip
def test_addresses_are_told_apart(address: str, host: str, loopback: bool) -> None:
    assert host_of(address) == host
    assert is_loopback(address) is loopback


COMMANDS = (
    "login", "doctor", "run", "tasks", "--help", "dashboard", "build", "vpn import FILE", "vpn up",
    "vpn check", "nats-config", "revoke NAME", "worker list", "fleet", "wireguard-go", "yourself: THIS",
)  # fmt: skip
"""What a next step may end with where it is a command to type."""


def test_every_fault_has_words_without_gaps() -> None:
    for code in FaultCode:
        sentence, next_step = words(Problem(code=code, about="THIS"))
        assert "{" not in sentence
        assert sentence
        assert next_step.endswith((".", *COMMANDS)), next_step
        assert ("THIS" in sentence) == ("{about}" in FAULTS[code].sentence)
        assert "{" not in words(Problem(code=code))[0]


def test_what_an_attacker_names_is_never_read_as_a_template() -> None:
    about = "{about} {0} {x.__class__} %s"
    assert about in words(Problem(code=FaultCode.BAD_ARCHIVE, about=about))[0]


def test_the_story_has_words_for_every_event_that_the_core_writes() -> None:
    core = (Path(__file__).parents[2] / "app/hivemind_worker/core/decide.py").read_text()
    written = {part.partition('"')[0] for part in core.split('event.at_s, "')[1:]}
    written |= {part.partition('"')[0] for part in core.split(', at_s, "')[1:]}
    assert len(written) >= 5, "this test looks for the events where they are written"
    assert written <= set(SENTENCES)


@pytest.mark.parametrize(
    "seconds,expected",
    [(0, "0 seconds"), (0.2, "1 second"), (59.2, "1 minute"), (60, "1 minute"), (61, "2 minutes"),
     (3600, "1 hour"), (3 * 3600 + 300, "3 hours 5 minutes"), (86_400, "1 day"), (90_000, "1 day 1 hour"),
     (3599, "1 hour"), (86_399, "1 day"), (-5, "0 seconds")],
)  # fmt: skip
def test_a_duration_is_said_in_two_units_at_most(seconds: float, expected: str) -> None:
    assert duration_words(seconds) == expected


def test_times_and_sizes_are_short() -> None:
    assert [clock(s) for s in (0, 7.9, 725, 11_049, -3)] == ["0:00", "0:07", "12:05", "3:04:09", "0:00"]
    assert [size_words(n) for n in (0, 512, 12_800, 103_809_024, 1 << 40)] == [
        "0 B", "512 B", "12.5 KiB", "99.0 MiB", "1024.0 GiB",
    ]  # fmt: skip
    assert iso(1.7e308) is None
    assert iso(None) is None


class _Shouting(gettext.NullTranslations):
    """A language in which everything is louder."""

    def gettext(self, message: str) -> str:
        return message.upper().replace("{ABOUT}", "{about}").replace("{COUNT}", "{count}")

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


@pytest.fixture
def shouting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(catalogue._catalogue, "_texts", _Shouting())
    yield


@pytest.mark.usefixtures("shouting")
def test_every_verdict_passes_through_the_catalogue() -> None:
    for name, picture, _codes, _word in CONDITIONS:
        for verdict in verdicts(replace(picture, node_id="X")):
            letters = [c for c in verdict.text.split("{")[0] if c.isalpha()]
            assert sum(c.isupper() for c in letters) >= len(letters) * 0.5, (name, verdict.text)


def test_a_part_that_is_switched_off_does_not_make_the_worker_unhealthy() -> None:
    settings = replace(Settings(), docker_enabled=False)
    picture = make_snapshot(grpc_address="127.0.0.1:50053")
    picture = replace(picture, pool=replace(picture.pool, address="localhost:50051"))
    healthy, report = health_report(picture, settings, NOW_S)
    checks = report["checks"]
    assert isinstance(checks, dict)
    assert healthy
    assert {name: row["status"] for name, row in checks.items()} == {
        "docker": "not_required", "grpc": "healthy", "resources": "healthy", "vpn": "not_required",
    }  # fmt: skip


def test_a_worker_that_lends_nothing_or_has_no_sandbox_is_unhealthy() -> None:
    nothing = make_snapshot(total=Resources())
    no_sandbox = make_snapshot(runtime=RuntimeView(name="", ready=False, detail="no interpreter pack"))
    for picture in (nothing, no_sandbox):
        healthy, report = health_report(picture, Settings(), NOW_S)
        checks = report["checks"]
        assert isinstance(checks, dict)
        assert not healthy
        assert checks["resources"]["status"] == "unhealthy"


def test_one_core_is_one_core_and_every_other_number_is_cores() -> None:
    assert [cores_words(number) for number in (1, 1.0, 0.5, 1.4, 2)] == [
        "1 core", "1 core", "0.5 cores", "1.4 cores", "2 cores",
    ]  # fmt: skip
    one = make_snapshot(total=Resources(cpu=100.0, memory_gb=3.0), available=Resources())
    assert "1 core and 3 GiB are lent." in str(health_report(one, Settings(), NOW_S)[1])
    assert subline(replace(one, tasks=(make_task(),)), None).startswith(
        "Tasks hold 1 of 1 core and 3 of 3 GiB"
    )


def test_the_first_run_shows_a_weekday_of_the_plan_without_a_gap_and_the_week_s_hours() -> None:
    gentle, server = preset("gentle"), preset("server")
    spells = weekday_of(gentle)
    assert (spells[0].first, spells[-1].last) == (0, SLOTS_A_DAY)
    assert all(one.last == other.first for one, other in itertools.pairwise(spells))
    assert "".join(str(int(each.level)) * (each.last - each.first) for each in spells) == gentle.monday
    assert planned_words(server) == "the plan has 168 of 168 hours a week"
    none = replace(server, **dict.fromkeys(DAYS, "0" * SLOTS_A_DAY))
    assert planned_words(none) == "the plan has 0 of 168 hours a week"


def test_the_first_run_asks_about_pauses_with_the_figures_of_the_rules() -> None:
    slow = replace(preset("night"), idle_start_after_min=90.0, load_percent=40.0)
    told = {pause.rule: pause.when for pause in pauses_of(slow)}
    assert told == {
        "idle_on": "starts again after 1 hour 30 minutes without input", "battery_on": "",
        "load_on": "above 40 % for 10 seconds",
    }  # fmt: skip
