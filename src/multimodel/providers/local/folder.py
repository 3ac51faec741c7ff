"""Folders of weights: which there are, what they hold, and what is refused. Reads small files only.

transformers merely warns about much of what is refused here: pickles and Python files (they run code), a
configuration that names code (``auto_map``, an attention kernel), links and index entries that lead out of
the folder, and quantised weights whose method it may not know.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError
from .headers import gguf_header, safetensors_parameters
from .seal import check_sizes, shown

__all__ = [
    "LocalModel",
    "Source",
    "check_code",
    "conversion",
    "describe",
    "inspect",
    "locate",
    "names",
    "runs_code",
    "shards_of",
    "template_of",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_REFUSED = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".py", ".pyc"}
_CONFIGS = ("config.json", "generation_config.json", "tokenizer_config.json")
_NAMES_CODE = re.compile(r"auto_map|transformers_weights|_?(attn|experts)_implementation.*")
_INDEX = "model.safetensors.index.json"
_ONE = "model.safetensors"
_LARGEST_JSON = 64 * 2**20


@dataclass(frozen=True, slots=True)
class LocalModel:
    """What is known of local weights before they are loaded.

    :ivar folder: where they are read from.
    :ivar window: the context window in tokens.
    :ivar parameters: how many numbers they hold.
    :ivar bytes: their size on disk.
    :ivar thinking: whether thinking can be switched.
    :ivar tools: whether the model was made for tools.
    :ivar converted: whether ``folder`` holds what was converted from a GGUF file.
    :ivar author: who made them, a slug, as their manifest says.
    """

    folder: Path
    window: int
    parameters: int
    bytes: int
    thinking: bool
    tools: bool
    converted: bool = False
    author: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one folder that was inspected.

    :ivar weights: the safetensors files, or the GGUF file alone.
    :ivar config: ``config.json``; empty beside a GGUF file.
    """

    folder: Path
    weights: tuple[Path, ...]
    config: dict[str, Any]

    @property
    def gguf(self) -> Path | None:
        """The GGUF file, when that is all there is."""
        return self.weights[0] if self.weights[0].suffix == ".gguf" else None


def locate(archive: Path, name: str) -> Path | None:
    """Return the folder of the weights ``name``; None when there is none.

    :raises ConfigurationError: when the name or the folder leads out of the archive.
    """
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"`{name[:100]}` is no name of local weights", hint="name a folder that stands in the archive"
        )
    folder = archive / name
    if not folder.is_dir():
        return None
    if folder.resolve().parent != archive.resolve():
        raise ConfigurationError(
            f"the weights `{name}` are a link that leads out of the archive", hint="copy the folder"
        )
    return folder


def names(archive: Path) -> tuple[str, ...]:
    """Return what may be weights in the archive, by name."""
    if not archive.is_dir():
        return ()
    return tuple(sorted(path.name for path in archive.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()))


def inspect(folder: Path) -> Source:
    """Find the weights in a folder.

    :raises ConfigurationError: when anything in the folder is refused or missing.
    """
    files = sorted(_files(folder))
    configs = {path.name: _json(path) for path in files if path.parent == folder and path.name in _CONFIGS}
    for name, config in configs.items():
        check_code(name, config)
        _check_quantisation(config)
    index = folder / _INDEX
    shards = shards_of(index) if index in files else ()
    one = folder / _ONE
    weights = (one,) if one in files else shards
    if not weights:
        weights = tuple(path for path in files if path.parent == folder and path.suffix == ".gguf")
        if len(weights) != 1:
            raise ConfigurationError(
                f"`{folder.name}` holds no weights", hint=f"it needs `{_ONE}`, `{_INDEX}` or exactly one `.gguf` file"
            )
        return Source(folder, weights, {})
    for name in ("config.json", "tokenizer.json"):
        if folder / name not in files:
            raise ConfigurationError(f"`{folder.name}` lacks `{name}`", hint="copy the whole folder of the weights")
    return Source(folder, weights, configs["config.json"])


def conversion(source: Source, cache: Path | None) -> Path:
    """Return where the conversion of a GGUF file belongs; a file that is replaced gets another place.

    It is a hidden folder in the archive, or a folder of ``cache`` when that is given.
    """
    assert source.gguf is not None
    status = source.gguf.stat()
    mark = sha256(f"{source.gguf.name} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:12]
    parent = source.folder.parent if cache is None else cache
    return parent / f".{source.folder.name}-{mark}"


def describe(source: Source, cache: Path | None) -> LocalModel:
    """Say what the weights are.

    :raises ConfigurationError: when they are damaged or cannot chat.
    """
    gguf = source.gguf
    if gguf is not None:
        made = conversion(source, cache)
        if made.is_dir():
            check_sizes(made)
            return _describe(inspect(made), converted=True)
        header = gguf_header(gguf)
        return _model(source, header.window, header.parameters, header.template)
    return _describe(source, converted=False)


def _describe(source: Source, *, converted: bool) -> LocalModel:
    text = source.config.get("text_config")
    window = (text if isinstance(text, dict) else source.config).get("max_position_embeddings")
    parameters = sum(map(safetensors_parameters, source.weights))
    return _model(source, window, parameters, template_of(source.folder), converted=converted)


def _model(source: Source, window: object, parameters: int, template: str, *, converted: bool = False) -> LocalModel:
    name = source.folder.name
    if not isinstance(window, int) or window < 1:
        raise ConfigurationError(f"`{name}` does not say how long its context window is")
    if not template:
        raise ConfigurationError(f"`{name}` has no chat template", hint="use weights that are tuned to chat")
    return LocalModel(
        folder=source.folder,
        window=window,
        parameters=parameters,
        bytes=sum(path.stat().st_size for path in source.weights),
        thinking="enable_thinking" in template,
        tools="tools" in template,
        converted=converted,
    )


def template_of(folder: Path) -> str:
    """Return the chat template of a folder; empty when there is none."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_bytes().decode(errors="replace")
    config = folder / "tokenizer_config.json"
    given = _json(config).get("chat_template") if config.is_file() else None
    if isinstance(given, list):  # several, by name
        named = (entry for entry in given if isinstance(entry, dict) and entry.get("name") == "default")
        given = next(named, {}).get("template")
    return given if isinstance(given, str) else ""


def runs_code(name: str) -> bool:
    """Whether a file can run code when it is loaded, by its name: pickles and what holds them, and Python."""
    return Path(name).suffix.lower() in _REFUSED


def _files(folder: Path) -> Iterator[Path]:
    """Yield every file, however deep.

    :raises ConfigurationError: at one that may run code or a link that leads out.
    """
    real = folder.resolve()
    for parent, below, files in os.walk(folder):
        for name in (*below, *files):
            path = Path(parent, name)
            if path.is_symlink() and not path.resolve().is_relative_to(real):
                raise ConfigurationError(
                    f"`{shown(str(path.relative_to(folder.parent)))}` is a link that leads out of the folder",
                    hint="copy the file",
                )
        for name in files:
            if runs_code(name):
                raise ConfigurationError(
                    f"`{shown(str(Path(parent, name).relative_to(folder.parent)))}` can run code when it is loaded",
                    hint="remove it; weights are taken from `.safetensors` files only",
                )
            if name == "adapter_config.json":
                raise ConfigurationError(f"`{folder.name}` is an adapter for other weights", hint="merge it into them")
            yield Path(parent, name)


def _json(path: Path) -> dict[str, Any]:
    name = f"{path.parent.name}/{path.name}"
    if path.stat().st_size > _LARGEST_JSON:
        raise ConfigurationError(f"`{name}` is larger than 64 MiB")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ConfigurationError(f"`{name}` is no JSON") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f"`{name}` is no JSON object")
    return value


def check_code(name: str, config: object) -> None:
    """Refuse a configuration that names code.

    :param name: of its file.
    :raises ConfigurationError: says where.
    """
    for key, value in _entries(config):
        if _NAMES_CODE.fullmatch(key) and value and isinstance(value, str | dict):
            raise ConfigurationError(
                f"`{name}` names code to run in `{shown(key)}`", hint="use weights that need no code"
            )


def _check_quantisation(config: dict[str, Any]) -> None:
    for key, value in _entries(config):
        if key == "quantization_config" and value:
            method = value.get("quant_method", "unknown") if isinstance(value, dict) else "unknown"
            raise ConfigurationError(
                f"weights quantised by `{shown(str(method)[:40])}` are not supported",
                hint="use the unquantised weights, or GGUF",
            )


def _entries(value: object) -> Iterator[tuple[str, Any]]:
    """Yield every key and its value, however deep."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            yield from inner.items()
            waiting += inner.values()
        elif isinstance(inner, list):
            waiting += inner


def shards_of(index: Path) -> tuple[Path, ...]:
    """Return the files that an index names.

    :raises ConfigurationError: when one is no file beside it.
    """
    entries = _json(index).get("weight_map")
    listed = list(entries.values()) if isinstance(entries, dict) else []
    for name in listed:
        plain = isinstance(name, str) and name.endswith(".safetensors") and Path(name).name == name and "\\" not in name
        if not plain or not (index.parent / name).is_file():
            raise ConfigurationError(
                f"`{index.parent.name}/{index.name}` names `{shown(str(name)[:100])}`, which is no file of the folder"
            )
    return tuple(index.parent / name for name in sorted(set(listed)))
