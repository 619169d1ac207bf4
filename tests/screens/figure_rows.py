"""The facts behind the figures of the window: what is changed, and which words become which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hivemind_worker.model.capacity import Offer
from hivemind_worker.model.checkup import Check, CheckState
from hivemind_worker.model.days import day_of
from hivemind_worker.model.faults import FAULTS, Blame, FaultCode
from hivemind_worker.model.judgement import RuleCode
from hivemind_worker.model.machine import LogEntry, Sample
from hivemind_worker.model.metrics import point_values
from hivemind_worker.model.network_view import NetworkView
from hivemind_worker.model.pools import Balance, KeptPool
from hivemind_worker.model.preview import Preview
from hivemind_worker.model.receipts import Seal
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.rules import Level
from hivemind_worker.model.sending import SendStep
from hivemind_worker.model.snapshot import LinkState, Mode
from hivemind_worker.model.task import Problem, TaskState, Usage
from hivemind_worker.model.vpn import Exposure
from hivemind_worker.model.work import RunFigures
from hivemind_worker.presentation.amounts import cores_words
from hivemind_worker.ui.screens.resources import COMPUTER_CORES
from tests.fakes.node import NOW_S, FakeNode, make_receipt, make_snapshot, make_task
from tests.screens.scenes import ACTIVE, SAMPLE, sending

Change = Callable[[FakeNode], object]


@dataclass(frozen=True)
class Row:
    """One fact: `change` makes it another one; words that stand on the screen become others."""

    about: str
    change: Change
    words: Mapping[str, str]


# --- facts --------------------------------------------------------------------------------------


def picture(**fields: Any) -> Change:
    def change(node: FakeNode) -> None:
        node.picture = replace(node.picture, **fields)

    return change


def of_node(**fields: Any) -> Change:
    def change(node: FakeNode) -> None:
        node.picture = replace(node.picture, node=replace(node.picture.node, **fields))

    return change


def of_pool(**fields: Any) -> Change:
    def change(node: FakeNode) -> None:
        node.picture = replace(node.picture, pool=replace(node.picture.pool, **fields))

    return change


def of_tasks(**fields: Any) -> Change:
    """The first task is another one, the others as they are."""

    def change(node: FakeNode) -> None:
        first, *others = node.picture.tasks
        node.picture = replace(node.picture, tasks=(replace(first, **fields), *others))

    return change


def all_run(node: FakeNode) -> None:
    tasks = tuple(
        replace(task, state=TaskState.RUNNING, started_at_s=NOW_S - 60) for task in node.picture.tasks
    )
    node.picture = replace(node.picture, tasks=tasks)


def measured(**fields: Any) -> Change:
    """Now and for the last hour."""

    def change(node: FakeNode) -> None:
        sample = replace(SAMPLE, **fields)

        async def take() -> Sample:
            return sample

        node.sample = take  # type: ignore[method-assign]
        values = point_values(sample, 2, False)
        node.points = {
            step: [replace(p, values=values) for p in found] for step, found in node.points.items()
        }

    return change


def setting(**fields: Any) -> Change:
    def change(node: FakeNode) -> None:
        node.settings = replace(node.settings, **fields)

    return change


def rules(**fields: Any) -> Change:
    def change(node: FakeNode) -> None:
        node.rules.current = replace(node.rules.current, **fields)

    return change


def seen_by_rules(code: RuleCode, **fields: Any) -> Change:
    def change(node: FakeNode) -> None:
        views = tuple(
            view._replace(**fields) if view.code is code else view for view in node.picture.judgement.rules
        )
        node.picture = replace(node.picture, judgement=replace(node.picture.judgement, rules=views))

    return change


def level(to: Level) -> Change:
    def change(node: FakeNode) -> None:
        node.picture = replace(node.picture, judgement=replace(node.picture.judgement, level=to))

    return change


def put(name: str, value: Any) -> Change:
    """A part of the fake worker is another one: "care.checks"."""

    def change(node: FakeNode) -> None:
        *way, last = name.split(".")
        part: Any = node
        for each in way:
            part = getattr(part, each)
        setattr(part, last, value)

    return change


def earned_more(node: FakeNode) -> None:
    node.pools.history[ACTIVE] = [*node.pools.history[ACTIVE], Balance(at_s=NOW_S, amount=1250)]
    of_pool(balance=1250)(node)


def only_one_ended(node: FakeNode) -> None:
    node.ended = [
        make_task("alone", TaskState.COMPLETED, ended_at_s=NOW_S - 60, trust_change=2, exit_code=0,
                  accepted_at_s=NOW_S - 4000, started_at_s=NOW_S - 3660, runtime="docker",
                  usage=Usage(cpu_s=3000, wall_s=3600, peak_memory_bytes=1 << 30))
    ]  # fmt: skip


def nothing_failed_here(node: FakeNode) -> None:
    """The failures of today were this computer's, the pool's and the network's."""
    blames = (Blame.HOST, Blame.POOL, Blame.NETWORK, Blame.BUG)
    codes = [next(code for code, fault in FAULTS.items() if fault.blame is blame) for blame in blames]
    node.ended = [
        make_task(f"f{n}", TaskState.FAILED, ended_at_s=NOW_S - 60 - n, trust_change=-5,
                  problem=Problem(code=code, about="x"))
        for n, code in enumerate(codes)
    ]  # fmt: skip


def more_work(node: FakeNode) -> None:
    today = day_of(NOW_S)
    node.work = [
        replace(row, completed=row.completed + 3, failed=row.failed + 2, stopped=row.stopped + 2,
                wall_s=row.wall_s + 3600, cpu_s=row.cpu_s + 7200,
                joules={source: joules + 3.6e6 for source, joules in row.joules.items()})
        if row.place.day == today else row
        for row in node.work
    ]  # fmt: skip
    earned_more(node)


def a_newer_line(node: FakeNode) -> None:
    node.log = [
        *node.log,
        LogEntry(number=99, timestamp="2026-11-24 15:00:00", level="INFO", message="line 99", source="vpn",
                 task="5c02e7d1a0"),
    ]  # fmt: skip


def another_receipt(node: FakeNode) -> None:
    last = make_task(
        "sand-train-7", TaskState.FAILED, ended_at_s=NOW_S - 3720, image="sand-train:1.4@sha256:5be1f3c8"
    )
    node.ended, node.receipts = [last], {last.key: make_receipt(last)}
    node.seals = {last.key: Seal.BROKEN}


def used(node: FakeNode) -> None:
    """What the first task uses is measured."""
    first = node.picture.tasks[0]
    node.uses[first.key] = RunFigures(
        at_s=NOW_S, cores=0.5, memory_bytes=1 << 30, memory_limit_bytes=2 << 30, disk_bytes=0,
        net_in_bytes=3 << 20, net_out_bytes=1 << 20, read_bytes=5 << 20, write_bytes=6 << 20,
    )  # fmt: skip


def other_settings(node: FakeNode) -> None:
    node.kept = dict(KEPT)


KEPT: Mapping[str, object] = {
    "max_cpu_cores": 3, "max_memory_gb": 7, "max_concurrent_tasks": 5, "task_time_limit_h": 20,
    "task_disk_gb": 5, "task_log_mb": 60, "keep_free_gb": 9, "task_processes": 300, "web_port": 5050,
    "master_address": "1.2.3.4:50051", "trust_threshold": 55, "vpn_interface": "hive7",
    "vpn_network": "10.7.0.0/24", "task_image": "ours:1", "docker_log_mb": 17, "session_timeout_h": 21,
    "text_scale": 125, "full_load_w": 70, "power_price": 0.4, "result_keep_days": 8, "result_quota_gb": 6,
    "image_quota_gb": 14, "package_quota_gb": 3,
}  # fmt: skip
SETTING_WORDS = {
    "4 cores": "3 cores", "8 GiB": "GiB", "3": "5", "24 h": "h", "4 GiB": "5 GiB", "64 MiB": "60 MiB",
    "2 GiB": "GiB", "256": "300", "5000": "5050", "10.0.0.1:50051": "1.2.3.4:50051", "50": "55",
    "hivemind0": "hive7", "10.0.0.0/24": "10.7.0.0/24", "justin308/hivemind-worker:latest": "ours:1",
    "16 MiB": "17 MiB", "100 %": "125 %", "65 W": "70 W", "0.3 per kWh": "0.4 per kWh", "7 days": "8 days",
    "12 GiB": "14 GiB", "1 change waits for a restart": "changes wait for a restart",
}  # fmt: skip

# --- the rows -----------------------------------------------------------------------------------

FULL = Problem(code=FaultCode.DISK_FULL, about="/home")
MORE = Resources(cpu=300, memory_gb=4)
LOOPBACK = picture(blocker=FULL, tasks=(), grpc_address="127.0.0.1:50053", owed_results=0)
GRAPHS = Row(
    "what is measured",
    measured(cpu_percent=71.0, ours_cpu_percent=60.0, memory_percent=60.0, ours_memory_percent=20.0,
             gpu_percent=None, gpus=()),
    {"ours 50 % · others 8 %": "ours 60 % · others 11 %", "58 %": "71 %",
     "ours 2.8 · others 11.6": "ours 6.3 · others 12.5", "14.5 GiB": "18.8 GiB"},
)  # fmt: skip
PAUSED = of_node(mode=Mode.PAUSED, mode_since_s=NOW_S)
ELSEWHERE = of_pool(address="9.9.9.9:1")
MOVED = picture(grpc_address="10.9.9.9:50999")
OFF = of_pool(link=LinkState.UNREACHABLE, since_s=NOW_S - 60)

ROWS: Mapping[str, tuple[Row, ...]] = {
    "window": (
        Row("tasks that run", all_run, {"Working on 2 tasks": "Working on 3 tasks"}),
        Row("what they hold", picture(available=Resources(cpu=100, memory_gb=2)),
            {"hold 2 of 2 cores and 3 of 4 GiB": "hold 1 of 2 cores and 2 of 4 GiB"}),
        Row("the mode", PAUSED, {"Working": "Paused", "Pause": "Resume"}),
        Row("the run mode", of_node(ignores_rules=True), {"Run by my rules": "Run"}),
        Row("open tasks", lambda node: picture(tasks=node.picture.tasks[:2])(node), {"3": "2"}),
    ),
    "tray": (
        Row("tasks that run", all_run, {"Working: 2 of 3 tasks": "Working: 3 of 3 tasks"}),
        Row("the mode", PAUSED, {"Pause": "Change the pause", "Paused": "Paused ✓"}),
        Row("the run mode", of_node(ignores_rules=True), {"Run by my rules ✓": "Run by my rules"}),
    ),
    "home": (
        Row("tasks that run", all_run,
            {"Working on 2 tasks": "Working on 3 tasks", "2": "3",
             "would lose 1 hour of work": "would lose 3 minutes of work"}),
        Row("the mode", PAUSED, {"Working": "Paused"}),
        Row("what they hold", picture(available=Resources(cpu=100, memory_gb=2)),
            {"hold 2 of 2 cores and 3 of 4 GiB": "hold 1 of 2 cores and 2 of 4 GiB"}),
        Row("places for tasks", picture(max_tasks=2), {"All 3 places": "All 2 places", "of 3": "of 2"}),
        Row("the level of the week plan", level(Level.NORMAL), {"the level Light": "the level Normal"}),
        Row("the pool's address", ELSEWHERE, {"Registered at 10.0.0.1:50051": "Registered at 9.9.9.9:1"}),
        Row("what is lent", picture(total=Resources(cpu=100, memory_gb=8)),
            {"2 cores and 4 GiB are lent": "1 core and 8 GiB are lent"}),
        Row("where the pool reaches it", MOVED, {"this worker at 10.0.0.7:50053": "at 10.9.9.9:50999"}),
        Row("the link and the disk", lambda node: (OFF(node), LOOPBACK(node)),
            {"note": "trouble", "fine": "note"}),
        Row("a task that was accepted",
            lambda node: node.put(make_task("w", TaskState.ALLOCATED, accepted_at_s=NOW_S)),
            {"1 more accepted": "2 more accepted",
             "Task render-2026-11-24-frame-0042 was accepted": "Task w was accepted", "14:31:56": "14:32:00",
             "Task 538453d7-4b8e-9a63 completed": "was accepted", "trust +2 · 14:28:00": "14:31:56",
             "Task <img": "Task 538453d7-4b8e-9a63 completed", "14:19:40": "trust +2 · 14:28:00",
             "Task 538453d7-4b8e-9a63 started": "Task <img", "14:13:10": "14:19:40",
             "Task f1bbcd88": "Task 538453d7-4b8e-9a63 started", "trust +2 · 14:02:50": "14:13:10"}),
        Row("the balance", earned_more, {"balance 1,206 CPT": "balance 1,250 CPT", "11": "55"}),
        Row("tasks of today", only_one_ended, {"30 tasks completed": "1 task completed"}),
        Row("the trust", of_node(trust_score=70),
            {"18 points to High": "10 points to High", "62": "70", "62 of 100": "70 of 100"}),
        GRAPHS,
    ),
    "tasks": (
        Row("tasks that run", all_run,
            {"Running  2": "Running  3", "Waiting  1": "Waiting", "0 of 2 selected": "0 of 3 selected",
             "would lose 1 hour of work": "would lose 3 minutes of work", "46:51": "1:00"}),
        Row("tasks that ended", only_one_ended, {"Finished  60": "Finished  1"}),
        Row("the state of one", of_tasks(state=TaskState.PAUSED), {"Running": "Paused"}),
        Row("its name", of_tasks(task_id="other"), {"7f3a9c1e-…e6c2d7b41": "other"}),
        Row("its start", of_tasks(started_at_s=NOW_S - 120),
            {"46:51": "2:00", "23:13:09": "23:58:00", "47 minutes": "2 minutes"}),
        Row("its memory", of_tasks(demand=Resources(cpu=100, memory_gb=3)), {"2 GiB": "3 GiB"}),
        Row("its processor", used, {"–": "50 %"}),
        Row("what is lent", picture(available=Resources(cpu=100, memory_gb=2)),
            {"Cores 2 of 2 given · memory 3 of 4 GiB": "Cores 1 of 2 given · memory 2 of 4 GiB"}),
    ),
    "finished": (
        Row("what ended", only_one_ended,
            {"538453d7-4b8e-9a63": "alone", "Completed": "Completed", "14:28:00": "14:31:00",
             "Finished  60": "Finished  1", "0 of 60 selected": "0 of 1 selected", "14:50": "1:00:00",
             "11:40": "50:00", "300.0 MiB": "1.0 GiB"}),
        Row("how it ended", lambda node: put("ended", [replace(node.ended[0], state=TaskState.FAILED,
            exit_code=3, trust_change=-5)])(node), {"Completed": "Failed", "0": "3", "+2": "-5"}),
        Row("tasks that run", all_run,
            {"Running  2": "Running  3", "Waiting  1": "Waiting"}),
        Row("what is lent", picture(available=Resources(cpu=100, memory_gb=2)),
            {"Cores 2 of 2 given · memory 3 of 4 GiB": "Cores 1 of 2 given · memory 2 of 4 GiB"}),
    ),
    "pane": (
        Row("its start", of_tasks(started_at_s=NOW_S - 65),
            {"since 13:45:09": "since 14:30:55", "23:13:09 left of 1 day": "23:58:55 left of 1 day"}),
        Row("its demand", of_tasks(demand=Resources(cpu=50, memory_gb=3)),
            {"1 core": "0.5 cores", "2 GiB, no swap": "3 GiB, no swap"}),
        Row("its limits", setting(task_disk_gb=5.0, task_log_mb=60),
            {"4 GiB": "5 GiB", "64 MiB": "60 MiB"}),
        Row("its code", of_tasks(body_sha256="12345678" + "0" * 52 + "abcd"),
            {"sha256:00000000…0000": "sha256:12345678…abcd"}),
        Row("what it uses", used, {"2 GiB": "1.00 / 2 GiB", "–": "5.0 MiB / 6.0 MiB"}),
        Row("its state", of_tasks(state=TaskState.PAUSED, held=True),
            {"Pause": "Resume", "Running": "Paused"}),
        Row("its name", of_tasks(task_id="other"), {"7f3a9c1e-52d0-4b8e-9a63-0f1e6c2d7b41": "other"}),
    ),
    "resources": (
        Row("what is lent", picture(total=Resources(cpu=100, memory_gb=8), available=Resources(cpu=50)),
            {"2 of 2 lent": "0.5 of 1 lent", "3 of 4 GiB lent": "8 of 8 GiB lent",
             f"{COMPUTER_CORES - 2:g} stay yours": f"{COMPUTER_CORES - 1:g} stay yours",
             "27.3 GiB stay yours": "23.3 GiB stay yours"}),
        Row("the disk", measured(disk_available_gb=50.0), {"up to 12 of 90 GiB": "up to 12 of 50 GiB"}),
        Row("what stays free", setting(keep_free_gb=9.0),
            {"2 GiB are always kept free": "9 GiB are always kept free"}),
        Row("how much memory there is", measured(memory_total_gb=16.0),
            {"Memory, 31.3 GiB": "Memory, 16.0 GiB"}),
        Row("the card's memory", measured(gpus=(replace(SAMPLE.gpus[0], memory_gb=8),)),
            {"12.0 GiB stay yours": "8.0 GiB stay yours"}),
        GRAPHS,
        Row("the network", measured(net_down_bps=3 << 20, net_up_bps=1 << 20),
            {"down 0.2 · up 0.0 MiB/s": "down 3.0 · up 1.0 MiB/s"}),
        Row("the disk's use", measured(ours_disk_bps=1 << 20, disk_read_bps=3 << 20, disk_write_bps=0),
            {"ours 0.9 · others 0.5": "ours 1.0 · others 2.0", "1.3 MiB/s": "3.0 MiB/s"}),
        Row("the heat", measured(cpu_celsius=71.0), {"64 °C": "71 °C"}),
        Row("the time", put("_clock", lambda: NOW_S + 600),
            {"Today, 13:32 to 14:32": "Today, 13:42 to 14:42"}),
    ),
    "pools": (
        Row("the pool's address", lambda node: (ELSEWHERE(node), put("pools.rows", [])(node)),
            {"10.0.0.1:50051": "9.9.9.9:1", "to 10.0.0.1:50051": "to 9.9.9.9:1",
             "10.0.0.1:50051 waits meanwhile": "9.9.9.9:1 waits meanwhile"}),
        Row("the link", OFF, {"Connected": "Not reached"}),
        Row("since when", of_pool(since_s=NOW_S - 3600), {"in use since 14:30": "in use since 13:32"}),
        Row("the account", of_pool(user="ann", balance=1300), {"mira": "ann", "1,206 CPT": "1,300 CPT"}),
        Row("tasks of today", only_one_ended, {"30 done, 3 failed": "1 done, 0 failed"}),
        Row("where the pool reaches it", MOVED, {"10.0.0.7:50053": "10.9.9.9:50999"}),
        Row("what is lent", picture(total=Resources(cpu=100, memory_gb=8)),
            {"2 cores, 4 GiB": "1 core, 8 GiB"}),
        Row("its scores", picture(offer=replace(make_snapshot().offer, offered=Resources(cpu=300, gpu=9))),
            {"CPU 200, GPU 0": "CPU 300, GPU 9"}),
        Row("the region", setting(region="Taiwan"), {"Unknown": "Taiwan"}),
        Row("other pools", put("pools.rows", [KeptPool(address="new.example:1", user="ann", signed_in=True)]),
            {"mill.example:50051": "new.example:1", "mira · used until 3 Nov": "ann"}),
        Row("a pool that is not signed in to",
            put("pools.rows", [KeptPool(address="a.example:1", user="a"), KeptPool(address="b.example:1",
                user="b")]),
            {"10.8.0.1:50051": "b.example:1",
                "m.lindgren · signed out · used until 12 Oct": "b · signed out"}),
        Row("a task on its way", put("sending.rows", [
                replace(sending("coast-tiles", SendStep.RUNNING, NOW_S + 120, node="worker-elm",
                    packed_bytes=1 << 30),
                        task_id="task_other"),
                sending("word-count", SendStep.COMPLETED, NOW_S - 86400)]),
            {"3.2 MiB": "1.0 GiB", "Running on worker-oak-50053": "Running on worker-elm",
             "thumbs-oct · 16 Nov, 14:32": "word-count", "task_coast-tiles": "task_other"}),
        Row("how long its steps took", lambda node: put("sending.rows", [
                replace(node.sending.rows[0], reached=tuple(
                    (step, NOW_S - 2800 + 700 * n) for n, (step,
                        _at) in enumerate(node.sending.rows[0].reached)))
            ])(node), {"1 minute": "12 minutes"}),
    ),
    "network": (
        Row("the pool's address", ELSEWHERE, {"10.0.0.1:50051, Connected": "9.9.9.9:1, Connected"}),
        Row("the link", OFF, {"10.0.0.1:50051, Connected": "10.0.0.1:50051, Not reached"}),
        Row("where the pool reaches it", MOVED, {"10.0.0.7:50053": "10.9.9.9:50999"}),
        Row("who can reach it", put("vpn.rows", [
                Exposure(name="tasks", address="0.0.0.0", port=50053, vpn="whole_network", lan=True)]),
            {"10.0.0.7:50053": "0.0.0.0:50053"}),
        Row("the addresses", put("care.networks", NetworkView(interfaces={"eth7": ("192.168.7.20",)})),
            {"eth0": "eth7", "192.168.1.20": "192.168.7.20"}),
    ),
    "rules": (
        Row("the week", rules(monday="0" * 48), {"Mon 00:00: Full": "Mon 00:00: Off"}),
        Row("a level", rules(light_cores=3.0, normal_cpu_percent=50.0),
            {"Light: 1 core at 50 %": "Light: 3 cores at 50 %",
                "all lent cores at 75 %": "all lent cores at 50 %"}),
        Row("what is offered", picture(offer=Offer(offered=MORE, lent=MORE)),
            {"all that you lend (200)": "all that you lend (300)"}),
        Row("input", seen_by_rules(RuleCode.IN_USE, value=120.0, blocks=True),
            {"no input for 57 minutes (Mutter)": "2 minutes", "allows work": "holds work back"}),
        Row("the idle rule", rules(idle_start_after_min=9.0),
            {"start after 5 minutes": "start after 9 minutes"}),
        Row("other programs", seen_by_rules(RuleCode.LOAD, value=61.0, blocks=True),
            {"9 % on average": "61 % on average", "allows work": "holds work back"}),
        Row("their rule", rules(load_percent=35.0), {"above 25 %": "above 35 %"}),
        Row("the heat", lambda node: (seen_by_rules(RuleCode.HEAT, value=91.0, blocks=True)(node),),
            {"CPU 66 °C, GPU 64 °C": "CPU 91 °C, GPU 64 °C", "allows work": "holds work back"}),
        Row("its rule", rules(heat_cpu_c=80.0), {"90 °C, graphics card 87 °C": "80 °C, graphics card 87 °C"}),
        Row("the screen", seen_by_rules(RuleCode.FULL_SCREEN, blocks=True),
            {"allows work": "holds work back"}),
        Row("the disk", seen_by_rules(RuleCode.DISK, value=4.0, blocks=True),
            {"90 GiB free": "4 GiB free", "allows work": "holds work back"}),
        Row("its rule", rules(disk_free_gb=9.0), {"at least 5 GiB": "at least 9 GiB"}),
        Row("memory", seen_by_rules(RuleCode.MEMORY_ACCEPT, value=85.0, blocks=True),
            {"39 % used": "85 % used", "allows work": "holds work back"}),
        Row("its rule", rules(memory_accept_percent=70.0), {"no new task at 80 %": "no new task at 70 %"}),
        Row("the metered network", seen_by_rules(RuleCode.METERED, blocks=True),
            {"allows work": "holds work back"}),
        Row("the month", rules(month_gb=20.0), {"50 GB a month": "20 GB a month"}),
        Row("the battery", rules(battery_back_s=240.0),
            {"go on after 1 minute on mains": "go on after 4 minutes on mains"}),
        Row("the low battery", rules(battery_low_percent=20.0), {"below 30 %": "below 20 %"}),
        Row("the power saver", seen_by_rules(RuleCode.POWER_SAVER, blocks=True),
            {"allows work": "holds work back"}),
        Row("long pauses", rules(pause_ends_task_h=48.0), {"paused for 1 day": "paused for 2 days"}),
        Row("the day ahead", lambda node: put("rules.preview",
            Preview(spans=node.rules.preview.spans[:2]))(node),
            {"20 hours of work, 4 hours paused": "4 hours of work, 4 hours paused",
             "Last 7 days: 20 of 24 hours": "Last 7 days: 4 of 8 hours"}),
    ),
    "history": (
        Row("work of today", more_work,
            {"276 CPT in 14 days": "320 CPT in 14 days", "1.24 kWh, 0.37 EUR": "3.24 kWh, 0.97 EUR",
             "Today: 11": "Today: 55", "7": "13", "–": "4", "3.67": "5.67", "5.50": "9.50",
             "11": "55", "0.05": "2.05", "0.01": "0.61", "Energy: 1.24 kWh": "Energy: 3.24 kWh"}),
        Row("failures", nothing_failed_here,
            {"Whose fault were the 6 failures?": "Whose fault were the 4 failures?", "0 · 0": "1 · −5",
             "6 · −30": "0", "The task needed more memory": "none"}),
        Row("the trust", of_node(trust_score=70),
            {"62, Medium · 18 points": "70, Medium · 10 points", "62": "70"}),
        Row("the ledger", only_one_ended, {"14:28:00": "14:31:00", "538453d7": "alone"}),
        Row("the change", nothing_failed_here, {"+2": "−5"}),
        Row("the day", put("_clock", lambda: NOW_S + 86400), {"Today": "Tue 24 Nov"}),
    ),
    "logs": (
        Row("the log", a_newer_line,
            {"72 of 72 lines shown": "73 of 73 lines shown", "14:00:01": "15:00:00",
             "registered at the pool at 10.0.0.1:50051 as anna": "line 99", "pool": "vpn",
             "7f3a9c1e": "5c02e7d1"}),
    ),
    "doctor": (
        Row("the checks", put("care.checks", [
                Check(name="Python", state=CheckState.FAIL, text="CPython 3.10 is too old")]),
            {"2 fine": "1 fails", "CPython 3.12 on Linux": "CPython 3.10 is too old", "fine": "fails"}),
        Row("the sandbox", lambda node: picture(runtime=replace(
                node.picture.runtime, ready=False, problem=Problem(code=FaultCode.SANDBOX_MISSING)))(node),
            {"ready": "not working", "CPython 3.12 (small)": "no sandbox"}),
        Row("the card", measured(gpus=()), {"GPU: NVIDIA RTX 3060, 12 GiB": "No graphics card was found"}),
        Row("the version", picture(version="0.2.0"), {"0.1.0": "0.2.0"}),
        Row("what the app takes", put("care.own_costs", lambda: (13.5, 120 << 20)),
            {"118.0 MiB": "120.0 MiB"}),
    ),
    "help": (),
    "settings": (
        Row("what is kept", other_settings, SETTING_WORDS),
        Row("what the environment says", setting(node_port=50060), {"50053": "50060"}),
    ),
    "account": (
        Row("the pool", ELSEWHERE, {"mira at 10.0.0.1:50051": "mira at 9.9.9.9:1"}),
        Row("the account", of_pool(user="ann"),
            {"mira at": "ann at", "mira, worker-larch": "ann, worker-larch"}),
        Row("the link", OFF, {"Connected": "Not reached"}),
        Row("the balance", earned_more,
            {"1,206 CPT": "1,250 CPT", "+11": "+55", "1,206": "1,250"}),
        Row("when it was heard", of_pool(last_heard_s=NOW_S - 60),
            {"heard 2 seconds ago": "heard 1 minute ago"}),
        Row("where the pool reaches it", MOVED, {"the network of 10.0.0.7:50053": "of 10.9.9.9:50999"}),
        Row("other accounts", put("pools.rows", [KeptPool(address="a", user="b")]),
            {"2 other accounts": "1 other account"}),
        Row("the receipts", another_receipt,
            {"538453d7-4b8e-9a63": "sand-train-7", "14:28:00": "13:30:00", "Built-in": "sand-train:1.4",
             "valid": "not valid"}),
        Row("the day", put("_clock", lambda: NOW_S + 86400), {"Today": "Tue 24 Nov"}),
        Row("what was spent", put("pools.history", {ACTIVE: [
                Balance(at_s=NOW_S - 86400, amount=100), Balance(at_s=NOW_S, amount=90)]}), {"–": "−10"}),
    ),
}  # fmt: skip

HELP_TEXTS = (
    "Images that may be used, ", "Address for access to the dashboard from other computers",
    "A notice at each 100 CPT", "Hours without notices, e.g.", "What a kilowatt-hour costs",
)  # fmt: skip
"""Of settings."""
CONSTANT = frozenset({
    "15 minutes", "1 hour", "4 hours", "Until tomorrow 06:00", "Snooze notices 1 h",
    "of 100", "1 min", "1 h", "24 h", "30 d", "7 days", "14 days", "30 days", "last 14 days",
    "Earned in the last 14 days", f"CPU, {cores_words(COMPUTER_CORES)}",
    "with a main.py in it, up to 100 MiB",
    *(str(number) for number in range(1, 12)), "Paint, or arrows and 0 to 3",
    "Next 24 hours, if they go as usual", "+2 when a task completes, −5 when it fails, 0 when it is stopped.",
    "On disk: worker.log, and up to 10 older files · keys and passwords are never written",
})  # fmt: skip
"""Words with a digit in them that are the same whatever happens: choices, names of ranges, rules."""


def is_constant(text: str) -> bool:
    """Whether no fact of the worker stands behind this."""
    return text in CONSTANT or text.startswith(("last run ", *HELP_TEXTS))
