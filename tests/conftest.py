"""What all tests share."""

from __future__ import annotations

import gc
import sys
import warnings

import pytest

_LONGEST = (
    "test_faults.py",
    "test_laws.py",
    "test_notebooks.py",
    "test_cancellation.py",
    "test_ledger.py",
    "test_planted.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process waits for another one at the end."""
    items.sort(key=lambda item: item.path.name not in _LONGEST)


@pytest.fixture(scope="module", autouse=True)
def sessions_that_litellm_leaves_open(request):
    """Drop litellm's cached sessions with the module that made it keep them.

    litellm keeps a session for each family of vendors and event loop, closes some of them never, and drops them at
    a time of its own: the warning would then meet whatever test runs. Only modules that use litellm are concerned.
    """
    yield
    litellm = sys.modules.get("litellm")
    if litellm is not None and ("litellm" in request.module.__name__ or "matrix" in request.module.__name__):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            litellm.in_memory_llm_clients_cache.flush_cache()
            gc.collect()
