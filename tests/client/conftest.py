from __future__ import annotations

from collections.abc import Iterator

import pytest

from .colours import COLOURS, Colour, colour_of


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> Iterator[Colour]:
    """Both clients, one after the other."""
    with colour_of(request.param) as opened:
        yield opened
