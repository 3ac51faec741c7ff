"""The application. It is never changed, whatever happens to its vendors."""

from multimodel import Client, Completion

QUESTIONS = (
    "What is the capital of France?",
    "Name one colour of the rainbow.",
    "What do bees make?",
)


def ask(client: Client, question: str) -> Completion:
    return client.complete("chat", question, max_tokens=24, temperature=0)


def ask_streaming(client: Client, question: str) -> Completion:
    with client.stream("chat", question, max_tokens=24, temperature=0) as stream:
        for _text in stream.text_deltas():
            pass
    return stream.completion
