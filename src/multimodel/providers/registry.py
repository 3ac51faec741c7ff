"""Adapters by name: ours, imported on first use, and those of installed plugins.

A plugin is an entry point of the group ``multimodel.providers``: its name is the vendor's name, and it is one of

- an adapter, called with a :class:`~multimodel.providers.ProviderSetup`, that has an attribute ``profile``;
- anything with the attributes ``profile`` and ``adapter``, for instance a module;
- a profile alone, for a vendor that an adapter of ours can talk to.

A profile may be written as a mapping; its ``name`` and ``adapter`` may then be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeAlias

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from .base import Provider, ProviderSetup

__all__ = ["GROUP", "Adapter", "adapter", "installed", "load_plugin", "missing", "plugins"]

Adapter: TypeAlias = "Callable[[ProviderSetup], Provider]"

GROUP = "multimodel.providers"
_OURS = {
    "http": ("http_api", "HttpProvider"),
    "litellm": ("litellm", "LiteLLMProvider"),
    "local": ("local", "LocalProvider"),
}


def adapter(name: str) -> Adapter:
    """Return what builds the providers of an adapter: ``http``, ``litellm``, ``local``, or a plugin's name.

    :raises ConfigurationError: when there is no such adapter, or the plugin is broken.
    """
    if name in _OURS:
        module, attribute = _OURS[name]
        ours: Adapter = getattr(import_module(f".{module}", __package__), attribute)
        return ours
    if name not in plugins():
        known = sorted({*_OURS, *plugins()})
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(f'`{word}`' for word in known)}"
        raise ConfigurationError(f"unknown adapter `{name[:100]}`", hint=hint)
    plugin = load_plugin(name)
    found = getattr(plugin, "adapter", plugin)
    if not callable(found):
        raise ConfigurationError(f"{_described(name)} has no adapter", hint="its profile names the adapter it needs")
    theirs: Adapter = found
    return theirs


def missing(name: str) -> str | None:
    """Say what is not installed without which an adapter can ask nobody; None when nothing is.

    Local weights say it themselves, with what else is wrong with them.
    """
    if name == "litellm" and not installed("litellm"):
        return "litellm is not installed"
    if name not in _OURS and name not in plugins():
        return f"no plugin is its adapter `{name}`"
    return None


def installed(package: str) -> bool:
    """Say whether a package can be imported, without importing it."""
    try:
        return find_spec(package) is not None
    except ImportError:  # an import hook forbids it
        return False
    except ValueError:  # a stand-in that an application put into `sys.modules`
        return True


@cache
def plugins() -> Mapping[str, EntryPoint]:
    """Return the installed plugins by name, none of them loaded."""
    from importlib.metadata import entry_points

    return {plugin.name: plugin for plugin in entry_points(group=GROUP)}


def load_plugin(name: str) -> object:
    """Import a plugin and return what its entry point names.

    :raises ConfigurationError: when that fails, whatever the reason.
    """
    try:
        return plugins()[name].load()
    except Exception as error:
        raise ConfigurationError(
            f"{_described(name)} cannot be loaded: {type(error).__name__}", hint="update or uninstall it"
        ) from error


def _described(name: str) -> str:
    distribution = plugins()[name].dist
    return f"the plugin `{name}`" + (f" of `{distribution.name}`" if distribution else "")
