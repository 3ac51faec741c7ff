"""A call, a stream, and who answered."""

from multimodel import Client

with Client() as client:
    answer = client.complete("chat", "Name three risks of a single vendor.", max_tokens=200)
    print(answer.text)
    print(f"-- {answer.target}, {answer.finish_reason}, {answer.usage}")

    conversation = [
        {"role": "user", "content": "Name three risks of a single vendor."},
        answer.message,
        {"role": "user", "content": "Which of them is the worst?"},
    ]
    with client.stream("chat", conversation) as stream:
        for text in stream.text_deltas():
            print(text, end="", flush=True)
    print(f"\n-- {stream.completion.target}, {len(stream.completion.report.attempts)} request(s)")
