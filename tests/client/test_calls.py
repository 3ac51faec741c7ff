"""What a caller meets, over real sockets: both wires, both colours."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import pickle
import threading
import time

import pytest

from multimodel import (
    AllTargetsFailedError,
    AsyncClient,
    AttemptTimeoutError,
    AuthenticationError,
    BadRequestError,
    CallError,
    Client,
    ConfigurationError,
    DeadlineExceededError,
    Finished,
    QuotaExhaustedError,
    Restarted,
    StreamInterruptedError,
    TextDelta,
)
from multimodel.testing import FaultyVendor, faults

WIRES = ["openai", "dashscope"]


@pytest.fixture
def vendors():
    with FaultyVendor() as first, FaultyVendor() as second:
        first.answer, second.answer = "from the first", "from the second"
        yield first, second


def policy(vendors, wire: str = "openai", **route: object) -> dict:
    def provider(vendor: FaultyVendor, key: str) -> dict:
        url = vendor.openai_url if wire == "openai" else vendor.dashscope_url
        return {"profile": wire, "base_url": url, "api_key": key}

    return {
        "providers": {"first": provider(vendors[0], "sk-first"), "second": provider(vendors[1], "sk-second")},
        "routes": {"chat": {"chain": ["first:qwen-plus", "second:qwen-plus"], **route}},
    }


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "fault",
    [
        faults.reset_before_headers(),
        faults.close_before_headers(),
        faults.status(500),
        faults.status(503),
        faults.html(),
        faults.empty(),
        faults.cut(after=1),
        faults.reset(after=1),
        faults.malformed_event(at=1),
        faults.refuse(),
    ],
    ids=repr,
)
def test_complete_is_answered_by_the_second_whatever_the_first_does(vendors, wire: str, fault):
    vendors[0].fault = fault
    with Client(policy(vendors, wire)) as client:
        answer = client.complete("chat", "Hi")
    assert answer.text == "from the second"
    assert str(answer.target) == "second:qwen-plus"
    if fault != faults.refuse():
        assert len(vendors[0].log) == sum(one.target.provider == "first" for one in answer.report.attempts)


@pytest.mark.parametrize("wire", WIRES)
def test_async_complete_is_answered_by_the_second_when_the_first_is_cut(vendors, wire: str):
    vendors[0].fault = faults.cut(after=1)

    async def main() -> str:
        async with AsyncClient(policy(vendors, wire)) as client:
            return (await client.complete("chat", "Hi")).text

    assert asyncio.run(main()) == "from the second"


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_that_is_cut_raises_with_what_came(vendors, wire: str):
    vendors[0].fault = faults.cut(after=2)
    got = []
    with Client(policy(vendors, wire)) as client, client.stream("chat", "Hi") as stream:
        with pytest.raises(StreamInterruptedError) as caught:
            for event in stream:
                got.append(event)
    assert caught.value.partial == "".join(event.text for event in got if isinstance(event, TextDelta)) != ""
    assert caught.value.report.attempts[0].committed
    assert vendors[1].log == []


def test_arrearage_is_a_spent_account_and_goes_to_the_next(vendors):
    vendors[0].fault = faults.arrearage()
    with Client(policy(vendors, "dashscope")) as client:
        answer = client.complete("chat", "Hi")
        again = client.complete("chat", "Hi")
    assert [(one.outcome, one.code) for one in answer.report.attempts] == [
        ("quota_exhausted", "Arrearage"),
        ("ok", None),
    ]
    assert len(vendors[0].log) == 1
    assert [skip.reason for skip in again.report.skipped] == ["breaker"]


def test_a_silent_first_target_costs_its_limit_once(vendors):
    vendors[0].fault = faults.silent()
    with Client(policy(vendors, timeouts={"first_content": 0.3})) as client:
        begun = time.monotonic()
        answer = client.complete("chat", "Hi")
    assert answer.text == "from the second"
    assert time.monotonic() - begun < 1.5
    assert answer.report.attempts[0].outcome == "timeout.first"


def test_headers_that_trickle_do_not_outlast_the_limit(vendors):
    vendors[0].fault = faults.slow_headers()
    with Client(policy(vendors, timeouts={"first_content": 0.4})) as client:
        begun = time.monotonic()
        assert client.complete("chat", "Hi").text == "from the second"
    assert time.monotonic() - begun < 1.5


def test_a_stall_ends_at_the_idle_limit(vendors):
    vendors[0].fault = faults.stall(after=2)
    with Client(policy(vendors, timeouts={"idle": 0.3})) as client:
        answer = client.complete("chat", "Hi")
    assert answer.text == "from the second"
    assert answer.report.attempts[0].outcome == "timeout.idle"


def test_pings_are_no_content(vendors):
    vendors[0].fault = faults.pings_forever()
    with Client(policy(vendors, timeouts={"first_content": 0.4})) as client:
        answer = client.complete("chat", "Hi")
    assert answer.report.attempts[0].outcome == "timeout.first"


def test_an_answer_without_done_is_a_success_at_once(vendors):
    vendors[0].fault = faults.no_done()
    with Client(policy(vendors)) as client:
        begun = time.monotonic()
        answer = client.complete("chat", "Hi")
    assert answer.text == "from the first"
    assert time.monotonic() - begun < 1.0


def test_the_deadline_holds(vendors):
    vendors[0].fault = vendors[1].fault = faults.silent()
    with Client(policy(vendors)) as client:
        begun = time.monotonic()
        with pytest.raises((DeadlineExceededError, AllTargetsFailedError)):
            client.complete("chat", "Hi", deadline=1.2)
    assert time.monotonic() - begun < 1.5


def test_when_nobody_answers_the_error_has_one_error_per_attempt(vendors):
    vendors[0].fault, vendors[1].fault = faults.arrearage(), faults.silent()
    with Client(policy(vendors, "dashscope", timeouts={"first_content": 0.2})) as client:
        with pytest.raises(AllTargetsFailedError) as caught:
            client.complete("chat", "Hi")
    error = caught.value
    assert [type(inner) for inner in error.exceptions] == [QuotaExhaustedError, AttemptTimeoutError]
    assert len(pickle.loads(pickle.dumps(error)).exceptions) == 2
    assert len(str(error)) <= 2048


@pytest.mark.parametrize("wire", WIRES)
def test_a_vendors_code_or_id_that_tells_the_key_is_left_out(vendors, wire, caplog):
    caplog.set_level(logging.DEBUG)
    said = {"code": "Incorrect API key: sk-first", "request_id": "sk-first", "message": "no"}
    vendors[0].fault = faults.body(json.dumps(said | {"error": said}), status=401)
    with Client(policy(vendors, wire, chain=["first:qwen-plus"])) as client, pytest.raises(CallError) as caught:
        client.complete("chat", "Hi")
    assert (
        "sk-first"
        not in f"{caught.value} {caught.value.report} {caplog.records} {[vars(one) for one in caplog.records]}"
    )
    assert isinstance(caught.value.exceptions[0], AuthenticationError)


def test_a_bad_request_opens_no_socket(vendors):
    with Client(policy(vendors)) as client:
        with pytest.raises(BadRequestError, match="temperature"):
            client.complete("chat", "Hi", temperature=9)
        with pytest.raises(BadRequestError):
            client.complete("chat", [])
        with pytest.raises(ConfigurationError, match="did you mean `chat`"):
            client.complete("chta", "Hi")
        with pytest.raises(TypeError, match="did you mean `temperature`"):
            client.complete("chat", "Hi", temprature=1)  # type: ignore[call-arg]
    assert vendors[0].connections.total == 0


def test_leaving_a_stream_early_closes_the_connection(vendors):
    vendors[0].answer = "word " * 500
    vendors[0].pace = 0.01
    with Client(policy(vendors)) as client:
        with client.stream("chat", "Hi") as stream:
            next(iter(stream))
        wait_for(lambda: vendors[0].log[0].client_closed)
        assert stream.report.outcome == "cancelled"


def test_cancelling_a_task_closes_the_connection(vendors):
    vendors[0].fault = faults.silent()

    async def main() -> None:
        async with AsyncClient(policy(vendors)) as client:
            task = asyncio.create_task(client.complete("chat", "Hi"))
            while not vendors[0].log:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while not vendors[0].log[0].client_closed:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 5))
    assert vendors[1].log == []


def test_off_sends_nothing_more_and_on_begins_again(vendors, tmp_path):
    with Client(policy(vendors)) as client:
        client.complete("chat", "Hi")
        before = vendors[0].bytes_received
        client.off("first", reason="drill")
        for _ in range(5):
            answer = client.complete("chat", "Hi")
            assert answer.text == "from the second"
            assert [(skip.target.provider, skip.reason) for skip in answer.report.skipped] == [("first", "off")]
        assert vendors[0].bytes_received == before
        client.on("first")
        assert client.complete("chat", "Hi").text == "from the first"


def test_off_is_no_last_resort(vendors):
    vendors[1].fault = faults.refuse()
    with Client(policy(vendors)) as client:
        client.off("first", reason="drill")
        with pytest.raises(AllTargetsFailedError):
            client.complete("chat", "Hi")
    assert vendors[0].connections.total == 0


def test_off_holds_between_a_failure_and_its_repeat(vendors):
    with Client(policy(vendors)) as client:
        vendors[0].fault = faults.status(429, headers={"Retry-After": "1"})
        worker = threading.Thread(target=client.complete, args=("chat", "Hi"))
        worker.start()
        wait_for(lambda: vendors[0].log)
        client.off("first", reason="now")
        worker.join()
    assert len(vendors[0].log) == 1


def test_connections_are_used_again(vendors):
    with Client(policy(vendors)) as client:
        for _ in range(20):
            client.complete("chat", "Hi")
    assert vendors[0].connections.total == 1


def test_one_client_serves_many_threads(vendors):
    texts = []
    with Client(policy(vendors)) as client:

        def work() -> None:
            for _ in range(25):
                texts.append(client.complete("chat", "Hi").text)

        workers = [threading.Thread(target=work) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert texts == ["from the first"] * 200


def test_one_async_client_serves_two_loops_and_many_tasks(vendors):
    client = AsyncClient(policy(vendors))
    texts = []

    def loop() -> None:
        async def main() -> list[str]:
            answers = await asyncio.gather(*(client.complete("chat", "Hi") for _ in range(20)))
            await client._core.accounts["first"].reach().aclose()
            return [answer.text for answer in answers]

        texts.extend(asyncio.run(main()))

    workers = [threading.Thread(target=loop) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert texts == ["from the first"] * 40


def test_the_blocking_client_works_inside_a_running_loop(vendors):
    async def main() -> str:
        with Client(policy(vendors)) as client:
            return client.complete("chat", "Hi").text

    assert asyncio.run(main()) == "from the first"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # the point of this test
def test_a_client_is_usable_after_fork(vendors):
    with Client(policy(vendors)) as client:
        client.complete("chat", "Hi")
        children = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                right = all(client.complete("chat", "Hi").text == "from the first" for _ in range(20))
                os._exit(0 if right else 1)
            children.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0, 0]
        assert client.complete("chat", "Hi").text == "from the first"


def test_extra_options_go_to_their_vendor_only(vendors):
    with Client(policy(vendors, "dashscope")) as client:
        answer = client.complete("chat", "Hi", extra={"dashscope": {"enable_search": True}, "openai": {"store": True}})
    assert vendors[0].log[0].body["parameters"]["enable_search"] is True
    assert [(str(loss.target), loss.what) for loss in answer.report.losses] == [("first:qwen-plus", "extra.openai")]


def test_a_routes_defaults_hold_where_the_call_says_nothing(vendors):
    with Client(policy(vendors, params={"temperature": 0.3, "max_tokens": 7})) as client:
        client.complete("chat", "Hi", max_tokens=9)
    body = vendors[0].log[0].body
    assert (body["temperature"], body["max_tokens"]) == (0.3, 9)


def test_only_and_avoid_restrict_one_call(vendors):
    with Client(policy(vendors)) as client:
        assert client.complete("chat", "Hi", only=["second"]).text == "from the second"
        assert client.complete("chat", "Hi", avoid="first:qwen-plus").text == "from the second"


def test_transfer_whole_asks_for_one_body(vendors):
    with Client(policy(vendors, transfer="whole")) as client:
        assert client.complete("chat", "Hi").text == "from the first"
    assert vendors[0].log[0].body.get("stream") in (None, False)


def test_a_missing_key_disables_its_target_only(vendors, monkeypatch):
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    given = policy(vendors)
    given["routes"]["chat"]["chain"].insert(0, "deepseek:deepseek-chat")
    with Client(given) as client:
        answer = client.complete("chat", "Hi")
    assert [(skip.target.provider, skip.reason) for skip in answer.report.skipped] == [("deepseek", "unavailable")]
    assert "DEEPSEEK_API_KEY" in answer.report.skipped[0].detail


def test_a_closed_client_says_so(vendors):
    client = Client(policy(vendors))
    client.close()
    with pytest.raises(ConfigurationError, match="closed"):
        client.complete("chat", "Hi")


def wait_for(condition) -> None:
    """Wait for another thread's deed, at most two seconds."""
    end = time.monotonic() + 2.0
    while not condition():
        assert time.monotonic() < end, "nothing happened within two seconds"
        time.sleep(0.005)


@pytest.mark.parametrize("metadata", [{"target": "t", "route": "r"}, {"name": "n", "message": "m"}, {"event": "e"}])
def test_metadata_of_any_name_costs_no_answer(vendors, metadata: dict, caplog):
    vendors[0].fault = faults.status(500)
    with Client(policy(vendors)) as client:
        assert client.complete("chat", "Hi", metadata=metadata).text == "from the second"
    assert caplog.records[0].metadata == metadata


@pytest.mark.parametrize("metadata", ["x", [1], {1: 2}])
def test_metadata_that_is_no_mapping_of_names_is_refused(vendors, metadata: object):
    with Client(policy(vendors)) as client, pytest.raises(BadRequestError, match="metadata"):
        client.complete("chat", "Hi", metadata=metadata)  # type: ignore[arg-type]


def test_a_filter_that_raises_costs_no_answer(vendors):
    logger = logging.getLogger("multimodel")

    def broken(_record: logging.LogRecord) -> bool:
        raise ValueError("broken")

    vendors[0].fault = faults.status(500)
    logger.addFilter(broken)
    try:
        with Client(policy(vendors)) as client:
            assert client.complete("chat", "Hi").text == "from the second"
    finally:
        logger.removeFilter(broken)


def test_a_stream_that_is_dropped_is_closed_at_once_and_said(vendors):
    vendors[0].answer, vendors[0].pace = "word " * 500, 0.01
    with Client(policy(vendors)) as client:
        with pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
            for _event in client.stream("chat", "Hi"):
                break
        wait_for(lambda: vendors[0].log[0].client_closed)


def test_an_async_stream_that_is_dropped_is_closed(vendors):
    vendors[0].answer, vendors[0].pace = "word " * 500, 0.01

    async def main() -> None:
        async with AsyncClient(policy(vendors)) as client:
            with pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
                async for _event in client.stream("chat", "Hi"):
                    break
            while not vendors[0].log[0].client_closed:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 5))


def test_a_streams_report_says_how_far_it_is(vendors):
    with Client(policy(vendors)) as client, client.stream("chat", "Hi") as stream:
        next(stream)
        assert stream.report.outcome == "open"
        list(stream)
        assert stream.report.outcome == "ok"
    vendors[0].fault = faults.cut(after=2)
    with Client(policy(vendors)) as client, client.stream("chat", "Hi") as stream:
        with pytest.raises(StreamInterruptedError):
            list(stream)
        assert stream.report.outcome == "stream_interrupted"


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # the loops end with their connections open: the point
def test_loops_that_have_ended_leave_nothing_behind(vendors):
    client = AsyncClient(policy(vendors))
    for _ in range(10):
        assert asyncio.run(client.complete("chat", "Hi")).text == "from the first"
    assert len(client._core.accounts["first"].reach()._pools.by_loop) == 1
    gc.collect()
    wait_for(lambda: vendors[0].connections.open <= 1)
    del client
    gc.collect()


def test_messages_of_the_openai_sdk_are_messages(vendors):
    from openai.types.chat import ChatCompletionMessage

    before = ChatCompletionMessage.model_validate({"role": "assistant", "content": "Ho", "refusal": None})
    with Client(policy(vendors)) as client:
        client.complete("chat", [{"role": "user", "content": "Hi"}, before, {"role": "user", "content": "Ha"}])
    assert [message["content"] for message in vendors[0].log[0].body["messages"]] == ["Hi", "Ho", "Ha"]


def test_a_choice_that_leaves_nobody_is_refused(vendors):
    with Client(policy(vendors)) as client, pytest.raises(ConfigurationError, match="leave no target"):
        client.complete("chat", "Hi", avoid=["first", "second"])


def test_a_stream_of_a_whole_route_keeps_the_limit_of_streams(vendors):
    vendors[0].fault = faults.silent()
    given = policy(vendors, transfer="whole", timeouts={"first_content": 0.3, "whole": 5})
    begun = time.monotonic()
    with Client(given) as client, client.stream("chat", "Hi") as stream:
        assert "".join(stream.text_deltas()) == "from the second"
    assert time.monotonic() - begun < 2.0


def test_pings_after_the_end_do_not_hold_the_answer_back(vendors):
    vendors[0].fault = faults.no_done()
    with Client(policy(vendors)) as client:
        begun = time.monotonic()
        client.complete("chat", "Hi")
        assert time.monotonic() - begun < 1.0


class Slow:
    """One colour only; takes its time."""

    def __init__(self) -> None:
        self.closed = threading.Event()


class SlowBlocking(Slow):
    def stream(self, _attempt):
        try:
            yield TextDelta("a")
            time.sleep(0.3)
            yield TextDelta("b")
            yield Finished("stop")
        finally:
            self.closed.set()


class SlowAsyncio(Slow):
    async def astream(self, _attempt):
        try:
            yield TextDelta("a")
            await asyncio.sleep(0.3)
            yield TextDelta("b")
            yield Finished("stop")
        finally:
            self.closed.set()


ONE = {"routes": {"chat": {"chain": ["one:m"]}}}


@pytest.mark.parametrize("provider", [SlowBlocking, SlowAsyncio])
def test_an_adapter_of_one_colour_serves_both_clients(provider):
    async def main() -> str:
        async with AsyncClient(ONE, providers={"one": provider()}) as client:
            return (await client.complete("chat", "Hi")).text

    with Client(ONE, providers={"one": provider()}) as client:
        assert client.complete("chat", "Hi").text == asyncio.run(main()) == "ab"


def test_cancelling_over_a_blocking_adapter_returns_at_once_and_closes_it():
    adapter = SlowBlocking()

    async def main() -> None:
        async with AsyncClient(ONE, providers={"one": adapter}) as client, client.stream("chat", "Hi") as stream:
            await anext(stream)

    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < 0.25
    assert adapter.closed.wait(2.0)


def test_giving_up_over_an_asyncio_adapter_returns_at_once_and_closes_it():
    adapter = SlowAsyncio()
    begun = time.monotonic()
    with Client(ONE, providers={"one": adapter}) as client, client.stream("chat", "Hi") as stream:
        next(stream)
    assert time.monotonic() - begun < 0.25
    assert adapter.closed.is_set()


def test_a_bug_of_an_adapter_is_raised_as_it_is():
    class Broken:
        def stream(self, _attempt):
            raise KeyError("a bug")

    with Client(ONE, providers={"one": Broken()}) as client, pytest.raises(KeyError, match="a bug"):
        client.complete("chat", "Hi")


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "fault",
    [faults.cut(after=2), faults.reset(after=2), faults.stall(after=2), faults.malformed_event(at=2)],
    ids=["cut", "reset", "stall", "malformed"],
)
def test_with_restart_a_broken_stream_becomes_a_whole_answer(vendors, wire: str, fault):
    vendors[0].fault = fault
    given = policy(vendors, wire, mid_stream="restart", timeouts={"idle": 0.3})
    shown: list[str] = []
    with Client(given) as client, client.stream("chat", "Hi") as stream:
        for event in stream:
            if isinstance(event, Restarted):
                assert shown
                shown.clear()
            elif isinstance(event, TextDelta):
                shown.append(event.text)
        assert "".join(shown) == stream.completion.text == "from the second"
        assert [one.outcome for one in stream.report.attempts][-1] == "ok"


def test_with_restart_an_async_stream_becomes_a_whole_answer(vendors):
    vendors[0].fault = faults.cut(after=2)

    async def main() -> str:
        async with AsyncClient(policy(vendors, mid_stream="restart")) as client:
            async with client.stream("chat", "Hi") as stream:
                restarts = [event async for event in stream if isinstance(event, Restarted)]
                assert len(restarts) == 1
            return stream.completion.text

    assert asyncio.run(main()) == "from the second"


def test_plain_text_cannot_show_a_restart_and_raises(vendors):
    vendors[0].fault = faults.cut(after=2)
    with Client(policy(vendors, mid_stream="restart")) as client, client.stream("chat", "Hi") as stream:
        with pytest.raises(StreamInterruptedError, match="began anew") as caught:
            list(stream.text_deltas())
    assert "from the first".startswith(caught.value.partial.strip())


def test_explain_knows_what_a_request_can_need(vendors):
    with Client(policy(vendors)) as client:
        with pytest.raises(ConfigurationError, match="`visoin` is nothing that a request can need") as caught:
            client.explain("chat", needs={"visoin"})
    assert caught.value.hint == "did you mean `vision`?"


@pytest.mark.parametrize("wire", WIRES)
def test_two_streams_on_one_thread_keep_their_own_limits(vendors, wire: str):
    """The second stream's limit passes while the first is read, whose own is far away."""
    given = policy(vendors, wire, chain=["first:qwen-plus"], timeouts={"idle": 30.0}, retry={"attempts": 1})
    given["routes"]["hasty"] = {"chain": ["second:qwen-plus"], "timeouts": {"idle": 0.2}, "retry": {"attempts": 1}}
    vendors[0].pace = 0.4
    vendors[1].fault = faults.stall(after=2)
    with Client(given) as client, client.stream("chat", "Hi") as slow, client.stream("hasty", "Hi") as hasty:
        assert next(slow)
        assert next(hasty)
        assert "".join(event.text for event in slow if isinstance(event, TextDelta))
        begun = time.monotonic()
        with pytest.raises(StreamInterruptedError):
            list(hasty)
        assert time.monotonic() - begun < 5.0
        assert slow.completion.text == "from the first"


@faults.fault
def one_and_a_half(answer):
    """Send the answer and the beginning of another one; the rest of that a moment later."""
    whole = b"".join(answer.script())
    yield whole + whole[:40]
    yield 0.2
    yield whole[40:]


@faults.fault
def two_in_one_read(answer):
    """Send an answer whose last byte ends a read of 64 bytes, and right behind it one that nobody asked for."""
    body = b"".join(answer.frames())
    room = 64 - (len(answer.head(len(body) + 64)) + len(body)) % 64
    body = b": %b\n\n" % (b"." * (room + 60)) + body if answer.stream else body + b" " * room
    yield answer.head(len(body)) + body + b"".join(answer.script()).replace(b"one", b"her")


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "fault", [one_and_a_half(), two_in_one_read(), faults.unasked_answer("Nobody asked.")], ids=str
)
def test_nobody_gets_an_answer_that_was_left_on_the_connection(vendors, wire: str, fault, monkeypatch):
    monkeypatch.setattr("httpcore2.AsyncHTTP11Connection.READ_NUM_BYTES", 64)
    vendors[0].answer = lambda request: request.text
    given = policy(vendors, wire, chain=["first:qwen-plus"])
    vendors[0].script([fault])
    with Client(given) as client:
        assert [client.complete("chat", text).text for text in ("one", "two", "three")] == ["one", "two", "three"]
    vendors[0].script([fault])

    async def main() -> list[str]:
        async with AsyncClient(given) as client:
            return [(await client.complete("chat", text)).text for text in ("one", "two", "three")]

    assert asyncio.run(main()) == ["one", "two", "three"]
