"""Folders of weights that are small and well-formed, to be archived and to be spoilt."""

from __future__ import annotations

import json
import struct
from pathlib import Path

CONFIG = {"model_type": "qwen3", "max_position_embeddings": 4096}
CARD = "---\nlicense: apache-2.0\nauthor: Qwen\n---\n# A model\n"
LICENCE = "Apache License\nVersion 2.0\n\nCopyright Qwen\n"


def safetensors(size: int = 64) -> bytes:
    """A file with one tensor of so many bytes."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)


def make_weights(folder: Path, *, size: int = 64, licence: str | None = LICENCE, card: str | None = CARD) -> Path:
    """Write a folder of weights that chat."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    (folder / "tokenizer.json").write_text('{"version": "1.0"}', encoding="utf-8")
    (folder / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(safetensors(size))
    if licence is not None:
        (folder / "LICENSE").write_text(licence, encoding="utf-8")
    if card is not None:
        (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def tree(folder: Path) -> dict[str, tuple[int, int, bytes | str]]:
    """Everything below a folder: kind and rights, time of change, and content."""
    found: dict[str, tuple[int, int, bytes | str]] = {}
    for path in sorted(folder.rglob("*")):
        here = path.lstat()
        what: bytes | str = ""
        if path.is_symlink():
            what = str(path.readlink())
        elif path.is_file() and here.st_size < 2**20:
            what = path.read_bytes()
        found[path.relative_to(folder).as_posix()] = (here.st_mode, here.st_mtime_ns, what)
    return found
