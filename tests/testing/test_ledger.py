from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from multimodel import CallError, Client
from multimodel.testing import FaultyVendor, Ledger, dynamics, faults
from multimodel.testing.site import LOG_MAXIMUM
from multimodel.types import Report

from .raw import ask


@pytest.fixture
def vendors() -> Iterator[dict[str, FaultyVendor]]:
    with FaultyVendor() as first, FaultyVendor() as second:
        yield {"first": first, "second": second}


@pytest.fixture
def client(vendors: dict[str, FaultyVendor]) -> Iterator[Client]:
    providers = {
        name: {"profile": "openai", "base_url": vendor.openai_url, "api_key": f"sk-{name}"}
        for name, vendor in vendors.items()
    }
    with Client({"providers": providers, "routes": {"chat": {"chain": ["first:m", "second:m"]}}}) as made:
        yield made


def call(client: Client, text: str = "Hi") -> Report:
    try:
        return client.complete("chat", text).report
    except CallError as error:
        return error.report


def test_attempts_and_requests_are_joined_one_by_one(vendors, client):
    ledger = Ledger(vendors)
    vendors["first"].fault = faults.status(401)
    entries = ledger.join([call(client)])
    assert [(entry.provider, entry.attempt.outcome, entry.request.status) for entry in entries] == [
        ("first", "authentication", 401),
        ("second", "ok", 200),
    ]
    assert [entry.problem for entry in entries] == [None, None]


def test_a_request_that_no_report_has_is_a_problem(vendors, client):
    ledger = Ledger(vendors)
    report = call(client)
    ask(vendors["second"])
    assert ledger.problems([report]) == ["`second` saw request 0, which no report has"]


def test_an_attempt_that_no_vendor_saw_is_a_problem(vendors, client):
    ledger = Ledger(vendors)
    report = call(client)
    invented = replace(report.attempts[0], request_id=None, index=2, outcome="server_error")
    doubled = replace(report, attempts=(*report.attempts, invented))
    assert ledger.problems([doubled]) == ["`first` never saw attempt 2 (server_error)"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"status": 403}, "its status is 401, the report says 403"),
        ({"request_id": None, "status": 500}, "its status is 401, the report says 500"),
    ],
)
def test_facts_that_differ_are_a_problem(vendors, client, wrong: dict, words: str):
    ledger = Ledger(vendors)
    vendors["first"].fault = faults.status(401)
    report = call(client)
    first, second = report.attempts
    (problem,) = ledger.problems([replace(report, attempts=(replace(first, **wrong), second))])
    assert words in problem


def test_what_was_never_sent_is_left_out(vendors, client):
    ledger = Ledger(vendors)
    vendors["first"].fault = faults.refuse()
    report = call(client)
    assert "connection.unsent" in {attempt.outcome for attempt in report.attempts}
    assert ledger.problems([report]) == []


def test_each_join_begins_where_the_last_one_ended(vendors, client):
    ledger = Ledger(vendors)
    for _ in range(3):
        assert [entry.request.index for entry in ledger.join([call(client)])] == [vendors["first"].requests - 1]


def test_calls_at_the_same_time_are_joined_too(vendors, client):
    ledger = Ledger(vendors)
    vendors["first"].fault = dynamics.every(3, faults.cut(after=2))
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda _number: call(client), range(80)))
    assert ledger.problems(reports) == []


def test_one_call_among_many_is_told_by_its_requests(vendors, client):
    ledger = Ledger(vendors, where=lambda request: request.text == "mine")
    call(client, "another's")
    assert ledger.problems([call(client, "mine")]) == []


def test_a_log_that_has_dropped_requests_cannot_be_joined(vendors, client):
    ledger = Ledger(vendors)
    report = call(client)
    vendors["first"].log.clear()
    with pytest.raises(RuntimeError, match="join more often"):
        ledger.join([report])


def test_the_log_keeps_the_newest_requests_and_counts_all(vendor: FaultyVendor):
    ask(vendor)
    vendor.log.extend(vendor.log * (LOG_MAXIMUM - 1))
    ask(vendor, text="the newest")
    assert len(vendor.log) <= LOG_MAXIMUM
    assert vendor.log[-1].text == "the newest"
    assert vendor.requests == 2
