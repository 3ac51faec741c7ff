"""A key and a prompt that nobody but the vendor may see, and the places where they are looked for."""

from __future__ import annotations

import pickle
import traceback
from collections import Counter
from collections.abc import Iterator

from pydantic_core import to_json

from multimodel import CallError, Completion
from multimodel.client.explanation import Explanation
from multimodel.client.views import Status
from multimodel.types import Report

__all__ = ["ECHO", "KEY", "PROMPT", "Canary", "places_of_a_report", "places_of_an_error"]

KEY = "sk-canary-4711"
PROMPT = "The canary sings at dawn."
ECHO = f"The key {KEY} is wrong, and so is: {PROMPT}"
"""What a vendor says that repeats what it was sent."""

Places = Iterator[tuple[str, str]]


class Canary:
    """Counts the places that were searched. Safe to share between threads."""

    def __init__(self) -> None:
        self._searched: list[str] = []
        self.hits: list[str] = []

    def search(self, *places: tuple[str, str]) -> list[str]:
        """Return the places where the key or the prompt is. ``key: …`` is a place where the prompt is no secret."""
        found = []
        for name, text in places:
            self._searched.append(name)
            if KEY[3:] in text or (PROMPT in text and not name.startswith("key: ")):
                at = text.find(KEY[3:] if KEY[3:] in text else PROMPT)
                found.append(f"{name}: …{text[max(0, at - 60) : at + 60]!r}…")
        self.hits += found
        return found

    @property
    def searched(self) -> Counter[str]:
        """How often each place was searched."""
        return Counter(self._searched)


def places_of_an_error(error: BaseException | None) -> Places:
    """An error as it is printed, logged, kept and sent elsewhere; those that it holds with it."""
    if error is None:
        return
    yield "str(error)", str(error)
    yield "repr(error)", repr(error)
    yield "pickle.dumps(error)", str(pickle.dumps(error))
    yield "traceback", "".join(traceback.format_exception(error))
    with_locals = traceback.TracebackException.from_exception(error, capture_locals=True)
    yield "key: traceback with locals", "".join(with_locals.format())
    if isinstance(error, CallError):
        yield "fields of the error", str({name: value for name, value in vars(error).items() if name != "detail"})
        yield "key: the vendor's words", str(error.detail)
    for inner in getattr(error, "exceptions", ()):
        yield from places_of_an_error(inner)


def places_of_a_report(report: Report) -> Places:
    """A report as it is printed, and as it is kept."""
    yield "repr(report)", repr(report)
    yield "report as JSON", to_json(report).decode()


def places_of_an_answer(answer: Completion | None) -> Places:
    """An answer as it is printed, and as it is kept."""
    if answer is not None:
        yield "repr(completion)", repr(answer)
        yield "completion as JSON", answer.model_dump_json()


def places_of_a_client(client: object, status: Status, explanation: Explanation) -> Places:
    """What a client says of itself."""
    yield "repr(client)", f"{client!r} {vars(client)!r}"
    yield "status()", f"{status!r} {status}"
    yield "status() as JSON", to_json(status).decode()
    yield "explain()", f"{explanation!r} {explanation}"
    yield "explain() as JSON", to_json(explanation).decode()
