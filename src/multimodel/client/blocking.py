"""The client for callers' threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from typing_extensions import Unpack

from ..config import OffEntry, Policy
from ..drivers.base import close
from ..drivers.blocking import BlockingDriver
from ..providers.base import Provider
from ..types import Completion, Messages
from .core import Core, PolicySource
from .options import CallOptions
from .running import Running
from .streams import Stream
from .views import Explanation, Status

__all__ = ["Client"]


class Client:
    """One completion interface over the targets of a policy. Safe to share between threads, usable after a fork.

    :param policy: a path, a mapping, a :class:`~multimodel.Policy`, or None: ``$MULTIMODEL_CONFIG``, then
        ``./multimodel.yaml``, then a built-in default over the vendors whose key is in the environment and the
        weights in ``./archive``.
    :param providers: ready adapters by provider name, for instance a ``FakeProvider`` in tests.
    :raises ConfigurationError: the policy is wrong; ``problems`` has every mistake with its place.

    >>> from multimodel.testing import FakeProvider
    >>> policy = {"routes": {"chat": {"chain": ["fake:any"]}}}
    >>> with Client(policy, providers={"fake": FakeProvider(["Hello."])}) as client:
    ...     client.complete("chat", "Hi").text
    'Hello.'
    """

    def __init__(self, policy: PolicySource = None, *, providers: Mapping[str, Provider] | None = None) -> None:
        self._core = Core(policy, providers)

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._core.policy

    def complete(self, route: str, messages: Messages, **options: Unpack[CallOptions]) -> Completion[Any]:
        """Ask a route and return the whole answer.

        A cut answer is never returned: the call starts again, at the same or the next target, unseen.

        :param route: a route of the policy, or one of its aliases.
        :param messages: one user message as a string, or the conversation: ``Message`` objects or OpenAI-shaped
            dictionaries.
        :param options: see :class:`~multimodel.CallOptions`.
        :raises AllTargetsFailedError: no target answered; its ``exceptions`` has one error per attempt and skip.
        :raises DeadlineExceededError: the deadline passed first.
        :raises BadRequestError: the request is not valid, or a vendor says so.
        :raises ConfigurationError: unknown route or target.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider(["Yes."])})
        >>> answer = client.complete("chat", "Is it?", max_tokens=10)
        >>> answer.text, str(answer.target), len(answer.report.attempts)
        ('Yes.', 'fake:any', 1)
        """
        running = Running(self._core, route, messages, options, stream=False)
        driver = BlockingDriver(running.steps, running.port, self._core.lock)
        running.begin()
        events = driver.events()
        try:
            for event in events:
                running.transcript.add(event)
        finally:
            events.close()
        running.check(driver)
        return running.completion(driver)

    def stream(self, route: str, messages: Messages, **options: Unpack[CallOptions]) -> Stream:
        """Ask a route and return the answer as it comes. Arguments and errors are those of ``complete``.

        Enter it with ``with`` and iterate over its events; ``stream.completion`` has the whole answer at the end.

        :raises StreamInterruptedError: while iterating, when the stream breaks after its first content.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider(["A b."])})
        >>> with client.stream("chat", "Say it.") as stream:
        ...     "".join(stream.text_deltas())
        'A b.'
        """
        running = Running(self._core, route, messages, options, stream=True)
        return Stream(running, BlockingDriver(running.steps, running.port, self._core.lock))

    def explain(self, route: str, *, needs: Iterable[str] = ()) -> Explanation:
        """Say what a call on ``route`` would do now: which targets are asked, which are skipped and why.

        :param needs: what the call would need, for instance ``{"tools", "vision"}``.
        :raises ConfigurationError: unknown route or need.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider([])})
        >>> print(client.explain("chat"))
        route `chat`, at most 120 s
          1. fake:any  asked
        """
        return self._core.explain(route, frozenset(needs))

    def status(self) -> Status:
        """Say what the client knows: the health of each target, and what is switched off.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider([])})
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
        by: str | None = None,
    ) -> tuple[str, ...]:
        """Take an operator, author, provider or target out: nothing more is sent there, not even as a last resort.

        It holds in every process that uses the same policy file, from its next attempt on. Attempts in flight
        finish.

        :param name: looked up as operator, then author, provider, target.
        :param reason: for the audit log and for whoever wonders later.
        :param until: when it ends by itself: an instant (without a time zone it is local), or a span from now; None
            is until ``on``.
        :param weights: take ``name`` as an author, wherever the weights run.
        :param by: who; None is the user of this process.
        :returns: the routes that have no target left.
        :raises ConfigurationError: ``name`` means nothing in this policy, ``until`` is past, or the switch file cannot
            be written.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider([])})
        >>> client.off("fake", reason="drill")
        ('chat',)
        """
        return self._core.switchboard.off(name, reason=reason, until=until, by=by, weights=weights)

    def on(self, name: str, *, by: str | None = None) -> tuple[OffEntry, ...]:
        """Lift what ``off`` switched off; return the entries that were lifted.

        :raises ConfigurationError: nothing of that name is off, or the policy itself says so.

        >>> from multimodel.testing import FakeProvider
        >>> client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider([])})
        >>> client.off("fake", reason="drill")
        ('chat',)
        >>> [entry.name for entry in client.on("fake")]
        ['fake']
        """
        return self._core.switchboard.on(name, by=by)

    def close(self) -> None:
        """Close the connections of this process. The client cannot be used afterwards."""
        self._core.closed = True
        self._core.shadows.close()
        with ExitStack() as everything:  # one that fails keeps no other open
            for provider in self._core.accounts.built():
                everything.callback(close, provider)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
