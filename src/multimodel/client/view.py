"""A client as one tenant sees it: own credentials, own budget, own metadata; all else is the client's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from ..errors import ConfigurationError
from ..providers.base import Provider
from .core import Core
from .snapshot import Snapshot
from .tenants import Credentials, Tenant

__all__ = ["View", "view_of"]


class View(Core):
    """The state of a view. What it has not by itself is its client's, as it is at that moment.

    :param own: what its credentials reach; None: it has its client's.
    """

    def __init__(self, client: Core, tenant: str | None, own: Tenant | None, metadata: Mapping[str, str]) -> None:
        self._client = client
        self._own = own
        self._closed = False
        self.tenant = tenant
        self.metadata = metadata

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    @property
    @override
    def closed(self) -> bool:
        return self._closed or self._client.closed

    @override
    def current(self) -> Snapshot:
        held = self._client.current()
        return held if self._own is None else self._own.of(held)

    @override
    def leave(self) -> list[Provider]:
        """Nothing is closed: it is the client's."""
        self._closed = True
        return []


def view_of(
    core: Core, tenant: str | None, credentials: Credentials | None, metadata: Mapping[str, str] | None
) -> View:
    """Return a view of a client, or of a view, whose own stay where nothing else is said.

    :raises ConfigurationError: an argument that cannot be used, or a closed client.
    """
    if core.closed:
        raise ConfigurationError("the client is closed", hint="make a new one")
    if tenant is not None and (not isinstance(tenant, str) or not tenant):
        raise ConfigurationError("`tenant` must be a text that is not empty", hint="leave it out for none")
    for argument, value in (("credentials", credentials), ("metadata", metadata)):
        if value is not None and not (isinstance(value, Mapping) and all(isinstance(name, str) for name in value)):
            raise ConfigurationError(f"`{argument}` must be a mapping with names as keys")
    client, own = (core._client, core._own) if isinstance(core, View) else (core, None)  # noqa: SLF001  # of its own kind
    return View(
        client,
        core.tenant if tenant is None else tenant,
        own if credentials is None else client.tenants.of(credentials),
        {**core.metadata, **metadata} if metadata else core.metadata,
    )
