"""The seam of an answer that another target goes on with: what it says again is dropped, and nothing else.

1. What the next target begins with is dropped where it repeats the end of what was said: from the start of a word
   on, eight characters at least, with two words in them if it is in words. A shorter repetition may be meant, and so
   may one of what was already said twice in a row, as in a list of equal lines.
2. What may yet turn out to be a repetition is held back; the end of the answer lets it go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["Overlap"]

_CHARACTERS = 8
_WORDS = 2
_WORD = re.compile(r"[A-Za-z]{2,}")
_REACH = 4096


class Overlap:
    """Trims the beginning of a continuation.

    :param said: what the caller has seen.

    >>> seam = Overlap("One swallow does not make")
    >>> seam.add("not make"), seam.add(" a summer"), seam.close()
    ('', ' a summer', '')
    """

    __slots__ = ("_came", "_open", "_said")

    def __init__(self, said: str) -> None:
        self._said = said
        self._came = ""
        self._open = bool(said)

    def add(self, text: str) -> str:
        """Take the next piece; return what is certain to be new."""
        if not self._open or not text:
            return text
        self._came += text
        if self._undecided():
            return ""
        return self.close()

    def close(self) -> str:
        """Return what was held back, without its repetition; from now on all is new."""
        if not self._open:
            return ""
        self._open = False
        return self._came[self._repeated() :]

    def _undecided(self) -> bool:
        """Whether what came stands near the end of what was said, so that the rest of that may follow."""
        came, said = self._came, self._said
        return any(start + len(came) < len(said) and self._counts(start) for start in self._places(came))

    def _repeated(self) -> int:
        """How many characters repeat the end of what was said."""
        came, said = self._came, self._said
        for start in self._places(came[:_CHARACTERS]):  # the longest first
            if self._counts(start) and came.startswith(said[start:]):
                return len(said) - start
        return 0

    def _places(self, part: str) -> Iterator[int]:
        """Where a repetition could begin: at the very beginning, or within reach of the end."""
        said = self._said
        reach = max(0, len(said) - _REACH)
        if reach and part and said.startswith(part):
            yield 0
        start = said.find(part, reach) if part else -1
        while start >= 0:
            yield start
            start = said.find(part, start + 1)

    def _counts(self, start: int) -> bool:
        """Whether repeating ``said`` from ``start`` on is a repetition by rule 1."""
        said, length = self._said, len(self._said) - start
        if length < _CHARACTERS or (
            start and said[start - 1].isalnum() and said[start].isalnum() and said[start].isascii()
        ):
            return False
        tail = said[start : start + _REACH]
        if tail.isascii() and len(_WORD.findall(tail)) < _WORDS:
            return False
        return start < length or said[start - length : start] != tail
