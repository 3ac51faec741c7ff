"""The examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import multimodel

MODULES = [
    module.name
    for module in pkgutil.walk_packages(multimodel.__path__, "multimodel.", onerror=lambda _name: None)
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
