"""What the vendors saw, joined with what a client reports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from ..types import AttemptRecord, Report
from .reply import VendorRequest
from .vendor import FaultyVendor

__all__ = ["Entry", "Ledger"]

_NEVER_SENT = frozenset({"connection.unsent", "connection.tls", "timeout.connect"})
"""Outcomes of attempts that no vendor can have read."""
_PERHAPS_SENT = "connection.stale"
_ON_THE_WAY = 1.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt and the request that a vendor saw. One of them is None where the other side knows nothing of it."""

    provider: str
    attempt: AttemptRecord | None
    request: VendorRequest | None

    @property
    def problem(self) -> str | None:
        """What does not agree, in one sentence; None when all does."""
        attempt, request = self.attempt, self.request
        if attempt is None or request is None:
            if request is not None:
                return f"`{self.provider}` saw request {request.index}, which no report has"
            return (
                None if attempt is None else f"`{self.provider}` never saw attempt {attempt.index} ({attempt.outcome})"
            )
        inside = request.status == HTTPStatus.OK  # an error inside an answer may state a status of its own
        facts = (
            ("request id", attempt.request_id, request.request_id),
            ("status", None if inside else attempt.status, request.status),
            ("model", attempt.target.model, request.model),
        )
        for name, reported, seen in facts:
            if reported is not None and reported != seen:
                return f"`{self.provider}` request {request.index}: its {name} is {seen}, the report says {reported}"
        return None


class Ledger:
    """Joins the attempts of a client's reports with the requests that the vendors saw since the last time.

    Attempts that no vendor can have read (refused, no connection, no TLS) are left out, and so is one on a connection
    that turned out to be closed, unless its request is there. A vendor that was ``deaf`` may have had as many attempts
    more as it has connections that it never read.

    :param vendors: by the name of the provider in the policy.
    :param where: which requests count, for instance those of one call among many at the same time; None: all.

    >>> from multimodel import Client
    >>> with FaultyVendor(answer="Yes.") as vendor:
    ...     house = {"profile": "openai", "base_url": vendor.openai_url, "api_key": "sk-1"}
    ...     ledger = Ledger({"house": vendor})
    ...     with Client({"providers": {"house": house}, "routes": {"chat": {"chain": ["house:m"]}}}) as client:
    ...         answer = client.complete("chat", "Is it?")
    ...     ledger.problems([answer.report])
    []
    """

    def __init__(
        self, vendors: Mapping[str, FaultyVendor], *, where: Callable[[VendorRequest], bool] | None = None
    ) -> None:
        self._vendors = dict(vendors)
        self._where = where
        self._seen = {name: (vendor.requests, vendor.connections.unread) for name, vendor in vendors.items()}

    def problems(self, reports: Iterable[Report]) -> list[str]:
        """Return what does not agree between these reports and the vendors, in sentences; empty is right.

        :param reports: of every call since the last time. Those of calls one after the other are joined in their order.
        :raises RuntimeError: a vendor has dropped requests from its log meanwhile.
        """
        return [entry.problem for entry in self.join(reports) if entry.problem is not None]

    def join(self, reports: Iterable[Report]) -> list[Entry]:
        """Return each attempt with its request: by the request's id where the report has it, else by order.

        :raises RuntimeError: a vendor has dropped requests from its log meanwhile.
        """
        attempts: dict[str, list[AttemptRecord]] = defaultdict(list)
        for report in reports:
            for attempt in report.attempts:
                if attempt.outcome not in _NEVER_SENT:
                    attempts[attempt.target.provider].append(attempt)
        return [entry for name in self._vendors for entry in self._joined(name, attempts[name])]

    def _joined(self, name: str, attempts: list[AttemptRecord]) -> list[Entry]:
        sure = sum(attempt.outcome != _PERHAPS_SENT for attempt in attempts)
        self._wait_for(name, sure)
        requests, unread = self._new(name)
        by_id = {request.request_id: request for request in requests}
        matched = [by_id.pop(attempt.request_id or "", None) for attempt in attempts]
        rest = iter(by_id.values())
        for number in sorted(range(len(attempts)), key=lambda number: attempts[number].outcome == _PERHAPS_SENT):
            matched[number] = matched[number] or next(rest, None)
        entries = []
        for attempt, request in zip(attempts, matched, strict=True):
            if request is not None or not (unread or attempt.outcome == _PERHAPS_SENT):
                entries.append(Entry(name, attempt, request))
            elif attempt.outcome != _PERHAPS_SENT:
                unread -= 1
        return entries + [Entry(name, None, request) for request in rest]

    def _wait_for(self, name: str, count: int) -> None:
        """Wait a moment for so many requests, when some are still on their way."""
        vendor = self._vendors[name]
        first, unread = self._seen[name]
        vendor.wait_until(
            lambda: vendor.requests - first + vendor.connections.unread - unread >= count, seconds=_ON_THE_WAY
        )

    def _new(self, name: str) -> tuple[list[VendorRequest], int]:
        """The requests and the number of unread connections since the last time."""
        vendor = self._vendors[name]
        first, unread = self._seen[name]
        self._seen[name] = total, now_unread = vendor.requests, vendor.connections.unread
        found = [request for request in list(vendor.log) if first <= request.index < total]
        if len(found) != total - first:
            raise RuntimeError(f"the log of `{name}` has dropped requests; join more often")
        return [request for request in found if self._where is None or self._where(request)], now_unread - unread
