"""Written for the `dashscope` SDK, first generation: an answer as it comes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from dashscope import Generation


def main(**over: Any) -> str:
    """Ask; ``over`` is how the vendor is reached, for instance ``session=``."""
    said = ""
    for part in Generation.call(
        model="qwen-plus",
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name a fruit."}],
        result_format="message",
        stream=True,
        incremental_output=True,
        **over,
    ):
        if part.status_code != HTTPStatus.OK:
            raise RuntimeError(f"{part.code}: {part.message}")
        said += part.output.choices[0].message.content
    return said


if __name__ == "__main__":
    print(main())
