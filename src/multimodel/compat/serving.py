"""Requests of drop-in clients, answered by a policy: who is asked, what is said of it, how a stream ends."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Never, TypeVar
from urllib.parse import quote
from uuid import uuid4

from ..config import Route
from ..errors import CallError, ConfigurationError, DeadlineExceededError, ModelNotFoundError, ServerError
from ..observe import emit
from ..types import Completion, Report, StreamEvent, Target
from ..wire.inbound import Chat, Embed, InboundCodec, Models, RefusedError, Writer

if TYPE_CHECKING:
    from ..client import AsyncClient, AsyncStream, Client, Stream

__all__ = ["Answer", "AsyncBody", "Body", "HTTPCall", "aserve", "serve"]

_OK = 200
_LONGEST = 2000  # characters of a header
_JSON = "application/json"
_EVENTS = "text/event-stream; charset=utf-8"
_OPTIONS = (
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
    "response_format",
    "extra",
)


@dataclass(frozen=True, slots=True)
class HTTPCall:
    """A request as a transport has it.

    :ivar path: what follows the base URL.
    :ivar headers: with lower-case names.
    :ivar timeout: seconds that the caller gives the answer, or None.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    timeout: float | None = None


BodyT_co = TypeVar("BodyT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Answer(Generic[BodyT_co]):
    """What a transport hands back.

    :ivar body: bytes, or the pieces of a stream.
    :ivar timed_out: whether the caller's own time ran out, which some transports have an exception for.
    """

    status: int
    headers: dict[str, str]
    body: bytes | BodyT_co
    timed_out: bool = False


def serve(client: Client, codec: InboundCodec, call: HTTPCall) -> Answer[Body]:
    """Answer one request. Never fails: what goes wrong is said in the protocol's words."""
    desk = _Desk(client, codec, call)
    try:
        asked = desk.asked()
        match asked:
            case Chat(stream=False):
                return desk.whole(asked, client.complete(asked.route, asked.request.messages, **desk.options(asked)))
            case Chat():
                stream = client.stream(asked.route, asked.request.messages, **desk.options(asked))
                try:
                    first = next(stream)
                except BaseException:
                    stream.close()
                    raise
                return Answer(_OK, desk.begun(stream), Body(stream, first, desk.writer(asked, stream.target)))
            case Embed():
                embedded = client.embed(asked.route, asked.inputs, **desk.embed_options(asked))
                return desk.embedded(asked, embedded)
            case Models():
                return desk.models(asked)
    except (CallError, ConfigurationError) as error:
        return desk.failed(error)
    except Exception as bug:  # noqa: BLE001  # a drop-in client has no words for it
        return desk.broken(bug)


async def aserve(client: AsyncClient, codec: InboundCodec, call: HTTPCall) -> Answer[AsyncBody]:
    """Answer one request on the running event loop. Never fails: what goes wrong is said in the protocol's words."""
    desk = _Desk(client, codec, call)
    try:
        asked = desk.asked()
        match asked:
            case Chat(stream=False):
                answer = await client.complete(asked.route, asked.request.messages, **desk.options(asked))
                return desk.whole(asked, answer)
            case Chat():
                stream = client.stream(asked.route, asked.request.messages, **desk.options(asked))
                try:
                    first = await anext(stream)
                except BaseException:
                    await stream.aclose()
                    raise
                return Answer(_OK, desk.begun(stream), AsyncBody(stream, first, desk.writer(asked, stream.target)))
            case Embed():
                embedded = await client.embed(asked.route, asked.inputs, **desk.embed_options(asked))
                return desk.embedded(asked, embedded)
            case Models():
                return desk.models(asked)
    except (CallError, ConfigurationError) as error:
        return desk.failed(error)
    except Exception as bug:  # noqa: BLE001  # a drop-in client has no words for it
        return desk.broken(bug)


class Body:
    """The pieces of a streamed answer. Closing it closes the call."""

    def __init__(self, stream: Stream[Any], first: StreamEvent, writer: Writer) -> None:
        self._stream = stream
        self._pieces = _pieces(stream, first, writer)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Give the answer up; the vendor's connection is closed at once."""
        self._pieces.close()
        self._stream.close()


class AsyncBody:
    """The pieces of a streamed answer on an event loop. Closing it closes the call."""

    def __init__(self, stream: AsyncStream[Any], first: StreamEvent, writer: Writer) -> None:
        self._stream = stream
        self._pieces = _apieces(stream, first, writer)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        """Give the answer up; the vendor's connection is closed at once."""
        await self._pieces.aclose()
        await self._stream.aclose()


def _pieces(stream: Stream[Any], first: StreamEvent, writer: Writer) -> Generator[bytes, None, None]:
    with stream:
        try:
            yield writer.begin() + writer.event(first)
            for event in stream:
                yield writer.event(event)
        except CallError as error:
            yield writer.error(error)


async def _apieces(stream: AsyncStream[Any], first: StreamEvent, writer: Writer) -> AsyncGenerator[bytes, None]:
    async with stream:
        try:
            yield writer.begin() + writer.event(first)
            async for event in stream:
                yield writer.event(event)
        except CallError as error:
            yield writer.error(error)


class _Desk:
    """One request: what is said about it, whichever client answers."""

    def __init__(self, client: Client | AsyncClient, codec: InboundCodec, call: HTTPCall) -> None:
        self._policy = client.policy
        self._codec = codec
        self._call = call
        self._identity = uuid4().hex
        self._route: str | None = None
        self._settings: Route | None = None

    def asked(self) -> Chat | Embed | Models:
        """Read the request.

        :raises RefusedError: it cannot be asked of a route.
        :raises ModelNotFoundError: it names no route.
        """
        call = self._call
        asked = self._codec.decode(call.method, call.path, call.headers, call.body)
        if not isinstance(asked, Models):
            self._settings = self._policy.route(asked.route)
            if self._settings is None:
                raise ModelNotFoundError(
                    f"the model `{asked.route[:100]}` is no route of the policy and no alias",
                    hint=f"known are {', '.join(f'`{name}`' for name in self._names()[:16])}",
                )
            self._route = self._policy.aliases.get(asked.route, asked.route)
        return asked

    def options(self, asked: Chat) -> dict[str, Any]:
        """Return the options of the call."""
        given = {name: value for name in _OPTIONS if (value := getattr(asked.request, name)) not in (None, (), {})}
        if asked.stream and self._settings is not None and self._settings.mid_stream == "restart":
            given["mid_stream"] = "error"  # a new beginning cannot be told, so nobody is asked for one
        if not asked.stream:  # of a stream the SDK means each wait, for which the route has limits of its own
            given["deadline"] = self._call.timeout
        return {**given, **asked.options}

    def embed_options(self, asked: Embed) -> dict[str, Any]:
        """Return the options of the call."""
        return {**asked.options, "dimensions": asked.dimensions, "deadline": self._call.timeout}

    def writer(self, asked: Chat, target: Target | None) -> Writer:
        """Return the writer of a stream whose first content ``target`` wrote."""
        assert target is not None
        return self._codec.writer(asked, target, self._identity, int(time.time()))

    def whole(self, asked: Chat, answer: Completion[Any]) -> Answer[Never]:
        """Return a whole answer."""
        body = self._codec.whole(asked, answer, self._identity, int(time.time()))
        return Answer(_OK, self._headers(_JSON, answer.report, answer.target, answer.request_id), body)

    def embedded(self, asked: Embed, answer: Any) -> Answer[Never]:
        """Return vectors."""
        body = self._codec.embeddings(asked, answer, self._identity)
        return Answer(_OK, self._headers(_JSON, answer.report, answer.target), body)

    def begun(self, stream: Stream[Any] | AsyncStream[Any]) -> dict[str, str]:
        """Return the headers of a stream whose first event came."""
        report = stream.report
        under_way = 1 if report.outcome == "open" else 0
        return self._headers(_EVENTS, report, stream.target, under_way=under_way)

    def models(self, asked: Models) -> Answer[Never]:
        """Return routes and aliases."""
        return Answer(_OK, self._headers(_JSON), self._codec.models(asked, self._names()))

    def failed(self, error: CallError | ConfigurationError) -> Answer[Never]:
        """Return an error."""
        if isinstance(error, ConfigurationError):
            error = RefusedError(error.message, code="configuration", hint=error.hint)
        status, body = self._codec.error(error, self._identity)
        headers = self._headers(_JSON, error.report, request_id=error.request_id)
        headers["x-should-retry"] = "false"
        if error.retry_after is not None:
            headers["retry-after"] = str(math.ceil(error.retry_after))
            headers["retry-after-ms"] = str(math.ceil(error.retry_after * 1000))
        if error.target is not None:
            headers["x-multimodel-target"] = _ascii(error.target)
        return Answer(status, headers, body, self._is_out_of_time(error))

    def broken(self, bug: Exception) -> Answer[Never]:
        """Return an error that says nothing of a defect; its kind is logged."""
        emit(logging.ERROR, "multimodel.compat", route=self._route, outcome=type(bug).__name__)
        return self.failed(ServerError("the request could not be answered", hint="see the log"))

    def _is_out_of_time(self, error: CallError) -> bool:
        """Whether the caller's own limit was the shorter one."""
        route, own = self._settings, self._call.timeout
        return (
            isinstance(error, DeadlineExceededError) and route is not None and own is not None and own < route.deadline
        )

    def _names(self) -> list[str]:
        return [*self._policy.routes, *self._policy.aliases]

    def _headers(
        self,
        content_type: str,
        report: Report | None = None,
        target: Target | None = None,
        request_id: str | None = None,
        *,
        under_way: int = 0,
    ) -> dict[str, str]:
        headers = {"content-type": content_type, "x-request-id": request_id or self._identity}
        if self._route is not None:
            headers["x-multimodel-route"] = _ascii(self._route)
        if report is not None:
            headers["x-multimodel-attempts"] = str(len(report.attempts) + under_way)
            if report.losses:
                lost = dict.fromkeys(f"{loss.what}@{loss.target}" for loss in report.losses)
                headers["x-multimodel-losses"] = _ascii(" ".join(lost))[:_LONGEST]
        if target is not None:
            headers["x-multimodel-target"] = _ascii(str(target))
        return headers


def _ascii(text: str) -> str:
    """Names may hold anything, headers may not."""
    return quote(text, safe=":/ ")
