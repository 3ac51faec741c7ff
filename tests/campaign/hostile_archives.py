"""Folders that must not be archived, and archived models that must not be used. Each kind differs with the seed."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from multimodel.providers.local.manifest import LARGEST

from ..governance.weights import CONFIG, safetensors

Spoil = Callable[[Random, Path], object]

FOLDERS: dict[str, Spoil] = {}
"""What makes a folder hostile, by name: adding it is refused."""
ARCHIVED: dict[str, Spoil] = {}
"""What is done to a model in the archive: using it is refused."""
ODD: dict[str, Spoil] = {}
"""What is done to plain weights that nobody archived: they may be described or refused, and no more."""

OUTSIDE = ("/etc/passwd", "../../outside/secret.txt", "..", "/dev/zero", "/proc/self/environ", "nowhere", "config.json")
TEXTS = ("config.json", "tokenizer.json", "chat_template.jinja", "LICENSE", "README.md")
RUNS = ("bin", "pt", "pth", "ckpt", "pkl", "pickle", "h5", "msgpack", "py", "pyc")
PATHS = (
    "../x",
    "/etc/passwd",
    "a/../../x",
    "a\0b",
    "a\\..\\b",
    "",
    ".",
    "..",
    "a//b",
    "./a",
    "a\nb",
    "\u202ea",
    "C:\\x\\",
)
VALUES: tuple[Any, ...] = (
    None,
    -1,
    1.5,
    2**70,
    1e999,
    "",
    "x" * 2000,
    [],
    {},
    [[]],
    True,
    "\x1b[31m",
    "0" * 63,
    {"a": {}},
)
NAMES = (b"a\nb", b"\x1b]0;x\x07", b"\xff\xfe", b"a\\b", "a\u202eb".encode(), "a\u2028b".encode(), b"x" * 200, b"\x7f")


def _register(kinds: dict[str, Spoil]) -> Callable[[Spoil], Spoil]:
    def remember(spoil: Spoil) -> Spoil:
        kinds[spoil.__name__] = spoil
        return spoil

    return remember


folder = _register(FOLDERS)
archived = _register(ARCHIVED)
odd = _register(ODD)


def _place(rng: Random, where: Path) -> Path:
    """A folder of the folder, or itself."""
    deep = where.joinpath(*rng.choices("abc", k=rng.randrange(3)))
    deep.mkdir(parents=True, exist_ok=True)
    return deep


# --- folders ---


@folder
def link(rng: Random, where: Path) -> None:
    path = _place(rng, where) / rng.choice((*TEXTS, "model.safetensors", "x.png", "weights"))
    path.unlink(missing_ok=True)
    path.symlink_to(rng.choice(OUTSIDE))


@folder
def link_to_a_folder(rng: Random, where: Path) -> None:
    (_place(rng, where) / "more").symlink_to(rng.choice(("/etc", "..", ".", "../../outside")))


@folder
def pipe(rng: Random, where: Path) -> None:
    os.mkfifo(_place(rng, where) / f"{rng.random()}.{rng.choice(('json', 'txt', 'safetensors', 'dat'))}")


@folder
def socket_file(rng: Random, where: Path) -> None:
    here = Path.cwd()
    os.chdir(_place(rng, where))  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(f"{rng.randrange(99)}.txt")
    finally:
        os.chdir(here)


@folder
def code_by_name(rng: Random, where: Path) -> None:
    ending = "".join(rng.choice((char.lower(), char.upper())) for char in rng.choice(RUNS))
    (_place(rng, where) / f"{rng.choice(('model', 'pytorch_model', 'README.md'))}.{ending}").write_bytes(
        rng.randbytes(9)
    )


@folder
def pickle_by_content(rng: Random, where: Path) -> None:
    name = rng.choice(
        ("notes.txt", "tokenizer.model", "x.safetensors", "NOTICE", "weights.dat", "a.json", "figure.png")
    )
    (_place(rng, where) / name).write_bytes(pickle.dumps({"a": rng.random()}, protocol=rng.randint(2, 5)))


@folder
def program_by_content(rng: Random, where: Path) -> None:
    magic = rng.choice((b"PK\x03\x04", b"\x7fELF", b"\x89HDF\r\n", b"\x93NUMPY", b"MZ\x90"))
    (_place(rng, where) / rng.choice(("notes.txt", "LICENSE-2", "blob", "x.model"))).write_bytes(
        magic + rng.randbytes(50)
    )


@folder
def torn_weights(rng: Random, where: Path) -> None:
    whole = safetensors(rng.randint(8, 500))
    (where / "model.safetensors").write_bytes(whole[: rng.randrange(len(whole))] + b"x" * rng.choice((0, 1000)))


@folder
def weights_with_a_lying_header(rng: Random, where: Path) -> None:
    tensor: dict[str, Any] = {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}
    lie = rng.choice(("data_offsets", "shape", "all", "length", "many"))
    if lie == "data_offsets":
        tensor["data_offsets"] = rng.choice(([0, 9], [0], [], [0, 2**80], ["0", "x"], None, {}))
    elif lie == "shape":
        tensor["shape"] = rng.choice((None, "x", [[]], {"a": 1}, 3, [10**18] * 100_000))
    header = json.dumps(rng.choice(([], None, 1, {"w": 3}, {"w": []})) if lie == "all" else {"w": tensor}).encode()
    if lie == "many":
        header = b"[" * rng.randint(2000, 9000)
    length = rng.choice((0, 2**63, 2**64 - 1, 7)) if lie == "length" else len(header)
    (where / "model.safetensors").write_bytes(struct.pack("<Q", length) + header + bytes(8))


@folder
def gguf_that_is_none(rng: Random, where: Path) -> None:
    (where / "model.safetensors").unlink()
    head = struct.pack("<4sIQQ", b"GGUF", 3, rng.choice((1, 2**60)), rng.choice((1, 2**60)))
    text = struct.pack("<Q", 1) + b"a"
    kinds = (
        b"",
        b"GGML" + head[4:],
        head,
        head + struct.pack("<Q", 2**63) + rng.randbytes(20),
        head + (text + struct.pack("<I", 9)) + struct.pack("<IQ", 9, 1) * rng.randint(1000, 4000),
        head + text + struct.pack("<IIQ", 9, 10, 2**62),
        head + text + struct.pack("<I", rng.choice((13, 2**31))),
        struct.pack("<4sIQQ", b"GGUF", rng.choice((0, 1, 4, 2**32 - 1)), 0, 0),
        struct.pack("<4sIQQ", b"GGUF", 3, 1, 0) + text + struct.pack("<I", 100_000) + b"\xff" * 800_000,
    )
    (where / "model.gguf").write_bytes(rng.choice(kinds))


@folder
def index_that_leads_elsewhere(rng: Random, where: Path) -> None:
    name = rng.choice((*PATHS, "missing.safetensors", 7, None, [], "../../outside/model.safetensors"))
    (where / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": name}}))


@folder
def configuration_that_names_code(rng: Random, where: Path) -> None:
    key = rng.choice(("auto_map", "_attn_implementation", "attn_implementation", "experts_implementation"))
    value: Any = {key: rng.choice(("someone/kernel", {"AutoModel": "evil.Model"}))}
    for _ in range(rng.randrange(6)):
        value = rng.choice(({"text_config": value}, {"a": [value]}))
    file = rng.choice(("config.json", "generation_config.json", "tokenizer_config.json"))
    (where / file).write_text(json.dumps({**(CONFIG if file == "config.json" else {}), **value}))


@folder
def json_that_is_none(rng: Random, where: Path) -> None:
    texts = (
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe{}",
        b"{}\0",
        b"nul",
        b"{}{}",
        b'{"a": 1e}',
        b"'a'",
    )
    (where / rng.choice(("config.json", "tokenizer.json", "vocab.json"))).write_bytes(rng.choice(texts))


@folder
def binary_text(rng: Random, where: Path) -> None:
    content = rng.randbytes(rng.randint(0, 200)).replace(b"\x80", b"a") + b"\0" + rng.randbytes(5)
    (where / rng.choice(("LICENSE", "README.md", "merges.txt", "chat_template.jinja"))).write_bytes(b"text" + content)


@folder
def names_that_are_one(rng: Random, where: Path) -> None:
    one, other = rng.choice(
        (("a.txt", "A.txt"), ("é.txt", "e\u0301.txt"), ("ß.md", "SS.md"), ("ﬁ.md", "FI.md"), ("d", "D"))
    )
    deep = _place(rng, where)
    for name in (one, other):
        (deep / name).write_text(str(rng.random()))


@folder
def name_that_is_none(rng: Random, where: Path) -> None:
    ending = rng.choice((b"", b".txt", b".json"))
    deep = _place(rng, where)
    if len(name := rng.choice(NAMES)) > 100:
        deep = deep / ("y" * 200)
        deep.mkdir()
    Path(os.fsdecode(os.fsencode(deep) + b"/" + name + ending)).write_text("x")


@folder
def too_many_files(rng: Random, where: Path) -> None:
    deep = _place(rng, where)
    for number in range(120):
        (deep / f"{number}-{rng.random()}.txt").touch()


@folder
def too_deep(rng: Random, where: Path) -> None:
    where.joinpath(*rng.choices("abcdef", k=rng.randint(9, 60))).mkdir(parents=True)


@folder
def too_large(rng: Random, where: Path) -> None:
    with (_place(rng, where) / rng.choice(("notes.txt", "tokenizer.model", "LICENSE-2"))).open("wb") as opened:
        opened.truncate(rng.randint(65, 2000) * 2**20)  # a hole: it takes no space


@folder
def no_licence(rng: Random, where: Path) -> None:
    (where / "LICENSE").rename(where / rng.choice(("LICENSE.pdf", "NOTICE", "licensing.md", "legal.txt", ".LICENSE")))


@folder
def a_manifest_of_its_own(rng: Random, where: Path) -> None:
    (where / rng.choice(("manifest.json", "MANIFEST.json", "Manifest.JSON"))).write_text("{}")


@folder
def no_weights(rng: Random, where: Path) -> None:
    (where / "model.safetensors").rename(where / rng.choice((".hidden", "model.weights", "model.safetensors.txt")))


# --- models of the archive ---


def _any_file(rng: Random, where: Path) -> Path:
    path = where / rng.choice((*TEXTS, "model.safetensors"))
    path.chmod(0o644)
    return path


@archived
def a_flipped_bit(rng: Random, where: Path) -> None:
    path = _any_file(rng, where)
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


@archived
def another_length(rng: Random, where: Path) -> None:
    path = _any_file(rng, where)
    content = path.read_bytes()
    path.write_bytes(rng.choice((content[: rng.randrange(len(content))], content + rng.randbytes(rng.randint(1, 99)))))


@archived
def a_file_less(rng: Random, where: Path) -> None:
    _any_file(rng, where).unlink()


@archived
def a_file_more(rng: Random, where: Path) -> None:
    name = rng.choice(("new.json", "model-2.safetensors", ".hidden", "manifest2.json", "deep.txt", "x.py"))
    (_place(rng, where) / name).write_bytes(rng.randbytes(rng.randrange(50)))


@archived
def a_link_instead(rng: Random, where: Path) -> None:
    path = rng.choice((_any_file(rng, where), where / "manifest.json"))
    if rng.random() < 0.5:  # the same content, elsewhere
        shutil.copy(path, where.parent / ".copy")
        target = "../.copy"
    else:
        target = rng.choice(OUTSIDE)
    path.unlink()
    path.symlink_to(target)


@archived
def a_pipe_instead(rng: Random, where: Path) -> None:
    path = rng.choice((_any_file(rng, where), where / "manifest.json"))
    path.unlink()
    os.mkfifo(path)


@archived
def a_folder_instead(rng: Random, where: Path) -> None:
    path = rng.choice((_any_file(rng, where), where / "manifest.json"))
    path.unlink()
    path.mkdir()
    (path / "x").touch()


@archived
def two_files_swapped(rng: Random, where: Path) -> None:
    one, other = (where / name for name in rng.sample((*TEXTS, "model.safetensors"), 2))
    one.rename(where / "t")
    other.rename(one)
    (where / "t").rename(other)


def _rewrite(where: Path, content: bytes) -> None:
    (where / "manifest.json").chmod(0o644)
    (where / "manifest.json").write_bytes(content)


@archived
def a_torn_manifest(rng: Random, where: Path) -> None:
    content = (where / "manifest.json").read_bytes().rstrip()
    _rewrite(where, content[: rng.randrange(len(content))])


@archived
def a_manifest_that_is_none(rng: Random, where: Path) -> None:
    bombs = (
        b"[" * 500_000,
        b'{"a":' * 200_000,
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b"1" * 10_000,
        b"{} {}",
        b"\0" * 50,
    )
    _rewrite(where, rng.choice(bombs))


@archived
def a_manifest_too_large(rng: Random, where: Path) -> None:
    (where / "manifest.json").chmod(0o644)
    with (where / "manifest.json").open("r+b") as opened:
        opened.truncate(LARGEST + rng.randint(1, 2**30))


@archived
def a_manifest_with_a_path_that_leads_out(rng: Random, where: Path) -> None:
    manifest = json.loads((where / "manifest.json").read_text())
    entry = rng.choice(manifest["files"])
    if rng.random() < 0.5:
        entry["path"] = rng.choice(PATHS)
    else:
        manifest["files"].append({**entry, "path": rng.choice((*PATHS, "CONFIG.json", "manifest.json", entry["path"]))})
    _rewrite(where, json.dumps(manifest).encode())


@archived
def a_manifest_with_an_odd_value(rng: Random, where: Path) -> None:
    manifest = json.loads((where / "manifest.json").read_text())
    holder = rng.choice((manifest, rng.choice(manifest["files"]), manifest["licence"]))
    key = rng.choice(sorted({*holder} - {"source", "revision", "author"} - ({"name"} if "seen" in holder else set())))
    holder[key] = rng.choice([value for value in VALUES if value != holder[key]])
    if rng.random() < 0.2:
        manifest["an unknown key"] = rng.choice(VALUES)
    _rewrite(where, json.dumps(manifest).encode())


@archived
def a_manifest_that_leaves_one_out(rng: Random, where: Path) -> None:
    manifest = json.loads((where / "manifest.json").read_text())
    manifest["files"].remove(rng.choice(manifest["files"]))
    _rewrite(where, json.dumps(manifest).encode())


@archived
def a_manifest_with_other_hashes(rng: Random, where: Path) -> None:
    manifest = json.loads((where / "manifest.json").read_text())
    rng.choice(manifest["files"])["sha256"] = rng.randbytes(32).hex()
    _rewrite(where, json.dumps(manifest).encode())


@archived
def a_manifest_of_another_model(rng: Random, where: Path) -> None:
    manifest = json.loads((where / "manifest.json").read_text())
    manifest["name"] = rng.choice(("good", "other", "../house", ".", "house/x", "HOUSE"))
    _rewrite(where, json.dumps(manifest).encode())


# --- plain weights ---


@odd
def odd_json(rng: Random, where: Path) -> None:
    name = rng.choice(
        (
            "config.json",
            "tokenizer_config.json",
            "modules.json",
            "1_Pooling/config.json",
            "model.safetensors.index.json",
            "sentence_bert_config.json",
        )
    )
    (where / name).parent.mkdir(exist_ok=True)
    value = rng.choice((*VALUES, [VALUES], {"weight_map": [1]}))
    (where / name).write_text(json.dumps(value))


@odd
def odd_value(rng: Random, where: Path) -> None:
    name, key = rng.choice(
        (
            ("config.json", "max_position_embeddings"),
            ("config.json", "text_config"),
            ("config.json", "quantization_config"),
            ("config.json", "auto_map"),
            ("tokenizer_config.json", "chat_template"),
            ("modules.json", "type"),
            ("1_Pooling/config.json", "pooling_mode"),
            ("model.safetensors.index.json", "weight_map"),
            ("sentence_bert_config.json", "max_seq_length"),
        )
    )
    (where / name).parent.mkdir(exist_ok=True)
    value = rng.choice((*VALUES, [{"name": [], "template": 1}], [{"name": "default"}], {"w": []}, {"w": {"a": None}}))
    entry = {**(CONFIG if name == "config.json" else {}), key: value}
    (where / name).write_text(json.dumps([entry] if name == "modules.json" else entry))
    if rng.random() < 0.5:
        (where / "chat_template.jinja").unlink()


@odd
def deep_json(rng: Random, where: Path) -> None:
    depth = rng.choice((100, 800, 900, 950, 990, 5000, 100_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    (where / "generation_config.json").write_text('{"a": ' + opening * depth + "1" + closing * depth + "}")


@odd
def text_that_is_none(rng: Random, where: Path) -> None:
    (where / rng.choice(("chat_template.jinja", "tokenizer_config.json", "modules.json"))).write_bytes(
        rng.randbytes(50)
    )


@odd
def what_must_be_there_is_not(rng: Random, where: Path) -> None:
    (where / rng.choice(("config.json", "tokenizer.json"))).unlink()


@odd
def quantised_or_adapter(rng: Random, where: Path) -> None:
    if rng.random() < 0.5:
        (where / "adapter_config.json").write_text("{}")
    else:
        method = rng.choice(({"quant_method": "magic"}, "x", {"a": 1}, [1]))
        (where / "config.json").write_text(json.dumps({**CONFIG, "quantization_config": method}))
