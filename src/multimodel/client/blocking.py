"""The client for callers' threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from copy import copy
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

from pydantic import JsonValue, TypeAdapter
from typing_extensions import Unpack

from ..config import OffEntry, Policy, Secret
from ..config.residency import Residency
from ..drivers.base import close
from ..drivers.blocking import BlockingDriver
from ..providers.base import Provider
from ..types import Completion, Embeddings, Messages
from ..types.answers import ParsedT
from .core import Core
from .embedding import Embedding
from .options import CallOptions
from .running import Running
from .source import PolicySource, Source
from .streams import Stream
from .view import view_of
from .views import Status

if TYPE_CHECKING:
    from .explanation import Explanation

__all__ = ["Client"]


class Client:
    """One completion interface over the targets of a policy. Safe to share between threads, usable after a fork.

    :param policy: a path, a mapping, a :class:`~multimodel.Policy`, or None: ``$MULTIMODEL_CONFIG``, then
        ``./multimodel.yaml``, then a built-in default over the vendors whose key is in the environment and the
        weights in ``./archive``.
    :param providers: ready adapters by provider name, for instance a ``FakeProvider`` in tests.
    :param reload: whether a policy file is read again when it has changed; ``reload()`` does so at any time.
    :raises ConfigurationError: the policy is wrong; ``problems`` has every mistake with its place.

    >>> from multimodel.testing import FakeProvider
    >>> policy = {"routes": {"chat": {"chain": ["fake:any"]}}}
    >>> with Client(policy, providers={"fake": FakeProvider(["Hello."])}) as client:
    ...     client.complete("chat", "Hi").text
    'Hello.'
    """

    def __init__(
        self,
        policy: PolicySource = None,
        *,
        providers: Mapping[str, Provider] | None = None,
        reload: bool = True,
    ) -> None:
        self._core = Core(Source(policy, providers), reload=reload)

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._core.policy

    @overload
    def complete(
        self,
        route: str,
        messages: Messages,
        *,
        response_model: type[ParsedT] | TypeAdapter[ParsedT],
        **options: Unpack[CallOptions],
    ) -> Completion[ParsedT]: ...

    @overload
    def complete(
        self, route: str, messages: Messages, *, response_model: None = None, **options: Unpack[CallOptions]
    ) -> Completion[Any]: ...

    def complete(
        self, route: str, messages: Messages, *, response_model: object = None, **options: Unpack[CallOptions]
    ) -> Completion[Any]:
        """Ask a route and return the whole answer.

        A cut answer is never returned: the call starts again, at the same or the next target, unseen.

        :param route: a route of the policy, or one of its aliases.
        :param messages: one user message as a string, or the conversation: ``Message`` objects or OpenAI-shaped
            dictionaries.
        :param response_model: a pydantic model, or any type that a ``TypeAdapter`` takes: the answer is asked for as
            JSON of this type, checked, and in ``parsed``.
        :param options: see :class:`~multimodel.CallOptions`.
        :raises AllTargetsFailedError: no target answered; its ``exceptions`` has one error per attempt and skip.
        :raises DeadlineExceededError: the deadline passed first.
        :raises InvalidResponseError: the answer does not fit, and the route says ``on_invalid_output: stop``.
        :raises BadRequestError: the request is not valid, or a vendor says so.
        :raises ConfigurationError: unknown route or target.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider(["Yes."])})
        >>> answer = client.complete("chat", "Is it?", max_tokens=10)
        >>> answer.text, str(answer.target), len(answer.report.attempts)
        ('Yes.', 'fake:any', 1)
        """
        running = Running(self._core, route, messages, options, stream=False, response_model=response_model)
        with running:
            running.begin()
            while True:
                driver = BlockingDriver(running.steps, running.port, self._core.lock)
                events = driver.events()
                try:
                    for event in events:
                        running.transcript.add(event)
                finally:
                    events.close()
                if not running.goes_on(driver):
                    break
            running.check(driver)
            return running.completion(driver)

    @overload
    def stream(
        self,
        route: str,
        messages: Messages,
        *,
        response_model: type[ParsedT] | TypeAdapter[ParsedT],
        **options: Unpack[CallOptions],
    ) -> Stream[ParsedT]: ...

    @overload
    def stream(
        self, route: str, messages: Messages, *, response_model: None = None, **options: Unpack[CallOptions]
    ) -> Stream[Any]: ...

    def stream(
        self, route: str, messages: Messages, *, response_model: object = None, **options: Unpack[CallOptions]
    ) -> Stream[Any]:
        """Ask a route and return the answer as it comes. Arguments and errors are those of ``complete``.

        Enter it with ``with`` and iterate over its events; ``stream.completion`` has the whole answer at the end.

        :raises StreamInterruptedError: while iterating, when the stream breaks after its first content.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider(["A b."])})
        >>> with client.stream("chat", "Say it.") as stream:
        ...     "".join(stream.text_deltas())
        'A b.'
        """
        running = Running(self._core, route, messages, options, stream=True, response_model=response_model)
        return Stream(running, BlockingDriver(running.steps, running.port, self._core.lock))

    def embed(  # noqa: PLR0913  # options, all by name
        self,
        route: str,
        inputs: str | Sequence[str],
        *,
        dimensions: int | None = None,
        deadline: float | None = None,
        only: Sequence[str] | None = None,
        avoid: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
        residency: Residency | Mapping[str, Sequence[str]] | None = None,
        extra: Mapping[str, Mapping[str, JsonValue]] | None = None,
    ) -> Embeddings:
        """Turn texts into vectors.

        More inputs than a vendor takes in one request go in several, one after the other. Another target is asked only
        if it has the same weights: vectors by different ones cannot be compared, even where they are equally long.

        :param inputs: a string, which gives one vector, or several, which give one each, in their order.
        :param dimensions: numbers a vector, for models that let one choose.
        :param deadline: seconds for the whole call; it can only shorten the route's.
        :param only: targets, providers, operators or authors that alone may be asked.
        :param avoid: those that may not be asked.
        :param metadata: words of yours for log events.
        :param residency: where the texts may be stored and inference may run, besides what the route says.
        :param extra: vendor-only options, ``{"dashscope": {"text_type": "query"}}``.
        :raises AllTargetsFailedError: no target answered; its ``exceptions`` has one error per attempt and skip.
        :raises DeadlineExceededError: the deadline passed first.
        :raises BadRequestError: there is no input, or an empty one, or a vendor says so.
        :raises ConfigurationError: unknown route or target.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"vectors": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider()})
        >>> found = client.embed("vectors", ["a cat", "a dog"], dimensions=3)
        >>> len(found.vectors), found.dimensions, str(found.target)
        (2, 3, 'fake:any')
        """
        options = {
            "dimensions": dimensions,
            "deadline": deadline,
            "only": only,
            "avoid": avoid,
            "metadata": metadata,
            "residency": residency,
            "extra": extra,
        }
        embedding = Embedding(self._core, route, inputs, options)
        with embedding:
            for batch in embedding.batches():
                driver = BlockingDriver(batch.steps, batch.port, self._core.lock)
                events = driver.events()
                try:
                    for event in events:
                        batch.add(event)
                finally:
                    events.close()
                batch.end(driver)
            return embedding.result()

    def using(
        self,
        *,
        tenant: str | None = None,
        credentials: Mapping[str, str | Secret] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a view of this client for one tenant: the same verbs, with what is the tenant's own.

        It is cheap enough to be made for each request: it opens nothing, and uses the connections, the policy and the
        switches of its client. Closing the client closes it; closing the view leaves the client open.

        :param tenant: who has a budget of its own, where routes have one; None shares the client's.
        :param credentials: keys by provider, used in the place of the policy's and the environment's, which are not
            looked at; a provider that is not named is not asked, unless it needs no credential. What such a key does
            wrong is held against it alone. None uses the client's. An adapter that was handed in is used as it is.
        :param metadata: added to that of each call.
        :raises ConfigurationError: a provider that the policy does not have, or a key that cannot be one.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider()})
        >>> acme = client.using(tenant="acme", credentials={"fake": "sk-acme"}, metadata={"team": "search"})
        >>> acme.complete("chat", "Hi").text
        'Hello.'
        """
        view = copy(self)
        view._core = view_of(self._core, tenant, credentials, metadata)  # noqa: SLF001  # it is one of its own
        return view

    def explain(self, route: str, *, needs: Iterable[str] = ()) -> Explanation:
        """Say what a call on ``route`` would do now: which targets are asked, which are skipped and why.

        It also says when each is asked at the latest, as long as no answer begins, and what the call costs at most.
        Print it to read it.

        :param needs: what the call would need, for instance ``{"tools", "vision"}``; ``input=N`` and ``output=N`` are
            tokens of a prompt and of an answer.
        :raises ConfigurationError: unknown route or need.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider()})
        >>> explained = client.explain("chat")
        >>> explained.first, explained.slowest
        ('fake:any: it stands first in the chain', 120.0)
        """
        return self._core.explain(route, frozenset(needs))

    def status(self) -> Status:
        """Say what the client knows: the health of each target, what is switched off, and what of budgets is spent.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider()})
        >>> client.status().routes["chat"][0].state
        'closed'
        """
        return self._core.status()

    def off(
        self,
        name: str,
        *,
        reason: str,
        until: datetime | timedelta | None = None,
        weights: bool = False,
        cut: bool = False,
        by: str | None = None,
    ) -> tuple[str, ...]:
        """Take an operator, author, provider or target out: nothing more is sent there, not even as a last resort.

        It holds in every process that uses the same policy file, from its next attempt on. Attempts in flight
        finish, unless ``cut``.

        :param name: looked up as operator, then author, provider, target.
        :param reason: for the audit log and for whoever wonders later.
        :param until: when it ends by itself: an instant (without a time zone it is local), or a span from now; None
            is until ``on``.
        :param weights: take ``name`` as an author, wherever the weights run.
        :param cut: end the attempts in flight too, in every process, within about a second: their calls go on elsewhere,
            or fail.
        :param by: who; None is the user of this process.
        :returns: the routes that have no target left.
        :raises ConfigurationError: ``name`` means nothing in this policy, ``until`` is past, or the switch file cannot
            be written.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider()})
        >>> client.off("fake", reason="drill")
        ('chat',)
        """
        return self._core.switchboard.off(name, reason=reason, until=until, by=by, weights=weights, cut=cut)

    def on(self, name: str, *, by: str | None = None) -> tuple[OffEntry, ...]:
        """Lift what ``off`` switched off; return the entries that were lifted.

        :raises ConfigurationError: nothing of that name is off, or the policy itself says so.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider()})
        >>> client.off("fake", reason="drill")
        ('chat',)
        >>> [entry.name for entry in client.on("fake")]
        ['fake']
        """
        return self._core.switchboard.on(name, by=by)

    def reload(self) -> None:
        """Load the policy again, with the environment as it is now, and take it from the next call on.

        A call keeps the policy that it began with. Breakers, budgets and connections of what has not changed stay as
        they are. A client whose policy is a file does this by itself when the file has changed.

        :raises ConfigurationError: it cannot be used, and the old one stays in force; ``problems`` has every mistake
            with its place.

        >>> from multimodel.testing import FakeProvider
        >>> policy = {"routes": {"chat": {"chain": ["fake:any"]}}}
        >>> client = Client(policy, providers={"fake": FakeProvider()})
        >>> policy["routes"]["summarise"] = policy["routes"]["chat"]
        >>> client.reload()
        >>> sorted(client.status().routes)
        ['chat', 'summarise']
        """
        self._core.reloading.reload()

    def close(self) -> None:
        """Close the connections of this process. The client cannot be used afterwards."""
        with ExitStack() as everything:  # one that fails keeps no other open
            for one in self._core.leave():
                everything.callback(close, one)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
