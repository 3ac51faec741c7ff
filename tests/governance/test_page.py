from __future__ import annotations

import json
import re
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from multimodel.governance.page import (
    Html,
    bars,
    items,
    json_bytes,
    link,
    page,
    paragraph,
    section,
    shares,
    table,
    text,
    timeline,
)

HOSTILE = "<script>alert('1')</script>\"&\x00\u202e"
SHOWN = "<script>alert('1')</script>\"&\ufffd\ufffd"
VOID = {"meta"}


class Reader(HTMLParser):
    """Reads a page as a browser does, and complains of what does not fit."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag: str) -> list[str]:
        """The text directly inside the elements of a name."""
        return [data for inside, data in self.texts if inside == tag]


REPORT = {"name": HOSTILE, "shares": [0.5, None]}
EVERYTHING = [
    section(HOSTILE, paragraph(HOSTILE, " and ", link(HOSTILE, 'https://example.net/?a=1&b="2"')), items([HOSTILE])),
    table(HOSTILE, (HOSTILE, "n"), [(HOSTILE, 1234), ("b", None)], right={1}),
    bars(HOSTILE, [(HOSTILE, 3.0, HOSTILE), ("unknown length", None, None), ("more", 9.0, "9")]),
    shares(HOSTILE, {HOSTILE: {HOSTILE: 1.0, "b": 1.0}, "nobody knows": None, "none": {}}),
    timeline(HOSTILE, {HOSTILE: [(0.0, 2.0, HOSTILE), (2.0, 2.0, "b")], "b": []}),
]


@pytest.fixture
def read() -> Reader:
    return Reader(page(HOSTILE, *EVERYTHING, report=json_bytes(REPORT)))


def test_whatever_is_no_markup_is_text(read):
    names = {tag for tag, _ in read.tags}
    assert names.isdisjoint({"script", "iframe", "object", "embed", "img", "link", "base", "form"})
    for tag in ("title", "h1", "h2", "p", "li", "a", "caption", "th", "span", "figcaption"):
        assert SHOWN in "".join(read.of(tag)), tag
    assert any(given.get("aria-label") == SHOWN for _, given in read.tags)


def test_nothing_is_loaded_and_nothing_runs(read):
    for tag, given in read.tags:
        assert not any(name.startswith("on") for name in given)
        assert {"src", "srcset", "style", "xlink:href", "action"}.isdisjoint(given)
        assert "href" not in given or tag == "a"
    style = "".join(read.of("style"))
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = [given["content"] for _, given in read.tags if given.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_the_hash_is_that_of_the_json_which_the_page_holds(read):
    shown = "".join(read.of("code"))
    digest, report = shown[:64], shown[64:]
    assert digest == sha256(report.encode()).hexdigest()
    assert json.loads(report) == REPORT


def test_a_page_has_a_language_a_title_and_headings_and_each_chart_and_table_says_what_it_shows(read):
    assert read.tags[0] == ("html", {"lang": "en"})
    assert [tag for tag, _ in read.tags if tag in {"h1", "h2", "h3"}] == ["h1", "h2"]
    assert len(read.of("caption")) == 1
    assert len(read.of("figcaption")) == 3
    assert all(given["aria-hidden"] == "true" for tag, given in read.tags if tag == "svg")


def test_marks_name_patterns_that_are_there(read):
    there = {given["id"] for tag, given in read.tags if tag == "pattern"}
    named = {given["fill"] for tag, given in read.tags if "fill" in given}
    assert named <= {f"url(#{name})" for name in there}


def test_what_is_unknown_says_so():
    assert "unknown" in text(None)
    assert bars("b", [("a", None, None)]).count("unknown") == 2
    assert "unknown" in shares("s", {"calls": None})
    assert "unknown" in table("t", ("a", "b"), [("x", None)])


def test_bars_are_as_long_as_their_part_of_the_longest():
    widths = re.findall(r'width="([\d.]+)%" height="100%" class="mark"', bars("b", [("a", 1, "1"), ("b", 4, "4")]))
    assert widths == ["25.000", "100.000"]
    assert 'width="5.000%"' in bars("b", [("a", 500, "500")], most=10_000)


def test_shares_add_up_to_the_whole_width_and_the_same_name_has_the_same_pattern():
    found = shares("s", {"calls": {"a": 1.0, "b": 3.0}, "tokens": {"a": 1.0}})
    calls, tokens, _ = found.split("</li>", 2)
    assert re.findall(r'width="([\d.]+)%" height="100%" fill="url\(#p(\d)\)"', calls) == [
        ("25.000", "0"),
        ("75.000", "1"),
    ]
    assert re.findall(r'width="([\d.]+)%" height="100%" fill="url\(#p(\d)\)"', tokens) == [("100.000", "0")]


def test_of_more_names_than_there_are_patterns_the_smallest_are_shown_together():
    amounts = {f"vendor-{number}": float(number) for number in range(1, 12)}
    found = shares("s", {"calls": amounts})
    assert "all others" in found
    assert "vendor-11" in found
    assert "vendor-4<" not in found
    widths = [float(width) for width in re.findall(r'width="([\d.]+)%" height="100%" fill', found.split("</li>")[0])]
    assert sum(widths) == pytest.approx(100, abs=0.01)


def test_a_time_line_has_round_ticks_within_its_ends():
    found = timeline("t", {"a": [(0.0, 7.0, "blocked")]})
    assert re.findall(r">(\d+) s<", found) == ["0", "2", "4", "6"]


def test_a_link_leads_to_https_alone():
    with pytest.raises(ValueError, match="https"):
        link("x", "javascript:alert(1)")


def test_markup_is_not_escaped_twice():
    assert text(text("<")) == "&lt;"
    assert paragraph(Html("<b>x</b>")) == "<p><b>x</b></p>"


def test_a_report_with_half_a_surrogate_pair_can_be_written():
    assert json.loads(json_bytes({"name": "a\ud800"}))["name"] == "a\ud800"
