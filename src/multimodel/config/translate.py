"""pydantic's errors in the words of the policy file."""

from __future__ import annotations

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
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_BOOLEAN_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


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
        mistake = Mistake((*path, last), f"{shown(last)} is missing", at_key=True)
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
        mistake = Mistake(path, "nothing is in it, and something must be")
    elif kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        mistake = Mistake(path, f"{shown(value)} is not {words} {context[name]:g}")
    elif kind in _EXPECTED:
        mistake = Mistake(path, f"{shown(value)} is not {_EXPECTED[kind]}", _retype(kind, value))
    else:
        mistake = Mistake(path, f"{shown(value)} is not allowed here: {kind.replace('_', ' ')}")
    return mistake


def _not_one_of(path: Path, value: object, context: Mapping[str, Any]) -> Mistake:
    expected = str(context["expected"])
    known = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
    hint = did_you_mean(str(value), known) if isinstance(value, str) and not isinstance(value, VariableText) else None
    words = ", ".join(f"`{word}`" for word in known)
    return Mistake(
        path, f"{shown(value)} is none of {words}" if len(known) > 1 else f"{shown(value)} is not {words}", hint
    )


def _retype(kind: str, value: object) -> str | None:
    """Say how a value is written that was read as another type."""
    if kind == "string_type" and isinstance(value, bool | int | float):
        return "put it in quotes"
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
