"""The thread of weights that turn texts into vectors.

Rules:

1. torch runs on this thread only.
2. Requests take turns, a step each; texts of about one length are computed together, as far as there is room.
3. A request is dropped within one step after ``cancelled`` is set.
4. Every request that is not cancelled gets exactly one word: its vectors or an error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from typing_extensions import override

from ...errors import CallError, error_for
from ...types import Usage, Vector, Vectors
from .embedding import EmbeddingWeights
from .engine import EngineSettings
from .worker import Worker

__all__ = ["ROOM", "EmbeddingEngine", "Texts"]

ROOM = 16_384
"""Tokens that are computed together, counting each text as long as the longest: what bounds the memory of a step.

A text that is longer is computed alone.
"""


@dataclass(slots=True, eq=False)
class Texts:
    """One request that is being computed.

    :ivar ids: of each text.
    :ivar deliver: takes the vectors or an error; called on the engine's thread.
    :ivar cancelled: set it when nobody listens any more.
    """

    model: str
    ids: list[list[int]]
    dimensions: int | None
    deliver: Callable[[Vectors | CallError], None]
    cancelled: bool = False
    rows: list[tuple[int, Vector]] = field(default_factory=list)
    left: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.left = sorted(range(len(self.ids)), key=lambda number: len(self.ids[number]))

    def step(self, weights: EmbeddingWeights, most: int) -> bool:
        """Compute some of the texts, the longest first; say whether that was all."""
        most = max(1, min(most, ROOM // len(self.ids[self.left[-1]])))
        taken, self.left = self.left[-most:], self.left[:-most]
        found = weights.vectors([self.ids[number] for number in taken], self.dimensions)
        self.rows += zip(taken, found, strict=True)
        return not self.left

    def answer(self) -> Vectors:
        """Return all vectors; own weights cost nothing a token."""
        read = sum(map(len, self.ids))
        usage = Usage(input_tokens=read, output_tokens=0, total_tokens=read, cost=0.0)
        return Vectors("stop", usage, self.model, rows=tuple(self.rows))


class EmbeddingEngine(Worker[EmbeddingWeights]):
    """The thread of one model that turns texts into vectors."""

    def __init__(self, name: str, load: Callable[[], EmbeddingWeights], settings: EngineSettings) -> None:
        super().__init__(name, load)
        self._settings = settings
        self._waiting: deque[Texts] = deque()

    def submit(self, texts: Texts) -> None:
        """Queue a request.

        :raises LocalOverloadError: at once, when too many wait.
        """
        with self._changed:
            if self._ending is not None:
                raise error_for("local_overload", "the local weights were unloaded")
            if len(self._waiting) >= self._settings.queue:
                raise error_for("local_overload", f"{self._settings.queue} requests already wait for the local weights")
            self._waiting.append(texts)
            self._changed.notify()

    @override
    def _serve(self, weights: EmbeddingWeights) -> None:
        import torch

        if self._settings.threads is not None:
            torch.set_num_threads(self._settings.threads)
        with torch.inference_mode():
            while (texts := self._next()) is not None:
                try:
                    if not texts.step(weights, self._settings.max_rows):
                        with self._changed:
                            self._waiting.append(texts)
                        continue
                except Exception as error:  # noqa: BLE001  # the request is told; the others go on
                    failed = error_for("server_error", "the local weights failed while computing", detail=str(error))
                    failed.__cause__ = error
                    texts.deliver(failed)
                else:
                    texts.deliver(texts.answer())
        for texts in self._waiting:
            texts.deliver(error_for("local_overload", "the local weights were unloaded"))

    def _next(self) -> Texts | None:
        """Wait for a request; None is the end."""
        with self._changed:
            while True:
                self._waiting = deque(texts for texts in self._waiting if not texts.cancelled)
                if self._ending == "now" or (self._ending is not None and not self._waiting):
                    return None
                if self._waiting:
                    return self._waiting.popleft()
                self._changed.wait()
