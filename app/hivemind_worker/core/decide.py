"""The one door: `decide(state, event)` says what changes and what is to be done about it.

The engine commits `changed`, `node` and `lines` to the journal before it performs `effects`.
What an event does to a single task stands in `core.transitions`.
"""

from __future__ import annotations

from dataclasses import replace

from hivemind_worker.core import admission
from hivemind_worker.core.draft import Decision, Draft
from hivemind_worker.core.giving_way import (
    about_rules,
    about_task,
    end_long_pauses,
    set_mode,
    settle,
    without_what_ended,
)
from hivemind_worker.core.state import State
from hivemind_worker.core.transitions import Step, after, found_again, ran_until
from hivemind_worker.model.effects import (
    Accepted,
    ForgetSpool,
    PackResult,
    Quit,
    Refused,
    Reply,
    Unpack,
    UploadResult,
)  # fmt: skip
from hivemind_worker.model.events import (
    AnyEvent,
    ClockTicked,
    ConditionReported,
    FactsChanged,
    FactsSeen,
    FinishAsked,
    GpuPauseAsked,
    PauseAsked,
    Restarted,
    ResultDelivered,
    ResultRefused,
    ResumeAsked,
    RetryAsked,
    RulesChanged,
    RunModeAsked,
    ShutdownAsked,
    StopAsked,
    TaskEvent,
    TaskOffered,
    TaskPauseAsked,
)  # fmt: skip
from hivemind_worker.model.snapshot import Mode, NodeState
from hivemind_worker.model.task import (
    Delivery,
    Phase,
    Problem,
    StopReason,
    Task,
    TaskState,
)  # fmt: skip

MAX_REFUSALS = 1000


def decide(state: State, event: AnyEvent) -> Decision:
    """What follows from the event. Late and doubled events change nothing."""
    draft = Draft(state)
    reply: Reply | None = Accepted()
    match event:
        case TaskOffered():
            reply = _offered(draft, event)
        case StopAsked() | TaskPauseAsked():
            reply = about_task(draft, event)
        case TaskEvent():
            _task_event(draft, event)
        case PauseAsked():
            _set_mode(draft, Mode.PAUSED, event.at_s, until_s=event.until_s, by=event.by)
        case ResumeAsked():
            _set_mode(draft, Mode.RUN, event.at_s)
        case FinishAsked():
            _set_mode(draft, Mode.FINISHING, event.at_s, quit_after=event.quit_after, by=event.by)
        case ClockTicked():
            _clock_ticked(draft, event)
        case FactsChanged():
            most = draft.state.max_tasks if event.max_tasks is None else event.max_tasks
            draft.state = replace(draft.state, total=event.total, blocker=event.blocker, max_tasks=most)
        case (
            FactsSeen()
            | RulesChanged()
            | RunModeAsked()
            | GpuPauseAsked()
            | ConditionReported()
            | RetryAsked()
        ):
            about_rules(draft, event)
        case ShutdownAsked():
            _shutdown(draft, event)
        case Restarted():
            _restarted(draft, event)
    _finish_when_empty(draft, event.at_s)
    if not isinstance(event, ResultDelivered | ResultRefused):  # what has ended shares in nothing
        settle(draft, event.at_s)
    return draft.done(reply)


# --- offers -----------------------------------------------------------------------------------


def _offered(draft: Draft, event: TaskOffered) -> Reply:
    known = draft.state.tasks.get(event.offer.key) or event.known
    if known is not None and (answer := admission.known_answer(event, known)) is not None:
        draft.effects.append(ForgetSpool(spool=event.spool))
        if isinstance(answer, Accepted) and admission.owes_again(event, known):
            draft.put(
                replace(known, delivery=Delivery.OWED), event.at_s, "OfferedAgain", "its result is sent again"
            )
            draft.effects.append(UploadResult(key=known.key, attempt=known.attempt))
        return answer
    attempt = known.attempt + 1 if known is not None else 1
    problem = admission.new_offer_problem(draft.state, event)
    if problem is None:
        return _accept(draft, event, attempt)
    draft.effects.append(ForgetSpool(spool=event.spool))
    if problem is event.problem:
        count = admission.times_refused(draft.state, event) + 1
        if count >= admission.PATIENCE:
            return _accept_hopeless(draft, event, attempt, problem)
        _remember_refusal(draft, event, count)
    return Refused(problem=problem)


def _new_task(event: TaskOffered, attempt: int) -> Task:
    return Task(
        task_id=event.offer.task_id,
        key=event.offer.key,
        attempt=attempt,
        body_sha256=event.offer.body_sha256,
        demand=event.offer.demand,
        state=TaskState.ALLOCATED,
        phase=Phase.UNPACKING,
        accepted_at_s=event.at_s,
        entry=event.entry,
        pool=event.pool,
    )


def _accept(draft: Draft, event: TaskOffered, attempt: int) -> Reply:
    task = _new_task(event, attempt)
    draft.put(task, event.at_s, "TaskAccepted", f"archive of {event.offer.archive_bytes} bytes")
    draft.effects.append(Unpack(key=task.key, attempt=attempt, spool=event.spool))
    return Accepted(fresh=True)


def _accept_hopeless(draft: Draft, event: TaskOffered, attempt: int, problem: Problem) -> Reply:
    """Take the task only to answer it with its reason: the pool would offer it for ever."""
    task = _new_task(event, attempt)
    draft.put(task, event.at_s, "TaskAccepted", "only to return the reason for its refusal")
    ended = replace(task, state=TaskState.FAILED, phase=Phase.PACKING, ended_at_s=event.at_s, problem=problem)
    pack = PackResult(key=task.key, attempt=attempt)
    draft.take(Step(task=ended, effects=(pack,), text=problem.code.value), event.at_s, "TaskRefusedLate")
    draft.state = replace(
        draft.state, refusals={k: v for k, v in draft.state.refusals.items() if k != task.key}
    )
    return Accepted(fresh=True)


def _remember_refusal(draft: Draft, event: TaskOffered, count: int) -> None:
    refusals = {k: v for k, v in draft.state.refusals.items() if k != event.offer.key}
    while len(refusals) >= MAX_REFUSALS:
        del refusals[next(iter(refusals))]
    refusals[event.offer.key] = (event.offer.body_sha256, count)
    draft.state = replace(draft.state, refusals=refusals)


# --- single tasks -----------------------------------------------------------------------------


def _task_event(draft: Draft, event: TaskEvent) -> None:
    task = draft.state.tasks.get(event.key)
    if task is None or task.attempt != event.attempt:
        return
    step = after(task, event, paused=draft.state.node.mode is Mode.PAUSED)
    if step is not None:
        draft.take(step, event.at_s, type(event).__name__)


# --- the whole node ---------------------------------------------------------------------------


def _set_mode(
    draft: Draft, mode: Mode, at_s: float, *, until_s: float | None = None, quit_after: bool = False,
    by: str = "",
) -> None:  # fmt: skip
    node = set_mode(draft.state.node, mode, at_s)
    draft.set_node(replace(node, until_s=until_s, quit_after=quit_after, asked_by=by))


def _clock_ticked(draft: Draft, event: ClockTicked) -> None:
    draft.set_node(without_what_ended(_rebased(draft.state.node, event.at_s), event.at_s))
    node = draft.state.node
    if node.mode is Mode.PAUSED and node.until_s is not None and event.at_s >= node.until_s:
        _set_mode(draft, Mode.RUN, event.at_s)
    end_long_pauses(draft, event.at_s)


def _rebased(node: NodeState, at_s: float) -> NodeState:
    """A clock that was set back must not make a snooze last for years: it begins anew, with its length."""
    if node.until_s is None or at_s >= node.mode_since_s:
        return node
    return replace(node, mode_since_s=at_s, until_s=at_s + node.until_s - node.mode_since_s)


def _finish_when_empty(draft: Draft, at_s: float) -> None:
    """`finish` is reached when nothing runs and every archive is packed; then pause, or quit."""
    node = draft.state.node
    if node.mode is not Mode.FINISHING or draft.state.stopping:
        return
    if any(task.delivery is Delivery.NONE for task in draft.state.tasks.values()):
        return
    if node.quit_after:
        # The next start is the owner's wish to work again: a kept "paused" would be forgotten about.
        draft.set_node(replace(node, mode=Mode.RUN, mode_since_s=at_s, quit_after=False, asked_by=""))
        draft.state = replace(draft.state, stopping=True)
        draft.effects.append(Quit())
    else:
        draft.set_node(replace(node, mode=Mode.PAUSED, mode_since_s=at_s))


def _shutdown(draft: Draft, event: ShutdownAsked) -> None:
    draft.state = replace(draft.state, stopping=True)
    for task in draft.state.unended():
        about_task(draft, StopAsked(at_s=event.at_s, key=task.key, reason=StopReason.SHUTDOWN))


def _restarted(draft: Draft, event: Restarted) -> None:
    """Owe every accepted task an archive: what was cut off goes on or is reported, never run anew (F2)."""
    if draft.state.node.mode is Mode.FINISHING:
        _set_mode(draft, Mode.RUN, event.at_s)
    for task in tuple(draft.state.tasks.values()):
        if not task.state.has_ended:
            step = found_again(ran_until(task, min(event.alive_s, event.at_s)), event.at_s)
            draft.take(step, event.at_s, "Interrupted" if step.task.state.has_ended else "Adopted")
        elif task.delivery is Delivery.NONE:
            draft.put(task, event.at_s, "FoundAgain", "its result is packed now")
            draft.effects.append(PackResult(key=task.key, attempt=task.attempt))
        else:
            draft.put(task, event.at_s, "FoundAgain", "its result is sent now")
            draft.effects.append(UploadResult(key=task.key, attempt=task.attempt))
    _clock_ticked(draft, ClockTicked(at_s=event.at_s))
