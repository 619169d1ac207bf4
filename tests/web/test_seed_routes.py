"""The seed API's contract: routes, key names and types, as other programs read them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from hivemind_worker.model.events import StopAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.snapshot import LinkState, RuntimeView
from hivemind_worker.model.task import Problem, StopReason, TaskState, key_of
from tests.fakes.node import FakeNode, make_snapshot, make_task
from tests.web.conftest import Served

RESOURCES = {"cpu": float, "memory_gb": float, "gpu": float, "gpu_memory_gb": float}
STATUS = {
    "node_id": str, "status": str, "is_registered": bool, "docker_available": bool, "cpu_percent": float,
    "memory_percent": float, "available_resources": RESOURCES, "total_resources": RESOURCES,
    "running_tasks": int, "trust_score": int, "trust_group": str,
}  # fmt: skip
ORIGINAL = {
    "ip": str, "task_count": int, "tasks": list, "docker_status": str, "cpt_balance": int, "cpu_cores": float,
    "memory_available_gb": float, "memory_total_gb": float, "memory_used_gb": float, "cpu_score": float,
}  # fmt: skip
VERDICT = {"code": str, "text": str, "since": (str, type(None)), "ends_at": (str, type(None)), "action": str}
TASK = {"task_id": str, "status": str, "start_time": str, "elapsed": float, "resources": RESOURCES}
FREE = {"cpu_available": float, "memory_available": float, "disk_available": float, "running_tasks": int}


def check(values: dict[str, Any], golden: dict[str, Any]) -> None:
    """Each key is there with its type; more keys are allowed."""
    for key, kind in golden.items():
        assert key in values, key
        if isinstance(kind, dict):
            check(values[key], kind)
        else:
            assert isinstance(values[key], kind), (key, values[key])
            assert kind is bool or not isinstance(values[key], bool), (key, values[key])


async def test_status_has_the_seeds_keys_and_types(served: Served) -> None:
    served.node.picture = make_snapshot(make_task(), make_task("second", TaskState.ALLOCATED))
    answer = await served.get("/api/status")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    check(answer.values, STATUS | ORIGINAL)
    for verdict in answer.values["verdicts"]:
        check(verdict, VERDICT)
    assert answer.values["status"] == "running"
    assert answer.values["running_tasks"] == answer.values["task_count"] == 2
    assert answer.values["verdicts"][0]["code"] == "working"
    assert answer.values["ip"] == "10.0.0.7"
    assert answer.values["memory_total_gb"] == 8.0


async def test_tasks_are_the_open_ones_and_then_the_last_hundred_ended_each_once(served: Served) -> None:
    running = make_task("running")
    owed = make_task("owed", TaskState.COMPLETED)
    served.node.picture = make_snapshot(running, owed)
    served.node.ended = [owed, *(make_task(f"ended-{n}", TaskState.FAILED) for n in range(150))]
    answer = await served.get("/api/tasks")
    rows = answer.values["tasks"]
    for row in rows:
        check(row, TASK)
        assert datetime.fromisoformat(row["start_time"]).tzinfo is not None
    names = [row["task_id"] for row in rows]
    assert names == ["running", "owed", *(f"ended-{n}" for n in range(99))]
    assert rows[0]["elapsed"] == 8.0
    assert rows[2]["elapsed"] == 7.0


async def test_resources_tell_what_is_free(served: Served) -> None:
    answer = await served.get("/api/resources")
    check(answer.values, FREE)
    assert (answer.values["cpu_available"], answer.values["cpu_percent"]) == (75.0, 25.0)


async def test_stopping_a_task_asks_the_engine_and_says_so(served: Served) -> None:
    task = make_task()
    served.node.put(task)
    answer = await served.post("/api/stop_task/task_1")
    assert answer.status == 200
    assert answer.values["success"] is True
    assert isinstance(answer.values["message"], str)
    [asked] = served.node.asked
    assert isinstance(asked, StopAsked)
    assert (asked.key, asked.reason) == (task.key, StopReason.OWNER)


async def test_stopping_an_unknown_task_is_the_seeds_404(served: Served) -> None:
    answer = await served.post("/api/stop_task/nobody")
    assert answer.status == 404
    assert (answer.values["success"], answer.values["error"]) == (False, "Task not found")
    undecodable = await served.post("/api/stop_task/%ff%fe")
    assert undecodable.status == 404


async def test_stopping_a_task_that_has_ended_is_no_error(served: Served) -> None:
    served.node.ended = [make_task("over", TaskState.COMPLETED)]
    answer = await served.post("/api/stop_task/over")
    assert (answer.status, answer.values["success"]) == (200, True)
    assert served.node.asked == []


async def test_a_task_id_may_hold_anything(served: Served) -> None:
    names = ["a/b", "../../etc/passwd", "..", "a%2Fb", "100%", "q?x=1", "#hash", "with space", "名前", "a//b",
             "-v", "logs", "a/logs", "%00", "x" * 512, "a+b", "a&b=c", "\\", "'\"<>"]  # fmt: skip
    for name in names:
        served.node.picture = make_snapshot(make_task(name))
        quoted = "".join(f"%{byte:02X}" for byte in name.encode())
        for path in (f"/api/stop_task/{quoted}", f"/api/v1/tasks/{quoted}/stop"):
            served.node.asked.clear()
            answer = await served.post(path)
            assert answer.status == 200, (name, path)
            assert [asked.key for asked in served.node.asked] == [key_of(name)], (name, path)
        assert (await served.get(f"/api/v1/tasks/{quoted}")).values["task_id"] == name
        assert (await served.get(f"/api/v1/tasks/{quoted}/logs")).status == 200


async def test_a_slash_in_the_seeds_stop_route_may_stand_as_it_is(served: Served) -> None:
    served.node.picture = make_snapshot(make_task("job/part/1"))
    assert (await served.post("/api/stop_task/job/part/1")).status == 200


async def test_the_engines_refusal_is_passed_on_in_the_seeds_shape(served: Served) -> None:
    served.node.put(make_task())
    served.node.refuse_with = Problem(code=FaultCode.NOT_ACCEPTING, about="it is being shut down")
    answer = await served.post("/api/stop_task/task_1")
    assert answer.status == 409
    assert answer.values["success"] is False
    assert "being shut down" in answer.values["error"]


async def test_health_tells_statuses_to_everybody_and_reasons_to_its_owner(served: Served) -> None:
    bare = await served.get("/health", token=None)
    full = await served.get("/health")
    assert bare.status == full.status == 200
    assert set(bare.values) == set(full.values) == {"status", "checks", "timestamp"}
    assert set(bare.values["checks"]) == {"docker", "grpc", "resources", "vpn"}
    assert all(set(check) == {"status"} for check in bare.values["checks"].values())
    assert all(set(check) == {"status", "detail"} for check in full.values["checks"].values())
    assert full.values["checks"]["docker"]["status"] == "not_required"
    assert datetime.fromisoformat(full.values["timestamp"]).tzinfo is not None
    assert b"10.0.0" not in bare.body, "addresses are details"
    assert (await served.get("/health", token="wrong")).status == 401


async def test_health_is_503_when_a_needed_part_does_not_work(served: Served) -> None:
    def with_docker(node: FakeNode) -> None:
        node.settings = replace(Settings(), runtime="docker")
        node.picture = make_snapshot(runtime=RuntimeView(name="", ready=False))

    def away(node: FakeNode) -> None:
        node.picture = make_snapshot(link=LinkState.UNREACHABLE)

    def full_disk(node: FakeNode) -> None:
        node.picture = make_snapshot(blocker=Problem(code=FaultCode.DISK_FULL, about="1 GiB free"))

    def no_vpn(node: FakeNode) -> None:
        node.picture = make_snapshot(grpc_address="127.0.0.1:50053")

    for break_it, part in (
        (with_docker, "docker"),
        (away, "grpc"),
        (full_disk, "resources"),
        (no_vpn, "vpn"),
    ):
        served.node.settings = Settings()
        break_it(served.node)
        answer = await served.get("/health")
        assert (answer.status, answer.values["status"]) == (503, "unhealthy"), part
        assert answer.values["checks"][part]["status"] == "unhealthy"
        assert answer.values["checks"][part]["detail"]


async def test_livez_needs_nothing_and_tells_nothing(served: Served) -> None:
    answer = await served.get("/livez", token=None)
    assert (answer.status, answer.body) == (200, b'{"ok":true}')


async def test_errors_of_the_seed_routes_have_the_seeds_shape(served: Served) -> None:
    elsewhere = await served.get("/api/status", host="evil.com")
    targets = [await served.get(target) for target in ("/api/nowhere", "/api/stop_task/x")]
    for answer in (elsewhere, await served.get("/api/status", token=None), *targets):
        assert answer.values["success"] is False
        assert isinstance(answer.values["error"], str)
        assert answer.headers["content-type"].startswith("application/json")
