from __future__ import annotations

from collections.abc import Iterator

import pytest

from .told import Told, forget_providers


@pytest.fixture
def told() -> Iterator[Told]:
    forget_providers()
    yield Told()
    forget_providers()
