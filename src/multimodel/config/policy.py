"""The policy: which providers there are, which routes, and what is switched off."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, StrictBool, StringConstraints, ValidationInfo, field_validator, model_validator

from ..types import Target
from .fields import Filename, Moment, Settings, Slug, TargetName
from .problems import MistakeError, Origin
from .prompt import Prompt
from .provider import ProviderConfig
from .routes import Route

__all__ = ["SWITCH_FILE", "OffEntry", "OffKind", "Policy", "digest_of"]

SWITCH_FILE = "multimodel.off.json"
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
RouteName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
Alias = Annotated[str, StringConstraints(pattern=r"^\S+$")]
OffKind = Literal["operator", "author", "provider", "target", "jurisdiction"]


class OffEntry(Settings):
    """One thing that is switched off: exactly one of the first five.

    :ivar operator: who runs the endpoint; weights of the same house that run elsewhere go on.
    :ivar author: who made the weights, wherever they run.
    :ivar jurisdiction: ISO 3166 code of the operator's seat.
    :ivar by: who switched it off.
    :ivar until: the instant from which on it is no longer off; None is for good.
    :ivar cut: whether attempts that are under way end too, within about a second.
    """

    operator: Slug | None = None
    author: Slug | None = None
    provider: str | None = None
    target: TargetName | None = None
    jurisdiction: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    reason: str = ""
    by: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    cut: StrictBool = False

    @model_validator(mode="after")
    def _exactly_one(self) -> OffEntry:
        kinds = ("operator", "author", "provider", "target", "jurisdiction")
        if sum(getattr(self, kind) is not None for kind in kinds) != 1:
            raise MistakeError(
                "an entry of `off` names exactly one thing",
                "write one of `operator:`, `author:`, `provider:`, `target:`, `jurisdiction:`",
            )
        return self

    @property
    def kind(self) -> OffKind:
        """Which of the five it names."""
        if self.operator is not None:
            return "operator"
        if self.author is not None:
            return "author"
        if self.provider is not None:
            return "provider"
        return "target" if self.target is not None else "jurisdiction"

    @property
    def name(self) -> str:
        """What it names."""
        return str(getattr(self, self.kind))

    def covers(self, target: Target, *, jurisdiction: str | None, at: datetime) -> bool:
        """Whether ``target`` is off at the instant ``at``. ``jurisdiction`` is its operator's, or None."""
        if self.until is not None and at >= self.until:
            return False
        match self.kind:
            case "target":
                return str(target) == self.target
            case "jurisdiction":
                return jurisdiction == self.jurisdiction
            case kind:
                return bool(getattr(target, kind) == self.name)


class Policy(Settings):
    """A whole policy, ready to be used: see :func:`~multimodel.config.load_policy`.

    :ivar providers: what differs from the catalogue, by name.
    :ivar routes: the logical names that applications ask for.
    :ivar aliases: other names of routes, for instance what drop-in clients ask for.
    :ivar off: what is switched off.
    :ivar switch_file: where switches set later are kept; None is beside the policy. In a file it is relative to the
        file itself, not to a link to it.
    :ivar ledger: the SQLite file that gets a line for each attempt, for ``multimodel risk``; None is no ledger. In a
        file it is relative to the file itself, as ``switch_file`` is.
    """

    version: Literal[1] = 1
    providers: dict[Name, ProviderConfig] = Field(default_factory=dict)
    routes: dict[RouteName, Route] = Field(min_length=1)
    aliases: dict[Alias, str] = Field(default_factory=dict)
    off: tuple[OffEntry, ...] = ()
    switch_file: Filename | None = None
    ledger: Filename | None = None
    _origin: Origin = PrivateAttr(default_factory=Origin)
    _folder: FilePath = PrivateAttr(default=FilePath())

    def model_post_init(self, context: Any, /) -> None:
        """Keep where the policy comes from."""
        if isinstance(context, dict) and "origin" in context:
            self._origin = context["origin"]
        if self.switch_file is not None and not self.switch_file.is_absolute():
            self._folder = FilePath.cwd()  # wherever the process goes from here, it is that file

    @field_validator("providers", mode="before")
    @classmethod
    def _nothing_is_all_defaults(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: {} if config is None else config for name, config in value.items()}
        return {} if value is None else value

    @field_validator("aliases", mode="before")
    @classmethod
    def _nothing_is_no_alias(cls, value: Any) -> Any:
        return {} if value is None else value

    @field_validator("off", mode="before")
    @classmethod
    def _nothing_is_off(cls, value: Any) -> Any:
        return () if value is None else value

    @field_validator("switch_file", "ledger", mode="before")
    @classmethod
    def _relative_to_the_file_itself(cls, value: Any, info: ValidationInfo) -> Any:
        path = info.context["origin"].path if info.context and "origin" in info.context else None
        return str(path.resolve().parent / value) if path is not None and isinstance(value, str) and value else value

    @property
    def origin(self) -> Origin:
        """Where it and each of its values come from."""
        return self._origin

    @property
    def source(self) -> FilePath | None:
        """The file it was read from; None for a policy made in Python."""
        return self._origin.path

    @property
    def switches(self) -> FilePath | None:
        """The file of switches: ``switch_file``, or ``multimodel.off.json`` beside the policy; None is in memory.

        Beside the policy file itself, when ``source`` is a link to it: whoever reads the same file has the same
        switches.
        """
        if self.switch_file is not None or self.source is None:
            return None if self.switch_file is None else self._folder / self.switch_file
        return self.source.resolve().with_name(SWITCH_FILE)

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The system texts of its routes, each once."""
        return tuple(dict.fromkeys(prompt for route in self.routes.values() for prompt in route.prompts.values()))

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that tell policies apart.

        They are the first of the file's SHA-256; where a policy has prompts, or no file, of one over all that it says.
        """
        said = self.origin.digest
        if said is None:
            said = digest_of(self.model_dump_json(exclude_unset=True).encode())
        if self.prompts:
            said = digest_of("\n".join([said, *(prompt.text for prompt in self.prompts)]).encode())
        return said[:12]

    def provider(self, name: str) -> ProviderConfig:
        """Return what the policy says of a provider; nothing, for one that is in the catalogue alone."""
        return self.providers.get(name) or ProviderConfig()

    def route(self, name: str) -> Route | None:
        """Find a route by its name or an alias."""
        return self.routes.get(self.aliases.get(name, name))


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of what a policy is made of, in hexadecimal digits."""
    from hashlib import sha256

    return sha256(data).hexdigest()
