"""A strict subset of YAML 1.2: text to plain values, with the position of every key and value.

The rules, all checked on the parser's event stream, so that nothing is built that breaks them:

1. At most 1 MiB of UTF-8, at most 32 levels, one document.
2. No anchors, aliases, tags, merge keys or directives.
3. Keys are text, and none stands twice in a mapping.
4. Plain scalars are read by four rules (null, true/false, integer, float); all else is text. ``on``, ``yes``,
   ``1:30`` and ``2026-11-24`` are text; ``010``, which YAML 1.1 and 1.2 read differently, is refused.

PyYAML's pure parser does the reading: unlike libyaml's it is always there and survives nested brackets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from .problems import Mark, Origin, Path, Problem, shown

if TYPE_CHECKING:
    from yaml import Event, MarkedYAMLError, ScalarEvent

__all__ = ["Document", "read"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 32

_NULL = re.compile(r"(?:~|null|Null|NULL|)")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_OCTAL = re.compile(r"[-+]?0[0-9]+")
_FORBIDDEN = re.compile("[^\t\n\r -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_BREAK = re.compile(r"\r\n|\r|\n")
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_MAX_DIGITS = 300


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says.

    :ivar value: dicts, lists, text, numbers, booleans and None.
    :ivar origin: where each of them stands.
    :ivar problems: the mistakes found while reading.
    :ivar untrusted: the values that could not be read; None stands for them.
    """

    value: object
    origin: Origin
    problems: tuple[Problem, ...] = ()
    untrusted: frozenset[Path] = frozenset()


def read(data: bytes, file: str) -> Document:
    """Read a file's bytes. Never raises: what is wrong stands in ``problems``."""
    if len(data) > MAX_BYTES:
        return _hopeless(file, (1, 1), "the file is larger than 1 MiB", "a policy is small: is this the right file?")
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        place = _place(data[: error.start].decode(), error.start)
        return _hopeless(file, place, "the file is not UTF-8", "save it as UTF-8")
    forbidden = _FORBIDDEN.search(text)
    if forbidden:
        name = f"the character U+{ord(forbidden[0]):04X} is not allowed"
        return _hopeless(file, _place(text, forbidden.start()), name, 'write it as an escape in "double quotes"')
    return _Reader(text, file).read()


def _hopeless(file: str, place: tuple[int, int], message: str, hint: str | None) -> Document:
    return Document(None, Origin(file), (Problem("error", message, hint, file, *place),))


def _place(text: str, index: int) -> tuple[int, int]:
    before = _BREAK.split(text[:index])
    return len(before), len(before[-1]) + 1


class _StopError(Exception):
    """Nothing after this mistake can be read."""


class _Reader:
    """Recursive descent over the events; rule 1 bounds the recursion."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.marks: dict[Path, Mark] = {}
        self.problems: list[Problem] = []
        self.untrusted: set[Path] = set()

    def read(self) -> Document:
        import yaml

        value: object = None
        try:
            self.events: Iterator[Event] = yaml.parse(self.text, Loader=yaml.SafeLoader)
            value = self.documents()
        except yaml.MarkedYAMLError as error:
            self.problems.append(_syntax_problem(error, self.text, self.file))
        except _StopError:
            pass
        return Document(value, Origin(self.file, self.marks), tuple(self.problems), frozenset(self.untrusted))

    def documents(self) -> object:
        import yaml

        value: object = None
        seen = False
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if event.version or event.tags:
                    self.tell((1, 1), (), "directives (`%…`) are not allowed", "remove the line")
                if seen:
                    self.stop(_start(event), (), "a second document begins here", "keep one policy in a file")
                seen = True
                value = self.node(next(self.events), (), 1, None)
        return value

    def node(self, event: Event, path: Path, depth: int, key_at: tuple[int, int] | None) -> object:
        import yaml

        at = _start(event)
        self.marks[path] = Mark(key_at or at, at)
        if isinstance(event, yaml.AliasEvent):
            self.untrusted.add(path)
            self.tell(at, path, "aliases (`*name`) are not allowed", "write the value out")
            return None
        self.refuse_decorations(event, path)
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, path)
        if depth > MAX_DEPTH:
            hint = "is this the right file? the settings of a policy are not deep"
            self.stop(at, path, f"more than {MAX_DEPTH} levels of lists and mappings", hint)
        if isinstance(event, yaml.SequenceStartEvent):
            return [self.node(item, (*path, index), depth + 1, None) for index, item in enumerate(self.until_end())]
        return self.mapping(path, depth)

    def until_end(self) -> Iterator[Event]:
        import yaml

        while not isinstance(event := next(self.events), yaml.CollectionEndEvent):
            yield event

    def mapping(self, path: Path, depth: int) -> dict[str, object]:
        made: dict[str, object] = {}
        for event in self.until_end():
            key_at = _start(event)
            key = self.key(event, path, depth)
            if key is None:
                self.skip(next(self.events), depth)
            elif key in made:
                first = self.marks[*path, key].key[0]
                self.tell(key_at, (*path, key), f"{shown(key)} stands twice", f"the first one is in line {first}")
                self.skip(next(self.events), depth)
            else:
                made[key] = self.node(next(self.events), (*path, key), depth + 1, key_at)
        return made

    def skip(self, event: Event, depth: int) -> None:
        """Read what has no place in the tree, for its mistakes only."""
        kept, self.marks = self.marks, {}
        self.node(event, (), depth + 1, None)
        self.marks = kept

    def key(self, event: Event, path: Path, depth: int) -> str | None:
        import yaml

        at = _start(event)
        if not isinstance(event, yaml.ScalarEvent):
            self.tell(at, path, "a key must be text", "quote a text that begins with `[`, `{` or `*`")
            self.skip(event, depth)
            return None
        text: str = event.value
        path = (*path, text)
        self.refuse_decorations(event, path)
        if not event.implicit[0]:
            return text
        if text == "<<":
            self.untrusted.add(path)
            self.tell(at, path, "merge keys (`<<`) are not allowed", "write the values out")
        elif not isinstance(_plain(text), str):
            self.untrusted.add(path)
            message = f"the key {shown(text)} is not text" if text else "a key is empty"
            self.tell(at, path, message, f'quote it: `"{text[:60]}"`')
        return text

    def scalar(self, event: ScalarEvent, path: Path) -> object:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if _OCTAL.fullmatch(text):
            self.untrusted.add(path)
            hint = f'write `{text[:60].lstrip("+-0") or "0"}` for the number, or quote the text: `"{text[:60]}"`'
            self.tell(_start(event), path, f"{shown(text)} is octal to some readers of YAML, decimal to others", hint)
            return None
        if len(text) > _MAX_DIGITS and not isinstance(_plain(text[:_MAX_DIGITS]), str):
            self.untrusted.add(path)
            self.tell(_start(event), path, "the number is too long", "quote it, if it is a text")
            return None
        return _plain(text)

    def refuse_decorations(self, event: Event, path: Path) -> None:
        if getattr(event, "anchor", None) is not None:
            self.tell(_start(event), path, "anchors (`&name`) are not allowed", "a text that begins with `&` is quoted")
        if getattr(event, "tag", None) is not None:
            self.untrusted.add(path)
            self.tell(_start(event), path, "tags (`!name`) are not allowed", "a text that begins with `!` is quoted")

    def tell(self, at: tuple[int, int], path: Path, message: str, hint: str | None) -> None:
        self.problems.append(Problem("error", message, hint, self.file, *at, path))

    def stop(self, at: tuple[int, int], path: Path, message: str, hint: str | None) -> NoReturn:
        self.tell(at, path, message, hint)
        raise _StopError


def _start(event: Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def _plain(text: str) -> object:
    """Read a plain scalar by YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#1032-tag-resolution)."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


_SYNTAX = (
    ("character '\\t'", "a tab cannot stand here", "indent with spaces", False),
    ("that cannot start any token", "a text cannot begin with this character", "quote the text", False),
    (
        "mapping values are not allowed",
        "a `:` does not fit here",
        "quote a text that holds `: `, or check the indentation",
        False,
    ),
    ("but got '<stream end>'", "a bracket is not closed", "close it with `}` or `]`", True),
    ("unexpected end of stream", "a quote is not closed", "end the text with the quote it begins with", True),
    ("could not find expected ':'", "a `:` is missing", "a line of a mapping is `key: value`", True),
    ("expected <block end>", "the indentation does not fit", "give all keys of a mapping the same indentation", False),
    ("expected '<document start>'", "the policy has already ended", "check the indentation", False),
)


def _syntax_problem(error: MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Problem("error", "the file is not YAML", None, file, 1, 1)
    variable = _VARIABLE.match(text, max(mark.index - 1, 0))
    if variable:
        message = "a variable inside `{}` or `[]` must be quoted"
        return Problem("error", message, f'write `"{variable[0]}"`', file, mark.line + 1, mark.column)
    told = error.problem or ""
    for part, message, hint, at_context in _SYNTAX:
        if part in told:
            place = (error.context_mark if at_context else None) or mark
            return Problem("error", message, hint, file, place.line + 1, place.column + 1)
    return Problem("error", f"the file is not YAML: {told}", None, file, mark.line + 1, mark.column + 1)
