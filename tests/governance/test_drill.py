from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodel import ConfigurationError
from multimodel.governance.digest import canonical, digest
from multimodel.governance.drill import Blocked, Call, DrillReport, Limits, Pair, Substitute, Vendor
from multimodel.governance.drill_file import hash_of, json_of, page_of, read_report
from multimodel.governance.drill_sums import judged, paired, phase, shares, spread
from multimodel.governance.drill_words import both_phases

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def call(target: str | None = "a:x", latency: float = 10.0, **facts) -> Call:
    outcome = "ok" if target is not None else "all_targets_failed"
    return Call(outcome=outcome, target=target, latency=latency, attempts=1, **facts)


def pair(number: int, before: Call, after: Call, kind: str = "text") -> Pair:
    both = before.outcome == after.outcome == "ok"
    added = after.latency - before.latency if both else None
    return Pair(prompt=number, kind=kind, baseline=before, drill=after, added=added)


def vendor(target: str, **facts) -> Vendor:
    none = dict.fromkeys(
        ("operator", "author", "jurisdiction", "region", "stored_in", "inference_in", "licence", "open_weights")
    )
    given = {"title": "A vendor", "endpoint": "x", "blocked": False, "state": "ready", "sources": ()}
    return Vendor(target=target, **{**none, **given, **facts})


def report(**facts) -> DrillReport:
    pairs = (
        pair(1, call(cost=0.25), call("b:y", 30.0, cost=0.5)),
        pair(2, call(latency=20.0), call(None, 5.0)),
    )
    before, after = (phase([getattr(one, name) for one in pairs], ["text"] * 2) for name in ("baseline", "drill"))
    blocked = Blocked(kind="operator", name="alibaba", targets=("a:x",), attempts=2, stopped=2, reached=0)
    vendors = (vendor("a:x", operator="alibaba", blocked=True), vendor("b:y", title="Open weights"))
    found = {
        "version": "0.1.0",
        "made_at": datetime(2026, 11, 29, 17, tzinfo=UTC),
        "made_by": "ann",
        "policy": "multimodel.yaml",
        "policy_hash": "0" * 64,
        "route": "chat",
        "prompts": "built in",
        "prompts_hash": "1" * 64,
        "concurrency": 1,
        "blocked": blocked,
        "baseline": before,
        "drill": after,
        "paired": paired(pairs),
        "vendors": vendors,
        "concentration": shares(vendors, before, after),
        "substitutes": (Substitute(without="operator alibaba", left=("b:y",), needs=(), tested=True),),
        "verdict": judged(Limits(), before, after, paired(pairs), blocked),
        "calls": pairs,
    }
    return DrillReport(**{**found, **facts})


# --- figures ---


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_values_that_occurred_in_order(values):
    found = spread(values)
    assert found.p50 <= found.p95 <= found.most == max(values)
    assert {found.p50, found.p95} <= set(values)
    assert sum(value <= found.p50 for value in values) * 2 >= len(values)


def test_a_phase_counts_answers_failures_and_what_is_unknown():
    found = report().drill
    assert (found.calls, found.answered, found.success) == (2, 1, 0.5)
    assert found.answered_by == {"b:y": 1}
    assert found.failures == {"all_targets_failed": 1}
    assert (found.cost, found.cost_unknown) == (0.5, 1)
    assert found.latency.p50 == 30.0  # failures have no latency of an answer


def test_a_schema_counts_as_missed_where_no_answer_fits_it_and_as_unknown_where_nothing_can_tell():
    def found(*calls: Call) -> tuple[int, int | None]:
        known = phase(calls, ["schema"] * len(calls))
        return known.schemas, known.valid

    assert found(call(valid=True), call(None)) == (2, 1)
    assert found(call(valid=None), call(None)) == (2, None)
    assert phase([call()], ["text"]).schemas == 0


def test_shares_are_of_answers_and_what_nobody_knows_is_no_name():
    operators, authors, _ = report().concentration
    assert operators.baseline.parts == {"alibaba": 1.0}
    assert operators.drill.parts == authors.drill.parts == {None: 1.0}
    assert str(authors.drill.herfindahl) == "0 to 10,000"  # they may all be different, or the same
    vendors = [vendor("a:x", operator="a"), vendor("b:y", operator="b")]
    half = phase([call(), call("b:y")], ["text"] * 2)
    assert str(shares(vendors, half, half)[0].baseline.herfindahl) == "5,000"


def test_a_share_that_is_not_all_is_not_written_as_all():
    many = phase([call()] * 1999 + [call(None)], ["text"] * 2000)
    answered = {name: told for name, told, _ in both_phases(report(baseline=many))}["calls answered"]
    assert answered == "1,999 of 2,000 (> 99.9%)"


@pytest.mark.parametrize("reached", [0, 1])
def test_a_drill_in_which_anything_reached_the_vendor_is_not_passed(reached):
    blocked = Blocked(kind="operator", name="a", targets=("a:x",), attempts=1, stopped=0, reached=reached)
    found = phase([call("b:y")], ["text"])
    assert judged(Limits(), found, found, paired([]), blocked).passed is (reached == 0)


@pytest.mark.parametrize(
    ("before", "after", "passed"), [(0, 0, True), (1, 1, True), (1, 0, True), (0, 1, False), (1, 2, False)]
)
def test_answers_that_do_not_fit_count_against_a_drill_only_where_they_did_before(before, after, passed):
    def made(misfits: int):
        wrong = call("b:y").model_copy(update={"outcome": "output_invalid", "valid": False})
        return phase([wrong] * misfits + [call("b:y", valid=True)] * (2 - misfits), ["schema"] * 2)

    blocked = Blocked(kind="operator", name="a", targets=("a:x",), attempts=0, stopped=0, reached=0)
    verdict = judged(Limits(), made(before), made(after), paired([]), blocked)
    assert (verdict.passed, made(after).answered, made(after).valid) == (passed, 2, 2 - after)


# --- hashes ---


@given(JSON)
def test_a_value_has_one_form_whatever_the_order_of_its_keys(value):
    def turned(value):
        if isinstance(value, dict):
            return {key: turned(inner) for key, inner in reversed(value.items())}
        return [turned(inner) for inner in value] if isinstance(value, list) else value

    assert canonical(turned(value)) == canonical(value)
    assert canonical(json.loads(canonical(value))) == canonical(value)


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_jq_and_sha256sum_make_the_same_hash(tmp_path):
    made = report(route='日本 "ü" \U0001f600 <b>')
    file = tmp_path / "report.json"
    file.write_bytes(json_of(made))
    ran = subprocess.run(
        f"jq -S 'del(.sha256)' {file} | sha256sum", shell=True, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split()[0] == hash_of(made) == json.loads(file.read_bytes())["sha256"]


def test_a_report_is_read_as_it_was_written_from_either_file(tmp_path):
    made = report(route="</code></pre><script>alert(1)</script>&amp;")
    for name, content in (("r.json", json_of(made)), ("r.html", page_of(made).encode())):
        file = tmp_path / name
        file.write_bytes(content)
        assert read_report(file) == made
        assert hash_of(read_report(file)) == hash_of(made)


def test_a_report_is_read_whoever_answered_and_whatever_failed(tmp_path):
    calls = [*[call("z:first")] * 3, *[call("a:last")] * 2, *[call("m:mid")] * 2, call(None)]
    some = phase(calls, ["text"] * len(calls))
    vendors = tuple(vendor(target, operator=target) for target in ("z:first", "a:last", "m:mid"))
    made = report(baseline=some, drill=some, vendors=vendors, concentration=shares(vendors, some, some))
    assert "z:first 3, a:last 2, m:mid 2" in page_of(made)
    for name, content in (("r.json", json_of(made)), ("r.html", page_of(made).encode())):
        (tmp_path / name).write_bytes(content)
        assert read_report(tmp_path / name) == made


@pytest.mark.parametrize(
    ("old", "new"), [('"answered": 1', '"answered": 2'), ('"reached": 0', '"reached": 1'), ("ann", "bob")]
)
def test_a_change_of_either_file_is_seen(tmp_path, old, new):
    made = report()
    for name, content in (("r.json", json_of(made).decode()), ("r.html", unescape(page_of(made)))):
        assert old in content
        file = tmp_path / name
        file.write_text(content.replace(old, new), encoding="utf-8")
        with pytest.raises(ConfigurationError, match="was changed since it was made"):
            read_report(file)


@pytest.mark.parametrize(
    "forged",
    ['"made_by": "bob",\n  "made_by": "ann"', '"made_by": "ann",  ', '"made_by":\u00a0"ann"', '"made_by": "\\u0061nn"'],
)
def test_what_a_reader_sees_first_in_a_file_is_what_its_hash_is_of(tmp_path, forged):
    file = tmp_path / "r.json"
    original = json_of(report()).decode()
    file.write_text(original.replace('"made_by": "ann"', forged), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"was changed since it was made|is no report"):
        read_report(file)


def test_a_page_whose_words_were_changed_and_not_its_data_is_seen(tmp_path):
    file = tmp_path / "r.html"
    file.write_text(page_of(report()).replace("Not passed", "Passed", 1), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="was changed since it was made"):
        read_report(file)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"{}", b"\xff\xfe", b"<html>", b'{"format": "multimodel.drill/2"}']
)
def test_a_file_that_is_no_report_is_refused(tmp_path, content):
    file = tmp_path / "r.json"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is no report of a drill"):
        read_report(file)


def test_a_hash_does_not_count_itself():
    assert digest({"a": 1}) == digest({"a": 1, "sha256": "anything"})


# --- the page ---


def test_the_page_asks_the_questions_of_dora_names_its_source_and_claims_nothing():
    page = page_of(report())
    for words in (
        "article 28(8), exit strategies",
        "article 28(3), register of information",
        "article 29(1)(b), the same or connected providers",
        "article 29(1)(a), easily substitutable",
        "article 29(2), third countries",
        "Regulation (EU) 2022/2554 (DORA)",
        "of 14 December 2022, which applies from 17 January 2025",
    ):
        assert words in page
    assert "complian" not in page.lower()


def test_the_page_says_first_whether_the_drill_was_passed():
    page = page_of(report())
    start = page.index("<main>")
    assert "Not passed: 1 of 2 calls answered while alibaba could not be reached." in page[start : start + 400]
    assert "1 of 2 calls were not answered without alibaba" in page


def test_a_page_of_many_calls_shows_the_first_and_says_where_the_rest_are():
    made = report()
    many = page_of(made.model_copy(update={"calls": made.calls * 150}))
    assert "The first 200 pairs; the JSON below has all" in many
    assert many.count("<tr>") < 300


def test_the_page_loads_nothing_and_shows_its_hash():
    made = report()
    page = page_of(made)
    assert hash_of(made) in page
    assert "<script" not in page
    assert "src=" not in page
