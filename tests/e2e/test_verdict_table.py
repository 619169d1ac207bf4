"""Every code that a verdict can have: how it is forced, what clears it, the test that does both.

The codes are taken from the program's own source: a new one without a row fails.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import hivemind_worker
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.judgement import RuleCode
from tests.contract import test_presentation, test_releases, test_verdicts
from tests.e2e import test_verdicts_cleared
from tests.vpn import test_joining

Shown = Callable[..., object]
RULE, WISH = (
    test_verdicts.test_a_rule_that_holds_work_back_is_told_first_and_its_action_clears_it,
    test_verdicts.test_a_wish_of_the_owner_that_holds_work_back_is_told_and_its_action_clears_it,
)
REMARK = test_verdicts.test_what_should_be_known_beside_is_told_and_its_action_clears_it
ORDER = test_presentation.test_each_condition_is_told_first_and_in_order
POOL = test_verdicts_cleared.test_causes_of_pool_and_login_go_with_their_actions
ENGINE = test_verdicts_cleared.test_a_docker_that_is_absent_down_or_hung_is_told_until_it_is_there
BUILT_IN = test_verdicts_cleared.test_a_built_in_sandbox_that_is_put_right_is_used_without_a_restart
FETCHED = test_verdicts_cleared.test_an_image_that_is_missing_or_cannot_be_fetched_is_made_here
CLOCK = test_verdicts.test_a_clock_that_was_set_is_told_and_goes_by_itself
RELEASE = test_releases.test_every_front_end_says_it_by_the_same_verdict_and_it_never_comes_first
TUNNEL = test_joining.test_F16_a_tunnel_that_is_gone_stops_new_work_and_comes_back_by_itself
WAITS = test_verdicts_cleared.test_a_result_that_waits_for_the_pool_is_said_to_be_kept
ELSEWHERE = test_verdicts_cleared.test_a_pool_elsewhere_reaches_this_worker_once_it_listens_for_others
FORBIDDEN = test_verdicts_cleared.test_a_docker_that_may_not_be_used_may_be_after_the_next_sign_in
OLD = test_verdicts_cleared.test_a_docker_that_is_too_old_holds_tasks_once_it_is_updated
ALLOWED = test_verdicts_cleared.test_an_image_that_the_owner_does_not_allow_is_a_setting_to_mend
DISK = test_verdicts_cleared.test_a_disk_that_is_freed_lets_work_go_on
JOURNAL = test_verdicts_cleared.test_a_journal_that_can_be_written_again_lets_work_go_on
REPLACED = test_verdicts_cleared.test_a_program_that_was_replaced_asks_for_a_restart_which_ends_it

ROWS: dict[str, tuple[str, str, Shown]] = {
    # code: how it is forced, what clears it, the test that does both
    **{code: ("its fact", "the command in its action", RULE) for code, *_ in test_verdicts.ROWS},
    **{code: ("a wish of the owner's", "resume", WISH) for _, code, *_ in test_verdicts.WISHES},
    **{code: ("its fact", "the command in its action", REMARK) for code, *_ in test_verdicts.REMARKS},
    "clock_set": ("a clock that jumps", "ten minutes", CLOCK),
    "working": ("a task", "its end: nothing to do", ORDER),
    "full": ("as many tasks as places", "the end of one: nothing to do", ORDER),
    "waiting_for_work": ("a pool without work", "an offer: nothing to do", ORDER),
    "stopping": ("the worker's end", "nothing to do", ORDER),
    "recovered": ("a task that was cut off", "the next start: nothing to do", ORDER),
    "new_version": ("a signed list", "the newer version itself", RELEASE),
    "not_logged_in": ("a fresh home", "signing in", POOL),
    "login_refused": ("a password that was changed", "signing in with the new one", POOL),
    "connecting": ("the first connection", "the pool's answer: nothing to do", ORDER),
    "pool_unreachable": ("a pool that ended", "its start, and Try now", POOL),
    "pool_mute": ("a pool that answers nothing", "its answer, and Try now", POOL),
    "results_waiting": ("a result while the pool is away", "the pool's return", WAITS),
    "loopback_only": ("a pool elsewhere", "bind_address", ELSEWHERE),
    "vpn_down": ("a tunnel that is taken down", "bringing it up", TUNNEL),
    "engine_missing": ("no Docker on the path", "installing it", ENGINE),
    "engine_down": ("a socket that leads nowhere", "its start; or runtime = auto", ENGINE),
    "engine_hung": ("an engine that is suspended", "its going on", ENGINE),
    "engine_forbidden": ("another user's socket", "the next sign-in", FORBIDDEN),
    "engine_unsuitable": ("an engine of 2018", "a newer one", OLD),
    "image_missing": ("a name that is not here", "an image made here", FETCHED),
    "image_not_fetched": ("a registry that is not there", "Fetch the image; an image made here", FETCHED),
    "bad_setting": ("an image that is not allowed", "the setting", ALLOWED),
    "sandbox_preparing": ("a fetch under way", "its end: nothing to do", FETCHED),
    "sandbox_missing": ("no interpreter; Docker switched off", "installing it; the setting", BUILT_IN),
    "sandbox_failed": ("no process can be started", "room for it", BUILT_IN),
    "bad_pack": ("another file in its place", "installing it again", BUILT_IN),
    "no_permission": ("a file where a folder should be", "its removal", BUILT_IN),
    "disk_full": ("1 MiB free", "free space", DISK),
    "journal_unwritable": ("a file system without writing", "one with", JOURNAL),
    "program_replaced": ("new files under the program", "a restart", REPLACED),
}  # fmt: skip

BLOCKERS = (
    "engine/surroundings.py", "engine/loop.py", "worker_node/facts.py", "worker_node/vpn.py",
    "runtimes/choice.py", "runtimes/docker/runtime.py", "runtimes/docker/images.py",
    "runtimes/docker/image_facts.py", "runtimes/docker/networks.py", "runtimes/wasm/runtime.py",
    "runtimes/wasm/modules.py", "runtimes/wasm/packs.py", "runtimes/wasm/scientific.py",
)  # fmt: skip
"""Where what blocks all work comes from."""
OF_ONE_TASK = {
    "no_network": "a download that the owner asked for: `sandbox add`",
}
APP = Path(hivemind_worker.__file__).parent


def literal_codes(file: str) -> set[str]:
    """Every `code="…"` of a call in this file."""
    tree = ast.parse((APP / file).read_text("utf-8"))
    words = [each for each in ast.walk(tree) if isinstance(each, ast.keyword) and each.arg == "code"]
    return {str(word.value.value) for word in words if isinstance(word.value, ast.Constant)}


def faults_in(file: str) -> set[str]:
    """Every fault that is named in this file."""
    tree = ast.parse((APP / file).read_text("utf-8"))
    return {
        FaultCode[each.attr].value
        for each in ast.walk(tree)
        if isinstance(each, ast.Attribute)
        and isinstance(each.value, ast.Name)
        and each.value.id == "FaultCode"
    }


def all_codes() -> set[str]:
    spoken = literal_codes("presentation/health.py") | literal_codes("presentation/rule_words.py")
    links = {"not_logged_in", "login_refused", "pool_unreachable", "pool_mute"}
    blocking = set().union(*map(faults_in, BLOCKERS))
    return spoken | links | {code.value for code in RuleCode} | blocking


def test_every_code_that_a_verdict_can_have_is_forced_and_cleared_by_a_test() -> None:
    codes = all_codes()
    assert len(codes) > 50, "this test reads the codes from the source"
    assert codes - ROWS.keys() - OF_ONE_TASK.keys() == set(), "a row is missing"
    assert ROWS.keys() - codes == set(), "a row of a code that is no more"
    for code, (forced, clears, test) in ROWS.items():
        assert forced and clears, code
        assert test.__name__.startswith("test_"), code
