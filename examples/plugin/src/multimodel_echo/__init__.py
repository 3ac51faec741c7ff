"""An adapter for multimodel that says back what it is told."""

from collections.abc import Iterator

from multimodel.providers import ProviderSetup
from multimodel.types import AnswerEvent, Attempt, Finished, TextDelta, Usage


class EchoProvider:
    """Talks to nobody: the last message comes back, a word at a time."""

    profile = {  # noqa: RUF012  # read once, by the catalogue
        "title": "Echo",
        "operator": None,
        "key_required": False,
        "fact": {"source": "this distribution", "date": "2026-11-24"},
    }

    def __init__(self, setup: ProviderSetup) -> None:
        self.prefix = str(setup.options.get("prefix", ""))

    def stream(self, attempt: Attempt) -> Iterator[AnswerEvent]:
        words = (self.prefix + attempt.request.messages[-1].text).split(" ")
        for number, word in enumerate(words):
            yield TextDelta(word if number == 0 else f" {word}")
        yield Finished("stop", Usage(input_tokens=len(words), output_tokens=len(words), total_tokens=2 * len(words)))
