"""Written for the `openai` SDK: the text that is nearest to a question."""

from __future__ import annotations

from collections.abc import Callable

import openai

TEXTS = ["Opening hours are nine to five.", "Parcels are sent on Mondays.", "The shop is in Lima."]


def main(make_client: Callable[[], openai.OpenAI]) -> str:
    client = make_client()
    question = "Where is the shop?"
    rows = client.embeddings.create(model="text-embedding-3-small", input=[question, *TEXTS]).data
    asked, *known = (row.embedding for row in rows)
    nearness = [sum(a * b for a, b in zip(asked, vector, strict=True)) for vector in known]
    return TEXTS[nearness.index(max(nearness))]


if __name__ == "__main__":
    print(main(openai.OpenAI))
