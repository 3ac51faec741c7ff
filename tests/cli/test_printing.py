from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from multimodel.cli.calling import _print_events
from multimodel.cli.printing import plain, print_table
from multimodel.types import Restarted, Target, TextDelta


@given(st.text())
def test_plain_text_holds_no_control_but_line_ends_and_tabs(text):
    shown = plain(text)
    assert len(shown) == len(text)
    assert all(char in "\n\t" or not (ord(char) < 32 or 127 <= ord(char) < 160) for char in shown)
    assert plain(shown) == shown


def test_columns_are_aligned_whatever_is_in_them(capsys):
    print_table(("a", "b"), [("审查", 1), (None, ("x", "y")), ("two\nlines", "\x1b[1m")])
    assert capsys.readouterr().out.splitlines() == [
        "a          b",
        "审查       1",
        "-          x, y",
        "two lines  �[1m",
    ]


def test_a_restart_begins_a_line_of_its_own_and_is_told(capsys):
    events = [TextDelta("One"), Restarted(Target("house", "m")), TextDelta("Two.\n")]
    _print_events(events)
    printed = capsys.readouterr()
    assert printed.out == "One\nTwo.\n"
    assert printed.err == "note: the answer starts again, at house:m\n"
