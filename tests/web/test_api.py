"""Pages of tasks, settings, history, pools, readiness and the figures for monitoring."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.metrics import Point, Step, point_values
from hivemind_worker.model.settings import rows
from hivemind_worker.model.snapshot import LinkState, Mode, NodeState, RuntimeView
from hivemind_worker.model.task import Problem, TaskState
from tests.fakes.node import NOW_S, make_snapshot, make_task
from tests.web import wire
from tests.web.conftest import TOKEN, Served


def fill(served: Served, count: int) -> None:
    states = (TaskState.COMPLETED, TaskState.FAILED, TaskState.STOPPED)
    served.node.ended = [
        replace(make_task(f"ended {n}", states[n % 3]), ended_at_s=NOW_S - 1000 + n // 2)
        for n in range(count)
    ]


async def patch(served: Served, body: object, **more: Any) -> wire.Answer:
    return await wire.ask(served.api.port, "/api/v1/settings", method="PATCH", token=TOKEN, body=body, **more)


# --- tasks --------------------------------------------------------------------------------------


async def test_the_first_page_has_the_open_tasks_and_the_pages_together_each_task_once(
    served: Served,
) -> None:
    fill(served, 25)
    owed = served.node.ended[3]
    served.node.picture = make_snapshot(make_task("old"), make_task("new"), owed)
    seen: list[str] = []
    target: str | None = "/api/v1/tasks?limit=10"
    sizes = []
    while target is not None:
        values = (await served.get(target)).values
        seen += [task["task_id"] for task in values["tasks"]]
        sizes.append(len(values["tasks"]))
        target = f"/api/v1/tasks?limit=10&cursor={values['next']}" if values["next"] else None
    assert sizes == [12, 10, 5]
    assert seen[:2] == ["new", "old"]
    assert sorted(seen[2:]) == sorted(f"ended {n}" for n in range(25))


@pytest.mark.parametrize(
    ("state", "expected"),
    [("open", {"RUNNING", "ALLOCATED"}), ("ended", {"COMPLETED", "FAILED", "STOPPED"}),
     ("failed", {"FAILED"}), ("running", {"RUNNING"}), ("paused", set())],
)  # fmt: skip
async def test_a_page_may_be_of_some_states_alone(served: Served, state: str, expected: set[str]) -> None:
    fill(served, 9)
    served.node.picture = make_snapshot(make_task("a"), make_task("b", TaskState.ALLOCATED))
    values = (await served.get(f"/api/v1/tasks?state={state}")).values
    assert {task["status"] for task in values["tasks"]} == expected
    assert values["next"] is None


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "state=RUNNING", "state=", "cursor=", "cursor=x",
     "cursor=1.0-" + "g" * 32, "cursor=1e9-" + "0" * 32, "cursor=9.9-" + "0" * 33, "cursor=%27%3B--"],
)  # fmt: skip
async def test_a_page_that_cannot_be_is_refused(served: Served, query: str) -> None:
    answer = await served.get(f"/api/v1/tasks?{query}")
    assert (answer.status, answer.values["code"]) == (400, "bad_usage")


async def test_a_task_tells_whether_its_result_and_log_are_kept(served: Served) -> None:
    task = make_task("done", TaskState.COMPLETED)
    served.node.ended = [task]
    bare = (await served.get("/api/v1/tasks/done")).values
    assert (bare["result_kept"], bare["log_bytes"]) == (False, 0)
    served.node.write_log(task, b"hello\n")
    served.node.result_archive(task.key).write_bytes(b"PK")
    kept = (await served.get("/api/v1/tasks/done")).values
    assert (kept["result_kept"], kept["log_bytes"]) == (True, 6)


async def test_the_tail_of_a_log_is_read_without_the_rest(served: Served) -> None:
    task = make_task("talks")
    served.node.put(task)
    served.node.write_log(task, b"x" * 1000 + "äend".encode())
    piece = (await served.get("/api/v1/tasks/talks/logs?tail=4")).values
    assert (piece["text"], piece["offset"], piece["next"], piece["size"]) == ("\ufffdend", 1001, 1005, 1005)
    whole = (await served.get("/api/v1/tasks/talks/logs?tail=5000")).values
    assert (whole["offset"], len(whole["text"])) == (0, 1004)
    assert (await served.get("/api/v1/tasks/talks/logs?tail=0")).status == 400


# --- settings -----------------------------------------------------------------------------------


async def test_every_setting_is_shown_with_its_value_source_and_what_it_may_hold(served: Served) -> None:
    served.node.sources = {"web_port": "environment"}
    served.node.kept = {"max_concurrent_tasks": 5}
    values = (await served.get("/api/v1/settings")).values
    shown = {row["key"]: row for row in values["settings"]}
    assert list(shown) == [row.name for row in rows()]
    assert (shown["web_port"]["source"], shown["node_port"]["source"]) == ("environment", "default")
    tasks = shown["max_concurrent_tasks"]
    assert (tasks["value"], tasks["kept"], tasks["default"], tasks["type"]) == (3, 5, 3, "whole")
    assert (tasks["low"], tasks["high"]) == (1, 256)
    schema = values["schema"]["properties"]
    assert set(schema) == set(shown)
    assert schema["runtime"]["enum"] == ["auto", "docker", "wasm", None]


async def test_settings_are_changed_together_and_the_answer_tells_what_waits(served: Served) -> None:
    served.node.sources = {"web_port": "environment"}
    answer = await patch(served, {"trust_threshold": 60, "web_port": 5050, "task_log_mb": 2})
    assert answer.status == 200
    assert answer.values["changed"] == ["trust_threshold", "web_port", "task_log_mb"]
    assert answer.values["restart_needed"] == ["web_port", "task_log_mb"]
    assert answer.values["overruled"] == ["web_port"]
    assert served.node.kept == {"trust_threshold": 60, "web_port": 5050, "task_log_mb": 2.0}
    assert served.node.settings.trust_threshold == 60
    assert served.node.settings.web_port == 5000
    assert (await patch(served, {"trust_threshold": None})).status == 200
    assert "trust_threshold" not in served.node.kept
    assert served.node.settings.trust_threshold == 50


BAD: list[dict[str, Any]] = [
    {"max_concurrent_tasks": 0}, {"max_concurrent_tasks": 2.5}, {"max_concurrent_tasks": "3"},
    {"max_concurrent_tasks": True}, {"docker_enabled": "true"}, {"docker_enabled": 1}, {"runtime": "host"},
    {"runtime": " auto "}, {"node_id": "a\nb"}, {"node_id": "x" * 1001}, {"max_cpu_cores": 1e400},
    {"max_cpu_cores": [1]}, {"region": 3}, {"node_port": -1}, {"node_port": 65536}, {"node_id": {"a": 1}},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
async def test_one_bad_value_and_nothing_changes(served: Served, bad: dict[str, Any]) -> None:
    raw = json.dumps({"trust_threshold": 60, **bad}).encode()
    answer = await patch(served, None, raw_body=raw)
    assert (answer.status, answer.values["code"]) == (400, "bad_setting")
    assert len(answer.values["errors"]) == 1
    assert next(iter(bad)) in answer.values["errors"][0]
    assert "Nothing was changed" in answer.values["fix"]
    assert served.node.kept == {}
    assert served.node.settings.trust_threshold == 50


async def test_each_bad_value_is_named(served: Served) -> None:
    answer = await patch(served, {"node_port": "x", "runtime": "host", "trust_threshold": 60})
    assert [error.split(" ")[0] for error in answer.values["errors"]] == ["node_port", "runtime"]


async def test_a_setting_that_is_not_known_or_none_at_all_is_refused(served: Served) -> None:
    for body in ({"surprise": 1}, {}):
        assert (await patch(served, body)).status == 400
    assert served.node.kept == {}


async def test_a_settings_file_that_cannot_be_read_is_a_conflict(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> Problem:
        return Problem(code=FaultCode.BAD_SETTINGS_FILE, about="settings.toml: line 3")

    monkeypatch.setattr(served.node, "kept_settings", broken)
    answer = await served.get("/api/v1/settings")
    assert (answer.status, answer.values["code"]) == (409, "bad_settings_file")


# --- history, pool, readiness -------------------------------------------------------------------


async def test_figures_over_time_come_in_columns(served: Served) -> None:
    end = int(NOW_S)
    served.node.points[Step.MINUTE] = [
        Point(
            at_s=end - back,
            values=point_values(replace(await served.node.sample(), cpu_percent=cpu), 1, False),
        )
        for back, cpu in ((120, 10.0), (60, 11.12345), (100_000, 99.0))
    ]
    values = (await served.get("/api/v1/history")).values
    assert (values["res"], values["step_s"], values["at"]) == ("1m", 60, [end - 120, end - 60])
    assert values["values"]["cpu_percent"] == [10.0, 11.123]
    assert values["values"]["gpu_percent"] == [None, None]
    older = (await served.get(f"/api/v1/history?res=1m&from={end - 100_000}")).values
    assert len(older["at"]) == 3
    empty = (await served.get("/api/v1/history?res=1h")).values
    assert empty["values"] == {name: [] for name in values["values"]}
    for query in ("res=1d", "from=x", "from=-1", "from=nan", "from=1e9"):
        assert (await served.get(f"/api/v1/history?{query}")).status == 400


@pytest.mark.parametrize(
    ("link", "login"),
    [(LinkState.REGISTERED, "accepted"), (LinkState.NOT_LOGGED_IN, "absent"),
     (LinkState.LOGIN_REFUSED, "refused"), (LinkState.CONNECTING, "untried")],
)  # fmt: skip
async def test_the_pool_is_shown_with_its_login(served: Served, link: LinkState, login: str) -> None:
    served.node.picture = make_snapshot(link=link)
    pools = (await served.get("/api/v1/pools")).values["pools"]
    assert [(pool["address"], pool["login"]) for pool in pools] == [("10.0.0.1:50051", login)]


async def test_readiness_is_told_without_a_login_and_without_reasons(served: Served) -> None:
    assert (await served.get("/readyz", token=None)).values == {"ok": True}
    blocked = Problem(code=FaultCode.DISK_FULL, about="0.1 GiB free")
    stopping = NodeState(mode=Mode.STOPPING)
    for picture in (make_snapshot(blocker=blocked), make_snapshot(node=stopping),
                    make_snapshot(runtime=RuntimeView(name="", ready=False))):  # fmt: skip
        served.node.picture = picture
        answer = await served.get("/readyz", token=None)
        assert (answer.status, answer.values) == (503, {"ok": False})
    assert (await served.get("/livez", token=None)).status == 200


# --- metrics ------------------------------------------------------------------------------------


async def figures(served: Served) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name and labels, as a real parser reads them."""
    answer = await served.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        assert family.documentation
        assert family.name.startswith(("hivemind_", "process_")) or family.name == "hivemind_worker"
        assert not family.unit or family.name.endswith("_" + family.unit)
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


async def test_the_figures_are_read_by_a_real_parser(served: Served) -> None:
    served.node.picture = make_snapshot(
        make_task("a"), make_task("b"), make_task("c", TaskState.PAUSED), owed_results=2
    )
    found = await figures(served)
    tasks = found["hivemind_tasks"]
    assert tasks == {(("state", "allocated"),): 0, (("state", "paused"),): 1, (("state", "running"),): 2}
    assert found["hivemind_outbox_results"][()] == 2
    assert found["hivemind_host_cpu_ratio"][()] == 0.25
    assert found["hivemind_host_disk_available_bytes"][()] == 100 * 1024**3
    assert found["hivemind_lent_cores"][()] == 2
    assert found["hivemind_pool_link"][(("hivemind_pool_link", "registered"),)] == 1
    assert sum(found["hivemind_pool_link"].values()) == 1
    assert found["hivemind_pool_balance_credits"][()] == 7
    assert found["hivemind_worker_status"][(("hivemind_worker_status", "running"),)] == 1
    assert found["hivemind_check_healthy"][(("check", "vpn"),)] == 1
    assert (("check", "docker"),) not in found["hivemind_check_healthy"], "what is not required is left out"
    assert found["process_cpu_seconds_total"][()] > 0
    assert "hivemind_host_gpu_ratio" not in found


async def test_tasks_that_end_are_counted_once_with_their_duration(served: Served) -> None:
    running = make_task("a")
    served.node.picture = make_snapshot(running)
    done = replace(running, state=TaskState.COMPLETED, ended_at_s=NOW_S)
    for picture in (make_snapshot(done), make_snapshot(replace(done, result_bytes=5)), make_snapshot()):
        served.node.picture = picture
    failed = make_task("b", TaskState.FAILED, started_at_s=None)
    served.node.picture = make_snapshot(failed)
    found = await figures(served)
    ended = {dict(labels)["outcome"]: value for labels, value in found["hivemind_tasks_ended_total"].items()}
    assert ended == {"completed": 1, "failed": 1, "stopped": 0}
    assert found["hivemind_task_duration_seconds_count"][()] == 1
    assert found["hivemind_task_duration_seconds_sum"][()] == 8
    buckets = {dict(labels)["le"]: v for labels, v in found["hivemind_task_duration_seconds_bucket"].items()}
    assert (buckets["1.0"], buckets["10.0"], buckets["+Inf"]) == (0, 1, 1)


async def test_a_name_with_quotes_and_line_ends_forges_no_figure(served: Served) -> None:
    served.node.picture = make_snapshot(node_id='x"} 1\nhivemind_forged 1\n\\')
    found = await figures(served)
    assert "hivemind_forged" not in found
    (labels,) = found["hivemind_worker_info"]
    assert dict(labels)["node_id"] == 'x"} 1\nhivemind_forged 1\n\\'


async def test_a_read_only_token_reads_the_figures(served: Served) -> None:
    token = await served.users.add_token("grafana", time.time())
    assert isinstance(token, str)
    assert (await served.get("/metrics", token=token)).status == 200
    assert (await served.get("/metrics", token=None)).status == 401
