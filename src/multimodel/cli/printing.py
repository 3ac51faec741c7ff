"""How things are printed: data on standard output, the rest on standard error; aligned plain text, never colour."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from unicodedata import category, combining, east_asian_width

if TYPE_CHECKING:
    from ..config import Problem

__all__ = ["agreed", "plain", "print_error", "print_json", "print_table", "problem_text", "tell"]

_GAP = "  "


def tell(text: str) -> None:
    """Print what is no data, so that it is safe on a terminal, whoever named the things that it is about."""
    print(plain(text), file=sys.stderr, flush=True)


def agreed(question: str) -> bool:
    """Ask on standard error; only a yes is one."""
    print(plain(f"{question} [y/N] "), end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def print_error(error: object) -> None:
    """Print an error: all the problems it has, or its text."""
    problems: Sequence[object] = getattr(error, "problems", ())
    lines = [str(error).partition("\n")[0], *map(str, problems)] if len(problems) > 1 else [str(error)]
    tell("error: " + "\n".join(lines))


def print_json(value: object) -> None:
    """Print one JSON document; whatever the encoding of the output, nothing of it is lost."""
    from pydantic_core import to_jsonable_python

    escaped = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    print(json.dumps(to_jsonable_python(value), indent=2, ensure_ascii=escaped))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, data: bool = True) -> None:
    """Print a table with a line of heads; None and nothing are a dash.

    :param data: whether it goes to standard output.
    """
    cells = [list(heads), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (text + " " * (width - _width(text)) for text, width in zip(row, widths, strict=True))
        print(_GAP.join(padded).rstrip(), file=sys.stdout if data else sys.stderr)


def problem_text(problem: Problem) -> str:
    """Write an error as it is; a warning or a note says so behind its place. Doubts are followed by their code."""
    message = problem.message if problem.code == "mistake" else f"{problem.message} [{problem.code}]"
    if problem.severity != "error":
        message = f"{problem.severity}: {message}"
    return plain(str(replace(problem, message=message)))


def plain(text: str) -> str:
    """Return text that is safe on a terminal: control characters other than line ends and tabs are replaced."""
    return "".join("�" if category(char) == "Cc" and char not in "\n\t" else char for char in text)


def _cell(value: object) -> str:
    if isinstance(value, tuple | list | frozenset):
        value = ", ".join(map(str, value))
    return " ".join(plain(str(value)).split()) if value not in (None, "") else "-"


def _width(text: str) -> int:
    """How many columns of a terminal ``text`` takes."""
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)
