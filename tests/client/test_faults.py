"""Every fault of the loopback vendor, on both wires, in both colours: never a false answer, and nothing leaks."""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback

import pytest

from multimodel import AsyncClient, CallError, Client, StreamInterruptedError, TextDelta
from multimodel.testing import FaultyVendor, faults

KEY = "sk-canary-4711"
PROMPT = "The canary sings at dawn."
WHOLE = "one two three four five six"

HARMLESS = {
    "no_done": faults.no_done(),
    "split": faults.split(),
    "split_crlf": faults.split(size=3, crlf=True),
    "usage_missing": faults.usage_missing(),
    "second_terminal": faults.second_terminal(),
    "text_after_terminal": faults.text_after_terminal(),
    "informational": faults.informational(count=10),
}
BEFORE_CONTENT = {
    "refuse": faults.refuse(),
    "silent": faults.silent(),
    "deaf": faults.deaf(),
    "reset_before_headers": faults.reset_before_headers(),
    "close_before_headers": faults.close_before_headers(),
    "slow_headers": faults.slow_headers(every=0.1),
    "endless_headers": faults.endless_headers(),
    "garbage": faults.garbage(),
    "redirect": faults.redirect(),
    "headers_then_silence": faults.headers_then_silence(),
    "cut_at_once": faults.cut(after=0),
    "reset_at_once": faults.reset(after=0),
    "stall_at_once": faults.stall(after=0),
    "malformed_first": faults.malformed_event(at=0),
    "pings": faults.pings_forever(),
    "error_at_once": faults.in_stream_error(after=0),
    "html": faults.html(),
    "html_502": faults.html(status=502),
    "empty": faults.empty(),
    "empty_500": faults.empty(status=500),
    "text_plain": faults.wrong_content_type(),
    "gzip_bomb": faults.gzip_bomb(size=10_000_000),
    "long_line": faults.long_line(size=3_000_000),
    "arrearage": faults.arrearage(),
    "status_401": faults.status(401),
    "status_403": faults.status(403),
    "status_404": faults.status(404),
    "status_429": faults.status(429),
    "status_429_day": faults.status(429, headers={"Retry-After": "86400"}),
    "status_429_nan": faults.status(429, headers={"Retry-After": "nan"}),
    "status_500": faults.status(500),
    "status_503": faults.status(503),
    "status_529": faults.status(529),
}
AFTER_CONTENT = {
    "cut": faults.cut(after=2),
    "cut_clean": faults.cut(after=2, clean=True),
    "reset": faults.reset(after=2),
    "stall": faults.stall(after=2),
    "malformed": faults.malformed_event(at=2),
    "error_inside": faults.in_stream_error(after=2),
    "no_terminal": faults.no_terminal(),
}
ENDS_THE_CALL = {"status_400": faults.status(400), "status_413": faults.status(413)}
ALL = HARMLESS | BEFORE_CONTENT | AFTER_CONTENT | ENDS_THE_CALL


@pytest.fixture(scope="module")
def second():
    with FaultyVendor(answer="from the second") as vendor:
        yield vendor


@pytest.fixture(params=["openai", "dashscope"])
def wire(request):
    return request.param


def policy(first: FaultyVendor, second: FaultyVendor, wire: str) -> dict:
    def url(vendor: FaultyVendor) -> str:
        return vendor.openai_url if wire == "openai" else vendor.dashscope_url

    return {
        "providers": {
            "first": {"profile": wire, "base_url": url(first), "api_key": "${CANARY_KEY}"},
            "second": {"profile": wire, "base_url": url(second), "api_key": "sk-second"},
        },
        "routes": {
            "chat": {
                "chain": ["first:qwen-plus", "second:qwen-plus"],
                "timeouts": {"connect": 0.5, "first_content": 0.5, "idle": 0.4},
                "retry": {"attempts": 1},
                "deadline": 8,
            }
        },
    }


def complete(given: dict) -> tuple[str, str]:
    with Client(given) as client:
        answer = client.complete("chat", PROMPT)
        return answer.target.provider, answer.text


def acomplete(given: dict) -> tuple[str, str]:
    async def main() -> tuple[str, str]:
        async with AsyncClient(given) as client:
            answer = await client.complete("chat", PROMPT)
            return answer.target.provider, answer.text

    return asyncio.run(main())


def stream(given: dict) -> tuple[str, str]:
    with Client(given) as client, client.stream("chat", PROMPT) as answer:
        text = "".join(event.text for event in answer if isinstance(event, TextDelta))
        return answer.completion.target.provider, text


def astream(given: dict) -> tuple[str, str]:
    async def main() -> tuple[str, str]:
        async with AsyncClient(given) as client, client.stream("chat", PROMPT) as answer:
            text = "".join([event.text async for event in answer if isinstance(event, TextDelta)])
            return answer.completion.target.provider, text

    return asyncio.run(main())


WAYS = {"complete": complete, "acomplete": acomplete, "stream": stream, "astream": astream}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ALL)
def test_the_caller_gets_the_whole_truth_or_an_error(name: str, way: str, wire: str, second, caplog, monkeypatch):
    monkeypatch.setenv("CANARY_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    with FaultyVendor(answer=WHOLE, fault=ALL[name]) as first:
        seen: CallError | None = None
        try:
            by, text = WAYS[way](policy(first, second, wire))
        except CallError as error:
            seen = error
        first.fault = None
    if name in HARMLESS:
        assert (by, text) == ("first", WHOLE)
    elif name in ENDS_THE_CALL:
        assert seen is not None
        assert seen.kind == "bad_request"
    elif name in BEFORE_CONTENT or way in ("complete", "acomplete"):
        assert (by, text) == ("second", "from the second")
    else:
        assert isinstance(seen, StreamInterruptedError)
        assert WHOLE.startswith(seen.partial.strip())
        assert seen.partial
    places = [caplog.text, *(str(vars(record)) for record in caplog.records)]
    if seen is not None:
        places += [str(seen), repr(seen), str(pickle.dumps(seen)), "".join(traceback.format_exception(seen))]
        assert len(str(seen)) <= 2048
        leaked = "".join(traceback.TracebackException.from_exception(seen, capture_locals=True).format())
        assert KEY not in leaked
    assert not [place for place in places if KEY in place or PROMPT in place]
