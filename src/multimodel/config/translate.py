"""pydantic's errors in the words of the policy file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args, get_origin

from .problems import MistakeError, Path, VariableText, did_you_mean, shown

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["Mistake", "mistakes"]

_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "`true` or `false`",
    "string_type": "a text",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "date_type": "a date",
    "date_parsing": "a date",
    "date_from_datetime_parsing": "a date",
}
_BOUNDS = {
    "greater_than": ("gt", "more than", "write more than {}"),
    "greater_than_equal": ("ge", "at least", "write {} or more"),
    "less_than": ("lt", "less than", "write less than {}"),
    "less_than_equal": ("le", "at most", "write {} or less"),
}
_BOOLEAN_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,59}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a tree: where, what, what to do. ``at_key``: the key is wrong, not its value."""

    path: Path
    message: str
    hint: str | None = None
    at_key: bool = False


def mistakes(error: ValidationError, tree: object, model: type[BaseModel]) -> Iterator[Mistake]:
    """Translate what pydantic found in ``tree``; no input is quoted that came out of a variable."""
    told: set[Path] = set()
    for details in error.errors(include_url=False, include_input=False):
        mistake = _translate(details, tree, model)
        if mistake.path not in told:
            told.add(mistake.path)
            yield mistake


def _translate(details: ErrorDetails, tree: object, model: type[BaseModel]) -> Mistake:
    kind, location, context = details["type"], details["loc"], details.get("ctx", {})
    path, value = _resolve(location, tree)
    last = str(location[-1]) if location else ""
    if kind == "extra_forbidden":
        mistake = Mistake(path, f"unknown key {shown(last)}", did_you_mean(last, _keys(model, path[:-1])), at_key=True)
    elif kind == "missing":
        mistake = Mistake((*path, last), f"{shown(last)} is missing", f"add `{last}:`", at_key=True)
    elif kind == "value_error":
        cause = context.get("error")
        told = cause if isinstance(cause, MistakeError) else MistakeError(str(cause))
        mistake = Mistake(path, told.message, told.hint)
    elif kind == "literal_error":
        mistake = _not_one_of(path, value, context)
    elif kind == "string_pattern_mismatch":
        at_key = last == "[key]"
        what = shown(path[-1] if at_key else value)
        mistake = Mistake(path, f"{what} is not allowed here", f"it must match `{context['pattern']}`", at_key)
    elif kind == "too_short":
        mistake = Mistake(path, "nothing is in it, and something must be", "write one entry, at least")
    elif kind in _BOUNDS:
        name, words, hint = _BOUNDS[kind]
        share = isinstance(value, str) and value.endswith("%")
        bound = f"{100 * context[name]:g}%" if share else f"{context[name]:g}"
        mistake = Mistake(path, f"{shown(value)} is not {words} {bound}", hint.format(bound))
    elif kind in _EXPECTED:
        mistake = Mistake(path, f"{shown(value)} is not {_EXPECTED[kind]}", _retype(kind, value))
    else:
        mistake = Mistake(path, f"{shown(value)} is not allowed here: {kind.replace('_', ' ')}")
    return mistake


def _not_one_of(path: Path, value: object, context: Mapping[str, Any]) -> Mistake:
    expected = str(context["expected"])
    if value == expected:  # a text would stand in quotes there
        return Mistake(
            path, f"{shown(value)} is a text, and the number is meant", f"write `{expected}`, without quotes"
        )
    known = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
    if len(known) == 1:
        return Mistake(path, f"{shown(value)} is not `{known[0]}`", f"write `{known[0]}`")
    hint = did_you_mean(str(value), known) if isinstance(value, str) and not isinstance(value, VariableText) else None
    return Mistake(path, f"{shown(value)} is none of {', '.join(f'`{word}`' for word in known)}", hint)


def _retype(kind: str, value: object) -> str | None:
    """Say how a value is written that was read as another type."""
    if kind == "string_type" and isinstance(value, bool | int | float):
        return "put it in quotes"
    if kind in {"dict_type", "model_type", "model_attributes_type"}:
        return "write its keys in the lines below it, indented" if value is None else "write it as in `{key: value}`"
    if kind in {"list_type", "tuple_type"}:
        is_word = isinstance(value, str) and not isinstance(value, VariableText) and _WORD.fullmatch(value)
        return f"write `[{value}]`" if is_word else "write it as in `[a, b]`"
    if not isinstance(value, str) or isinstance(value, VariableText):
        return None
    if kind == "bool_type" and value.lower() in _BOOLEAN_WORDS:
        return f"write `{_BOOLEAN_WORDS[value.lower()]}`"
    return "write it without quotes" if kind in {"int_type", "float_type"} and value.isdecimal() else None


def _resolve(location: tuple[int | str, ...], tree: object) -> tuple[Path, Any]:
    """Follow pydantic's location as far as it is one of the tree; its own words in it are skipped."""
    path: Path = ()
    for step in location:
        in_mapping = isinstance(tree, dict) and step in tree
        in_list = isinstance(tree, list) and isinstance(step, int) and step < len(tree)
        if in_mapping or in_list:
            tree = tree[step]  # type: ignore[index]  # it is one of the two
            path = (*path, step)
    return path, tree


def _keys(model: type[BaseModel], path: Path) -> list[str]:
    """Name the keys that may stand in the mapping at ``path``."""
    annotation: object = model
    for step in path:
        annotation = _inside(annotation, step)
    found = _model_in(annotation)
    return list(found.model_fields) if found else []


def _inside(annotation: object, step: str | int) -> object:
    model = _model_in(annotation)
    if model is not None and isinstance(step, str) and step in model.model_fields:
        return model.model_fields[step].annotation
    for part in _parts(annotation):
        if get_origin(part) is dict:
            return get_args(part)[1]
        if get_origin(part) is tuple:
            return get_args(part)[0]
    return None


def _model_in(annotation: object) -> type[BaseModel] | None:
    from pydantic import BaseModel

    return next((part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)), None)


def _parts(annotation: object) -> Iterator[object]:
    """Yield an annotation and the members of its unions, but not what its containers hold."""
    yield annotation
    if get_origin(annotation) not in {dict, tuple, None}:
        for argument in get_args(annotation):
            yield from _parts(argument)
