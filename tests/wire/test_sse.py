from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodel.errors import InvalidResponseError
from multimodel.wire import sse
from multimodel.wire.sse import MAX_LINE, Event, EventDecoder


def events(*chunks: bytes) -> list[Event]:
    decoder = EventDecoder()
    found = [event for data in chunks for event in decoder.feed(data)]
    return found + list(decoder.close())


def payloads(*chunks: bytes) -> list[object]:
    return [event.json for event in events(*chunks)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_line_ends_with_lf_crlf_or_cr(end: bytes):
    assert payloads(b'data: {"a":1}' + end * 2 + b'data: {"b":2}' + end * 2) == [{"a": 1}, {"b": 2}]


def test_the_space_after_the_colon_is_optional():
    assert payloads(b'data:{"a":1}\n\ndata:  {"a":2}\n\n') == [{"a": 1}, {"a": 2}]


def test_a_byte_order_mark_before_the_first_line_is_dropped():
    assert payloads(b"\xef\xbb", b'\xbfdata: {"a":1}\n\n') == [{"a": 1}]


def test_a_byte_order_mark_anywhere_else_is_no_part_of_a_field_name():
    assert payloads(b'\n\xef\xbb\xbfdata: {"a":1}\n\n') == []
    assert payloads(b'data: {"a":1}\n', b'\xef\xbb\xbfdata: {"a":2}\n\n') == [{"a": 1}]
    assert payloads(b'\xef\xbb\xbf\xef\xbb\xbfdata: {"a":1}\n\n') == []


def test_cr_and_lf_in_two_pieces_are_one_end_of_line():
    assert [event.data for event in events(b"data: one\r", b"\r", b"data: two\r", b"", b"\ndata: three\r\n\r\n")] == [
        b"one",
        b"two\nthree",
    ]


def test_the_bytes_between_two_ends_of_a_line_are_joined():
    assert payloads(b"da", b"ta: {", b'"a":', b"1}", b"\n") == [{"a": 1}]
    assert payloads(b"data: {", b'"a":1}\ndata: {"b"', b":2}\n") == [{"a": 1}, {"b": 2}]


def test_comments_ids_retries_and_unknown_fields_mean_nothing():
    assert payloads(b': ping\n\nid: 7\nretry: 10\nnonsense\nfoo: bar\ndata: {"a":1}\n\n:\n\n') == [{"a": 1}]


def test_an_event_has_its_name_and_its_status():
    (first, second) = events(
        b'id:1\nevent:error\n:HTTP_STATUS/429\ndata:{"a":1}\n\nevent: result\nstatus: 200\ndata:{"a":2}\n\n'
    )
    assert (first.name, first.status) == (b"error", 429)
    assert (second.name, second.status) == (b"result", 200)


def test_a_name_does_not_outlive_its_event():
    first, second = events(b'event:error\ndata:{"a":1}\n\ndata:{"a":2}\n\n')
    assert (first.name, second.name) == (b"error", b"")
    assert events(b'event:error\n\ndata:{"a":2}\n\n')[0].name == b""


def test_a_status_does_not_outlive_its_event():
    for field in (b":HTTP_STATUS/429", b"status:429"):
        assert events(field + b'\n\ndata:{"a":1}\n\n')[0].status is None
        assert [event.status for event in events(field + b"\ndata:oops\n\ndata:oops\n\n")] == [429, None]
        assert [event.status for event in events(field + b'\ndata:{"a":1}\ndata:{"a":1}\n\n')] == [429, None]


def test_a_name_and_a_status_may_have_spaces_around_them():
    for lines in (b"event:  error \n:HTTP_STATUS/ 429 \n", b"event:error\nstatus: 429\n"):
        (event,) = events(lines + b'data:{"a":1}\n\n')
        assert (event.name, event.status) == (b"error", 429)


@pytest.mark.parametrize("status", [b"7", b"42", b"999", b"000"])
def test_a_status_has_at_most_three_digits(status: bytes):
    assert events(b"status:" + status + b'\ndata:{"a":1}\n\n')[0].status == int(status)
    assert events(b"status:1" + status.zfill(3) + b'\ndata:{"a":1}\n\n')[0].status is None


@pytest.mark.parametrize("status", [b"", b"4x", b"99999", b"-1", b"\xff"])
def test_a_status_that_is_none_is_ignored(status: bytes):
    assert events(b":HTTP_STATUS/" + status + b'\ndata:{"a":1}\n\n')[0].status is None


def test_a_data_line_that_is_an_object_is_an_event_at_once():
    decoder = EventDecoder()
    assert [event.json for event in decoder.feed(b'data: {"a":1}\ndata: {"a":2}\n')] == [{"a": 1}, {"a": 2}]


def test_an_object_over_several_data_lines_is_joined():
    assert payloads(b'data: {"a":\ndata: {"b":1}\ndata:\ndata: }\n\n') == [{"a": {"b": 1}}]


def test_done_is_an_event_of_its_own():
    (event,) = events(b"data: [DONE]")
    assert event.is_done


def test_done_is_an_event_at_once_and_only_by_itself():
    decoder = EventDecoder()
    assert [event.is_done for event in decoder.feed(b"data:[DONE]\n")] == [True]
    (event,) = events(b"data: oops\ndata: [DONE]\n\n")
    assert (event.is_done, event.data) == (False, b"oops\n[DONE]")
    assert [event.is_done for event in events(b"data: [done]\n\n")] == [False]


def test_done_has_the_name_and_the_status_of_its_lines():
    (event,) = events(b"event: end\nstatus: 200\ndata: [DONE]\n\n")
    assert (event.json, event.name, event.status) == (None, b"end", 200)


@pytest.mark.parametrize("text", [b"[]", b"7", b"null", b'"{}"', b"[1,\ndata: 2]"])
def test_json_that_is_no_object_is_a_text(text: bytes):
    (event,) = events(b"data: " + text + b"\n\n")
    assert (event.json, event.data) == (None, text.replace(b"\ndata: ", b"\n"))


def test_an_object_has_no_text():
    assert [event.data for event in events(b'data: {"a":1}\n\ndata: {\ndata: }\n\n')] == [b"", b""]


def test_an_event_that_is_no_object_carries_its_text():
    (event,) = events(b"data: oops\ndata: again\n\n")
    assert (event.json, event.data) == (None, b"oops\nagain")


def test_an_empty_event_is_none():
    assert events(b"data:\n\ndata: \n\n\n\n") == []


def test_a_whole_event_at_the_end_counts_without_its_blank_line():
    assert payloads(b'data: {"a":1}') == [{"a": 1}]


@pytest.mark.parametrize("cut", [b'data: {"a":', b"data: oops", b"dat", b"event: err", b'data: {"a":1\n'])
def test_a_cut_event_at_the_end_is_dropped(cut: bytes):
    assert events(cut) == []


def test_a_line_of_one_mebibyte_passes_and_a_longer_one_does_not():
    longest = b'data: {"a":"' + b"x" * (MAX_LINE - 14) + b'"}'
    assert len(longest) == MAX_LINE
    assert len(events(longest + b"\n\n")) == 1
    for line in (longest + b" ", b":" + b"x" * MAX_LINE):
        for data in (line + b"\n", line):
            with pytest.raises(InvalidResponseError) as caught:
                events(data)
            assert caught.value.message == "a line of the stream is longer than 1 MiB"


@pytest.mark.parametrize("start", [b"data: oops", b"event: x", b": x", b"id: x", b'data: {"a":'])
def test_any_line_may_be_as_long_as_the_limit_and_no_longer(start: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "MAX_LINE", 40)
    line = start.ljust(40, b"x")
    for chunks in ((line + b"\n",), (line[:20], line[20:], b"\n"), (line,)):
        events(*chunks)
    for chunks in ((line + b"x\n",), (line[:20], line[20:] + b"x"), (line, b"x\n"), (line, b"x")):
        with pytest.raises(InvalidResponseError, match="longer than 1 MiB"):
            events(*chunks)


def test_events_before_a_line_too_long_are_still_given():
    decoder = EventDecoder()
    found = decoder.feed(b'data: {"a":1}\n\n' + b":" + b"x" * MAX_LINE + b"\n")
    assert next(found).json == {"a": 1}
    with pytest.raises(InvalidResponseError):
        next(found)


def test_a_stream_has_a_limit_in_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "MAX_TOTAL", 40)
    data = b'data: {"a":1}\n\n' * 3  # 15 bytes each
    for chunks in ([data], [data[index : index + 1] for index in range(len(data))]):
        decoder, found = EventDecoder(), []
        with pytest.raises(InvalidResponseError, match="64 MiB"):
            for part in chunks:
                for event in decoder.feed(part):
                    found.append(event)  # those before the error are kept
        assert len(found) == 2
    assert len(events(data[:40])) == 2


def test_a_stream_has_a_limit_in_events(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "MAX_EVENTS", 2)
    for one in (b'data: {"a":1}\n\n', b"data: oops\n\n", b"data: [DONE]\n"):
        assert len(events(one * 2)) == 2
        decoder, found = EventDecoder(), []
        with pytest.raises(InvalidResponseError) as caught:
            for event in decoder.feed(one * 3):
                found.append(event)  # those before the error are kept
        assert caught.value.message == "the stream has more than a million events"
        assert len(found) == 2


def test_a_long_line_in_small_pieces_is_not_copied_again_and_again():
    decoder = EventDecoder()
    for _ in range(MAX_LINE // 64):
        assert list(decoder.feed(b"x" * 64)) == []
    assert list(decoder.feed(b"\n")) == []


PIECES = st.sampled_from(
    [b"data:", b"data: ", b'{"a":"', "é🌊".encode(), b'"}', b"\n", b"\r", b"\r\n", b"\n\n", b"[DONE]", b"event:x", b":", b" ",
     b":HTTP_STATUS/400", b"\xef\xbb\xbf", b"id:1", b"{}", b"\xff", b"oops"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map(b"".join), st.lists(st.integers(0, 200), max_size=8))
def test_cutting_the_bytes_differently_gives_the_same_events(data: bytes, cuts: list[int]):
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[start:stop] for start, stop in pairwise(places)]
    single = [data[index : index + 1] for index in range(len(data))]
    assert events(data) == events(*parts) == events(*single)
