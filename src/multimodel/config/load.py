"""From a policy file, or a mapping, to a policy that can be used; or to all of its mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, Literal

from ..errors import ConfigurationError
from ..providers.profile import Profile
from .conflicts import conflicts
from .fields import inherit
from .policy import SWITCH_FILE, Policy, digest_of
from .problems import MistakeError, Origin, Path, Problem, VariableText, refusal, shown
from .references import Names, dangling, extended
from .routes import Route
from .strict_yaml import MAX_BYTES, MAX_DEPTH, Document, read
from .translate import Mistake, mistakes
from .variables import UnsetError, fill, walk

__all__ = ["Loader", "find_policy", "load_policy", "read_file", "resolved"]


def find_policy(environ: Mapping[str, str], cwd: FilePath) -> FilePath | None:
    """Return the policy file to use: ``$MULTIMODEL_CONFIG``, or ``multimodel.yaml`` in ``cwd``, or None.

    What the variable names is returned whether or not it exists, so that loading it says what is wrong. So is the usual
    file where it is a link to nothing, or its switch file is there without it: the built-in policy would ask who is off.
    """
    named = environ.get("MULTIMODEL_CONFIG")
    if named:
        return cwd / named
    usual = cwd / "multimodel.yaml"
    return usual if any(_is_there(one) for one in (usual, usual.with_name(SWITCH_FILE))) else None


def _is_there(file: FilePath) -> bool:
    try:
        file.lstat()
    except FileNotFoundError:
        return False
    return True


def load_policy(
    source: str | FilePath | Mapping[str, object] | Policy,
    *,
    environ: Mapping[str, str],
    profiles: Mapping[str, Profile],
    unset: Literal["refused", "unavailable"] = "refused",
) -> Policy:
    """Read a policy and check it as far as that can be done without a network.

    :param source: a file's path, or what would stand in the file. Only in Python may durations be seconds, shares
        numbers between 0 and 1, and amounts dollars.
    :param environ: where ``${NAME}`` is looked up.
    :param profiles: the catalogue.
    :param unset: what a variable of a provider is that is not set: a mistake, or the reason why none of the provider's
        targets can be asked.
    :raises ConfigurationError: for a file that cannot be read, and for mistakes: all of them in one run, as
        :class:`~multimodel.config.Problem` in ``problems``.
    """
    if isinstance(source, Policy):
        if source.origin.unset or source.origin.mistakes:  # it was asked for as it is
            return source
        document = replace(_from_mapping(source.model_dump(exclude_unset=True)), origin=source.origin)
        return Loader(document, environ, profiles).load()
    if isinstance(source, Mapping):
        return Loader(_from_mapping(source), environ, profiles, unset=unset).load()
    path, data = read_file(source)
    document = read(data, str(source))
    document = replace(document, origin=replace(document.origin, path=path, digest=digest_of(data)))
    return Loader(document, environ, profiles, path.parent, unset=unset).load()


def read_file(source: str | FilePath) -> tuple[FilePath, bytes]:
    """Return a policy file's absolute path and its bytes, not many more than are allowed.

    :raises ConfigurationError: it cannot be read.
    """
    try:
        path = FilePath(source).absolute()
        with path.open("rb") as file:
            return path, file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = "write one with `multimodel init`, or name one that is there"
        raise ConfigurationError(f"there is no policy file {shown(str(source))}", hint=hint) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise ConfigurationError(f"the policy file {shown(str(source))} cannot be read: {reason}") from None


def _from_mapping(source: Mapping[str, object]) -> Document:
    problems: list[Problem] = []
    untrusted: set[Path] = set()

    def plain(value: object, path: Path) -> object:
        if len(path) > MAX_DEPTH:
            problems.append(Problem("error", f"more than {MAX_DEPTH} levels of lists and mappings", path=path[:4]))
            raise RecursionError
        if isinstance(value, Mapping):
            wrong = [key for key in value if not isinstance(key, str)]
            problems.extend(Problem("error", f"the key {shown(key)} is not text", path=path) for key in wrong)
            untrusted.update((*path, str(key)) for key in wrong)
            return {str(key): plain(item, (*path, str(key))) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item, (*path, index)) for index, item in enumerate(value)]
        return value

    try:
        return Document(plain(source, ()), Origin(), tuple(problems), frozenset(untrusted))
    except RecursionError:
        return Document(None, Origin(), tuple(problems))


class Loader:
    """One load: every step adds the mistakes it finds and takes what is wrong out of the tree.

    :cvar drops_items: whether an item of a list is taken out alone, and not the whole list.
    """

    drops_items = False

    def __init__(
        self,
        document: Document,
        environ: Mapping[str, str],
        profiles: Mapping[str, Profile],
        folder: FilePath | None = None,
        *,
        unset: Literal["refused", "unavailable"] = "refused",
    ) -> None:
        self.environ = environ
        self.profiles = profiles
        self.folder = folder
        self.unset = unset
        self.origin = document.origin
        self.tree: Any = document.value
        self.problems = list(document.problems)
        self.untrusted = document.untrusted
        self.touched: set[Path] = set()
        self.touch(document.untrusted)

    def load(self) -> Policy:
        """Return the policy.

        :raises ConfigurationError: with all of its mistakes.
        """
        if not self.begin():
            raise self.refusal()
        names = Names(_names(self.tree.get("providers")), _names(self.tree.get("routes")))
        self.prune(self.untrusted)
        self.fill_variables()
        policy = self.validated()
        if policy is not None:
            wrong = [*dangling(policy, names, self.profiles), *extended(policy.routes)]
            self.tell(wrong)
            if ("routes",) not in self.touched and not any(mistake.path[0] == "routes" for mistake in wrong):
                policy = resolved(policy)
                self.problems += conflicts(policy, self.profiles)
        if policy is None or self.problems:
            raise self.refusal()
        return policy

    def begin(self) -> bool:
        """Whether there is a mapping to begin with."""
        if not isinstance(self.tree, dict) and not self.problems:
            hint = "the least is `routes: {chat: {chain: [provider:model]}}`"
            self.tell([Mistake((), "the policy is empty" if self.tree is None else "a policy is a mapping", hint)])
        return isinstance(self.tree, dict)

    def fill_variables(self) -> None:
        """Put in what the variables hold, and take out what they do not."""
        variables: dict[Path, str] = dict(self.origin.variables)
        unset: dict[str, str] = {}
        gone: list[Path] = []
        for path, value in list(walk(self.tree)):
            if not isinstance(value, str):
                continue
            try:
                filled = fill(value, self.environ)
            except MistakeError as mistake:
                if self.unset == "unavailable" and isinstance(mistake, UnsetError) and _is_of_a_provider(path):
                    unset[str(path[1])] = mistake.variable
                else:
                    self.tell([Mistake(path, mistake.message, mistake.hint)])
                self.touch([path])
                gone.append(path)
                continue
            if isinstance(filled, VariableText):
                variables[path] = filled.variable
                _replace(self.tree, path, filled)
        self.prune(gone)
        self.origin = replace(self.origin, variables=variables, unset=unset)

    def validated(self) -> Policy | None:
        """Validate; take out what is wrong and validate again, until the rest is a policy of its own."""
        from pydantic import ValidationError

        context = {"origin": self.origin, "written": self.folder is not None, "folder": self.folder}
        while True:
            try:
                return Policy.model_validate(self.tree, context=context)
            except ValidationError as error:
                found = list(mistakes(error, self.tree, Policy))
            self.tell(found)
            paths = [mistake.path for mistake in found]
            self.touch(paths)
            if not self.prune(paths):
                return None

    def prune(self, paths: Iterable[Path]) -> bool:
        """Take what is wrong out of the tree; False when all of the tree is."""
        gone: set[Path] = set()
        last_first = sorted(paths, key=lambda path: [(isinstance(step, int), step) for step in path], reverse=True)
        for path in last_first:
            if any(path[:length] in gone for length in range(1, len(path) + 1)):
                continue
            removed = _remove(self.tree, path, items=self.drops_items)
            if not removed:
                return False
            gone.add(removed)
        return True

    def touch(self, paths: Iterable[Path]) -> None:
        """Remember what is wrong, and all that holds it: what is told of those later only follows from it."""
        self.touched.update(path[:length] for path in paths for length in range(len(path) + 1))

    def tell(self, found: Iterable[Mistake]) -> None:
        """Make problems of mistakes, but not of those that follow from others."""
        for mistake in found:
            if mistake.path not in self.touched:
                problem = self.origin.problem(
                    "error", mistake.path, mistake.message, mistake.hint, at_key=mistake.at_key
                )
                self.problems.append(problem)

    def refusal(self) -> ConfigurationError:
        """Make an error of all that was told."""
        return refusal(self.problems, what=self.origin.file or "the policy")


def _names(section: object) -> list[str]:
    return list(section) if isinstance(section, dict) else []


def _replace(tree: object, path: Path, value: object) -> None:
    for step in path[:-1]:
        tree = tree[step]  # type: ignore[index]  # walk() found the path in this very tree
    tree[path[-1]] = value  # type: ignore[index]  # likewise


def _remove(tree: Any, path: Path, *, items: bool) -> Path:
    """Take the value at ``path`` out of a tree, or what is nearest above it, and return the way to what is gone.

    :param items: whether an item of a list may be taken out; else it is the key that holds the list.
    """
    holder: Any = None
    removed: Path = ()
    for length, step in enumerate(path, 1):
        in_list = isinstance(tree, list) and isinstance(step, int) and step < len(tree)
        if not in_list and not (isinstance(tree, dict) and step in tree):
            break
        if items or not in_list:
            holder, removed = tree, path[:length]
        tree = tree[step]
    if holder is not None:
        del holder[removed[-1]]
    return removed


def _is_of_a_provider(path: Path) -> bool:
    """Whether a provider can be named without the value at ``path``."""
    return path[:1] == ("providers",) and path[2:3] not in ((), ("profile",))


def resolved(policy: Policy) -> Policy:
    """Return the policy with all that its routes inherit."""
    return policy.model_copy(update={"routes": {name: _resolved(name, policy) for name in policy.routes}})


def _resolved(name: str, policy: Policy) -> Route:
    route = policy.routes[name]
    if route.extends is None:
        return route
    return inherit(route, _resolved(route.extends, policy))
