"""Text, tags and tables: everything is escaped here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape
from unicodedata import category

__all__ = ["Html", "harmless", "items", "link", "paragraph", "table", "tag", "text"]

_HARMFUL = frozenset({"Cc", "Cs"})
"""Control characters and halves of surrogate pairs, which no document may have."""
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that show text in another order than it is written."""


class Html(str):
    """Markup: what is put into a page as it is."""

    __slots__ = ()


def text(value: object) -> Html:
    """Return a value as markup: text is escaped, None is ``unknown``, whole numbers have separators."""
    if isinstance(value, Html):
        return value
    if value is None:
        return Html('<span class="unknown">unknown</span>')
    if isinstance(value, int) and not isinstance(value, bool):
        return Html(f"{value:,}")
    return Html(_escaped(value))


def tag(name: str, *inside: object, **attributes: object) -> Html:
    """Return an element. An attribute that is None is left out; ``class_`` is ``class``, ``aria_label`` ``aria-label``."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>{''.join(map(text, inside))}</{name}>")


def paragraph(*inside: object) -> Html:
    """Return a paragraph."""
    return tag("p", *inside)


def items(entries: Iterable[object]) -> Html:
    """Return a list."""
    return tag("ul", *(tag("li", entry) for entry in entries))


def link(words: str, address: str) -> Html:
    """Return a link, for a reader to follow; its address is printed too."""
    if not address.startswith("https://"):
        raise ValueError("a link leads to https alone")
    return tag("a", words, href=address, rel="noreferrer")


def table(
    caption: str, heads: Sequence[object], rows: Iterable[Sequence[object]], *, right: Collection[int] = ()
) -> Html:
    """Return a table whose first column names its rows.

    :param right: the columns of figures, by number.
    """

    def kind(column: int) -> str | None:
        return "figure" if column in right else None

    head = tag("tr", *(tag("th", one, scope="col", class_=kind(column)) for column, one in enumerate(heads)))
    body = [
        tag("tr", tag("th", first, scope="row"), *(tag("td", one, class_=kind(n)) for n, one in enumerate(rest, 1)))
        for first, *rest in rows
    ]
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", whole, class_="wide", role="region", aria_label=caption, tabindex=0)


def harmless(value: str) -> bool:
    """Whether a page may show a character as it is."""
    return value not in _DIRECTIONS and (category(value) not in _HARMFUL or value in "\n\t")


def _escaped(value: object) -> str:
    return escape("".join(one if harmless(one) else "\N{REPLACEMENT CHARACTER}" for one in str(value)), quote=True)
