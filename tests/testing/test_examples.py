from __future__ import annotations

import importlib
import pkgutil

import multimodel.testing
from multimodel.testing import FaultyVendor

MODULES = [module.name for module in pkgutil.walk_packages(multimodel.testing.__path__, "multimodel.testing.")]


def test_what_is_exported_resolves():
    for name in multimodel.testing.__all__:
        assert getattr(multimodel.testing, name)


def test_the_vendor_knows_nothing_of_the_codecs():
    for name in MODULES:
        if name.startswith("multimodel.testing.simulation"):
            continue  # it plays the engine itself
        source = importlib.import_module(name)
        assert not any(
            getattr(value, "__module__", "").startswith(("multimodel.wire", "multimodel.engine"))
            for value in vars(source).values()
        ), name


def test_every_base_url_is_on_loopback():
    with FaultyVendor() as vendor:
        for url in (vendor.openai_url, vendor.dashscope_url, vendor.compatible_url):
            assert url.startswith(f"http://127.0.0.1:{vendor.port}/")
