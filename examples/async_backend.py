"""One client for many concurrent requests: a deadline for each, and errors as the answers of a web service."""

import asyncio

from multimodel import (
    AllTargetsFailedError,
    AsyncClient,
    BadRequestError,
    ContentFilteredError,
    DeadlineExceededError,
)


async def handle(client: AsyncClient, question: str) -> tuple[int, str]:
    """What a request handler would do: return an HTTP status and a body."""
    try:
        answer = await client.complete("chat", question, max_tokens=100, deadline=20)
    except (BadRequestError, ContentFilteredError):
        return 400, "this question cannot be answered"
    except DeadlineExceededError:
        return 504, "too slow, try again"
    except AllTargetsFailedError as error:
        return 503, f"try again in {error.retry_after or 5:.0f} s"
    return 200, answer.text


async def main() -> None:
    async with AsyncClient() as client:  # one for the whole process
        questions = [f"What is {number} times {number}?" for number in range(20)]
        answers = await asyncio.gather(*(handle(client, question) for question in questions))
    for question, (status, body) in zip(questions, answers, strict=True):
        print(status, question, body[:60])


asyncio.run(main())
