"""Providers: an account at an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    StringConstraints,
    Tag,
    WithJsonSchema,
)

from ..providers.profile import Profile
from .fields import Count, Filename, Settings, Slug
from .problems import MistakeError, shown
from .residency import Places
from .secret import Secret

__all__ = ["HTTP_ONLY", "LOCAL_ONLY", "Place", "ProviderConfig", "key_of", "place_of", "profile_of"]

LOCAL_ONLY = ("archive", "threads", "max_rows", "queue", "cache", "device", "dtype")
"""Settings of local weights."""
HTTP_ONLY = ("proxy", "headers", "ca_file")
"""Settings of vendors reached over HTTP."""

_OURS = {"connection", "content-length", "content-type", "host", "transfer-encoding"}


def _checked_url(value: object) -> object:
    from urllib.parse import urlsplit

    if not isinstance(value, str):
        raise MistakeError(f"{shown(value)} is no URL", "write it as in `https://llm.example.net/v1`")
    try:
        url = urlsplit(value)
        host, _port = url.hostname or "", url.port
    except ValueError:
        raise MistakeError(f"{shown(value)} is no URL", "write it as in `https://llm.example.net/v1`") from None
    if not value.isascii() or not value.isprintable() or " " in value or "\\" in value or not host:
        raise MistakeError(f"{shown(value)} is no URL", "write it as in `https://llm.example.net/v1`")
    if "@" in url.netloc:
        raise MistakeError("a `base_url` holds no user name or password", "put the key into `api_key:`")
    if "?" in value or "#" in value:
        raise MistakeError("a `base_url` has no query and no fragment", "end it with the path, as in `…/v1`")
    if url.scheme == "http" and not _is_loopback(host):
        raise MistakeError(
            "plain http is allowed to this machine only", "use `https://`, or a tunnel to `http://127.0.0.1`"
        )
    if url.scheme not in {"http", "https"}:
        raise MistakeError(f"{shown(value)} is no https URL", "write it as in `https://llm.example.net/v1`")
    return value.rstrip("/")


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked_proxy(value: Secret) -> Secret:
    from urllib.parse import urlsplit

    try:
        url = urlsplit(value.reveal())
        usable = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise MistakeError("the proxy is no http or https URL", "write it as in `http://proxy.example.net:3128`")
    return value


def _checked_header(name: str) -> str:
    if name.lower() in _OURS:
        raise MistakeError(f"the header `{name}` is not yours to set", "remove it")
    return name


BaseUrl: TypeAlias = Annotated[
    str, BeforeValidator(_checked_url), WithJsonSchema({"type": "string", "pattern": "^https?://[^\\s?#@]+$"})
]
Proxy: TypeAlias = Annotated[Secret, AfterValidator(_checked_proxy)]
HeaderName: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"), AfterValidator(_checked_header)
]
ProfileField: TypeAlias = Annotated[
    Annotated[str, Tag("<name>")] | Annotated[Profile, Tag("<inline>")],
    Discriminator(lambda value: "<inline>" if isinstance(value, Mapping | Profile) else "<name>"),
]


class ProviderConfig(Settings):
    """What a policy says of one account; all else is in the profile.

    :ivar profile: the vendor's name in the catalogue, or a profile written out; None is the provider's own name.
    :ivar protocol: one of the profile's protocols.
    :ivar region: one of the profile's endpoints.
    :ivar workspace: becomes part of the host name at vendors that have workspaces.
    :ivar api_key: None is the profile's own variable.
    :ivar base_url: replaces the catalogue's endpoint: https, or http to this machine.
    :ivar operator: who runs ``base_url``; None is the profile's operator.
    :ivar stored_in: where data is stored, in place of the catalogue's word: ISO 3166 codes, or ``EU``.
    :ivar inference_in: where all inference runs, likewise.
    :ivar proxy: the proxy to go through; it may hold a password. The environment's own is not used.
    :ivar headers: sent with every request.
    :ivar ca_file: certificates to trust besides the system's, in PEM, as for an endpoint inside a company.
    :ivar archive: local weights: the folder that holds a folder for each model.
    :ivar threads: local weights: threads of a forward pass.
    :ivar max_rows: local weights: requests that are computed together.
    :ivar queue: local weights: requests that may wait.
    :ivar cache: local weights: where converted weights are kept.
    :ivar device: local weights: ``cpu``, ``cuda``, …
    :ivar dtype: local weights: ``float32``, ``bfloat16``, …
    :ivar options: what a plugin's or litellm's adapter wants to know.
    """

    profile: ProfileField | None = None
    protocol: str | None = None
    region: str | None = None
    workspace: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")] | None = None
    api_key: Secret | None = None
    base_url: BaseUrl | None = None
    operator: Slug | None = None
    stored_in: Places | None = None
    inference_in: Places | None = None
    proxy: Proxy | None = None
    headers: dict[HeaderName, Secret] = Field(default_factory=dict)
    ca_file: Filename | None = None
    archive: Filename | None = None
    threads: Count | None = None
    max_rows: Count | None = None
    queue: Count | None = None
    cache: Filename | None = None
    device: str | None = None
    dtype: str | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def adapter_options(self) -> dict[str, Any]:
        """What the adapter gets besides endpoint and key: a new mapping, in which proxy and headers are plain text."""
        own = {name: getattr(self, name) for name in LOCAL_ONLY if getattr(self, name) is not None}
        if self.proxy is not None:
            own["proxy"] = self.proxy.reveal()
        if self.ca_file is not None:
            own["ca_file"] = self.ca_file
        if self.headers:
            own["headers"] = {name: value.reveal() for name, value in self.headers.items()}
        return {**self.options, **own}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a provider is reached.

    :ivar base_url: without a trailing slash; None for adapters that need none.
    :ivar wire: the wire format; None for adapters that have none.
    :ivar region: the catalogue's name of the region, if the endpoint is the catalogue's.
    :ivar stored_in: where data is stored; None is unknown.
    :ivar inference_in: where inference runs; None is unknown.
    """

    base_url: str | None = None
    wire: Literal["openai_chat", "dashscope"] | None = None
    region: str | None = None
    stored_in: tuple[str, ...] | None = None
    inference_in: tuple[str, ...] | None = None


def profile_of(name: str, config: ProviderConfig, profiles: Mapping[str, Profile]) -> Profile | None:
    """Return what the provider ``name`` is: its own profile, or the catalogue's; None when there is none."""
    if isinstance(config.profile, Profile):
        return config.profile
    return profiles.get(config.profile or name)


def place_of(config: ProviderConfig, profile: Profile) -> Place:
    """Return where a provider is reached.

    :raises MistakeError: when that cannot be known; a policy that was loaded has no such provider.
    """
    if config.protocol is not None and config.protocol not in profile.protocols:
        raise MistakeError(f"`{profile.name}` has no protocol `{config.protocol}`")
    protocol = profile.protocols.get(config.protocol or profile.protocol or "")
    wire = protocol.wire if protocol else None
    if config.base_url is not None:
        return Place(config.base_url, wire, None, config.stored_in, config.inference_in)
    region = config.region or profile.region
    found = profile.endpoint(region) if region is not None else None
    if found is None:
        if profile.adapter == "http":
            raise MistakeError(f"`{profile.name}` has no endpoint without `region` or `base_url`")
        return Place(None, wire, None, config.stored_in, config.inference_in)
    name, endpoint = found
    if config.workspace is not None and endpoint.workspace_url is not None:
        url = endpoint.workspace_url.replace("{workspace}", config.workspace)
    elif endpoint.url is not None:
        url = endpoint.url
    else:
        raise MistakeError(f"the region `{name}` of `{profile.name}` needs a `workspace`")
    path = protocol.path if protocol else ""
    return Place(
        (url.rstrip("/") + path).rstrip("/"),
        wire,
        name,
        config.stored_in or endpoint.stored_in,
        config.inference_in or endpoint.inference_in,
    )


def key_of(config: ProviderConfig, profile: Profile, environ: Mapping[str, str]) -> Secret | None:
    """Return the key: the policy's own, or what the first of the profile's variables that is set holds.

    A vendor's variable is not for an endpoint of somebody else's, nor beside an ``authorization`` of the policy's.

    :raises MistakeError: when the variable holds no usable key.
    """
    if config.api_key is not None:
        return config.api_key
    other = config.operator is not None and config.operator != profile.operator
    if other or any(name.lower() == "authorization" for name in config.headers or {}):
        return None
    held = next((environ[name] for name in profile.key if environ.get(name)), None)
    return None if held is None else Secret(held)
