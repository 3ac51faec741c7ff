"""The engines of this process: weights are loaded once, whoever uses them, and freed when nobody does."""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, TypeVar, cast

from . import load
from .engine import EngineSettings
from .worker import Loaded, Worker

__all__ = ["Which", "acquire", "release"]

LoadedT = TypeVar("LoadedT", bound=Loaded)
EngineT = TypeVar("EngineT", bound=Worker[Any])

_EXIT = 5.0  # seconds: a thread that computes while the interpreter ends would abort the process


class Which(NamedTuple):
    """What tells engines apart. None is the default."""

    folder: Path
    device: str | None
    dtype: str | None


@dataclass(slots=True)
class _Shared:
    engine: Worker[Any]
    users: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Process:
    """What a process holds. A forked child begins with its own, and its parent's weights."""

    engines: dict[tuple[int, Which], _Shared] = field(default_factory=dict)
    ending: list[Worker[Any]] = field(default_factory=list)  # released, but perhaps still freeing their weights
    inherited: dict[Which, Loaded] = field(default_factory=dict)
    threads: int | None = None
    lock: Lock = field(default_factory=Lock)


_process = _Process()


def acquire(
    user: object,
    which: Which,
    kind: Callable[[str, Callable[[], LoadedT], EngineSettings], EngineT],
    settings: EngineSettings,
    load_weights: Callable[[], LoadedT],
) -> EngineT:
    """Return the engine of these weights, started if need be. The settings of the first user hold.

    :param kind: makes the engine; one folder is of one kind.
    """
    process = _process
    with process.lock:
        key = (os.getpid(), which)
        shared = process.engines.get(key)
        if shared is None or not shared.engine.usable:
            inherited = process.inherited.get(which)
            make = load_weights if inherited is None else lambda: cast("LoadedT", inherited)
            threads = settings.threads or process.threads
            engine = kind(which.folder.name, make, replace(settings, threads=threads))
            shared = process.engines[key] = _Shared(engine)
            engine.start()
        shared.users.add(id(user))
        return cast("EngineT", shared.engine)


def release(user: object) -> None:
    """Give up all engines of a user. One without users ends after its last answer, and frees its weights."""
    process = _process
    with process.lock:
        for key, shared in list(process.engines.items()):
            shared.users.discard(id(user))
            if not shared.users:
                del process.engines[key]
                if shared.engine.pid == os.getpid():
                    shared.engine.end("when idle")
                    process.ending = [*(engine for engine in process.ending if engine.alive), shared.engine]


def _at_exit() -> None:
    own = [shared.engine for (pid, _), shared in _process.engines.items() if pid == os.getpid()]
    own += [engine for engine in _process.ending if engine.pid == os.getpid()]
    for engine in own:
        engine.end("now")
    until = time.monotonic() + _EXIT
    for engine in own:
        engine.join(max(0.0, until - time.monotonic()))


def _after_fork() -> None:
    """Begin anew: the child has no engine thread, and locks of other threads would stay locked."""
    global _process  # noqa: PLW0603  # that of the parent
    before = _process.inherited
    for (_, which), shared in _process.engines.items():
        weights = shared.engine.weights
        if weights is not None and weights.device == "cpu":  # other devices do not survive a fork
            before[which] = weights
    _process = _Process(inherited=before, threads=_process.threads)
    load.after_fork()
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_num_threads"):
        # the application may have computed on the thread that forked: its pool of threads is gone
        _process.threads = _process.threads or torch.get_num_threads()
        torch.set_num_threads(1)


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
