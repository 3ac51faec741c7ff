"""``${NAME}``: values that come from the environment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .problems import MistakeError, Path, VariableText

__all__ = ["UnsetError", "fill", "walk"]

_WHOLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SOME = re.compile(r"\$\{")


class UnsetError(MistakeError):
    """A variable is not set.

    :ivar variable: its name.
    """

    def __init__(self, variable: str) -> None:
        super().__init__(f"the variable `{variable}` is not set", "set it, or remove the line")
        self.variable = variable


def walk(tree: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield every value of a tree of dicts and lists, parents first."""
    yield path, tree
    children: Iterator[tuple[str | int, object]] = iter(())
    if isinstance(tree, dict):
        children = iter(tree.items())
    elif isinstance(tree, list):
        children = iter(enumerate(tree))
    for step, child in children:
        yield from walk(child, (*path, step))


def fill(text: str, environ: Mapping[str, str]) -> str:
    """Return what a text of a policy stands for: itself, or what the variable holds that it names.

    :raises UnsetError: when the variable is not set.
    :raises MistakeError: when it stands inside a longer text.
    """
    whole = _WHOLE.fullmatch(text)
    if whole:
        held = environ.get(whole[1], "")
        if not held:
            raise UnsetError(whole[1])
        return VariableText(held, whole[1])
    if _SOME.search(text):
        raise MistakeError(
            "`${` begins a variable, which must be the whole value",
            'write `"${NAME}"`: letters, digits and `_`, nothing around it',
        )
    return text
