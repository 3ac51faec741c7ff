"""What is wrong with a policy, where it stands, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Literal, Self, TypeAlias

from ..errors import ConfigurationError, shortened

__all__ = [
    "Mark",
    "MistakeError",
    "Origin",
    "Path",
    "Problem",
    "Severity",
    "VariableText",
    "did_you_mean",
    "dotted",
    "refusal",
    "shown",
]

Severity = Literal["error", "warning", "note"]
Path: TypeAlias = tuple[str | int, ...]
"""The way to a value: ``("routes", "chat", "chain", 0)``."""

_FEW = 16
_LONG = 60
_HUGE = 10**15
_KINDS = {type(None): "nothing", dict: "a mapping", list: "a list", tuple: "a list"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to tell about a policy. ``str()`` is ready to print.

    :ivar severity: ``error`` (the policy cannot be used), ``warning`` or ``note``.
    :ivar hint: what to do.
    :ivar file: the policy file; None for a policy made in Python, which has no lines either.
    :ivar line: counted from 1.
    :ivar column: counted from 1, in characters.
    :ivar path: the way to the value.
    :ivar code: the name of what is wrong, which stays the same when the words change; ``docs/check.md`` lists them.

    >>> print(Problem("error", "unknown key `chian`", "did you mean `chain`?", "multimodel.yaml", 4, 5))
    multimodel.yaml:4:5: unknown key `chian`
    hint: did you mean `chain`?
    """

    severity: Severity
    message: str
    hint: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    path: Path = ()
    code: str = "mistake"

    def __str__(self) -> str:
        if self.file is None:
            where = dotted(self.path)
        elif self.line is None:
            where = self.file
        else:
            where = f"{self.file}:{self.line}:{self.column}"
        text = f"{where}: {self.message}" if where else self.message
        return text if self.hint is None else f"{text}\nhint: {self.hint}"


class MistakeError(ConfigurationError, ValueError):
    """One value is wrong. Whoever knows where it stands makes a :class:`Problem` of it.

    It is a ``ValueError`` as well, because that is what pydantic takes for one.
    """

    def __init__(self, message: str, hint: str | None = None, problems: Sequence[object] = ()) -> None:
        super().__init__(message, hint=hint, problems=problems)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value begins, and where its key does. Lines and columns are counted from 1."""

    key: tuple[int, int]
    value: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a policy comes from.

    :ivar file: the file's name as the user gave it; None for a policy made in Python.
    :ivar marks: the position of every key and value.
    :ivar variables: the values that were written as ``${NAME}``, and the names.
    :ivar path: the file itself, absolute.
    :ivar unset: providers that cannot be used, because a variable of theirs is not set, and its name.
    :ivar digest: SHA-256 of the file, in hexadecimal digits.
    :ivar mistakes: what was wrong and was left out: see :func:`~multimodel.config.salvage_policy`.
    """

    file: str | None = None
    marks: Mapping[Path, Mark] = field(default_factory=dict)
    variables: Mapping[Path, str] = field(default_factory=dict)
    path: FilePath | None = None
    unset: Mapping[str, str] = field(default_factory=dict)
    mistakes: tuple[Problem, ...] = ()
    digest: str | None = None

    def problem(
        self,
        severity: Severity,
        path: Path,
        message: str,
        hint: str | None = None,
        *,
        code: str = "mistake",
        at_key: bool = False,
    ) -> Problem:
        """Make a problem out of a mistake at ``path``; what has no place of its own gets its parent's."""
        for length in range(len(path), -1, -1):
            mark = self.marks.get(path[:length])
            if mark is not None:
                line, column = mark.key if at_key or length < len(path) else mark.value
                return Problem(severity, message, hint, self.file, line, column, path, code)
        return Problem(severity, message, hint, self.file, path=path, code=code)

    def shown(self, path: Path, value: object) -> str:
        """Name the value at ``path`` in a message; what came out of a variable is not quoted."""
        for place, variable in self.variables.items():
            if place[: len(path)] == path:
                return shown(VariableText("", variable))
        return shown(value)


def refusal(problems: Iterable[Problem], *, what: str) -> ConfigurationError:
    """Make one error of all the problems of ``what``, in the order of their lines."""
    ordered = tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))
    if len(ordered) == 1:
        only = ordered[0]
        return ConfigurationError(str(only).partition("\nhint: ")[0], hint=only.hint, problems=ordered)
    text = "\n".join([f"{len(ordered)} mistakes in {what}", *map(str, ordered)])
    return ConfigurationError(shortened(text), problems=ordered)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the nearest known word, or all of them when they are few.

    >>> did_you_mean("dashscop", ["dashscope", "openai"])
    'did you mean `dashscope`?'
    """
    from difflib import get_close_matches

    names = list(known)
    near = get_close_matches(word[:100], names, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known are {', '.join(f'`{name}`' for name in names)}" if 0 < len(names) <= _FEW else None


class VariableText(str):
    """Text that came out of an environment variable: messages name the variable and never quote the text."""

    __slots__ = ("variable",)

    def __new__(cls, text: str, variable: str) -> Self:
        """Make the text, and remember the variable's name."""
        made = super().__new__(cls, text)
        made.variable = variable
        return made

    variable: str


def shown(value: object) -> str:
    """Name a value in a message: short, printable, and never what a variable holds."""
    if isinstance(value, VariableText):
        return f"the value of `${{{value.variable}}}`"
    if isinstance(value, str):
        text = "".join(char if char.isprintable() else "�" for char in value[:_LONG])
        return f"`{text}…`" if len(value) > _LONG else f"`{text}`"
    if isinstance(value, int) and abs(value) >= _HUGE:
        return "a huge number"
    if isinstance(value, int | float):
        return f"`{str(value).lower()}`"
    return _KINDS.get(type(value)) or f"a `{type(value).__name__}`"


def dotted(path: Path) -> str:
    """Spell a path: ``routes.chat.chain[0]``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")
