"""The richer API: state, tasks, logs piece by piece, results as files, wishes, problems as RFC 9457."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

import pytest

from hivemind_worker.engine.face import LogEntry
from hivemind_worker.model.events import FinishAsked, PauseAsked, ResumeAsked, TaskPauseAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.history import StoryLine
from hivemind_worker.model.task import Problem, TaskState
from hivemind_worker.model.work import RunFigures
from tests.fakes.node import NOW_S, make_snapshot, make_task
from tests.web.conftest import TOKEN, Served


async def test_state_is_the_whole_picture(served: Served) -> None:
    served.node.picture = make_snapshot(make_task(), recovery="2 tasks were interrupted.")
    values = (await served.get("/api/v1/state")).values
    assert values["pool"]["address"] == "10.0.0.1:50051"
    assert values["runtime"]["name"] == "wasm"
    assert values["tasks"][0]["accepted_at"] == "2026-11-24T14:31:50.000+00:00"
    assert values["recovery"] == "2 tasks were interrupted."
    assert values["verdicts"][-1]["code"] == "recovered"


async def test_a_task_is_found_by_id_key_and_start_of_key(served: Served) -> None:
    problem = Problem(code=FaultCode.EXIT_CODE, about="3")
    task = make_task("mine", TaskState.FAILED, exit_code=3, problem=problem, trust_change=-5)
    served.node.ended = [task]
    for name in ("mine", task.key, task.key[:8]):
        values = (await served.get(f"/api/v1/tasks/{name}")).values
        assert values["task_id"] == "mine"
        assert values["exit_code"] == 3
        assert values["trust_change"] == -5
        assert values["problem"]["sentence"] == "The task's program ended with exit code 3."


async def test_a_running_task_shows_what_it_uses_where_that_is_measured(served: Served) -> None:
    task = make_task()
    served.node.put(task)
    assert (await served.get("/api/v1/tasks/task_1")).values["uses"] is None
    served.node.uses[task.key] = RunFigures(
        at_s=NOW_S, cores=0.5, memory_bytes=10, memory_limit_bytes=20, disk_bytes=5
    )
    uses = (await served.get("/api/v1/tasks/task_1")).values["uses"]
    assert (uses["cores"], uses["memory_limit_bytes"], uses["disk_bytes"]) == (0.5, 20, 5)
    assert uses["at"].startswith("2026-11-24T14:32")


async def test_an_unknown_task_is_a_problem_document(served: Served) -> None:
    for target in ("nobody", "nobody/story", "nobody/logs", "nobody/result", "%ff"):
        answer = await served.get(f"/api/v1/tasks/{target}")
        assert answer.status == 404, target
        assert answer.headers["content-type"] == "application/problem+json; charset=utf-8"
        assert set(answer.values) >= {"type", "title", "status", "detail", "code", "fix"}
        assert (answer.values["status"], answer.values["code"]) == (404, "unknown_task")
    for target in ("/api/v1/nowhere", "/api/v1/tasks/", "/api/v1/tasks/a/b/c", "/nowhere"):
        assert (await served.get(target)).status == 404, target


async def test_a_story_is_told_in_order_with_the_place(served: Served) -> None:
    task = make_task(where="pid 77")
    served.node.put(task)
    served.node.lines = [
        StoryLine(key=task.key, at_s=NOW_S - 10, what="TaskAccepted", text="archive of 5 bytes"),
        StoryLine(key=task.key, at_s=NOW_S - 8, what="RunStarted", text="wasm pid 77"),
        StoryLine(key=task.key, at_s=NOW_S - 7, what="SomethingNew", text=""),
    ]
    values = (await served.get("/api/v1/tasks/task_1/story")).values
    assert [line["sentence"] for line in values["lines"]] == [
        "Accepted from the pool: archive of 5 bytes", "Its program runs: Built-in pid 77", "SomethingNew",
    ]  # fmt: skip
    assert values["where"] == "pid 77"
    assert values["folder"] == str(served.node.folder / task.key)


async def test_a_log_is_read_piece_by_piece_without_losing_a_letter(served: Served) -> None:
    text = "zwölf Boxkämpfer 走る\n" * 40
    task = make_task()
    served.node.put(task)
    served.node.write_log(task, text.encode())
    offset, read = 0, ""
    while True:
        piece = (await served.get(f"/api/v1/tasks/task_1/logs?offset={offset}&limit=67")).values
        assert piece["ended"] is False
        if piece["next"] == offset:
            break
        offset, read = piece["next"], read + piece["text"]
    assert read == text
    assert offset == len(text.encode())


async def test_a_letter_that_is_cut_waits_for_its_rest_until_the_task_has_ended(served: Served) -> None:
    task = make_task()
    served.node.put(task)
    served.node.write_log(task, b"ab\xe8\xb5")
    piece = (await served.get("/api/v1/tasks/task_1/logs")).values
    assert (piece["text"], piece["next"], piece["ended"]) == ("ab", 2, False)
    served.node.put(replace(task, state=TaskState.COMPLETED))
    piece = (await served.get("/api/v1/tasks/task_1/logs?offset=2")).values
    assert (piece["text"], piece["next"], piece["ended"]) == ("\N{REPLACEMENT CHARACTER}", 4, True)


async def test_wrong_bytes_in_a_log_are_replaced_and_its_end_is_told(served: Served) -> None:
    task = make_task("done", TaskState.COMPLETED)
    served.node.ended = [task]
    served.node.write_log(task, b"a\xff\x00\x1b[31mb")
    answer = await served.get("/api/v1/tasks/done/logs")
    assert answer.values["text"] == "a\N{REPLACEMENT CHARACTER}\x00\x1b[31mb"
    assert answer.values["ended"] is True
    assert answer.body.isascii()
    beyond = (await served.get("/api/v1/tasks/done/logs?offset=999")).values
    assert (beyond["text"], beyond["next"], beyond["ended"]) == ("", 999, True)


async def test_a_log_that_is_not_there_is_empty_and_not_kept(served: Served) -> None:
    served.node.put(make_task())
    piece = (await served.get("/api/v1/tasks/task_1/logs")).values
    assert (piece["text"], piece["next"], piece["ended"], piece["kept"]) == ("", 0, False, False)


@pytest.mark.parametrize(
    "query",
    ["offset=-1", "offset=x", "limit=0", "limit=9999999", "offset=1e3", "offset=²", "offset=" + "9" * 30],
)
async def test_a_piece_that_cannot_be_is_refused(served: Served, query: str) -> None:
    served.node.put(make_task())
    answer = await served.get(f"/api/v1/tasks/task_1/logs?{query}")
    assert (answer.status, answer.values["code"]) == (400, "bad_usage")


async def test_one_task_is_paused_and_goes_on_and_an_ended_one_is_told_so(served: Served) -> None:
    served.node.put(make_task("mine"))
    served.node.ended = [make_task("over", TaskState.COMPLETED)]
    paused = (await served.post("/api/v1/tasks/mine/pause")).values
    assert paused["message"] == "Task mine is paused until you resume it."
    assert paused["verdicts"][0]["code"] == "task_paused"
    assert (await served.get("/api/v1/tasks/mine")).values["held"] is True
    assert (await served.get("/api/v1/state")).values["status"] == "paused"
    resumed = await served.post("/api/v1/tasks/mine/resume")
    assert "goes on" in resumed.values["message"]
    ended = await served.post("/api/v1/tasks/over/pause")
    assert (ended.status, ended.values["message"]) == (200, "Task over had ended before: COMPLETED.")
    assert (await served.post("/api/v1/tasks/nobody/pause")).status == 404
    assert served.node.asked == [
        TaskPauseAsked(at_s=NOW_S, key=make_task("mine").key, paused=wish) for wish in (True, False)
    ]


async def test_a_receipt_is_given_as_it_was_signed_and_its_absence_says_why(served: Served) -> None:
    task = make_task("over", TaskState.COMPLETED)
    served.node.ended = [task]
    missing = await served.get("/api/v1/tasks/over/receipt")
    assert (missing.status, missing.values["code"]) == (404, "no_receipt")
    served.node.receipts[task.key] = {"receipt": {"task_id": "over"}, "public_key": "aa", "signature": "bb"}
    assert (await served.get("/api/v1/tasks/over/receipt")).values == served.node.receipts[task.key]


async def test_a_result_comes_whole_as_a_file_to_save(served: Served) -> None:
    task = make_task("done", TaskState.COMPLETED)
    served.node.ended = [task]
    content = os.urandom(3_000_001)
    served.node.result_archive(task.key).write_bytes(content)
    answer = await served.get("/api/v1/tasks/done/result")
    assert answer.status == 200
    assert answer.body == content
    assert answer.headers["content-disposition"] == f'attachment; filename="result-{task.key[:8]}.zip"'
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_result_that_is_not_there_is_404(served: Served) -> None:
    served.node.put(make_task())
    answer = await served.get("/api/v1/tasks/task_1/result")
    assert (answer.status, answer.values["code"]) == (404, "no_result")


async def test_a_reader_that_stops_reading_is_given_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hivemind_worker.web.tasks.WRITE_LIMIT_S", 0.2)
    task = make_task("done", TaskState.COMPLETED)
    served.node.ended = [task]
    with served.node.result_archive(task.key).open("wb") as file:
        file.truncate(64 << 20)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.api.port, limit=1 << 16)
    writer.write(f"GET /api/v1/tasks/done/result HTTP/1.1\r\nHost: localhost:{served.api.port}\r\n"
                 f"Authorization: Bearer {TOKEN}\r\n\r\n".encode())  # fmt: skip
    await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(5):
        while (await served.get("/livez")).status != 200 or _streams():
            await asyncio.sleep(0.02)
    writer.close()


def _streams() -> list[Any]:
    """Requests under way in the server: each has a task of its own for its handling."""
    return [task for task in asyncio.all_tasks() if "_handle_request" in repr(task.get_coro())]


async def test_the_workers_own_log_is_read_from_a_number_on(served: Served) -> None:
    served.node.log = [LogEntry(number=n, timestamp="2026-11-24 14:32:00", level="INFO", message=f"m{n}")
                       for n in range(1, 6)]  # fmt: skip
    values = (await served.get("/api/v1/log?after=3")).values
    assert [entry["message"] for entry in values["entries"]] == ["m4", "m5"]
    assert values["next"] == 5
    assert (await served.get("/api/v1/log?after=5")).values == {"entries": [], "next": 5}


async def test_wishes_reach_the_engine_and_the_answer_shows_what_follows(served: Served) -> None:
    paused = (await served.post("/api/v1/actions/pause")).values
    assert (paused["status"], paused["verdicts"][0]["code"]) == ("paused", "paused")
    resumed = (await served.post("/api/v1/actions/resume")).values
    assert resumed["status"] == "idle"
    snoozed = (await served.post("/api/v1/actions/snooze", body={"minutes": 15})).values
    assert snoozed["verdicts"][0]["code"] == "snoozed"
    assert snoozed["verdicts"][0]["ends_at"] == "2026-11-24T14:47:00.000+00:00"
    finishing = (await served.post("/api/v1/actions/finish", body={"quit": True})).values
    assert finishing["status"] == "finishing"
    assert served.node.asked == [
        PauseAsked(at_s=NOW_S),
        ResumeAsked(at_s=NOW_S),
        PauseAsked(at_s=NOW_S, until_s=NOW_S + 900),
        FinishAsked(at_s=NOW_S, quit_after=True),
    ]


async def test_a_snooze_may_end_at_a_moment(served: Served) -> None:
    for until in (
        NOW_S + 60,
        "2026-11-24T14:33:00+00:00",
        "2026-11-24T22:33:00+08:00",
        "2026-11-24T14:33:00Z",
    ):
        assert (await served.post("/api/v1/actions/snooze", body={"until": until})).status == 200
    assert (await served.post("/api/v1/actions/pause", body={"until_s": NOW_S + 60})).status == 200
    assert (await served.post("/api/v1/actions/pause", body={"until_s": None})).status == 200
    ends = [asked.until_s for asked in served.node.asked if isinstance(asked, PauseAsked)]
    assert ends == [NOW_S + 60] * 5 + [None]


SNOOZES: list[dict[str, Any]] = [
    {}, {"minutes": 0}, {"minutes": -5}, {"minutes": "15"}, {"minutes": 1e9}, {"minutes": True},
    {"minutes": 10**400}, {"minutes": 5, "until": NOW_S + 60}, {"until": NOW_S - 1}, {"until": "tomorrow"},
    {"until": None}, {"until": [1]},
]  # fmt: skip


@pytest.mark.parametrize("body", SNOOZES, ids=range(len(SNOOZES)))
async def test_a_snooze_that_makes_no_sense_is_refused(served: Served, body: dict[str, Any]) -> None:
    answer = await served.post("/api/v1/actions/snooze", body=body)
    assert (answer.status, answer.values["code"]) == (400, "bad_usage")
    assert answer.values["detail"]
    assert served.node.asked == []


async def test_the_engines_refusal_is_a_conflict(served: Served) -> None:
    served.node.refuse_with = Problem(code=FaultCode.NOT_ACCEPTING, about="it is being shut down")
    for action in ("pause", "resume", "finish"):
        answer = await served.post(f"/api/v1/actions/{action}")
        assert (answer.status, answer.values["code"]) == (409, "not_accepting")
        assert answer.values["about"] == "it is being shut down"


async def test_forty_callers_at_once_are_all_answered(served: Served) -> None:
    served.node.put(make_task())
    answers = await asyncio.gather(*(served.get("/api/status") for _ in range(40)))
    assert {answer.status for answer in answers} == {200}


async def test_the_fetch_of_an_image_is_begun_and_broken_off_as_often_as_asked(served: Served) -> None:
    for action in ("fetch-image", "stop-fetch", "stop-fetch"):
        done = await served.post(f"/api/v1/actions/{action}")
        assert done.status == 200
    assert served.node.fetches == ["fetch", "stop", "stop"]


async def test_reconnect_has_the_node_look_at_its_login_now(served: Served) -> None:
    done = await served.post("/api/v1/actions/reconnect")
    assert done.status == 200
    assert served.node.reconnects == 1
