"""Every fault of the loopback vendor, on both wires, four ways: never a false answer, and nothing leaks.

``pytest -s`` prints how many cases there are, and how many places were searched for the key and the prompt.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import ssl
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from multimodel import (
    AllTargetsFailedError,
    AsyncClient,
    CallError,
    Client,
    Completion,
    ReasoningDelta,
    StreamInterruptedError,
    TextDelta,
    ToolCallDelta,
)
from multimodel.cli import main
from multimodel.client.explanation import Explanation
from multimodel.client.views import Status
from multimodel.testing import Authority, Fault, FaultyVendor, Ledger, Reply, VendorRequest, dynamics, faults
from multimodel.types import Report

from ..observe.told import Told, forget_providers
from .canary import (
    ECHO,
    KEY,
    PROMPT,
    Canary,
    places_of_a_client,
    places_of_a_report,
    places_of_an_answer,
    places_of_an_error,
)
from .fault_table import CASES, DASHSCOPE_ONLY, PLAIN, WHOLE, WIRES, Case

SECOND = "from the second"
TRIPS = {"authentication", "permission_denied", "quota_exhausted", "model_not_found", "connection.tls"}
"""After these the first vendor is not asked for a while."""
ALL = CASES | DASHSCOPE_ONLY
WAYS = ("complete", "acomplete", "stream", "astream")
RUNS = [(*key, way) for key in CASES for way in WAYS] + [
    (*key, way) for key in DASHSCOPE_ONLY for way in ("complete", "astream")
]


@dataclass
class Got:
    """What came of one call."""

    spelled: str = ""
    completion: Completion | None = None
    error: CallError | None = None

    @property
    def report(self) -> Report:
        answered = self.completion if self.completion is not None else self.error
        assert answered is not None
        assert answered.report is not None
        return answered.report


class Log(logging.Handler):
    """Every record at DEBUG, as whoever looks for secrets sees it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(f"{record.getMessage()} {vars(record)}")


class Bench:
    """The two vendors that all cases share; a case is told apart by the words in its prompt."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.authority = Authority()
        self.first = self._stack.enter_context(FaultyVendor(answer=self._answer, fault=self._fault))
        self.second = self._stack.enter_context(FaultyVendor(answer=SECOND))
        self.log = self._stack.enter_context(_logged())
        self.canary = Canary()
        forget_providers()
        self._stack.callback(forget_providers)
        self.told = Told()
        self.results: dict[tuple[str, str, str], list[str]] = {}

    def close(self) -> None:
        self._stack.close()

    def _case(self, request: VendorRequest) -> Case | None:
        name = request.text.partition("#")[2].partition("#")[0]
        return ALL[name, request.wire or ""] if name else None

    def _fault(self, request: VendorRequest) -> Fault | None:
        case = self._case(request)
        return None if case is None else case.fault

    def _answer(self, request: VendorRequest) -> Reply:
        case = self._case(request)
        return PLAIN if case is None else case.says

    @contextmanager
    def vendor(self, case: Case) -> Iterator[FaultyVendor]:
        """The faulty vendor of a case."""
        if case.own == "no":
            yield self.first
            return
        authority = self.authority if case.own == "https" else None
        with FaultyVendor(answer=case.says, fault=case.fault, authority=authority) as own:
            yield own

    # --- one case

    def wrong(self, name: str, wire: str, way: str) -> list[str]:
        """What is wrong with the outcome of one case; empty is right."""
        case = ALL[name, wire]
        with self.vendor(case) as first:
            policy = _policy(case, first, self.second, wire)
            prompt = f"{PROMPT} #{name}# {wire} {way}"
            ledger = Ledger({"first": first, "second": self.second}, where=lambda request: request.text == prompt)
            with Caller(policy, way) as caller:
                got = caller.ask(prompt, **_options(case))
                searched = self.canary.search(*places_of_a_client(*caller.says()))
                found = _verdict(case, got, streamed="stream" in way) + ledger.problems([got.report])
                if case.own != "no":
                    first.fault = None
                healthy = caller.ask(PROMPT, route="patient")
            searched += self.canary.search(
                *places_of_an_error(got.error), *places_of_an_answer(got.completion), *places_of_a_report(got.report)
            )
            if got.error is not None:
                with self.told.tracer.start_as_current_span("application") as span:
                    span.record_exception(got.error)  # as it does by itself with what passes through
            found += _afterwards(case, healthy) + searched
            if len(str(got.error).encode()) > 2048:
                found.append("str(error) is longer than 2 KB")
        return found

    def overheard(self) -> list[str]:
        """Look into what was logged and told since the last time."""
        lines, self.log.seen[:] = self.log.seen[:], []
        return self.canary.search(
            *(("log record", line) for line in lines), *(("span", span.to_json()) for span in self.told.take())
        )

    def hasty(self) -> None:
        """Run the cases that have to wait, all at once."""
        for way in WAYS:
            self.wrong("1xx, then the answer", "openai", way)  # what is imported on first use takes its time
        waiting = [(name, wire, way) for name, wire, way in RUNS if ALL[name, wire].hasty]
        with ThreadPoolExecutor(16) as pool:
            for key, found in zip(waiting, pool.map(lambda one: self.wrong(*one), waiting), strict=True):
                self.results[key] = found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANARY_KEY", KEY)
        made = Bench()
        _trust(made.authority, tmp_path_factory.mktemp("trust") / "authority.pem", patch)
        made.hasty()
        yield made
        made.close()
        names = {name for name, _, _ in made.results}
        right = sum(not found for found in made.results.values())
        print(f"\nfaults: {len(names)}, cases: {len(made.results)}, right verdicts: {right}")
        print(*((key, found) for key, found in made.results.items() if found), sep="\n")
        searched = made.canary.searched
        print(f"places searched for the key and the prompt: {searched.total():,}, hits: {len(made.canary.hits)}")
        print(*(f"  {count:6,}  {place}" for place, count in searched.most_common()), sep="\n")


@pytest.mark.parametrize(("name", "wire", "way"), RUNS, ids=[f"{wire}, {way}: {name}" for name, wire, way in RUNS])
def test_the_caller_gets_the_whole_truth_or_an_error(bench: Bench, name: str, wire: str, way: str):
    key = name, wire, way
    if key not in bench.results:
        bench.results[key] = bench.wrong(*key)
    assert bench.results[key] == []
    assert bench.overheard() == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wire", WIRES)
def test_neither_key_nor_prompt_is_in_what_operators_keep(bench: Bench, wire: str, way: str, tmp_path: Path, capsys):
    case = Case(faults.status(500, message=ECHO), "before", "server_error")
    with FaultyVendor(fault=case.fault) as first:
        policy = _policy(case, first, bench.second, wire)
        policy["routes"]["vectors"] = {"chain": ["first:embedder"]}
        policy["routes"]["alone"] = {"chain": ["first:qwen-plus"]}
        file = tmp_path / "multimodel.yaml"
        file.write_text(json.dumps(policy), encoding="utf-8")  # JSON is YAML
        with Caller(str(file), way) as caller:
            for number in range(3):
                if number == 1:
                    caller.off("first")
                caller.ask(PROMPT)
                assert bench.canary.search(*places_of_a_client(*caller.says())) == []
            caller.on("first")
            assert bench.canary.search(*places_of_an_error(caller.embed(PROMPT))) == []
        capsys.readouterr()
        for command in (
            ["complete", "alone", PROMPT, "--report"],
            ["status"],
            ["explain", "chat"],
            ["check"],
            ["audit", "verify"],
        ):
            main([*command, "--config", str(file)])
    printed = capsys.readouterr()
    file.unlink()
    kept = [(f"file `{one.name}`", one.read_text(encoding="utf-8")) for one in sorted(tmp_path.iterdir())]
    assert {name for name, _ in kept} >= {"file `multimodel.off.json`", "file `multimodel.audit.jsonl`"}
    assert bench.canary.search(*kept, ("key: command line", printed.out + printed.err)) == []
    assert "server_error" in printed.err
    assert bench.overheard() == []
    assert bench.canary.search(("metrics", bench.told.metrics_as_json())) == []


def test_neither_key_nor_prompt_is_in_a_warning(bench: Bench):
    policy = _policy(Case(None, "harmless"), bench.first, bench.second, "openai")
    with warnings.catch_warnings(record=True) as seen, Client(policy) as client:
        warnings.simplefilter("always")
        stream = client.stream("chat", PROMPT)
        next(stream)
        del stream
        gc.collect()
    assert [one.category for one in seen] == [ResourceWarning]
    assert bench.canary.search(*(("warning", f"{one} {one.source!r}") for one in seen)) == []
    assert bench.overheard() == []


def test_there_are_faults_enough():
    assert len({name for name, _ in CASES}) >= 120


# --- what no table shows


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_target_of_a_redirect_sees_nothing(bench: Bench, wire: str, status: int):
    with FaultyVendor() as other, FaultyVendor() as first:
        for url in (other.openai_url, other.dashscope_url):
            first.fault = faults.redirect(f"{url}/chat/completions", status=status)
            with Caller(_policy(Case(None, "before"), first, bench.second, wire), "complete") as caller:
                assert caller.ask(PROMPT).spelled == SECOND
        assert other.connections.total == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wire", WIRES)
def test_a_connection_that_is_closed_behind_an_answer_costs_no_answer(wire: str, way: str):
    with FaultyVendor(answer=WHOLE, fault=faults.close_after_answer()) as first, FaultyVendor() as second:
        ledger = Ledger({"first": first, "second": second})
        policy = _policy(Case(None, "harmless"), first, second, wire)
        policy["routes"]["chat"]["retry"] = {"attempts": 2}
        with Caller(policy, way) as caller:
            answers = [caller.ask(PROMPT) for _ in range(20)]
        assert [answer.spelled for answer in answers] == [WHOLE] * 20
        assert ledger.problems(answer.report for answer in answers) == []
        assert second.requests == 0


DYNAMICS = {
    "every": lambda: dynamics.every(3, faults.cut(after=2)),
    "brown_out": lambda: dynamics.brown_out(0.4, faults.reset_before_headers(), seed=7),
    "flap": lambda: dynamics.flap(0.02, 0.02, faults.status(500)),
    "outage": lambda: dynamics.outage(0.05),
    "probe_trap": lambda: dynamics.probe_trap(5, good=1, fault=faults.in_stream_error(after=0)),
    "slow_ramp": lambda: dynamics.slow_ramp(0.2),
    "limited": lambda: dynamics.limited(10, 60.0),
}


@pytest.mark.parametrize("way", ["complete", "acomplete"])
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", DYNAMICS)
def test_a_vendor_that_comes_and_goes_costs_no_answer(name: str, wire: str, way: str):
    with (
        FaultyVendor(answer=WHOLE, fault=DYNAMICS[name]()) as first,
        FaultyVendor(answer=SECOND) as second,
    ):
        ledger = Ledger({"first": first, "second": second})
        policy = _policy(Case(None, "before"), first, second, wire)
        limit = 0.5 if name == "slow_ramp" else 10.0
        policy["routes"]["chat"]["chain"][0] = {"target": "first:qwen-plus", "timeouts": {"first_content": limit}}
        with Caller(policy, way) as caller:
            answers = [caller.ask(PROMPT) for _ in range(60)]
        assert {(answer.report.attempts[-1].target.provider, answer.spelled) for answer in answers} <= {
            ("first", WHOLE),
            ("second", SECOND),
        }
        assert ledger.problems(answer.report for answer in answers) == []


@pytest.mark.parametrize("wire", WIRES)
def test_a_vendor_that_recovers_under_load_is_used_again(wire: str):
    with FaultyVendor(answer=WHOLE, fault=dynamics.outage(0.3)) as first, FaultyVendor(answer=SECOND) as second:
        ledger = Ledger({"first": first, "second": second})
        policy = _policy(Case(None, "before"), first, second, wire)
        policy["routes"]["chat"]["breaker"] = {"open_at_most": 0.2}
        again = threading.Event()

        def load(client: Client) -> list[Completion]:
            answers = [client.complete("chat", PROMPT)]
            while not again.is_set() and sum(one.report.duration for one in answers) < 20:
                answers.append(client.complete("chat", PROMPT))
                if sum(one.target.provider == "first" for one in answers) > 20:
                    again.set()
            return answers

        with Client(policy) as client, ThreadPoolExecutor(4) as pool:
            answers = [answer for one in pool.map(load, [client] * 4) for answer in one]
        assert again.is_set()
        assert {(answer.target.provider, answer.text) for answer in answers} == {("first", WHOLE), ("second", SECOND)}
        assert ledger.problems(answer.report for answer in answers) == []


BOMBS = {
    "200 MB in one line": (faults.long_line(), "complete", "invalid_response"),
    "gzip bomb": (faults.gzip_bomb(size=500_000_000), "acomplete", "invalid_response"),
    "a million tiny events": (faults.tiny_events(), "stream", "invalid_response"),
    "endless headers": (faults.endless_headers(), "acomplete", "invalid_response"),
    "endless refusal": (faults.endless_refusal(), "complete", "server_error"),
}


def test_no_bomb_takes_more_than_40_mib():
    script = Path(__file__).with_name("bombs.py")
    seen = {}
    with FaultyVendor() as first, FaultyVendor(answer=SECOND) as second:
        for name, (fault, way, kind) in BOMBS.items():
            first.fault = fault
            command = [sys.executable, script, first.openai_url, second.openai_url, "openai", way]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
            assert found["kinds"][0] == f"first {kind}", name
            seen[name] = found["grew"]
    print("\nmemory growth in MiB:", {name: round(grew, 1) for name, grew in seen.items()})
    assert all(grew <= 40 for grew in seen.values()), seen


# --- calls


class Caller:
    """One client, asked one way."""

    def __init__(self, policy: dict | str, way: str) -> None:
        self._way = way
        self._loop = asyncio.Runner() if way.startswith("a") else None
        self._client = Client(policy) if self._loop is None else AsyncClient(policy)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._loop is None:
            self._client.close()
        else:
            self._loop.run(self._client.aclose())
            self._loop.close()

    def ask(self, prompt: str, *, route: str = "chat", **options: object) -> Got:
        got = Got()
        try:
            match self._way:
                case "complete":
                    got.completion = self._client.complete(route, prompt, **options)
                    got.spelled = _said(got.completion)
                case "stream":
                    with self._client.stream(route, prompt, **options) as stream:
                        for event in stream:
                            _take(got, event)
                        got.completion = stream.completion
                case "acomplete":
                    got.completion = self._loop.run(self._client.complete(route, prompt, **options))
                    got.spelled = _said(got.completion)
                case _:
                    self._loop.run(self._astream(got, route, prompt, options))
        except CallError as error:
            got.error = error
        return got

    def embed(self, prompt: str) -> CallError | None:
        try:
            vectors = self._client.embed("vectors", prompt)
            if self._loop is not None:
                self._loop.run(vectors)
        except CallError as error:
            return error
        return None

    def off(self, name: str) -> None:
        self._client.off(name, reason="drill", by="ann")

    def on(self, name: str) -> None:
        self._client.on(name, by="ann")

    def says(self) -> tuple[object, Status, Explanation]:
        return self._client, self._client.status(), self._client.explain("chat")

    async def _astream(self, got: Got, route: str, prompt: str, options: dict) -> None:
        async with self._client.stream(route, prompt, **options) as stream:
            async for event in stream:
                _take(got, event)
            got.completion = stream.completion


TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("first", "second")
]


def _options(case: Case) -> dict:
    return ({"tools": TOOLS} if case.says.tool_calls else {}) | ({"reasoning_effort": "low"} if case.thinks else {})


def _take(got: Got, event: object) -> None:
    if isinstance(event, TextDelta | ReasoningDelta):
        got.spelled += event.text
    elif isinstance(event, ToolCallDelta):
        got.spelled += event.arguments


def _said(completion: Completion) -> str:
    return completion.reasoning + completion.text + "".join(call.arguments for call in completion.tool_calls)


def _policy(case: Case, first: FaultyVendor, second: FaultyVendor, wire: str) -> dict:
    def provider(vendor: FaultyVendor, key: str) -> dict:
        url = {"openai": vendor.openai_url, "dashscope": vendor.dashscope_url, "compatible": vendor.compatible_url}
        protocol = {"protocol": "compatible"} if wire == "compatible" else {}
        profile = "openai" if wire == "openai" else "dashscope"
        return {"profile": profile, **protocol, "base_url": url[wire], "api_key": key}

    limit = {"timeout.connect": "connect", "timeout.first": "first_content", "timeout.idle": "idle"}.get(case.kind)
    asked = provider(first, "${CANARY_KEY}")
    if case.own == "nowhere":
        asked["base_url"] = "https://nowhere.invalid/v1"
    return {
        "providers": {"first": asked, "second": provider(second, "sk-second")},
        "routes": {
            "chat": {
                "chain": [{"target": "first:qwen-plus", "timeouts": {limit: 0.5} if limit else {}}, "second:qwen-plus"],
                "retry": {"attempts": 1},
            },
            "patient": {"chain": ["first:qwen-plus", "second:qwen-plus"], "retry": {"attempts": 1}},
        },
    }


# --- verdicts


def _verdict(case: Case, got: Got, *, streamed: bool) -> list[str]:
    attempts = [(one.target.provider, one.outcome) for one in got.report.attempts]
    first, error, answer = ("first", case.kind), got.error, got.completion
    found = []
    by = answer.target.provider if answer is not None else type(error).__name__
    expected: tuple[object, ...]
    seen: tuple[object, ...] = (by, attempts)
    match case.when:
        case "harmless":
            truth = case.text or _truth(case)
            expected = "first", [first]
            same = sorted if case.fault == faults.shuffled_tool_calls() else str
            if answer is not None and (same(got.spelled) != same(truth) or _said(answer) != truth):
                found.append(f"said {got.spelled[:80]!r} and not {truth[:80]!r}")
        case "after" if streamed:
            expected = StreamInterruptedError.__name__, [first]
            if not isinstance(error, StreamInterruptedError) or not _truth(case).startswith(got.spelled):
                found.append(f"said {got.spelled[:80]!r} before {error!r}")
            elif not got.spelled or (case.says.text and not case.says.reasoning and error.partial != got.spelled):
                found.append(f"`partial` is {error.partial!r} after {got.spelled!r}")
        case "ends" if streamed and got.spelled:
            expected = StreamInterruptedError.__name__, [first]
        case "ends":
            expected = case.kind, [first]
            seen = (error.kind if error is not None else by), attempts
        case "alone":
            expected = AllTargetsFailedError.__name__, [first]
        case _:
            expected = "second", [first, ("second", "ok")]
            if answer is not None and (answer.text != SECOND or not got.spelled.endswith(SECOND)):
                found.append(f"said {got.spelled[:80]!r} and not {SECOND!r}")
    if seen != expected:
        found.append(f"got {seen} and not {expected}")
    return found


def _truth(case: Case) -> str:
    said = case.says
    return said.reasoning + said.text + "".join(call.arguments for call in said.tool_calls)


def _afterwards(case: Case, healthy: Got) -> list[str]:
    """A healthy call on the same client is answered, by the first vendor unless it has to be left alone."""
    gated = case.kind == "rate_limited" and "'Retry-After', '0'" not in str(case.fault)
    left_alone = case.kind in TRIPS or gated or case.own == "nowhere"
    by = "second" if left_alone else case.later
    text = SECOND if by == "second" else WHOLE if case.own == "no" else case.says.text
    if healthy.completion is None:
        return [f"a healthy call afterwards failed: {healthy.error!r}"]
    said = healthy.completion.text
    answered = healthy.completion.target.provider
    if (answered, said) != (by, text):
        return [f"a healthy call afterwards: {answered} said {said[:80]!r}"]
    return []


# --- the surroundings


@contextmanager
def _logged() -> Iterator[Log]:
    handler, root = Log(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def _trust(authority: Authority, file: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the system's trust store be this one authority."""
    file.write_bytes(authority.pem)
    paths = ssl.get_default_verify_paths()._replace(openssl_cafile=str(file), openssl_capath="")
    patch.setattr(ssl, "get_default_verify_paths", lambda: paths)
