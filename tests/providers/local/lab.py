"""An engine whose every computation waits until the test lets it happen."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Semaphore
from typing import Any

from multimodel.errors import CallError
from multimodel.providers.base import ProviderSetup
from multimodel.providers.local import LocalProvider
from multimodel.providers.local.engine import Engine, EngineSettings, Row
from multimodel.providers.profile import Fact, Profile
from multimodel.types import (
    AnswerEvent,
    Attempt,
    Finished,
    Limits,
    ReasoningDelta,
    Request,
    TextDelta,
    ToolCallDelta,
)

PATIENT = 30.0  # seconds that a test waits for what must happen at once
NONSENSE = [
    "zq",
    "weather weather hello",
    "JSON in Bonn 17 17 3 hello tool weather count",
    "是 hello",
    "!!",
    "a b c d e f",
]


def provider_for(archive: Path, **options: Any) -> LocalProvider:
    fact = Fact(source="test", date="2026-11-24")
    profile = Profile(name="local", title="Local", adapter="local", key_required=False, fact=fact)
    return LocalProvider(ProviderSetup("local", profile, options={"archive": archive, **options}))


def attempt(messages: Any, model: str = "qwen3", *, stream: bool = True, **options: Any) -> Attempt:
    now = time.monotonic()
    limits = options.pop("limits", None) or Limits(PATIENT, now + PATIENT, PATIENT, now + PATIENT, now + 2 * PATIENT)
    notes = options.pop("notes", [])
    request = Request(messages=messages, **options)
    return Attempt(request, model, stream, limits, options.pop("now", time.monotonic), notes.append)


class Answer:
    """What events spell."""

    def __init__(self, events: Any) -> None:
        self.events: list[AnswerEvent] = list(events)
        self.text = "".join(event.text for event in self.events if isinstance(event, TextDelta))
        self.reasoning = "".join(event.text for event in self.events if isinstance(event, ReasoningDelta))
        self.calls = [event for event in self.events if isinstance(event, ToolCallDelta)]
        finished = [event for event in self.events if isinstance(event, Finished)]
        assert len(finished) == 1
        assert self.events[-1] is finished[0]
        self.reason, self.usage, self.model = finished[0].reason, finished[0].usage, finished[0].model


class Gated:
    """A model that computes only when it may."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._begun, self._may, self._done = Semaphore(0), Semaphore(0), Semaphore(0)
        self._open = Event()
        self.shapes: list[tuple[int, int]] = []
        self.fails: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, **inputs: Any) -> Any:
        self._begun.release()
        if not self._open.is_set():
            self._may.acquire()
        try:
            if self.fails is not None:
                raise self.fails
            self.shapes.append(tuple(inputs["input_ids"].shape))
            return self._model(**inputs)
        finally:
            self._done.release()

    def begun(self) -> None:
        """Wait until the engine is inside the next computation."""
        assert self._begun.acquire(timeout=PATIENT)

    def finish(self) -> None:
        """Let the computation that has begun happen."""
        self._may.release()
        assert self._done.acquire(timeout=PATIENT)

    def open(self) -> None:
        self._open.set()
        self._may.release()


class Inbox:
    """A row and what it was told."""

    def __init__(self) -> None:
        self.said: SimpleQueue[AnswerEvent | CallError] = SimpleQueue()
        self.row: Row

    def last(self) -> Finished | CallError:
        while True:
            event = self.said.get(timeout=PATIENT)
            if isinstance(event, Finished | CallError):
                return event

    @property
    def written(self) -> list[int]:
        return self.row.ids[self.row.prompt :]


class Lab:
    """An engine with a gate, on weights that a provider has loaded. Answers end by their limit only.

    :param changes: fields of the weights that differ.
    """

    def __init__(
        self, provider: LocalProvider, model: str, *, max_rows: int = 16, queue: int = 64, **changes: Any
    ) -> None:
        list(provider.stream(attempt("zq", model, max_tokens=1)))
        weights = provider._engines[model].weights
        assert weights is not None
        self.model = Gated(weights.model)
        self._provider = provider
        self._name = model
        self.real = weights.model
        self.weights = replace(weights, model=self.model, **{"ends": frozenset(), **changes})
        self.engine = Engine("lab", lambda: self.weights, EngineSettings(max_rows=max_rows, queue=queue))
        self.engine.start()
        self.engine.ready.result(PATIENT)

    def submit(self, text: str, **options: Any) -> Inbox:
        inbox = Inbox()
        wanted = attempt(text, self._name, **options)
        inbox.row = self._provider._row(self.engine, wanted, inbox.said.put)
        self.engine.submit(inbox.row)
        return inbox

    def step(self, count: int = 1) -> None:
        """Let the engine compute so many times."""
        for _ in range(count):
            self.model.begun()
            self.model.finish()

    def alone(self, row: Row, count: int) -> list[int]:
        """What `generate` writes."""
        import torch

        prompt = torch.tensor([row.ids[: row.prompt]])
        with torch.inference_mode():
            said = self.real.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=count,
                do_sample=False,
                eos_token_id=511,  # no token: it goes on
                pad_token_id=0,
            )
        return said[0, row.prompt :].tolist()

    def close(self) -> None:
        self.engine.end("now")
        self.model.open()
        self.engine.join(PATIENT)
