"""The engine: pure decisions about one call. No clock, socket, thread or lock is used in here.

:func:`run` is a generator. It yields a :class:`Step` (start an attempt, commit, wait until …) and is sent
the next :class:`Event`, each with the time at which it happened. Drivers perform the steps; with a simulated
driver the same code runs in virtual time.

The laws, in the order in which a call meets them:

 1. One deadline covers every attempt, sleep and fallback of a call; nothing starts that cannot run for half a
    second. The first content of a target must come within its own limit or its share of what remains.
 2. Each target of the chain is visited once, in order: at most ``retry.attempts`` requests a visit and
    ``max_attempts`` a call.
 3. A target is skipped while one of its breakers is open or its credential's gate is shut. Every skip is recorded.
 4. What may be repeated on the same target, tried on the next, and counted against whom is one table: ``rules``.
 5. A repeat on the same target takes a token from the credential's retry bucket, before it sleeps; an empty
    bucket means the next target. Fallbacks are free.
 6. A breaker opens after consecutive failures, by ratio, or at once for failures that waiting does not cure. Open
    turns into half-open: one probe at a time, on a real call, with a lease. Results of another epoch are dropped.
 7. A server's wait shuts the credential's gate for the whole client; the call sleeps only if the wait is short
    or nothing else is left.
 8. When nothing answered, targets that were skipped only for an open breaker or a shut gate are tried once, as
    the last resort. A target that is switched off is never in the chain.
 9. First content commits a stream: from there on a failure is the caller's to see, or, with ``restart``, the next
    target begins anew and the caller is told. An answer of which a tool call was shown never begins anew. A truncated
    answer is never a success.
10. However a call ends (cancelled, closed, an error of ours), its permit is given back.
"""

from __future__ import annotations

from .health import Health
from .rules import RULES, Rule
from .run import Call, run
from .settings import BreakerSettings, CallSettings, HedgeSettings, RetrySettings, TargetPlan
from .steps import Cancel, Commit, End, Ended, Event, First, Start, Step, ToolShown, Woke

__all__ = [
    "RULES",
    "BreakerSettings",
    "Call",
    "CallSettings",
    "Cancel",
    "Commit",
    "End",
    "Ended",
    "Event",
    "First",
    "Health",
    "HedgeSettings",
    "RetrySettings",
    "Rule",
    "Start",
    "Step",
    "TargetPlan",
    "ToolShown",
    "Woke",
    "run",
]
