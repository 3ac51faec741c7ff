"""One call that turns texts into vectors: batch after batch, within one deadline and one report.

1. The vectors of a call are all by the same weights: those of the first target, of those that ``only`` and ``avoid``
   leave, that turns texts into vectors at all. Whether it can be asked now makes no difference: vectors by other
   weights look right and mean something else.
2. A batch has at most as many rows as each of the targets takes in one request.
3. Each batch is a run of the engine. It begins with the target that answered the one before, and may use as many
   attempts as a call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Any

from ..config.residency import Residency
from ..drivers.base import Driver, aclose, close, now
from ..engine import Call, End, Event, Start, Step, run
from ..engine.settings import TargetPlan
from ..errors import ConfigurationError, InvalidResponseError
from ..governance.switches import Switches
from ..providers.derive import async_stream, blocking_stream
from ..types import AnswerEvent, AnyRequest, Attempt, Embeddings, EmbedRequest, Finished, StreamEvent, Usage, Vector
from ..types import Vectors as Answer
from .core import Core
from .cost import CostAtMost
from .entered import Entered
from .options import split_options
from .port import Reach
from .request import validated
from .running import log_report
from .targets import Planned, drawn, without_keys

__all__ = ["Batch", "Embedding"]

_ROWS = 2048  # OpenAI's limit, where the catalogue names none
_NEED = "embeddings"


class Embedding(Entered):
    """One call.

    :param options: as of ``embed``.
    :raises ConfigurationError: an unknown route or target, or a closed client.
    :raises BadRequestError: the inputs or an option are not valid.
    """

    def __init__(self, core: Core, route: str, inputs: object, options: Mapping[str, Any]) -> None:
        if core.closed:
            raise ConfigurationError("the client is closed", hint="make a new one")
        asked, choices = split_options({name: value for name, value in options.items() if name != "dimensions"})
        held = core.current()
        name, settings = held.route(route)
        given = {"inputs": inputs, "dimensions": options.get("dimensions"), **asked}
        self._request = validated(EmbedRequest, given)
        self._metadata = {**core.metadata, **choices.metadata} if core.metadata else choices.metadata
        self._limits = held.limits(name, stream=False, deadline=choices.deadline)
        super().__init__(core, "embed")
        self._call = Call(name, self._limits, now(), stream=False, policy=held.version)
        if settings.budget is not None:
            self._call.budget = core.budget(name, settings.budget)
        chain = held.selected(name, choices.only, choices.avoid)
        self._targets = self._able(chain, frozenset({_NEED, *settings.requires}), choices.residency)
        if settings.traffic:
            self._targets = drawn(self._targets, settings.traffic, core.rng)
        self._watch(self._call, self._request, self._targets)
        self._size = self._request.dimensions
        self._vectors: list[Vector] = []
        self._usages: list[Usage | None] = []
        self._last: tuple[End, Finished] | None = None

    def _able(self, chain: Sequence[Planned], needs: frozenset[str], rule: Residency | None) -> list[Planned]:
        """Return the targets that may be asked; the others are skipped, with the reason."""
        able: list[Planned] = []
        first: Planned | None = None
        for planned in chain:
            why = self._core.obstacle(planned, needs, rule)
            embeds = _NEED not in planned.plan.lacks
            if why is None and (why := _cannot(planned)) is not None:
                embeds = why[0] != "capability"
            if embeds and first is None:
                first = planned
            if why is None and first is not None and planned.weights != first.weights:
                why = "weights", f"its vectors cannot be compared with those of {first.plan.target}"
            if why is None:
                able.append(planned)
            else:
                self._call.skip(planned.plan.target, *why)
        return able

    def batches(self) -> Iterator[Batch]:
        """Yield one batch after the other; each must have ended before the next is asked for."""
        plans = [replace(planned.plan, stream=False) for planned in self._targets]
        inputs = self._request.inputs
        most = min(map(_rows, self._targets), default=_ROWS)
        for start in range(0, len(inputs), most):
            attempts = len(self._call.attempts) + self._limits.max_attempts
            self._call.settings = replace(self._limits, max_attempts=attempts)
            request = self._request.model_copy(update={"inputs": inputs[start : start + most]})
            self._call.cost_at_most = CostAtMost(request, self._targets)
            port = _Port(self._call, request, self._targets, self._core.switches, self._size)
            yield Batch(self, port, self._steps(plans))
            last = self._last[0].plan if self._last is not None else None
            plans.sort(key=lambda plan, last=last: plan is not last)  # type: ignore[misc]  # mypy infers no default

    def _steps(self, plans: Sequence[TargetPlan]) -> Generator[Step, Event, End]:
        return run(self._call, plans, self._core.health, self._core.rng, now(), anew=True)

    def end(self, driver: Driver, answer: Answer | None) -> None:
        """Take the end of a batch.

        :raises CallError: it ended without an answer, and so does the call.
        """
        end, finished = driver.end, driver.finished
        if end is None:
            raise RuntimeError("the batch has not ended")
        if end.error is not None:
            log_report(end.report, self._metadata, self._call.turns)
            self.span.end(end.report, None)
            without_keys(self._call.errors, self._targets)
            raise end.error
        if finished is None or answer is None:
            raise RuntimeError("the batch has not ended with an answer")
        self._last = end, finished
        self._usages.append(finished.usage)
        self._vectors += [vector for _, vector in answer.rows]
        self._size = len(self._vectors[0])

    def result(self) -> Embeddings:
        """Return the vectors of all batches."""
        if self._last is None or self._last[0].plan is None:
            raise RuntimeError("the call has not ended with an answer")
        (end, finished), plan = self._last, self._last[0].plan
        log_report(end.report, self._metadata, self._call.turns)
        self.span.end(end.report, finished)
        return Embeddings(
            vectors=tuple(self._vectors),
            usage=_sum(self._usages),
            target=plan.target,
            model=finished.model or plan.target.model,
            report=end.report,
        )


class Batch:
    """A part of a call, for a driver to perform.

    :ivar port: how the driver reaches the targets.
    :ivar steps: the engine's decisions.
    """

    def __init__(self, embedding: Embedding, port: _Port, steps: Generator[Step, Event, End]) -> None:
        self._embedding = embedding
        self._answer: Answer | None = None
        self.port = port
        self.steps = steps

    def add(self, event: StreamEvent) -> None:
        """Take what the driver yields; of two answers the later one holds."""
        if isinstance(event, Answer):
            self._answer = event

    def end(self, driver: Driver) -> None:
        """Hand the answer over.

        :raises CallError: there is none.
        """
        self._embedding.end(driver, self._answer)


class _Port(Reach):
    """The way from an engine's ``Start`` to vectors. To the driver they are content, and what follows them is the end.

    :param size: numbers that each vector must have; None: as many as the others.
    """

    def __init__(
        self, call: Call, request: EmbedRequest, planned: Sequence[Planned], switches: Switches, size: int | None
    ) -> None:
        super().__init__(call, planned, switches)
        self._request = request
        self._size = size

    def open(
        self, start: Start, now: Callable[[], float], given_up: Callable[[], bool] | None = None
    ) -> Iterator[AnswerEvent]:
        """Begin an attempt on the caller's thread."""
        planned = self._allowed(start)
        return self._told(blocking_stream(planned.account.reach())(self._attempt(planned, start, now, given_up)))

    def aopen(self, start: Start, now: Callable[[], float]) -> AsyncIterator[AnswerEvent]:
        """Begin an attempt on the running event loop."""
        planned = self._allowed(start)
        return self._atold(async_stream(planned.account.reach())(self._attempt(planned, start, now, None)))

    def _attempt(
        self, planned: Planned, start: Start, now: Callable[[], float], given_up: Callable[[], bool] | None
    ) -> Attempt[AnyRequest]:
        target, given = planned.plan.target, self._request.extra
        lose = partial(self._call.lose, target)
        extra = dict(planned.params.get("extra", {}))
        extra |= {name: {**extra.get(name, {}), **own} for name, own in given.items()}
        for vendor in extra:
            if vendor not in (target.provider, planned.account.profile.name):
                lose(f"extra.{vendor}", "options of another vendor were not sent")
        request = self._request.model_copy(update={"extra": extra})
        return Attempt(
            request,
            target.model,
            False,
            start.limits,
            now,
            self._note(target),
            given_up=given_up,
            lose=lose,
            check=self._check(planned, now),
            hosts=planned.account.hosts,
        )

    def _told(self, events: Iterator[AnswerEvent]) -> Generator[AnswerEvent, None, None]:
        try:
            for event in events:
                yield from self._checked(event)
        finally:
            close(events)

    async def _atold(self, events: AsyncIterator[AnswerEvent]) -> AsyncIterator[AnswerEvent]:
        try:
            async for event in events:
                for one in self._checked(event):
                    yield one
        finally:
            await aclose(events)

    def _checked(self, answer: AnswerEvent) -> tuple[Answer, Finished]:
        """Return the answer with its rows in order, and the end.

        :raises InvalidResponseError: there is not exactly one vector for each input, all of one length.
        """
        if not isinstance(answer, Answer):
            raise InvalidResponseError("the adapter answered something else than vectors")
        count, rows = len(self._request.inputs), sorted(answer.rows, key=itemgetter(0))
        if [number for number, _ in rows] != list(range(count)):
            raise InvalidResponseError(
                f"the answer has {len(rows)} vectors for {count} inputs"
                if len(rows) != count
                else "the answer has two vectors for one input, or one for none"
            )
        size = self._size or len(rows[0][1])
        odd = next((len(vector) for _, vector in rows if len(vector) != size), None)
        if odd is not None:
            raise InvalidResponseError(f"the answer has a vector of {odd} numbers, and not of {size}")
        whole = replace(answer, rows=tuple(rows))
        return whole, Finished(whole.reason, whole.usage, whole.model, whole.request_id)


def _cannot(planned: Planned) -> tuple[str, str] | None:
    """Say why the adapter of a target cannot be asked for vectors."""
    try:
        adapter = planned.account.reach()
    except ConfigurationError as error:
        return "unavailable", str(error)
    return None if getattr(adapter, "embeds", False) else ("capability", "its adapter does not turn texts into vectors")


def _rows(planned: Planned) -> int:
    """Return how many texts one request to a target may have."""
    rows = planned.account.profile.dialect(planned.plan.target.model).quirks.get("embed_rows", _ROWS)
    assert isinstance(rows, int)
    return rows


def _sum(usages: Sequence[Usage | None]) -> Usage | None:
    known = [usage for usage in usages if usage is not None]
    if len(known) < len(usages):
        return None
    costs = [usage.cost for usage in known if usage.cost is not None]
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in known),
        output_tokens=sum(usage.output_tokens for usage in known),
        total_tokens=sum(usage.total_tokens for usage in known),
        cost=sum(costs) if len(costs) == len(known) else None,
    )
