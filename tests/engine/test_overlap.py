"""The seam between two targets' parts of one answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodel.drivers.overlap import Overlap

SAID = "It was the best of times, it was the worst of"


def joined(said: str, pieces: list[str]) -> str:
    seam = Overlap(said)
    return "".join([*(seam.add(piece) for piece in pieces), seam.close()])


@pytest.mark.parametrize(
    ("pieces", "new"),
    [
        ([" times"], " times"),
        (["the worst of times"], " times"),
        ([" the worst", " of times"], " times"),
        ([SAID, " times"], " times"),
        (["worst of times"], " times"),
        (["of times"], "of times"),  # one short word may be meant
        (["of"], "of"),
        (["the", " end"], "the end"),
        ([], ""),
        (["the worst of"], ""),
    ],
)
def test_what_is_said_again_is_dropped_and_nothing_else(pieces: list[str], new: str):
    assert joined(SAID, pieces) == new


def test_a_syllable_that_happens_to_be_the_same_stays():
    assert joined("Ban", ["ana"]) == "ana"
    assert joined("very very", [" very"]) == " very"


@pytest.mark.parametrize(
    ("said", "more"),
    [
        ("0 0 1\n0 0 0 0", " 0 0\n1 1 1"),
        ("- no\n- no\n", "- no\n- yes\n"),
        ("- not at all\n- not at all\n", "- not at all\n- perhaps\n"),
        ("row: a | b |\n", " a | b |\nend"),
    ],
)
def test_what_the_text_itself_repeats_stays(said: str, more: str):
    assert joined(said, [more]) == more


def test_an_answer_of_any_length_costs_little():
    assert joined("ab " * 70_000, ["ab ab ab"]) == "ab ab ab"


def test_a_long_text_without_spaces_is_trimmed_too():
    said = "白日依山尽黄河入海流欲穷千里目"
    assert joined(said, ["黄河入海流欲穷千里目", "更上一层楼"]) == "更上一层楼"


PIECES = st.lists(st.sampled_from(["ab", "cd ", " ", "efgh", "ab cd ", "\n"]), max_size=12).map("".join)


@given(PIECES, PIECES, st.data())
def test_the_pieces_do_not_matter_and_only_a_repetition_is_dropped(said: str, more: str, data: st.DataObject):
    cut = data.draw(st.integers(0, len(more)))
    whole = joined(said, [more])
    assert joined(said, [more[:cut], more[cut:]]) == whole
    assert more.endswith(whole)
    dropped = more[: len(more) - len(whole)]
    assert said.endswith(dropped)
