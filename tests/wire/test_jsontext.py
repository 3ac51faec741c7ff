from __future__ import annotations

import pytest

from multimodel.wire.jsontext import is_cut, json_object, parse, parse_cut

LONGEST = b"9" * 308  # the most digits that a float of any kind can have


def nested(opened: bytes, inside: bytes, closed: bytes, levels: int) -> bytes:
    return opened * levels + inside + closed * levels


@pytest.mark.parametrize(("opened", "closed"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_sixty_four_levels_pass_and_one_more_does_not(opened: bytes, closed: bytes):
    parse(nested(opened, b"1", closed, 64))
    with pytest.raises(ValueError, match=r"^nested too deeply$"):
        parse(nested(opened, b"1", closed, 65))


def test_levels_of_lists_and_objects_are_counted_together():
    parse(nested(b'[{"a":', b"1", b"}]", 32))
    with pytest.raises(ValueError, match=r"^nested too deeply$"):
        parse(nested(b'[{"a":', b"1", b"}]", 33))


def test_the_deepest_place_counts_wherever_it_stands():
    parse(b"[[]," + nested(b"[", b"1", b"]", 63) + b",{}]")
    with pytest.raises(ValueError, match=r"^nested too deeply$"):
        parse(b"[[]," + nested(b"[", b"1", b"]", 64) + b",{}]")


def test_many_holders_side_by_side_are_not_deep():
    assert parse(b"[" + b",".join([b'[{"a":[]}]'] * 100) + b"]") == [[{"a": []}]] * 100


@pytest.mark.parametrize(
    "text",
    [b'{"a":1e309}', b'{"a":-1e400}', b'[0,[{"a":1E+999}],0]', b'[{"a":1},' + LONGEST + b"9.0]", b"1e999"],
)
def test_a_number_beyond_all_floats_is_refused(text: bytes):
    with pytest.raises(ValueError, match=r"^a number too large$"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a":1e300}', {"a": 1e300}),
        (b'{"a":1e-400}', {"a": 0.0}),
        (b'["1e999"]', ["1e999"]),
        (b'["' + LONGEST * 2 + b'"]', [LONGEST.decode() * 2]),
        (LONGEST + b"9", int(LONGEST + b"9")),
        (b"[1e99,2.5,null,true]", [1e99, 2.5, None, True]),
    ],
)
def test_what_only_looks_like_a_number_too_large_passes(text: bytes, value: object):
    assert parse(text) == value


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"[-Infinity]", b'{"a":NaN}'])
def test_words_for_no_number_are_no_json(text: bytes):
    for read in (parse, parse_cut):
        with pytest.raises(ValueError, match=r"expected value|invalid number"):
            read(text)
    assert json_object(text) is None


@pytest.mark.parametrize("text", [b"{", b'{"a":', b"[1,", b'"wor', b'{"a":[{"b":tr'])
def test_the_beginning_of_json_is_cut(text: bytes):
    assert is_cut(text)


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b"{]", b"oops", b"{} x", b'{"a":NaN,', b"[Infin", b'{"a":\xff'])
def test_what_is_whole_or_no_json_is_not_cut(text: bytes):
    assert not is_cut(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [(b'{"a":"wor', {"a": "wor"}), (b"[1,", [1]), (b'{"a":1,"b', {"a": 1}), (b'{"a":[{', {"a": [{}]})],
)
def test_a_text_that_was_cut_is_read_as_far_as_it_goes(text: bytes, value: object):
    assert parse_cut(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [(b'{"a":1}', {"a": 1}), (b"{}", {}), (b"[]", None), (b"7", None), (b"{", None)]
)
def test_only_an_object_is_an_object(text: bytes, value: object):
    assert json_object(text) == value
