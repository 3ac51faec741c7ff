"""How the next token is picked: each request by its own options and its own randomness."""

from __future__ import annotations

from typing import Any

from ...types import Request
from .constrain_tokens import Guide

__all__ = ["Sampler"]


class Sampler:
    """Picks the tokens of one request.

    What the request leaves open is taken from the weights' ``generation_config.json``. Equal seeds give equal
    answers on one machine and device, alone or among other requests.

    :param defaults: transformers' ``GenerationConfig`` of the weights.
    :param guide: what holds the answer to a schema, or None.
    """

    def __init__(self, request: Request, defaults: Any, device: str, guide: Guide | None = None) -> None:
        import torch
        from transformers import (
            LogitsProcessorList,
            RepetitionPenaltyLogitsProcessor,
            TemperatureLogitsWarper,
            TopKLogitsWarper,
            TopPLogitsWarper,
        )

        chosen = request.temperature is not None or request.top_p is not None
        temperature = _first(request.temperature, defaults.temperature, 1.0)
        self._greedy = temperature == 0 or not (chosen or defaults.do_sample)
        self._guide = guide
        self._processors = LogitsProcessorList()
        penalty = _first(defaults.repetition_penalty, 1.0)
        if penalty != 1:
            self._processors.append(RepetitionPenaltyLogitsProcessor(penalty))
        if self._greedy:
            return
        if temperature != 1:
            self._processors.append(TemperatureLogitsWarper(temperature))
        if defaults.top_k:
            self._processors.append(TopKLogitsWarper(defaults.top_k))
        top_p = _first(request.top_p, defaults.top_p, 1.0)
        if top_p < 1:
            self._processors.append(TopPLogitsWarper(top_p))
        self._random = torch.Generator(device)
        if request.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(request.seed)

    def pick(self, logits: Any, ids: list[int]) -> int:
        """Return the next id.

        :param logits: one row of logits, float32.
        :param ids: prompt and answer so far.
        """
        if self._guide is None:
            return self._pick(logits, ids)
        token = self._pick(self._guide.hold(logits), ids)
        self._guide.take(token)
        return token

    def _pick(self, logits: Any, ids: list[int]) -> int:
        import torch

        scores = logits[None]
        if self._processors:
            before = torch.tensor([ids], device=scores.device)
            scores = self._processors(before, scores)
        if self._greedy:
            return int(scores.argmax())
        return int(torch.multinomial(scores.softmax(-1), 1, generator=self._random))


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)
