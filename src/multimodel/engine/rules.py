"""What each kind of failure leads to, as one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import Kind, Scope

__all__ = ["MAYBE_DONE", "NOT_SENT", "RULES", "Rule"]

Same = Literal["never", "budget", "free", "hint"]
Next = Literal["yes", "no", "filter", "window"]
Blame = Literal["none", "count", "open", "gate"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row.

    :ivar same: whether the same target may be asked again: ``budget`` (a token of the retry bucket), ``free``
        (the request never left), ``hint`` (when the server's wait is short).
    :ivar next: whether the next target may be asked: ``filter`` if the policy says so, ``window`` if its window
        is larger or unknown.
    :ivar blame: ``count`` one failure, ``open`` the breaker at once, shut the ``gate``, or nothing.
    :ivar scope: which breaker or gate is meant.
    :ivar opens_for: seconds an ``open`` lasts at first, and at most.
    """

    same: Same
    next: Next
    blame: Blame = "none"
    scope: Scope = "target"
    opens_for: tuple[float, float] = (60.0, 600.0)


RULES: dict[Kind, Rule] = {
    "authentication": Rule("never", "yes", "open", "credential", (60.0, 600.0)),
    "permission_denied": Rule("never", "yes", "open", "credential_model", (60.0, 600.0)),
    "quota_exhausted": Rule("never", "yes", "open", "credential", (60.0, 900.0)),
    "rate_limited": Rule("hint", "yes", "gate", "credential"),
    "overloaded": Rule("budget", "yes", "count"),
    "server_error": Rule("budget", "yes", "count"),
    "timeout.connect": Rule("never", "yes", "count", "endpoint"),
    "timeout.first": Rule("never", "yes", "count"),
    "timeout.whole": Rule("never", "yes", "count"),
    "timeout.idle": Rule("never", "yes", "count"),
    "timeout.pool": Rule("never", "yes"),
    "deadline_exceeded": Rule("never", "no", "count"),
    "connection.unsent": Rule("budget", "yes", "count", "endpoint"),
    "connection.stale": Rule("free", "yes"),
    "connection.maybe_sent": Rule("budget", "yes", "count", "endpoint"),
    "connection.tls": Rule("never", "yes", "open", "endpoint", (60.0, 600.0)),
    "bad_request": Rule("never", "no"),
    "context_window_exceeded": Rule("never", "window"),
    "content_filtered": Rule("never", "filter"),
    "model_not_found": Rule("never", "yes", "open", "target", (60.0, 600.0)),
    "invalid_response": Rule("budget", "yes", "count"),
    "truncated_stream": Rule("budget", "yes", "count"),
    "output_invalid": Rule("never", "yes"),
    "policy_denied": Rule("never", "yes"),
    "policy_denied.cut": Rule("never", "yes"),
    "local_overload": Rule("never", "yes"),
    # These two end calls; no attempt reports them.
    "stream_interrupted": Rule("never", "no"),
    "all_targets_failed": Rule("never", "no"),
}

NOT_SENT: frozenset[Kind] = frozenset({"policy_denied", "local_overload", "timeout.pool"})
"""Kinds that mean that nothing was put on the wire: they are skips, not attempts."""

MAYBE_DONE: frozenset[Kind] = frozenset(
    {
        "server_error",
        "timeout.first",
        "timeout.whole",
        "timeout.idle",
        "connection.maybe_sent",
        "connection.stale",
        "invalid_response",
        "truncated_stream",
        "policy_denied.cut",
    }
)
"""Kinds after which the vendor may have carried out what was asked, though no answer says so."""
