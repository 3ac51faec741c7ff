"""Spans as an application with OpenTelemetry gets them, over loopback vendors."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind, StatusCode

from multimodel import AllTargetsFailedError, AsyncClient, Client, Completion
from multimodel.observe import telemetry
from multimodel.testing import FakeProvider, FaultyVendor, Reply, faults

from .told import Told, forget_providers

POLICY = """
providers:
  dashscope: {{base_url: "{first}", api_key: sk-first}}
  house: {{profile: openai, base_url: "{second}", api_key: sk-second, operator: house}}
routes:
  chat: {{chain: [dashscope:qwen-plus, house:our-model], retry: {{attempts: 1}}}}
  hedged: {{chain: [dashscope:qwen-plus, house:our-model], hedge: {{after: 50ms, budget: 100%}}}}
  vectors: {{chain: [dashscope:text-embedding-v4]}}
"""

WAYS = ("complete", "acomplete", "stream", "astream")


class Leave(Exception):
    """The application has enough."""


def ask(policy: str, way: str, *, route: str = "chat", meanwhile: Callable[[], None] = lambda: None) -> Completion:
    """Ask once, one of four ways; ``meanwhile`` is called between the events of a stream."""
    if way == "complete":
        with Client(policy) as client:
            return client.complete(route, "Is it?")
    if way == "stream":
        with Client(policy) as client, client.stream(route, "Is it?") as stream:
            for _ in stream:
                if stream.report.outcome == "open":
                    meanwhile()
            return stream.completion

    async def asynchronous() -> Completion:
        async with AsyncClient(policy) as client:
            if way == "acomplete":
                return await client.complete(route, "Is it?")
            async with client.stream(route, "Is it?") as stream:
                async for _ in stream:
                    if stream.report.outcome == "open":
                        meanwhile()
                return stream.completion

    return asyncio.run(asynchronous())


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def vendors() -> Iterator[tuple[FaultyVendor, FaultyVendor]]:
    with FaultyVendor(answer=Reply("Yes.")) as first, FaultyVendor(answer="No.") as second:
        yield first, second


@pytest.fixture
def policy(vendors, tmp_path) -> str:
    file = tmp_path / "multimodel.yaml"
    file.write_text(POLICY.format(first=vendors[0].dashscope_url, second=vendors[1].openai_url), encoding="utf-8")
    return str(file)


def test_a_call_is_a_span_and_its_attempt_a_child_of_it(told, vendors, policy):
    with Client(policy) as client:
        answer = client.complete("chat", "Is it?")
    call, attempt = told.spans
    assert (call.name, call.kind, call.parent) == ("chat chat", SpanKind.INTERNAL, None)
    assert (attempt.name, attempt.kind, attempt.parent.span_id) == (
        "chat qwen-plus",
        SpanKind.CLIENT,
        call.context.span_id,
    )
    assert dict(call.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "chat",
        "gen_ai.response.model": answer.model,
        "multimodel.route": "chat",
        "multimodel.target": "dashscope:qwen-plus",
        "multimodel.attempts": 1,
        "multimodel.skipped": (),
        "multimodel.policy.hash": client.policy.fingerprint,
    }
    port = int(vendors[0].dashscope_url.rpartition(":")[2].partition("/")[0])
    said = dict(attempt.attributes)
    assert said.pop("gen_ai.response.time_to_first_chunk") > 0
    assert said.pop("gen_ai.usage.cost.amount", None) == answer.usage.cost
    said.pop("gen_ai.usage.cost.currency", None), said.pop("gen_ai.usage.cost.source", None)
    assert said == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "alibaba.dashscope",
        "gen_ai.request.model": "qwen-plus",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": answer.model,
        "gen_ai.response.id": answer.request_id,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": answer.usage.input_tokens,
        "gen_ai.usage.output_tokens": answer.usage.output_tokens,
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": port,
        "multimodel.attempt.index": 1,
        "multimodel.attempt.reason": "first",
        "multimodel.author": "alibaba",
        "multimodel.jurisdiction": "CN",
    }


def test_the_active_span_of_the_application_is_the_parent(told, policy):
    with Client(policy) as client, told.tracer.start_as_current_span("application") as mine:
        client.complete("chat", "Is it?")
    (call,) = told.named("chat chat")
    assert call.parent == mine.get_span_context()
    assert {span.context.trace_id for span in told.spans} == {mine.get_span_context().trace_id}


def test_the_span_of_a_call_is_active_while_it_lasts_and_not_after(told, policy):
    seen = []
    fake = FakeProvider([lambda _attempt: seen.append(trace.get_current_span()) or "Yes."])
    with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client:
        client.complete("chat", "Is it?")
        assert trace.get_current_span() is trace.INVALID_SPAN
    (call,) = told.named("chat chat")
    assert seen[0].get_span_context() == call.context


@pytest.mark.parametrize("way", WAYS)
def test_an_attempt_that_failed_and_the_one_that_answered_are_beside_each_other(told, vendors, policy, way):
    vendors[0].fault = faults.status(503)
    report = ask(policy, way).report
    call, failed, answered = told.spans
    assert {failed.parent.span_id, answered.parent.span_id} == {call.context.span_id}
    assert [span.attributes["multimodel.attempt.reason"] for span in (failed, answered)] == ["first", "fallback"]
    assert [span.attributes["gen_ai.provider.name"] for span in (failed, answered)] == ["alibaba.dashscope", "openai"]
    assert failed.attributes["error.type"] == "overloaded"
    assert failed.attributes["http.response.status_code"] == 503
    assert (failed.status.status_code, answered.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert "error.type" not in call.attributes
    assert call.attributes["multimodel.target"] == "house:our-model"
    assert call.attributes["multimodel.attempts"] == 2
    for span, record in zip((failed, answered), report.attempts, strict=True):
        assert (span.start_time - call.start_time) / 1e9 == pytest.approx(record.started, abs=1e-6)
        assert (span.end_time - call.start_time) / 1e9 == pytest.approx(record.ended, abs=1e-6)
    assert (call.end_time - call.start_time) / 1e9 == pytest.approx(report.duration, abs=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_nobody_answers_is_an_error_without_a_target(told, vendors, policy, way):
    vendors[0].fault = vendors[1].fault = faults.status(500)
    with pytest.raises(AllTargetsFailedError):
        ask(policy, way)
    call, *attempts = told.spans
    assert [span.attributes["error.type"] for span in attempts] == ["server_error", "server_error"]
    assert call.attributes["error.type"] == "all_targets_failed"
    assert call.status.status_code is StatusCode.ERROR
    assert "multimodel.target" not in call.attributes
    assert "gen_ai.response.model" not in call.attributes


def test_a_target_that_was_not_asked_is_named_with_the_reason(told, policy):
    with Client(policy) as client:
        client.off("alibaba", reason="drill")
        client.complete("chat", "Is it?")
    call, _attempt = told.spans
    assert call.attributes["multimodel.skipped"] == ("dashscope:qwen-plus:off",)


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_the_span_of_a_stream_ends_with_the_stream_and_is_not_active_between_its_events(told, policy, way):
    def look() -> None:
        assert told.spans == []
        assert trace.get_current_span() is trace.INVALID_SPAN

    ask(policy, way, meanwhile=look)
    call, attempt = told.spans
    assert attempt.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert call.attributes["multimodel.target"] == "dashscope:qwen-plus"


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_is_closed_early_ends_its_spans_as_cancelled(told, vendors, policy, way):
    vendors[0].answer = "one two three four five six seven"

    def leave() -> None:
        raise Leave

    with pytest.raises(Leave):
        ask(policy, way, meanwhile=leave)
    call, attempt = told.spans
    for span in (call, attempt):
        assert span.attributes["error.type"] == "cancelled"
        assert span.status.status_code is StatusCode.UNSET
    assert attempt.end_time == call.end_time


def test_a_stream_that_is_dropped_ends_its_spans(told, vendors, policy):
    vendors[0].answer = "one two three four five six seven"
    with Client(policy) as client, pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
        stream = client.stream("chat", "Is it?")
        next(stream)
        del stream
        gc.collect()
    call, _attempt = told.spans
    assert call.attributes["error.type"] == "cancelled"


def test_a_stream_that_nobody_reads_has_no_span(told, policy):
    with Client(policy) as client, client.stream("chat", "Is it?"):
        pass
    assert told.spans == []


def test_a_stream_belongs_to_the_span_under_which_it_was_made(told, policy):
    with Client(policy) as client:
        with told.tracer.start_as_current_span("handler") as handler:
            stream = client.stream("chat", "Is it?")
        with stream:
            list(stream)
    (call,) = told.named("chat chat")
    assert call.parent == handler.get_span_context()


def test_a_call_that_is_cancelled_ends_its_spans(told, vendors, policy):
    vendors[0].fault = faults.silent()

    async def main() -> None:
        async with AsyncClient(policy) as client:
            task = asyncio.create_task(client.complete("chat", "Is it?"))
            while not vendors[0].requests:
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait({task})

    asyncio.run(main())
    call, attempt = told.spans
    assert call.attributes["error.type"] == attempt.attributes["error.type"] == "cancelled"


def test_calls_of_tasks_and_threads_stay_apart(told, policy):
    async def one(client: AsyncClient, number: int) -> None:
        with told.tracer.start_as_current_span(f"task {number}"):
            await client.complete("chat", "Is it?")

    async def main() -> None:
        async with AsyncClient(policy) as client:
            await asyncio.gather(*(one(client, number) for number in range(8)))

    asyncio.run(main())
    with Client(policy) as client:

        def other(number: int) -> None:
            with told.tracer.start_as_current_span(f"thread {number}"):
                client.complete("chat", "Is it?")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(other, range(8)))
    by_id = {span.context.span_id: span for span in told.spans}
    calls = told.named("chat chat")
    assert len({by_id[call.parent.span_id].name for call in calls}) == 16
    attempts = told.named("chat qwen-plus")
    assert {by_id[attempt.parent.span_id].name for attempt in attempts} == {"chat chat"}
    assert all(by_id[attempt.parent.span_id].context.trace_id == attempt.context.trace_id for attempt in attempts)


@pytest.mark.parametrize("way", ["complete", "acomplete"])
def test_both_attempts_of_a_hedge_are_children_of_the_call(told, vendors, policy, way):
    vendors[0].fault = faults.silent()
    ask(policy, way, route="hedged")
    call, slow, fast = told.spans
    assert {slow.parent.span_id, fast.parent.span_id} == {call.context.span_id}
    assert (slow.attributes["error.type"], slow.status.status_code) == ("lost", StatusCode.UNSET)
    assert fast.attributes["multimodel.attempt.reason"] == "hedge"
    assert call.attributes["multimodel.target"] == "house:our-model"


def test_an_attempt_says_what_it_was_asked_with(told):
    policy = {"routes": {"chat": {"chain": ["fake:any"], "params": {"temperature": 0.5, "max_tokens": 100}}}}
    with Client(policy, providers={"fake": FakeProvider(['{"a": 1}'])}) as client:
        client.complete("chat", "Is it?", max_tokens=7, stop=["secret"], response_format={"type": "json_object"})
    _call, attempt = told.spans
    assert attempt.attributes["gen_ai.request.max_tokens"] == 7
    assert attempt.attributes["gen_ai.request.temperature"] == 0.5
    assert attempt.attributes["gen_ai.output.type"] == "json"
    assert "secret" not in told.everything()


def test_an_answer_that_does_not_fit_is_an_attempt_that_failed(told):
    fake = FakeProvider(["no number", "42"])
    with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client:
        assert client.complete("chat", "How many?", response_model=int).parsed == 42
    call, misfit, fits = told.spans
    assert (misfit.attributes["error.type"], misfit.status.status_code) == ("output_invalid", StatusCode.ERROR)
    assert (fits.attributes["multimodel.attempt.reason"], fits.status.status_code) == ("reask", StatusCode.UNSET)
    assert call.attributes["multimodel.attempts"] == 2


def test_embeddings_are_told_as_such(told, policy):
    with Client(policy) as client:
        client.embed("vectors", ["a cat", "a dog"] * 8)
    call, *attempts = told.spans
    assert (call.name, call.attributes["gen_ai.operation.name"]) == ("embeddings vectors", "embeddings")
    assert call.attributes["multimodel.target"] == "dashscope:text-embedding-v4"
    assert call.attributes["multimodel.attempts"] == len(attempts) == 2
    for attempt in attempts:
        assert attempt.name == "embeddings text-embedding-v4"
        assert attempt.attributes["gen_ai.usage.input_tokens"] > 0
        assert "gen_ai.request.stream" not in attempt.attributes


@pytest.mark.parametrize("verb", ["complete", "stream"])
def test_a_copy_for_a_shadow_has_a_trace_of_its_own_and_a_link(told, vendors, verb):
    policy = {
        "providers": {"second": {"profile": "openai", "base_url": vendors[1].openai_url, "api_key": "sk-second"}},
        "routes": {"chat": {"chain": ["fake:any"], "shadow": {"target": "second:m", "share": 1.0}}},
    }
    with Client(policy, providers={"fake": FakeProvider(["Yes."])}) as client:
        if verb == "complete":
            client.complete("chat", "Is it?")
        else:
            with client.stream("chat", "Is it?") as stream:
                list(stream)
        until(lambda: len(told.named("chat chat")) == 2)
    call, shadow = sorted(told.named("chat chat"), key=lambda span: "multimodel.shadow" in span.attributes)
    assert shadow.parent is None
    assert [link.context for link in shadow.links] == [call.context]
    (copy,) = told.named("chat m")
    assert copy.context.trace_id == shadow.context.trace_id != call.context.trace_id


def test_local_weights_are_told_as_part_of_this_process(told):
    policy = {"providers": {"own": {"profile": "local"}}, "routes": {"chat": {"chain": ["own:tiny"]}}}
    with Client(policy, providers={"own": FakeProvider(["Yes."])}) as client:
        client.complete("chat", "Is it?")
    _call, attempt = told.spans
    assert attempt.kind is SpanKind.INTERNAL
    assert attempt.attributes["gen_ai.provider.name"] == "local"
    assert "server.address" not in attempt.attributes


def test_a_breaker_that_opens_and_closes_is_an_event_of_the_call_that_did_it(told, vendors, tmp_path, caplog):
    fast = {"breaker": {"failures": 1, "open_at_most": 0.05}, "retry": {"attempts": 1}}
    provider = {"profile": "openai", "base_url": vendors[0].openai_url, "api_key": "sk-first"}
    policy = {"providers": {"first": provider}, "routes": {"chat": {"chain": ["first:m"], **fast}}}
    with Client(policy) as client, caplog.at_level(logging.INFO, "multimodel"):
        vendors[0].fault = faults.status(500)
        with pytest.raises(AllTargetsFailedError):
            client.complete("chat", "Is it?")
        vendors[0].fault = None
        until(lambda: client.status().routes["chat"][0].state == "half_open")
        client.complete("chat", "Is it?")
    opened, closed = (call.events[0] for call in told.named("chat chat"))
    assert opened.name == closed.name == "multimodel.breaker"
    assert dict(opened.attributes) == {
        "target": "first:m",
        "scope": "target",
        "from": "closed",
        "to": "open",
        "reason": "server_error",
    }
    assert (closed.attributes["from"], closed.attributes["to"]) == ("half_open", "closed")
    logged = [(one.levelname, one.before, one.after) for one in caplog.records if one.message == "multimodel.breaker"]
    assert logged == [("WARNING", "closed", "open"), ("INFO", "half_open", "closed")]


def test_a_switch_is_an_event_of_the_active_span(told, policy):
    with Client(policy) as client, told.tracer.start_as_current_span("drill"):
        client.off("alibaba", reason="licence review", by="ann")
        client.on("alibaba", by="bob")
    (drill,) = told.named("drill")
    off, on = drill.events
    assert off.name == on.name == "multimodel.switch"
    said = {"action": "off", "subject": "operator alibaba", "by": "ann", "reason": "licence review"}
    assert dict(off.attributes) == said
    assert (on.attributes["action"], on.attributes["by"]) == ("on", "bob")


# --- what must not happen


def test_a_client_may_be_older_than_the_provider():
    forget_providers()
    with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider(["Yes."])}) as client:
        client.complete("chat", "Is it?")
        told = Told()
        try:
            client.complete("chat", "Is it?")
        finally:
            forget_providers()
    assert [span.name for span in told.spans] == ["chat chat", "chat any"]


def test_without_a_provider_nothing_is_made_and_nothing_is_loaded():
    code = (
        "import sys\n"
        "from multimodel import Client\n"
        "from multimodel.testing import FakeProvider\n"
        "client = Client({'routes': {'chat': {'chain': ['fake:any']}}}, providers={'fake': FakeProvider()})\n"
        "client.complete('chat', 'Hi')\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    assert ran.stdout.strip() == "[]"


def test_the_api_alone_is_not_asked_for_spans():
    forget_providers()
    assert telemetry({}) is None


def test_it_can_be_left_out(told, policy, monkeypatch):
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "redis,multimodel")
    ask(policy, "complete")
    assert (told.spans, told.measured()) == ([], {})


class Broken(SpanProcessor):
    def on_start(self, span, parent_context=None):
        raise RuntimeError("on_start")

    def on_end(self, span):
        raise RuntimeError("on_end")


class BrokenSampler(Sampler):
    def should_sample(self, *_args, **_facts):
        raise RuntimeError("should_sample")

    def get_description(self):
        return "broken"


class BrokenExporter(SpanExporter):
    def export(self, spans):
        raise RuntimeError("export")


BROKEN = {
    "processor": {"more": [Broken()]},
    "exporter": {"more": [SimpleSpanProcessor(BrokenExporter())]},
    "sampler": {"sampler": BrokenSampler()},
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("way", WAYS)
def test_what_fails_of_it_costs_no_answer(policy, way, what):
    forget_providers()
    Told(*BROKEN[what].get("more", ()), sampler=BROKEN[what].get("sampler", ALWAYS_ON))
    try:
        assert ask(policy, way).text == "Yes."
    finally:
        forget_providers()


def test_a_call_that_is_not_sampled_writes_nothing(policy):
    forget_providers()
    told = Told(sampler=ALWAYS_OFF)
    try:
        assert ask(policy, "complete").text == "Yes."
        assert told.spans == []
        assert "gen_ai.client.operation.duration" in told.measured()
    finally:
        forget_providers()
