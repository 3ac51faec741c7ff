"""How much memory there is, and how much weights will need."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["free_memory", "kept_per_token"]

_CGROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def free_memory() -> int | None:
    """Return the bytes that this process may still use: the machine's, or its container's; None when unknown."""
    found = [_machine(), *(_container(*names) for names in _CGROUPS)]
    return min((size for size in found if size is not None), default=None)


def _machine() -> int | None:
    with suppress(OSError, KeyError, ValueError):
        return _table(Path("/proc/meminfo"))["MemAvailable:"] * 1024
    return None


def _container(folder: Path, limit: str, used: str, reclaimable: str) -> int | None:
    with suppress(OSError, KeyError, ValueError):  # `max` is no number: no limit
        most, now = (int((folder / name).read_text(encoding="ascii")) for name in (limit, used))
        return most - now + _table(folder / "memory.stat")[reclaimable]
    return None


def _table(file: Path) -> dict[str, int]:
    lines = (line.split() for line in file.read_text(encoding="ascii").splitlines())
    return {name: int(value) for name, value, *_unit in lines}


def kept_per_token(config: Any, bytes_each: int) -> int:
    """Return the bytes that attention keeps for one token of one request.

    :param config: the text configuration of transformers.
    :param bytes_each: size of one number.
    """
    heads = config.num_attention_heads
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
    layers = sum(kind != "linear_attention" for kind in kinds)
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    kept: int = 2 * layers * (getattr(config, "num_key_value_heads", None) or heads) * size * bytes_each
    return kept
