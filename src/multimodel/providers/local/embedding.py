"""Weights that turn texts into vectors: what a folder says of them, how they are loaded, how they compute.

A folder is laid out as sentence-transformers does it: ``modules.json`` lists the steps after the model, and
``1_Pooling/config.json`` says how one vector is made of those of all tokens. Weights with neither, and without a chat
template, are taken as Qwen3-Embedding is meant: the last token's vector, of length 1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...errors import ConfigurationError, error_for
from . import folder as folders
from .folder import Source
from .headers import safetensors_parameters
from .load import SAFELY, check_complete, device_of, dtype_of, dtypes_for, first_line, loading, model_from
from .memory import free_memory
from .seal import shown

__all__ = ["EmbeddingModel", "EmbeddingWeights", "describe_embedding", "load_embedding", "tokenized"]

Pooling = Literal["mean", "last", "cls"]

_POOLINGS: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
    "pooling_mode_cls_token": "cls",
}
_STEPS = ("Transformer", "Pooling", "Normalize")
_SPARE = 1.15  # times the bytes of the weights: what a step needs besides


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """What is known of weights before they are loaded.

    :ivar window: tokens that one text may have.
    :ivar parameters: how many numbers they hold.
    :ivar pooling: how one vector is made of those of all tokens.
    :ivar unit: whether vectors have the length 1.
    :ivar author: who made them, a slug, as their manifest says.
    """

    folder: Path
    window: int
    parameters: int
    pooling: Pooling = "last"
    unit: bool = True
    author: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingWeights:
    """A model in memory."""

    model: Any
    tokenizer: Any
    found: EmbeddingModel
    device: str

    def vectors(self, rows: Sequence[Sequence[int]], dimensions: int | None) -> list[tuple[float, ...]]:
        """Compute a vector for each row of ids, all rows together.

        :param dimensions: numbers a vector: the first ones; None is all.
        """
        import torch
        from torch.nn.functional import normalize

        longest = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=self.device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=self.device)
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        match self.found.pooling:
            case "mean":
                pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            case "last":
                pooled = hidden[torch.arange(len(rows), device=self.device), mask.sum(1) - 1]
            case "cls":
                pooled = hidden[:, 0]
        pooled = pooled[:, :dimensions]
        if self.found.unit:
            pooled = normalize(pooled, dim=1)
        return [tuple(row) for row in pooled.tolist()]

    @property
    def dimensions(self) -> int:
        """Numbers of a whole vector."""
        return int(self.model.config.get_text_config().hidden_size)


def describe_embedding(source: Source) -> EmbeddingModel | None:
    """Say what weights that turn texts into vectors are; None when the folder holds weights that chat.

    :raises ConfigurationError: when they need a step that is not known here.
    """
    if source.gguf is not None:
        return None
    name = source.folder.name
    steps = _steps(source.folder / "modules.json")
    pooling = source.folder / "1_Pooling" / "config.json"
    if steps is None and not pooling.is_file() and folders.template_of(source.folder):
        return None
    other = [step for step in steps or () if step not in _STEPS]
    if other:
        raise ConfigurationError(f"`{name}` needs the step `{shown(other[0][:40])}`, which is not known here")
    text = source.config.get("text_config")
    windows = [(text if isinstance(text, dict) else source.config).get("max_position_embeddings")]
    windows.append(_value(source.folder / "sentence_bert_config.json", "max_seq_length"))
    known = [window for window in windows if isinstance(window, int) and window > 0]
    if not known:
        raise ConfigurationError(f"`{name}` does not say how long a text may be")
    return EmbeddingModel(
        folder=source.folder,
        window=min(known),
        parameters=sum(map(safetensors_parameters, source.weights)),
        pooling=_pooling(pooling) if pooling.is_file() else "last",
        unit=steps is None or "Normalize" in steps,
    )


def load_embedding(name: str, found: EmbeddingModel, device: str | None, dtype: str | None) -> EmbeddingWeights:
    """Load weights that were inspected. Takes a while: on no caller's thread.

    :param dtype: a floating type of torch; None is float32 on a CPU, else what the device is fast at.
    :raises ConfigurationError: when they do not fit, are incomplete, or cannot be loaded.
    """
    try:
        with loading() as torch:
            return _load(torch, name, found, device_of(torch, device), dtype)
    except ConfigurationError:
        raise
    except Exception as error:  # whatever a library says of files it cannot read
        raise ConfigurationError(f"the weights `{name}` cannot be loaded: {first_line(error)}") from error


def _load(torch: Any, name: str, found: EmbeddingModel, device: Any, dtype: str | None) -> EmbeddingWeights:
    from transformers import AutoModel, AutoTokenizer

    check_complete(name, found.folder)
    usual = torch.float32 if device.type == "cpu" else dtypes_for(torch, device)[0]
    number = usual if dtype is None else dtype_of(torch, dtype)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    needed = int(found.parameters * number.itemsize * _SPARE)
    if free is not None and needed > free:
        raise ConfigurationError(
            f"the weights `{name}` need {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free",
            hint="use smaller weights, or free memory",
        )
    tokenizer = AutoTokenizer.from_pretrained(found.folder, **SAFELY)
    model = model_from(AutoModel, name, found.folder, number, device)
    weights = EmbeddingWeights(model, tokenizer, found, str(device))
    with torch.inference_mode():
        weights.vectors([[0, 0]], None)  # what is broken fails here
    return weights


def tokenized(weights: EmbeddingWeights, texts: Sequence[str], dimensions: int | None) -> list[list[int]]:
    """Return the ids of each text.

    :raises ContextWindowExceededError: one is too long; it is never cut.
    :raises BadRequestError: the vectors have not so many numbers, or a text has no token.
    """
    if dimensions is not None and dimensions > weights.dimensions:
        raise error_for("bad_request", f"the vectors of these weights have {weights.dimensions} numbers")
    encode: Callable[[str], Any] = weights.tokenizer.backend_tokenizer.encode
    rows: list[list[int]] = [encode(text).ids for text in texts]
    longest, window = max(map(len, rows)), weights.found.window
    if longest > window:
        raise error_for("context_window_exceeded", f"a text of {longest} tokens does not fit into a window of {window}")
    if not all(rows):
        raise error_for("bad_request", "a text has no token that the weights know")
    return rows


def _pooling(file: Path) -> Pooling:
    name = f"{file.parents[1].name}/1_Pooling/config.json"
    config = _json(file)
    config = config if isinstance(config, dict) else {}
    asked = [key for key, value in config.items() if key.startswith("pooling_mode") and value is True]
    mode = config.get("pooling_mode")  # as newer versions write it
    if isinstance(mode, str):
        asked = [key for key, word in _POOLINGS.items() if word == mode.removesuffix("token")] or [mode]
    if len(asked) != 1 or asked[0] not in _POOLINGS:
        raise ConfigurationError(f"`{name}` asks for a pooling that is not known here")
    return _POOLINGS[asked[0]]


def _steps(file: Path) -> tuple[str, ...] | None:
    if not file.is_file():
        return None
    listed = _json(file)
    if not isinstance(listed, list):
        raise ConfigurationError(f"`{file.parent.name}/{file.name}` is no list of steps")
    steps = [step.get("type") if isinstance(step, dict) else None for step in listed]
    return tuple(str(step).rpartition(".")[2] for step in steps)


def _value(file: Path, key: str) -> object:
    config = _json(file) if file.is_file() else {}
    return config.get(key) if isinstance(config, dict) else None


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        raise ConfigurationError(f"`{file.parent.name}/{file.name}` is no JSON") from None
