"""A short campaign: thousands of calls over vendors that fail, and nothing is lost, doubled or silently cut."""

from __future__ import annotations

import pytest

from ..campaign.ledger import Ledger, campaign

CALLS = 5000


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    found = campaign(CALLS, seed=20261124)
    print(f"\n{found}")
    return found


def test_every_call_ends_with_an_answer_or_an_error_of_ours(ledger):
    assert ledger.lost == 0, ledger.violations[:5]
    assert ledger.calls == ledger.answered + ledger.errors == CALLS


def test_no_request_goes_unreported_and_no_text_is_said_twice(ledger):
    assert ledger.doubled == 0, ledger.violations[:5]


def test_no_part_of_an_answer_passes_for_the_whole(ledger):
    assert ledger.cut == 0, ledger.violations[:5]


def test_every_request_is_reported_as_what_was_done_to_it(ledger):
    assert ledger.misread == 0, ledger.violations[:5]


def test_no_socket_is_left_open(ledger):
    assert ledger.sockets == 0, ledger.violations[:5]


def test_the_campaign_is_one_that_could_go_wrong(ledger):
    assert ledger.faults > 0.15 * ledger.attempts
    assert ledger.restarts > 0
    assert ledger.switches > 0
    assert ledger.kinds["StreamInterruptedError"] > 0
    assert ledger.kinds["AllTargetsFailedError"] > 0
