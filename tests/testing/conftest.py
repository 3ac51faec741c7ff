from __future__ import annotations

from collections.abc import Iterator

import pytest

from multimodel.testing import FaultyVendor


@pytest.fixture
def vendor() -> Iterator[FaultyVendor]:
    with FaultyVendor() as running:
        yield running
