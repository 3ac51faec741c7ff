"""Fresh processes that run one task at a time when told, so that what is compared takes turns in one run."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

__all__ = ["Worker", "serve"]


class Worker:
    """A process of ``script``, as its parent sees it."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._command = [sys.executable, script, *arguments]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def run(self, task: str, *arguments: object) -> dict[str, Any]:
        """Run one task there and return its figures."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([task, *arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"`{' '.join(self._command[1:])}` failed at `{task}`")
        figures: dict[str, Any] = json.loads(line)
        return figures

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def serve(perform: Callable[[asyncio.Runner, str, list[Any]], dict[str, Any]]) -> None:
    """Be such a process: perform each task that comes, all on one event loop."""
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            task, *arguments = json.loads(line)
            print(json.dumps(perform(runner, task, arguments)), flush=True)
