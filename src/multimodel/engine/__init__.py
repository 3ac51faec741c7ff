"""The engine: pure decisions about one call. No clock, socket, thread or lock is used in here.

:func:`run` is a generator. It yields a :class:`Step` (start an attempt, commit, wait until …) and is sent
the next :class:`Event`, each with the time at which it happened. Drivers perform the steps; with a simulated
driver the same code runs in virtual time.

The laws, in the order in which a call meets them, each with tests that hold it; all but the one of budgets hold in
``test_a_million_calls_in_random_worlds_break_no_law``:

 1. One deadline covers every attempt, sleep and fallback of a call; nothing starts that cannot run for half a
    second. The first content of a target must come within its own limit or its share of what remains.
    ``test_the_deadline_ends_the_call_and_names_what_was_tried``,
    ``test_a_silent_target_cannot_eat_the_time_of_the_fallback``,
    ``test_no_attempt_starts_with_less_than_half_a_second_left``
 2. Each target of the chain is visited once, in order: at most ``retry.attempts`` requests a visit and
    ``max_attempts`` a call.
    ``test_a_chain_never_sends_more_than_max_attempts``
 3. A target is skipped while one of its breakers is open, its credential's gate is shut, or as many attempts are
    under way on it as may be. Every skip is recorded.
    ``test_the_group_has_one_error_per_attempt_and_per_skip``, ``test_a_full_target_is_passed_by``
 4. What may be repeated on the same target, tried on the next, and counted against whom is one table: ``rules``.
    ``test_every_kind_has_a_rule``, ``test_only_the_table_allows_a_second_request_to_the_same_target``
 5. A repeat on the same target takes a token from the credential's retry bucket, before it sleeps; an empty
    bucket means the next target. Fallbacks are free.
    ``test_repeats_never_exceed_the_budget``, ``test_an_empty_budget_means_the_next_target_and_no_wait``
 6. A breaker opens after consecutive failures, by ratio, or at once for failures that waiting does not cure. Open
    turns into half-open: one probe at a time, on a real call, with a lease. Results of another epoch are dropped.
    What the caller's haste cut short counts only if the target had a fair chance.
    ``test_half_open_admits_one_probe_at_a_time``, ``test_a_lost_probe_does_not_wedge_the_breaker``,
    ``test_the_result_of_another_epoch_changes_nothing``, ``test_hasty_callers_do_not_condemn_a_healthy_target``
 7. A server's wait shuts the credential's gate for the whole client; the call sleeps only if the wait is short
    or nothing else is left.
    ``test_a_long_wait_goes_to_the_next_target_at_once_and_holds_for_the_whole_client``,
    ``test_a_wait_of_a_day_is_never_cut_short``
 8. A refusal for too many requests lowers how many attempts may be under way; answers raise it again.
    ``test_a_refusal_leaves_seven_tenths``, ``test_as_many_answers_as_the_limit_raise_it_by_one``
 9. When nothing answered, targets that were skipped only for an open breaker, a shut gate or a full bulkhead are
    tried once, as the last resort. A target that is switched off is never in the chain.
    ``test_an_open_target_is_asked_when_nothing_else_answers``,
    ``test_the_last_resort_is_taken_four_times_a_second_at_most``
10. A second attempt joins a slow one only on another credential and endpoint with closed breakers, and only with a
    token of a bucket that holds one. The first content wins; the loser is broken off before the winner is shown,
    and says nothing about its target unless it had failed by itself. Neither is repeated; but if the winner's answer
    breaks, the loser has its turn still.
    ``test_the_loser_is_closed_before_the_second_piece_of_the_winner``, ``test_the_budget_has_no_reserve``,
    ``test_when_both_fail_each_is_reported_once_and_neither_is_repeated``,
    ``test_who_lost_to_an_answer_that_broke_has_its_turn_still``
11. First content commits a stream: from there on a failure is the caller's to see, or the next target begins anew
    (``restart``) or goes on (``continue``), and the caller is told with its first content. An answer of which a
    tool call was shown does neither. A truncated answer is never a success.
    ``test_with_restart_the_next_target_begins_anew_and_the_caller_is_told``,
    ``test_a_refused_beginning_is_never_the_error_that_is_shown``,
    ``test_an_answer_of_which_a_tool_call_was_shown_never_begins_anew``,
    ``test_an_end_without_a_terminal_signal_is_never_a_success``
12. What the vendor may have carried out is not sent again.
    ``test_what_may_have_been_carried_out_is_not_sent_again``
13. An answer that does not fit what was asked for says nothing about its target's health. The same target is asked
    once more, then those that come after it in the chain, within the same call: one deadline, one ``max_attempts``,
    one report.
    ``test_an_answer_that_does_not_fit_is_asked_for_once_more``, ``test_a_second_misfit_means_the_next_target``,
    ``test_one_call_counts_on_across_its_parts``
14. Where a call has a budget, the most that an attempt can cost is set aside before it begins, and what it did cost
    is booked when it has ended, whichever way; one that does not fit is not begun. What was spent and what is set
    aside never exceed the budget together.
    ``test_what_is_spent_and_set_aside_never_exceeds_the_budget``, ``test_threads_never_overshoot``,
    ``test_a_day_of_calls_stays_within_its_budget_whatever_vendors_and_callers_do``
15. However a call ends (cancelled, closed, an error of ours), its permits are given back, and it ends only when
    every attempt has ended.
    ``test_closing_a_call_gives_its_permit_back_and_records_it``,
    ``test_a_call_cancelled_at_any_moment_leaves_nothing_behind``
"""

from __future__ import annotations

from .health import Health, Turn
from .rules import RULES, Rule
from .run import Call, run
from .settings import BreakerSettings, CallSettings, HedgeSettings, RetrySettings, TargetPlan
from .steps import Cancel, Commit, End, Ended, Event, First, Start, Step, ToolShown, Woke

__all__ = [
    "RULES",
    "BreakerSettings",
    "Call",
    "CallSettings",
    "Cancel",
    "Commit",
    "End",
    "Ended",
    "Event",
    "First",
    "Health",
    "HedgeSettings",
    "RetrySettings",
    "Rule",
    "Start",
    "Step",
    "TargetPlan",
    "ToolShown",
    "Turn",
    "Woke",
    "run",
]
