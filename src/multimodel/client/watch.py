"""Whether the files that a policy was read from have changed.

1. A look is a stat of each file. What they hold is read again only when one of those differs.
2. A file that may still be written is left alone: its last change must be :data:`_SETTLED` seconds old, or two looks
   must find it the same. The second is for clocks that disagree, and for a file that is not there.
3. What counts is the content: a file that was touched, or replaced by its like, has not changed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Literal, TypeAlias

from ..config import Policy
from ..config.load import read_file
from ..config.policy import digest_of
from ..config.prompt import read_prompt
from ..errors import ConfigurationError

__all__ = ["Watch"]

_SETTLED = 0.5

_Stats: TypeAlias = tuple[tuple[int, ...], ...]


class Watch:
    """The files of one policy: its own, and its prompts.

    :param policy: as it was loaded.
    :param clock: what dates files.
    """

    def __init__(self, policy: Policy, file: Path, clock: Callable[[], float] = time) -> None:
        self._policy = policy
        self._file = file
        self._clock = clock
        self._known: _Stats | None = None
        self._seen: _Stats | None = None

    def look(self) -> Literal["same", "changed", "restored", "open"]:
        """Compare with the last look: ``restored`` is as it was loaded, ``open`` may still be written."""
        found = tuple(map(_stat, (self._file, *(prompt.file for prompt in self._policy.prompts))))
        if found == self._known:
            return "same"
        before, self._seen = self._seen, found
        if found != before and not all(map(self._settled, found)):
            return "open"
        self._known = found
        return "restored" if self._as_loaded() else "changed"

    def digest(self) -> str | None:
        """Name what the file holds; None when it cannot be read."""
        try:
            return digest_of(read_file(self._file)[1])
        except ConfigurationError:
            return None

    def _settled(self, stat: tuple[int, ...]) -> bool:
        return bool(stat) and self._clock() - max(stat[:2]) / 1e9 >= _SETTLED

    def _as_loaded(self) -> bool:
        try:
            return self.digest() == self._policy.origin.digest and all(
                read_prompt(prompt.file, "") == prompt for prompt in self._policy.prompts
            )
        except ConfigurationError:
            return False


def _stat(file: Path) -> tuple[int, ...]:
    """What changes when a file does, or when what a link leads to does; nothing when it is not there."""
    try:
        found = file.stat()
    except (OSError, ValueError):
        return ()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev
