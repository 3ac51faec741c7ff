"""What a ledger says of real traffic: who answered, what it took, what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ConfigurationError
from .file import address, check_ledger

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Flow", "Traffic", "read_ledger"]

_FLOWS = """
SELECT route, target, operator, author, jurisdiction,
  count(DISTINCT CASE WHEN outcome = 'ok' AND verb != 'shadow' THEN call END),
  count(*),
  sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)),
  sum(input_tokens IS NULL AND (outcome = 'ok' OR cost IS NULL OR cost > 0)),
  total(cost), sum(cost IS NULL), total(cost_estimated * coalesce(cost, 0)),
  min(CASE WHEN outcome = 'ok' AND verb != 'shadow' THEN time END),
  max(CASE WHEN outcome = 'ok' AND verb != 'shadow' THEN time END)
FROM attempts WHERE time >= ? GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""
_SPAN = """
SELECT min(time), max(time), count(DISTINCT CASE WHEN verb != 'shadow' THEN call END),
  count(DISTINCT CASE WHEN outcome = 'ok' AND verb != 'shadow' THEN call END)
FROM attempts WHERE time >= ?
"""


@dataclass(frozen=True, slots=True)
class Flow:
    """What one route sent to one target. Instants are seconds since 1970.

    :ivar calls: those that it answered; copies for a shadow are none.
    :ivar attempts: requests on the wire, whatever became of them.
    :ivar tokens: of input and output, as far as they are known.
    :ivar uncounted: attempts that may have taken tokens, and nobody knows how many.
    :ivar cost: US dollars, as far as they are known.
    :ivar unpriced: attempts whose cost is unknown.
    :ivar estimated: the part of ``cost`` that is an estimate of what was broken off.
    """

    route: str
    target: str
    operator: str | None
    author: str | None
    jurisdiction: str | None
    calls: int
    attempts: int
    tokens: int
    uncounted: int
    cost: float
    unpriced: int
    estimated: float
    first_answer: float | None
    last_answer: float | None


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a ledger holds from an instant on.

    :ivar calls: calls that put something on the wire.
    :ivar answered: those of them that ended with an answer.
    """

    file: str
    since: float | None
    first: float | None
    last: float | None
    calls: int
    answered: int
    flows: tuple[Flow, ...]

    def answers(self, route: str, target: str) -> int:
        """Return how many calls of a route a target answered."""
        return sum(flow.calls for flow in self._of(route, target))

    def attempts(self, route: str, target: str) -> int:
        """Return how often a target was asked on a route."""
        return sum(flow.attempts for flow in self._of(route, target))

    def answered_between(self, route: str, target: str) -> tuple[float | None, float | None]:
        """Return when a target answered a call of a route first, and last."""
        first = [flow.first_answer for flow in self._of(route, target) if flow.first_answer is not None]
        last = [flow.last_answer for flow in self._of(route, target) if flow.last_answer is not None]
        return min(first, default=None), max(last, default=None)

    def _of(self, route: str, target: str) -> list[Flow]:
        return [flow for flow in self.flows if (flow.route, flow.target) == (route, target)]


def read_ledger(file: Path, since: float | None = None) -> Traffic:
    """Read a ledger, also one that is being written.

    :param since: seconds since 1970; None is from its beginning.
    :raises ConfigurationError: it is not there, cannot be read, or is no ledger.
    """
    import sqlite3

    if not file.is_file():
        hint = "write `ledger: FILE` into the policy, and let the application make a call"
        raise ConfigurationError(f"there is no ledger `{file}`", hint=hint)
    try:
        connection = _opened(file)
        try:
            if not check_ledger(connection):
                raise sqlite3.DatabaseError("the file is empty")
            begin = -1e18 if since is None else since
            connection.execute("BEGIN")  # both see the same lines
            first, last, calls, answered = connection.execute(_SPAN, (begin,)).fetchone()
            flows = tuple(Flow(*row) for row in connection.execute(_FLOWS, (begin,)))
        finally:
            connection.close()
    except sqlite3.Error as error:
        hint = "copy it together with its `-wal` and `-shm` files, or name another"
        raise ConfigurationError(f"the ledger `{file}` cannot be read: {error}", hint=hint) from error
    return Traffic(str(file), since, first, last, calls, answered, flows)


def _opened(file: Path) -> sqlite3.Connection:
    import sqlite3

    connection = sqlite3.connect(f"{address(file)}?mode=ro", uri=True, timeout=10, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if file.with_name(f"{file.name}-wal").exists():
            raise
        # nobody writes it, and its folder may not be written: SQLite cannot make its `-shm` file there
        return sqlite3.connect(f"{address(file)}?immutable=1", uri=True, isolation_level=None)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
