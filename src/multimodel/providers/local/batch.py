"""Requests that are computed together: rows join and leave between two steps.

Rows of different lengths are padded on the left. The newest id of a row is not in the cache yet, so the cache is
as wide as the longest row less one. Layers of linear attention keep states of a fixed size and need no padding.
"""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["CHUNK", "Batch", "Prefill", "can_batch"]

CHUNK = 256
"""How many ids of a prompt are computed at once, between two steps."""


class _Row(Protocol):
    @property
    def ids(self) -> list[int]: ...


def can_batch(model: Any) -> bool:
    """Say whether the model's cache is one that rows can join; otherwise they are computed one at a time."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, LinearAttentionLayer

    # exact types: a subclass keeps more than is padded here
    return all(
        type(layer) in (DynamicLayer, LinearAttentionLayer) for layer in DynamicCache(config=model.config).layers
    )


class Prefill:
    """Computes a prompt, a chunk at a time."""

    def __init__(self, model: Any, ids: list[int]) -> None:
        from transformers import DynamicCache

        self._model = model
        self._ids = list(ids)
        self._done = 0
        self.cache = DynamicCache(config=model.config)

    @property
    def next_size(self) -> int:
        """How many ids the next chunk has."""
        return min(CHUNK, len(self._ids) - self._done)

    def step(self) -> Any:
        """Compute a chunk; return the logits after the last id, or None when there is more to do."""
        import torch

        chunk = torch.tensor([self._ids[self._done : self._done + CHUNK]], device=self._model.device)
        out = self._model(input_ids=chunk, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        self._done += chunk.shape[1]
        return out.logits[0, -1].float() if self._done == len(self._ids) else None


class Batch:
    """Rows and their common cache."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._cache: Any = None
        self.rows: list[Any] = []
        self.width = 0
        """How many positions of each row the cache holds."""

    def join(self, row: _Row, cache: Any) -> None:
        """Add a row whose ids, less the newest, are in ``cache``."""
        self.width = max(self.width, len(row.ids) - 1)
        if self._cache is None:
            self._cache = cache
        else:
            for ours, theirs in zip(self._cache.layers, cache.layers, strict=True):
                _join_layer(ours, theirs, self.width)
        self.rows.append(row)

    def leave(self, stay: list[int]) -> None:
        """Keep the rows of these indices only."""
        import torch

        self.rows = [self.rows[index] for index in stay]
        width = max((len(row.ids) - 1 for row in self.rows), default=0)
        trim, self.width = self.width - width, width
        if not self.rows:
            self._cache = None
            return
        index = torch.tensor(stay, device=self._model.device)
        for layer in self._cache.layers:
            _each_state(layer, lambda state: state.index_select(0, index))
            if getattr(layer, "keys", None) is not None:
                layer.keys = layer.keys[index, :, trim:]
                layer.values = layer.values[index, :, trim:]

    def step(self) -> Any:
        """Compute one step; return a row of logits for each row."""
        import torch

        device = self._model.device
        lengths = torch.tensor([len(row.ids) - 1 for row in self.rows], device=device)
        padding = self.width - lengths
        mask = None
        if bool(padding.any()):
            mask = (torch.arange(self.width + 1, device=device)[None] >= padding[:, None]).long()
        out = self._model(
            input_ids=torch.tensor([row.ids[-1:] for row in self.rows], device=device),
            attention_mask=mask,
            position_ids=lengths[:, None],
            past_key_values=self._cache,
            use_cache=True,
        )
        self.width += 1
        return out.logits[:, -1].float()


def _join_layer(ours: Any, theirs: Any, width: int) -> None:
    import torch
    from torch.nn.functional import pad

    if getattr(ours, "keys", None) is not None:
        for name in ("keys", "values"):
            both = (getattr(ours, name), getattr(theirs, name))
            setattr(ours, name, torch.cat([pad(kept, (0, 0, width - kept.shape[2], 0)) for kept in both]))
    for name in ("conv_states", "recurrent_states"):
        states = getattr(ours, name, {})
        for key, state in states.items():
            if state is not None:
                states[key] = torch.cat([state, getattr(theirs, name)[key]])


def _each_state(layer: Any, change: Any) -> None:
    for name in ("conv_states", "recurrent_states"):
        states = getattr(layer, name, {})
        for key, state in states.items():
            if state is not None:
                states[key] = change(state)
