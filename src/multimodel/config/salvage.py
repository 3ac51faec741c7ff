"""What can still be used of a policy file that has mistakes, for whoever must switch something off now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path as FilePath

from ..providers.profile import Profile
from .conflicts import conflicts
from .load import Loader, read_file, resolved
from .policy import Policy
from .problems import MistakeError, Path
from .provider import profile_of
from .references import Names, dangling, extended
from .strict_yaml import read
from .variables import fill

__all__ = ["salvage_policy"]

_SWITCH_FILE = re.compile(rb"^[^#\n]*switch_file.*$", re.MULTILINE)


def salvage_policy(source: FilePath, *, environ: Mapping[str, str], profiles: Mapping[str, Profile]) -> Policy:
    """Read a policy file and leave out what is wrong; ``origin.mistakes`` says what that was.

    Never call through such a policy: it may lack the very setting that matters. It may have no routes at all.

    :raises ConfigurationError: the file cannot be read, or it cannot be told where its switch file is.
    """
    path, data = read_file(source)
    document = read(data, str(source))
    document = replace(document, origin=replace(document.origin, path=path))
    return _Salvager(document, environ, profiles, path.parent, unset="unavailable").salvage(path, data)


class _Salvager(Loader):
    """A load that goes on without what is wrong."""

    drops_items = True

    def salvage(self, path: FilePath, data: bytes) -> Policy:
        policy = self.rest() if self.begin() else None
        settings = self.tree if isinstance(self.tree, dict) else self.line_of_switch_file(data)
        if any(problem.path[:1] == ("switch_file",) for problem in self.problems):
            raise self.refusal()
        if policy is None:
            place = settings.get("switch_file")
            file = None if place is None else path.resolve().parent / place
            policy = Policy.model_construct(routes={}, switch_file=file)
        policy.model_post_init({"origin": replace(self.origin, mistakes=tuple(self.problems))})
        return policy

    def rest(self) -> Policy | None:
        """Take out what is wrong until nothing is; None when nothing is left."""
        self.prune(self.untrusted)
        self.fill_variables()
        while (policy := self.validated()) is not None:
            names = Names(policy.providers, policy.routes)
            found = [*dangling(policy, names, self.profiles), *extended(policy.routes)]
            found = [mistake for mistake in found if not self.is_excused(mistake.path, policy)]
            if not found:
                whole = resolved(policy)
                self.problems += conflicts(whole, self.profiles)
                return whole
            self.tell(found)
            if not self.prune([mistake.path for mistake in found]):
                return None
        return None

    def is_excused(self, path: Path, policy: Policy) -> bool:
        """Whether it is about a vendor that is known, and that is unavailable anyway."""
        name = str(path[1]) if path[:1] == ("providers",) else ""
        return name in self.origin.unset and profile_of(name, policy.provider(name), self.profiles) is not None

    def line_of_switch_file(self, data: bytes) -> Mapping[str, str]:
        """Read the one line that matters of a file that cannot be read as a whole."""
        lines = _SWITCH_FILE.findall(data)
        if not lines:
            return {}
        found = read(lines[0], "").value
        value = found.get("switch_file") if isinstance(found, dict) else None
        if len(lines) > 1 or not isinstance(value, str) or not value:
            raise self.refusal()
        try:
            return {"switch_file": fill(value, self.environ)}
        except MistakeError:
            raise self.refusal() from None
