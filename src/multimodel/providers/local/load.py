"""Weights from a folder into memory: by transformers, offline, and nothing that could run code."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from ...errors import ConfigurationError
from .batch import can_batch
from .extra import require
from .folder import LocalModel
from .memory import free_memory, kept_per_token
from .prompt import Template
from .seal import State, state_of

__all__ = [
    "SAFELY",
    "Weights",
    "after_fork",
    "check_complete",
    "device_of",
    "dtype_of",
    "dtypes_for",
    "first_line",
    "load",
    "loading",
    "model_from",
]

SAFELY = {"local_files_only": True, "trust_remote_code": False}
"""How everything is read: offline, and without running code that comes with it."""

_UNUSED = frozenset({"pooler.dense.weight", "pooler.dense.bias"})  # of BERT: nothing here asks for what it makes
_SPARE = 1.15  # times the bytes of the weights: what a step needs besides
_SHORTEST = 1024  # tokens that one request must be able to hold
_HALF_IS_NATIVE = (8, 0)  # CUDA compute capability from which bfloat16 is

_incomplete: dict[Path, tuple[State, list[str]]] = {}  # the tensors that were missing, until a file changes

# loading sets process-wide defaults of torch and imports lazily: one at a time
_one_at_a_time = Lock()


def after_fork() -> None:
    """Forget a lock that another thread of the parent may hold."""
    global _one_at_a_time  # noqa: PLW0603  # a lock cannot be reset
    _one_at_a_time = Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """A model in memory.

    :ivar ends: ids that end an answer.
    :ivar window: tokens that prompt and answer may have together.
    :ivar room: tokens of all rows that memory can hold, padding included; None when unknown.
    :ivar together: whether rows can be computed together.
    """

    model: Any
    tokenizer: Any
    template: Template
    ends: frozenset[int]
    window: int
    room: int | None
    together: bool
    device: str


@contextmanager
def loading() -> Iterator[Any]:
    """Yield torch, while this thread alone may load weights: offline, and without a word on the terminal.

    Sets ``OMP_WAIT_POLICY`` when neither it nor torch is there yet: a thread that spins while it waits costs a busy
    machine a factor of ten. Sets ``HF_HUB_OFFLINE``, so that nothing is ever fetched.
    """
    require()
    with _one_at_a_time:
        if "torch" not in sys.modules:
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="IProgress not found")  # in a notebook without widgets
            import tqdm.auto  # noqa: F401  # transformers imports it, and would say so
        import torch
        from transformers.utils import logging as theirs

        bars = theirs.is_progress_bar_enabled()
        logger = logging.getLogger("transformers")
        level = logger.level
        theirs.disable_progress_bar()
        logger.setLevel(logging.ERROR)
        try:
            yield torch
        finally:
            logger.setLevel(level)
            if bars:
                theirs.enable_progress_bar()


def first_line(error: Exception) -> str:
    """Return what a library said, short enough for a message."""
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__


def load(name: str, found: LocalModel, device: str | None, dtype: str | None) -> Weights:
    """Load weights that were inspected. Takes a while: on no caller's thread.

    :param device: a device of torch; None is CUDA, MPS or the CPU, whichever is there first.
    :param dtype: a floating type of torch; None is what the device is fast at and memory can hold.
    :raises ConfigurationError: when they do not fit, are incomplete, or cannot be loaded.
    """
    try:
        with loading() as torch:
            return _load(torch, name, found, device_of(torch, device), dtype)
    except ConfigurationError:
        raise
    except Exception as error:  # whatever a library says of files it cannot read
        raise ConfigurationError(f"the weights `{name}` cannot be loaded: {first_line(error)}") from error


def _load(torch: Any, name: str, found: LocalModel, device: Any, dtype: str | None) -> Weights:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    check_complete(name, found.folder)
    config = AutoConfig.from_pretrained(found.folder, **SAFELY)
    text = config.get_text_config()
    number, room = _fit(torch, name, found, text, device, dtype)
    tokenizer = AutoTokenizer.from_pretrained(found.folder, **SAFELY)
    model = model_from(AutoModelForCausalLM, name, found.folder, number, device)
    _try(torch, model)
    return Weights(
        model=model,
        tokenizer=tokenizer,
        template=Template(tokenizer),
        ends=_ends(model.generation_config.eos_token_id, text.eos_token_id, tokenizer.eos_token_id),
        window=found.window if room is None else min(found.window, room),
        room=room,
        together=can_batch(model),
        device=str(device),
    )


def check_complete(name: str, folder: Path) -> None:
    """Refuse at once what was incomplete when it was loaded before, and has not changed since.

    :raises ConfigurationError: says which tensors are missing.
    """
    state, lost = _incomplete.get(folder, ((), []))
    if lost and state == state_of(folder):
        raise _incomplete_error(name, lost)


def model_from(kind: Any, name: str, folder: Path, dtype: Any, device: Any) -> Any:
    """Read a model of one of transformers' kinds; afterwards its files are not needed any more.

    :raises ConfigurationError: when tensors are missing.
    """
    state = state_of(folder)
    model, info = kind.from_pretrained(
        folder, **SAFELY, dtype=dtype, use_safetensors=True, attn_implementation="sdpa", output_loading_info=True
    )
    lost = sorted({*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])} - _UNUSED)
    if lost:
        _incomplete[folder] = state, lost
        raise _incomplete_error(name, lost)
    model = model.eval().requires_grad_(False).to(device)
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.device.type == "cpu":  # a mapping of its file would change as that does, and kill once it is cut
            tensor.data = tensor.data.clone()
    return model


def _incomplete_error(name: str, lost: list[str]) -> ConfigurationError:
    return ConfigurationError(
        f"the weights `{name}` are incomplete: {len(lost)} tensors are missing or of a wrong shape, "
        f"for instance `{lost[0][:100]}`",
        hint="copy them again from where they came from",
    )


def _try(torch: Any, model: Any) -> None:
    """Compute two tokens: what is broken fails here, and what transformers says at first use is said unheard."""
    token = torch.zeros((1, 1), dtype=torch.long, device=model.device)
    with torch.inference_mode():
        kept = model(input_ids=token, use_cache=True).past_key_values
        model(input_ids=token, past_key_values=kept, use_cache=True)


def device_of(torch: Any, wanted: str | None) -> Any:
    """Return a device by its name; None is the first of CUDA, MPS and the CPU that is there."""
    if wanted is None:
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise ConfigurationError(f"`{wanted[:40]}` is no device", hint="`cpu`, `cuda`, `cuda:1` or `mps`") from None
    if device.type == "cuda" and getattr(torch.cuda, "_is_in_bad_fork", bool)():
        raise ConfigurationError(
            "CUDA was used before this process was forked", hint="start the workers first, or start them by `spawn`"
        )
    return device


def _fit(
    torch: Any, name: str, found: LocalModel, text: Any, device: Any, wanted: str | None
) -> tuple[Any, int | None]:
    """Choose the type, and say how many tokens there is room for."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    choices = [dtype_of(torch, wanted)] if wanted is not None else dtypes_for(torch, device)
    if free is None:
        return choices[0], None
    for number in choices:
        left = free - int(found.parameters * number.itemsize * _SPARE)
        room = left // kept_per_token(text, number.itemsize) if left > 0 else 0
        if room >= min(_SHORTEST, found.window):
            return number, room
    needed = int(found.parameters * number.itemsize * _SPARE) + kept_per_token(text, number.itemsize) * _SHORTEST
    raise ConfigurationError(
        f"the weights `{name}` need {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free",
        hint="use smaller weights, or free memory",
    )


def dtype_of(torch: Any, name: str) -> Any:
    """Return a floating type by its name."""
    number = getattr(torch, name, None)
    if not isinstance(number, torch.dtype) or not number.is_floating_point:
        raise ConfigurationError(f"`{name[:40]}` is no floating type", hint="`float32`, `bfloat16` or `float16`")
    return number


def dtypes_for(torch: Any, device: Any) -> list[Any]:
    """Return the types to choose from on a device, the best first."""
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= _HALF_IS_NATIVE
        return [torch.bfloat16 if native else torch.float16]
    if device.type == "mps":
        return [torch.float16]
    # private: the only word on whether this CPU computes bfloat16 itself; where it does not, it is slow but small
    native = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", bool)()
    return [torch.bfloat16] if native else [torch.float32, torch.bfloat16]


def _ends(*given: int | list[int] | None) -> frozenset[int]:
    return frozenset(end for ends in given if ends is not None for end in ([ends] if isinstance(ends, int) else ends))
