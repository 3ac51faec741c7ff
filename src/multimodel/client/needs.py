"""What a request asks of a target beyond its kinds of content: room for prompt and answer, media by value, pairs of tools.

What is not known of a target counts as good enough: a target is left out only where it is certain to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from ..errors import BadRequestError, CallError, ContextWindowExceededError, PolicyDeniedError
from ..types import AudioPart, FilePart, ImagePart, Request, VideoPart
from ..wire.history import unpaired
from .targets import Planned

__all__ = ["Demand", "Misfit", "by_value", "fewest_tokens", "media_by_url", "split_needs", "too_small"]

MediaPart = ImagePart | AudioPart | VideoPart | FilePart

_WIDE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]"
)
_WIDE_PER_TOKEN = 4
_DIGITS = 18  # of a number of tokens, at most
_FETCH = "set `fetch_media: true` on the route, or hand in the bytes"


class Misfit(NamedTuple):
    """Why a target is certain to refuse: a word, a detail for people, and the error that it would be."""

    reason: str
    detail: str
    cause: CallError | None = None


class Demand:
    """What one request demands; measured only as far as a target could fail by it.

    :ivar unpaired: what is wrong with the tool calls of the conversation and their results, or None.
    """

    __slots__ = ("_characters", "_media", "_request", "_tokens", "unpaired")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._characters: int | None = None
        self._tokens: int | None = None
        self._media = any(not isinstance(message.content, str) for message in request.messages)
        self.unpaired = unpaired(request.messages)

    def misfit(self, planned: Planned) -> Misfit | None:
        """Say why ``planned`` is certain to refuse the request, or None."""
        request = self._request
        if planned.measured:
            answer = request.max_tokens or planned.params.get("max_tokens") or 0
            small = too_small(planned, self._prompt(planned.room), answer)
            if small is not None:
                return small
        if self.unpaired is not None and not _takes_any(planned):
            return Misfit("history", self.unpaired, BadRequestError(hint="nothing was sent; mend the conversation"))
        if self._media and not planned.fetch_media:
            kinds = sorted({part.type for part in media_by_url(request, by_value(planned))})
            if kinds:
                return Misfit(
                    "capability", f"it takes {', '.join(kinds)} by value only", PolicyDeniedError(hint=_FETCH)
                )
        return None

    def _prompt(self, room: int) -> int:
        """Return how many tokens the prompt has at the least; 0 where its characters show that there is room."""
        if self._characters is None:
            self._characters = sum(map(len, _texts(self._request)))
        if self._characters <= room:
            return 0
        if self._tokens is None:
            self._tokens = sum(map(fewest_tokens, _texts(self._request)))
        return self._tokens


def too_small(planned: Planned, prompt: int, answer: int) -> Misfit | None:
    """Say whether a target has no room for that many tokens of a prompt, or of an answer."""
    if answer > planned.max_output:
        return Misfit("capability", f"max_output {planned.max_output} is less than {answer}")
    if prompt > planned.room:
        detail = f"a prompt of at least {prompt} tokens does not fit into {planned.room}"
        return Misfit("window", detail, ContextWindowExceededError())
    return None


def split_needs(needs: Iterable[str]) -> tuple[frozenset[str], int, int]:
    """Return the needs that are words, and the tokens of ``input=N`` and ``output=N``, 0 where there are none.

    >>> split_needs({"tools", "input=200000"})
    (frozenset({'tools'}), 200000, 0)
    """
    words: set[str] = set()
    tokens = {"input": 0, "output": 0}
    for need in needs:
        name, _, number = str(need).partition("=")
        if name in tokens and number.isdecimal() and len(number) <= _DIGITS:
            tokens[name] = int(number)
        else:
            words.add(need)
    return frozenset(words), tokens["input"], tokens["output"]


def fewest_tokens(text: str) -> int:
    """Estimate from below how many tokens a text is, without a tokenizer.

    Tokenizers cut a text at its spaces first, so it has as many tokens as words, at the least; in scripts that write
    without spaces (Chinese, Japanese, Thai, …), and in Korean, four characters are counted as one.

    >>> fewest_tokens("The quick brown fox"), fewest_tokens("敏捷的棕色狐狸跳过")
    (4, 2)
    """
    wide = len(_WIDE.findall(text)) if not text.isascii() else 0
    return len((_WIDE.sub(" ", text) if wide else text).split()) + wide // _WIDE_PER_TOKEN


def by_value(planned: Planned) -> Collection[str]:
    """Name the types of parts that a target takes as bytes only."""
    account = planned.account
    dialect = account.profile.dialect(planned.plan.target.model)
    if account.profile.adapter not in ("http", "litellm") or account.setup.wire == "dashscope":
        usual: Collection[str] = ()
    else:
        from ..wire.openai_chat import BY_VALUE

        usual = BY_VALUE
    found: Collection[str] = dialect.quirks.get("by_value", usual)
    return found


def media_by_url(request: Request, types: Collection[str]) -> Iterator[MediaPart]:
    """Yield the parts of these types that are given by the address of something on a network."""
    for message in request.messages:
        for part in () if isinstance(message.content, str) else message.content:
            if isinstance(part, MediaPart) and part.type in types and part.url and not part.url.startswith("data:"):
                yield part


def _takes_any(planned: Planned) -> bool:
    """Whether a target takes calls and results of tools that do not belong together, as templates of weights do."""
    return bool(planned.account.profile.dialect(planned.plan.target.model).quirks.get("unpaired_tools"))


def _texts(request: Request) -> Iterator[str]:
    for message in request.messages:
        yield message.text
        for call in message.tool_calls:
            yield call.arguments
