# ruff: noqa: F401 - what is imported are tests
"""What the embedded pool does on its disk it does on a NATS server: the same tests, the other book."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.test_local_pool import (
    test_a_known_id_is_refused_also_to_another_account,
    test_a_transfer_moves_tokens_once,
    test_a_waiting_task_has_no_result_and_can_be_stopped_once,
    test_accounts_tokens_and_waiting_tasks_survive_a_restart,
    test_of_racing_uploads_of_one_id_exactly_one_wins,
    test_transfers_at_the_same_time_never_spend_a_token_twice,
)
from tests.contract.test_local_pool_work import (
    test_a_completed_task_earns_what_it_asked_for_and_costs_nobody,
    test_a_node_that_refused_does_not_hold_the_task,
    test_a_result_that_comes_before_the_offer_was_answered_is_not_lost,
    test_a_task_fails_after_a_minute_of_silence_and_a_late_result_completes_it,
    test_a_task_stopped_while_its_offer_is_on_its_way_is_stopped_at_the_worker,
    test_a_task_that_one_node_refuses_goes_to_another_at_once,
    test_a_task_whose_archive_is_gone_fails_with_words,
    test_a_worker_that_is_away_hears_of_the_stop_when_it_is_back_even_after_a_restart,
    test_archives_too_large_to_be_on_their_way_together_wait_and_smaller_ones_do_not,
    test_of_many_tasks_that_fit_all_are_handed_out,
    test_of_racing_different_results_one_is_kept,
    test_one_result_is_kept_however_often_it_comes,
    test_stop_tells_the_worker_and_keeps_what_it_then_sends,
    test_tasks_that_a_node_has_just_refused_hold_up_none_of_those_behind_them,
    test_two_nodes_of_one_account_each_hold_their_own_tasks,
    test_who_has_waited_longest_comes_first_whatever_the_tasks_ask_for,
)
from tests.nats.here import PoolOnEngine, pool_on_engine, server_here

pytestmark = pytest.mark.release


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[PoolOnEngine]:
    async with server_here(tmp_path / "server") as here, pool_on_engine(tmp_path / "pool", here) as running:
        yield running
