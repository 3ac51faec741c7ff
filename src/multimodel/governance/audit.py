"""The audit log: what was switched or drilled, when, by whom and why. One JSON object a line, each with the hash of the line before.

1. Lines are only appended, each before the change that it tells of.
2. ``previous`` of each is the SHA-256 of the line before it: a line that is changed, removed or put in shows.
3. The head is the hash of the last line. What is cut off at the end shows only beside a head that was kept elsewhere.
4. A line that a crash left unfinished stays; the one after it says its hash.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from ..errors import ConfigurationError
from .files import open_shared

__all__ = ["AuditLog", "Verified"]

_NOTHING = "0" * 64
"""What the first line says of the one before it."""
_BLOCK = 4096
_HINT = "compare it with a copy that was kept elsewhere"


@dataclass(frozen=True, slots=True)
class Verified:
    """A log whose chain holds.

    :ivar entries: how many switches and drills it tells of.
    :ivar head: the hash of its last line: keep it elsewhere, and hand it to the next check.
    :ivar unfinished: numbers of the lines that a crash left unfinished; the chain holds over them.
    """

    file: str
    entries: int
    head: str
    unfinished: tuple[int, ...]


class AuditLog:
    """One log file.

    :param policy: the policy file, whose reading rights the log gets; without one all may read it.
    """

    def __init__(self, file: Path, policy: Path | None = None) -> None:
        self.file = file
        self._policy = policy

    @classmethod
    def beside(cls, switch_file: Path | None, policy: Path | None = None) -> AuditLog:
        """Return the log that belongs to a switch file.

        :raises ConfigurationError: switches are kept in memory, without a log.
        """
        if switch_file is None:
            raise ConfigurationError(
                "there is no switch file, so there is no audit log", hint="name a policy file, or set `switch_file:`"
            )
        return cls(switch_file.with_name(f"{switch_file.stem.removesuffix('.off')}.audit.jsonl"), policy)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line. The caller keeps other writers out."""
        last = self._last()
        line = to_json({**record, "previous": _hash(last.removesuffix(b"\n"))}) + b"\n"
        if last and not last.endswith(b"\n"):
            line = b"\n" + line
        descriptor = open_shared(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, self._policy)
        try:
            while line:
                line = line[os.write(descriptor, line) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def head(self) -> str | None:
        """Return the hash of the last line; None when there is none, or it cannot be read."""
        try:
            last = self._last()
        except OSError:
            return None
        return _hash(last.removesuffix(b"\n")) if last else None

    def find(self, **facts: object) -> dict[str, Any] | None:
        """Return the first entry that has all these facts; None when there is none, or no log."""
        try:
            lines = self.file.read_bytes().splitlines()
        except FileNotFoundError:
            return None
        for line in lines:
            record = _record(line)
            if record is not None and facts.items() <= record.items():
                return record
        return None

    def verify(self, head: str | None = None) -> Verified:
        """Follow the chain from the first line to the last.

        :param head: one that was noted earlier, which must be in the log.
        :raises ConfigurationError: names the line at which the chain breaks, or says that the head is not in it.
        """
        try:
            content = self.file.read_bytes()
        except FileNotFoundError:
            hint = f"it begins with the first switch; {_HINT} if there was one"
            raise ConfigurationError(f"there is no audit log {self.file}", hint=hint) from None
        except OSError as error:
            raise ConfigurationError(f"{self.file}: the audit log cannot be read: {error.strerror}") from error
        *lines, rest = content.split(b"\n")
        if rest:  # the last line has no end
            lines.append(rest)
        known, unfinished, previous = {_NOTHING}, [], _NOTHING
        for number, line in enumerate(lines, 1):
            said = _previous(line)
            if said is None and (not line.startswith(b"{") or (number == len(lines) and not rest)):
                raise ConfigurationError(f"{self.file}:{number}: the line is no entry of an audit log", hint=_HINT)
            if said is None:
                unfinished.append(number)
            elif said != previous:
                raise ConfigurationError(
                    f"{self.file}:{number}: the line does not follow from the one before it: "
                    "one was changed, removed or put in",
                    hint=_HINT,
                )
            previous = _hash(line)
            known.add(previous)
        if head is not None and head not in known:
            raise ConfigurationError(
                f"{self.file}: the head {head[:64]} is not in it: it was cut off or written anew after that was noted",
                hint=_HINT,
            )
        return Verified(str(self.file), len(lines) - len(unfinished), previous, tuple(unfinished))

    def _last(self) -> bytes:
        """Return the last line, with its end if it has one."""
        try:
            with self.file.open("rb") as opened:
                start = opened.seek(0, os.SEEK_END)
                tail = b""
                while start and b"\n" not in tail[:-1]:
                    step = min(start, _BLOCK)
                    start -= step
                    opened.seek(start)
                    tail = opened.read(step) + tail
        except FileNotFoundError:
            return b""
        return tail[tail.rfind(b"\n", 0, -1) + 1 :]


def _previous(line: bytes) -> str | None:
    """Return what a line says of the one before it; None when it is no whole entry."""
    said = (_record(line) or {}).get("previous")
    return said if isinstance(said, str) else None


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = from_json(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _hash(line: bytes) -> str:
    return sha256(line).hexdigest() if line else _NOTHING
