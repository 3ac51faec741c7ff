"""The ids of an answer to events: exact text, thinking and tool calls, and where a stop string ends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...types import AnswerEvent, TextDelta
from ...wire.qwen_text import QwenText, held_back

__all__ = ["Stops", "Writer"]


class Stops:
    """Finds the first of several stop strings in text that comes in pieces. The string itself is not handed out."""

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = strings
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """Take the next piece and return what can be handed out."""
        held = self._held + text
        places = [place for string in self._strings if (place := held.find(string)) >= 0]
        if places:
            self.found, self._held = True, ""
            return held[: min(places)]
        kept = len(held) - held_back(held, self._strings)
        self._held = held[kept:]
        return held[:kept]

    def close(self) -> str:
        """Return what was held back."""
        held, self._held = self._held, ""
        return held


class Writer:
    """Turns one answer's ids into events.

    :param tokenizer: the tokenizer of the ``tokenizers`` package.
    :param parser: reads the text.
    :param stops: strings that end the answer's text; those in thinking or in a tool call do not count.
    :param one_call: whether the first tool call ends the answer.
    """

    def __init__(self, tokenizer: Any, parser: QwenText, stops: Sequence[str], *, one_call: bool = False) -> None:
        from tokenizers.decoders import DecodeStream

        self._tokenizer = tokenizer
        self._decoder = DecodeStream([], skip_special_tokens=False)
        self._parser = parser
        self._stops = Stops(stops)
        self._one_call = one_call
        self.reasoning_tokens = 0
        """How many ids were thinking, the tag that ends it included."""

    @property
    def done(self) -> bool:
        """Whether the answer has ended by its own text."""
        return self._stops.found or (self._one_call and self._parser.calls > 0)

    @property
    def calls(self) -> int:
        """How many tool calls are complete."""
        return self._parser.calls

    def feed(self, token: int) -> Iterator[AnswerEvent]:
        """Take the next id and yield what is certain now."""
        self.reasoning_tokens += self._parser.thinking
        text = self._decoder.step(self._tokenizer, token)
        if text:
            yield from self._said(self._parser.feed(text))

    def close(self, *, cut: bool) -> Iterator[AnswerEvent]:
        """Yield what was held back. The bytes of a character that is not whole are dropped.

        :param cut: whether a limit ended the answer.
        :raises InvalidResponseError: when the model ended it with a broken tool call.
        """
        if self.done:
            return
        yield from self._said(self._parser.close(cut=cut))
        held = self._stops.close()
        if held:
            yield TextDelta(held)

    def _said(self, events: Iterable[AnswerEvent]) -> Iterator[AnswerEvent]:
        for event in events:
            if isinstance(event, TextDelta):
                event.text = self._stops.feed(event.text)
                if event.text:
                    yield event
            else:
                held = self._stops.close()  # a stop string does not reach across a tool call
                if held:
                    yield TextDelta(held)
                yield event
            if self.done:
                return
