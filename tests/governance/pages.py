"""Reads a page as a browser does."""

from __future__ import annotations

import json
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

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

    def assert_loads_nothing(self) -> None:
        """Assert that nothing is loaded and nothing runs."""
        names = {tag for tag, _ in self.tags}
        assert names.isdisjoint({"script", "iframe", "object", "embed", "img", "link", "base", "form"})
        for tag, given in self.tags:
            assert not any(name.startswith("on") for name in given)
            assert {"src", "srcset", "style", "xlink:href", "action"}.isdisjoint(given)
            assert "href" not in given or tag == "a"
        style = "".join(self.of("style"))
        assert "url(" not in style
        assert "@import" not in style
        (policy,) = [given["content"] for _, given in self.tags if given.get("http-equiv") == "Content-Security-Policy"]
        assert policy is not None
        assert policy.startswith("default-src 'none'")

    def report(self) -> Any:
        """Return the JSON that the page holds; assert that the hash is that of it."""
        shown = "".join(self.of("code"))
        digest, report = shown[:64], shown[64:]
        assert digest == sha256(report.encode()).hexdigest()
        return json.loads(report)
