"""The table of what works over which wire is what the calls show."""

from __future__ import annotations

from .conformance import PAGE, table


def test_the_table_is_what_the_calls_show():
    assert PAGE.read_text(encoding="utf-8") == table()
