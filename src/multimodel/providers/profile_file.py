"""One profile out of its YAML file; every mistake with its line and column.

Plain scalars are read by YAML 1.2's core schema, so that ``NO`` is Norway. Anchors and aliases are allowed: they
let many facts name one source. A key that stands twice is a mistake.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .profile import Profile

if TYPE_CHECKING:
    from yaml import Node

__all__ = ["read_profile"]

_DIGITS = "0123456789"
_CORE = (
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+" + _DIGITS)),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+." + _DIGITS)),
)
"""Plain scalars that are no text: tag, pattern, first characters (https://yaml.org/spec/1.2.2/#1032-tag-resolution)."""


def read_profile(file: Path) -> Profile:
    """Read one profile.

    :raises ConfigurationError: for a file that cannot be read, and for its mistakes, all of them at once, as
        ``file:line:column: message`` in ``problems``.
    """
    import yaml
    from pydantic import ValidationError

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(f"the profile `{file}` cannot be read: {reason}") from None
    try:
        given = yaml.load(text, Loader=_loader())  # noqa: S506  # a safe loader, with fewer kinds of scalars
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigurationError(f"{file}{place}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file}: {error}") from None
    try:
        profile = Profile.model_validate(given)
    except ValidationError as error:
        root = yaml.compose(text, Loader=_loader())
        mistakes = [
            f"{file}:{_place(root, mistake['loc'])}: {_named(mistake['loc'])}{mistake['msg']}"
            for mistake in error.errors(include_url=False)
        ]
        raise ConfigurationError("\n".join(mistakes[:16]), problems=mistakes) from None
    if profile.name != file.stem:
        raise ConfigurationError(
            f"{file}: the profile is named `{profile.name}`", hint=f"name the file `{profile.name}.yaml`"
        )
    return profile


def _named(path: tuple[int | str, ...]) -> str:
    return f"`{'.'.join(map(str, path))}`: " if path else ""


def _place(node: Node | None, path: tuple[int | str, ...]) -> str:
    """Follow ``path`` as far as the document has it, and return the line and column where that ends."""
    import yaml

    for step in path:
        if isinstance(node, yaml.MappingNode):
            below = next((value for key, value in node.value if key.value == str(step)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            below = node.value[step]
        else:
            below = None
        if below is None:
            break
        node = below
    return f"{node.start_mark.line + 1}:{node.start_mark.column + 1}" if node is not None else "1:1"


@cache
def _loader() -> type[Any]:
    """Make the loader: libyaml's where PyYAML has it, five times faster than its own."""
    import yaml

    base: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]  # which of the two bases depends on the machine
        yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # as PyYAML has it

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # PyYAML's
            made: dict[Any, Any] = super().construct_mapping(node, deep=deep)
            if len(made) < len(node.value):
                _refuse_twins(node)
            return made

    for tag, pattern, first in _CORE:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"(?:{pattern})$"), first)
    return Loader


def _refuse_twins(node: Any) -> None:
    import yaml

    seen: set[str] = set()
    for key, _value in node.value:
        if key.value in seen:
            raise yaml.constructor.ConstructorError(None, None, f"`{key.value}` stands twice", key.start_mark)
        seen.add(key.value)
