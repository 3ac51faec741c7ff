"""One thread a model: it loads the weights, then computes all requests together.

Rules:

1. torch runs on this thread only. libgomp keeps a pool of threads for each thread that calls it, and such a pool
   does not survive a fork.
2. Between two steps at most one chunk of prompts is computed, so that a long prompt does not stop the others.
3. A row is dropped within one step or one chunk after ``cancelled`` is set.
4. Every row that is not cancelled gets its events and then exactly one last word: ``Finished`` or an error. When a
   step fails, all rows get the error.
5. When memory is short, the newest row goes back into the queue and is computed again later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from ...errors import CallError, error_for
from ...types import AnswerEvent, Finished, Usage
from .batch import CHUNK, Batch, Prefill
from .load import Weights
from .sampling import Sampler
from .text import Writer
from .worker import Worker

__all__ = ["Engine", "EngineSettings", "Row"]


@dataclass(slots=True, eq=False)
class Row:
    """One request that is being computed.

    :ivar ids: the ids of prompt and answer so far.
    :ivar most: how many ids the answer may have.
    :ivar deliver: takes events, then ``Finished`` or an error; called on the engine's thread.
    :ivar cancelled: set it when nobody listens any more.
    """

    model: str
    ids: list[int]
    most: int
    sampler: Sampler
    writer: Writer
    deliver: Callable[[AnswerEvent | CallError], None]
    cancelled: bool = False
    prompt: int = field(init=False)

    def __post_init__(self) -> None:
        self.prompt = len(self.ids)

    def usage(self) -> Usage:
        """Return the tokens so far; own weights cost nothing a token."""
        written = len(self.ids) - self.prompt
        return Usage(
            input_tokens=self.prompt,
            output_tokens=written,
            total_tokens=len(self.ids),
            reasoning_tokens=self.writer.reasoning_tokens,
            cost=0.0,
        )


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Limits of one engine.

    :ivar threads: threads of a step; None leaves it to torch.
    :ivar max_rows: rows that are computed together.
    :ivar queue: rows that may wait.
    """

    threads: int | None = None
    max_rows: int = 16
    queue: int = 64


class Engine(Worker[Weights]):
    """The thread of one model that answers in words.

    :param load: loads the weights, on the engine's thread.
    """

    def __init__(self, name: str, load: Callable[[], Weights], settings: EngineSettings) -> None:
        super().__init__(name, load)
        self._settings = settings
        self._waiting: deque[Row] = deque()

    def submit(self, row: Row) -> None:
        """Queue a row.

        :raises LocalOverloadError: at once, when too many wait.
        """
        with self._changed:
            if self._ending is not None:
                raise error_for("local_overload", "the local weights were unloaded")
            if len(self._waiting) >= self._settings.queue:
                raise error_for("local_overload", f"{self._settings.queue} requests already wait for the local weights")
            self._waiting.append(row)
            self._changed.notify()

    @override
    def _serve(self, weights: Weights) -> None:
        import torch

        if self._settings.threads is not None:
            torch.set_num_threads(self._settings.threads)
        with torch.inference_mode():
            work = _Work(weights, self._settings.max_rows)
            while self._refill(work):
                try:
                    work.step()
                except Exception as error:  # noqa: BLE001  # every row is told
                    self._fail(work, error)
                    work = _Work(weights, self._settings.max_rows)
            self._fail(work, None)

    def _refill(self, work: _Work) -> bool:
        """Hand rows to the work and wait until there is some; False means the end."""
        with self._changed:
            while True:
                self._waiting = deque(row for row in self._waiting if not row.cancelled)
                if self._ending == "now":
                    return False
                self._waiting.extendleft(work.preempted)
                work.preempted.clear()
                while self._waiting and work.takes(self._waiting[0]):
                    work.take(self._waiting.popleft())
                if work.busy:
                    return True
                if self._ending is not None:
                    return False
                self._changed.wait()

    def _fail(self, work: _Work, error: Exception | None) -> None:
        """Give every row the error, or the word that the process ends."""
        with self._changed:
            rows = [*work.all_rows(), *self._waiting]
            self._waiting.clear()
        for row in rows:
            if error is None:
                failed = error_for("local_overload", "the local weights were unloaded")
            else:
                failed = error_for("server_error", "the local weights failed while computing", detail=str(error))
                failed.__cause__ = error
            row.deliver(failed)


class _Work:
    """The rows that are computed now: one prompt after the other, and the batch."""

    def __init__(self, weights: Weights, max_rows: int) -> None:
        self._weights = weights
        self._max_rows = max_rows if weights.together else 1
        self._batch = Batch(weights.model)
        self._prompts: deque[tuple[Row, Prefill]] = deque()
        self.preempted: list[Row] = []

    @property
    def busy(self) -> bool:
        return bool(self._prompts or self._batch.rows)

    def all_rows(self) -> list[Row]:
        return [*self._batch.rows, *(row for row, _ in self._prompts), *self.preempted]

    def takes(self, row: Row) -> bool:
        """Whether there is a place, and memory, for one more row."""
        rows = [*self._batch.rows, *(other for other, _ in self._prompts)]
        return not rows or (len(rows) < self._max_rows and self._fits([*rows, row], CHUNK))

    def take(self, row: Row) -> None:
        self._prompts.append((row, Prefill(self._weights.model, row.ids)))

    def step(self) -> None:
        """Compute at most one chunk of prompts, then one step of the batch."""
        self._prompts = deque(prompt for prompt in self._prompts if not prompt[0].cancelled)
        spent = 0
        while self._prompts:
            row, prefill = self._prompts[0]
            if spent and spent + prefill.next_size > CHUNK:
                break
            spent += prefill.next_size
            logits = prefill.step()
            if logits is not None:
                self._prompts.popleft()
                if self._advance(row, logits):
                    self._batch.join(row, prefill.cache)
        self._make_room()
        if self._batch.rows:
            logits = self._batch.step()
            rows = self._batch.rows
            stay = [at for at, row in enumerate(rows) if not row.cancelled and self._advance(row, logits[at])]
            if len(stay) < len(rows):
                self._batch.leave(stay)

    def _fits(self, rows: list[Row], spare: int) -> bool:
        room = self._weights.room
        return room is None or len(rows) * (max(len(row.ids) for row in rows) + spare) <= room

    def _make_room(self) -> None:
        rows = self._batch.rows
        while len(rows) > 1 and not self._fits(rows, 1):
            self.preempted.append(rows[-1])
            self._batch.leave(list(range(len(rows) - 1)))
            rows = self._batch.rows

    def _advance(self, row: Row, logits: Any) -> bool:
        """Pick the row's next id and say what it means; False when that was the last."""
        try:
            token = row.sampler.pick(logits, row.ids)
            row.ids.append(token)
            ended = token in self._weights.ends
            if not ended:
                for event in row.writer.feed(token):
                    row.deliver(event)
            if not ended and not row.writer.done and len(row.ids) - row.prompt < row.most:
                return True
            cut = not ended and not row.writer.done
            for event in row.writer.close(cut=cut):
                row.deliver(event)
            reason: Any = "length" if cut else "tool_calls" if row.writer.calls else "stop"
            row.deliver(Finished(reason, row.usage(), row.model))
        except CallError as error:
            row.deliver(error)
        except Exception as error:  # noqa: BLE001  # the row is told; the others go on
            failed = error_for("server_error", "the answer's tokens could not be read", detail=str(error))
            failed.__cause__ = error
            row.deliver(failed)
        return False
