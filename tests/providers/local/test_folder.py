from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from multimodel.errors import ConfigurationError
from multimodel.providers.local import LocalProvider, convert, convert_gguf
from multimodel.providers.local.headers import gguf_header

from .lab import Answer, attempt, provider_for
from .tiny import COUNT


@pytest.fixture
def copy(archive: Path, tmp_path: Path) -> Path:
    """An archive of its own, to be spoilt."""
    shutil.copytree(archive / "qwen3", tmp_path / "archive" / "qwen3")
    return tmp_path / "archive" / "qwen3"


def change(file: Path, **entries: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **entries}))


def refused(folder: Path) -> str:
    provider = provider_for(folder.parent)
    with pytest.raises(ConfigurationError) as described:
        provider.describe(folder.name)
    assert provider.models() == ()
    with pytest.raises(ConfigurationError) as asked:
        list(provider.stream(attempt("Hello", folder.name)))
    provider.close()
    assert str(asked.value) == str(described.value)
    return str(described.value)


def test_weights_are_described_from_small_files(archive: Path):
    found = provider_for(archive).describe("qwen3")
    assert found is not None
    assert (found.folder, found.window) == (archive / "qwen3", 4096)
    assert 300_000 < found.parameters < 400_000
    assert found.bytes == (archive / "qwen3" / "model.safetensors").stat().st_size
    assert found.thinking
    assert found.tools
    assert not found.converted


def test_the_names_are_those_that_can_be_used_largest_first(copy: Path):
    shutil.copytree(copy, copy.parent / "broken")
    (copy.parent / "broken" / "config.json").unlink()
    shutil.copytree(copy, copy.parent / ".hidden")
    (copy.parent / "empty").mkdir()
    assert provider_for(copy.parent).models() == ("qwen3",)
    assert provider_for(copy.parent / "nowhere").models() == ()


def test_weights_that_are_not_there_are_none(archive: Path):
    provider = provider_for(archive)
    assert provider.describe("nothing") is None
    with pytest.raises(ConfigurationError, match="no weights `nothing`"):
        next(provider.stream(attempt("Hello", "nothing")))


@pytest.mark.parametrize("name", ["..", ".", "../qwen3", "/etc", "a/b", "", ".hidden", "C:\\qwen", "a\0b"])
def test_a_name_that_is_no_plain_name_is_refused(archive: Path, name: str):
    with pytest.raises(ConfigurationError, match="no name of local weights"):
        provider_for(archive).describe(name)


def test_a_link_out_of_the_archive_is_refused(archive: Path, tmp_path: Path):
    (tmp_path / "qwen3").symlink_to(archive / "qwen3")
    with pytest.raises(ConfigurationError, match="leads out of the archive"):
        provider_for(tmp_path).describe("qwen3")


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "a.pt", "b.PTH", "c.ckpt", "d.pkl", "e.h5", "f.msgpack", "modeling.py", "deep/x.py"]
)
def test_a_file_that_can_run_code_is_refused(copy: Path, name: str):
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_bytes(b"")
    assert "can run code" in refused(copy)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_configuration_that_names_code_is_refused(copy: Path, file: str):
    change(copy / file, auto_map={"AutoModelForCausalLM": "modeling.Evil"})
    assert "names code to run in `auto_map`" in refused(copy)


@pytest.mark.parametrize("key", ["_attn_implementation", "_attn_implementation_internal", "attn_implementation"])
def test_an_attention_kernel_of_a_repository_is_refused(copy: Path, key: str):
    change(copy / "config.json", text_config={key: "someone/kernel"}, max_position_embeddings=10)
    assert "names code" in refused(copy)


def test_an_unknown_quantisation_is_refused(copy: Path):
    change(copy / "config.json", quantization_config={"quant_method": "magic"})
    assert "quantised by `magic`" in refused(copy)


def test_an_adapter_for_other_weights_is_refused(copy: Path):
    (copy / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/model"}')
    assert "adapter" in refused(copy)


@pytest.mark.parametrize("name", ["../other/model.safetensors", "/etc/passwd", "missing.safetensors", "..", 3])
def test_an_index_that_leads_elsewhere_is_refused(copy: Path, name: object):
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    assert "no file of the folder" in refused(copy)


def test_a_link_out_of_the_folder_is_refused(copy: Path, archive: Path):
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors").symlink_to(archive / "qwen3" / "model.safetensors")
    assert "leads out of the folder" in refused(copy)


def test_truncated_weights_are_refused(copy: Path):
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    assert "damaged" in refused(copy)


def test_weights_without_a_chat_template_are_refused(copy: Path):
    (copy / "chat_template.jinja").unlink()
    assert "no chat template" in refused(copy)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_a_configuration_that_is_no_json_object_is_refused(copy: Path, text: str):
    (copy / "config.json").write_text(text)
    assert "is no JSON" in refused(copy)


def test_a_missing_tensor_is_refused_when_the_weights_are_loaded_and_they_are_not_read_at_each_call(
    copy: Path, monkeypatch: pytest.MonkeyPatch
):
    from safetensors.torch import load_file, save_file

    from multimodel.providers.local import load

    reads = []
    read = load.model_from
    monkeypatch.setattr(load, "model_from", lambda *given: (reads.append(given), read(*given))[1])
    whole = (copy / "model.safetensors").read_bytes()
    tensors = load_file(copy / "model.safetensors")
    del tensors["model.layers.1.self_attn.q_proj.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    provider = provider_for(copy.parent)
    for _ in range(3):
        with pytest.raises(
            ConfigurationError, match=r"incomplete: 1 tensors are missing.*layers\.1\.self_attn\.q_proj"
        ):
            list(provider.stream(attempt("Hello")))
    assert len(reads) == 1
    (copy / "model.safetensors").write_bytes(whole)
    assert Answer(provider.stream(attempt("Count to 20"))).text == COUNT
    provider.close()


def test_a_tensor_of_a_wrong_shape_is_refused_when_the_weights_are_loaded(copy: Path):
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"][:64].clone()
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    provider = provider_for(copy.parent)
    with pytest.raises(ConfigurationError, match="the weights `qwen3`"):
        list(provider.stream(attempt("Hello")))


def test_weights_that_were_mended_are_loaded(copy: Path):
    config = (copy / "config.json").read_text()
    (copy / "config.json").write_text("{")
    provider = provider_for(copy.parent)
    with pytest.raises(ConfigurationError):
        list(provider.stream(attempt("Hello")))
    (copy / "config.json").write_text(config)
    assert Answer(provider.stream(attempt("Count to 20"))).text == COUNT
    provider.close()


def test_weights_that_do_not_fit_are_refused_with_both_figures(copy: Path, monkeypatch: pytest.MonkeyPatch):
    from multimodel.providers.local import load

    monkeypatch.setattr(load, "free_memory", lambda: 2**20)
    with pytest.raises(ConfigurationError, match=r"need 0\.0 GiB and 0\.0 GiB are free"):
        list(provider_for(copy.parent).stream(attempt("Hello")))


@pytest.mark.parametrize(("option", "why"), [({"dtype": "int8"}, "floating"), ({"device": "warp"}, "no device")])
def test_a_device_or_type_that_does_not_exist_is_refused(copy: Path, option: dict, why: str):
    with pytest.raises(ConfigurationError, match=why):
        list(provider_for(copy.parent, **option).stream(attempt("Hello")))


def test_a_missing_extra_is_named_with_the_way_to_install_it(archive: Path, monkeypatch: pytest.MonkeyPatch):
    from multimodel.providers.local import extra

    monkeypatch.setattr(extra, "installed", lambda name: name != "torch")
    with pytest.raises(ConfigurationError, match=r"need `torch`\nhint: pip install 'multimodel\[local\]'"):
        provider_for(archive).describe("qwen3")


def test_an_old_transformers_is_refused(archive: Path, monkeypatch: pytest.MonkeyPatch):
    from multimodel.providers.local import extra

    monkeypatch.setattr(extra, "version", lambda _name: "5.4.2")
    with pytest.raises(ConfigurationError, match=r"`transformers` 5\.4\.2 is too old"):
        provider_for(archive).describe("qwen3")


def gguf(path: Path, template: str = "{{ tools }}") -> Path:
    """A GGUF file that is all header."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    facts = [
        text("general.architecture") + struct.pack("<I", 8) + text("qwen3"),
        text("qwen3.context_length") + struct.pack("<II", 4, 4096),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
        text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, 2) + bytes(8),
        text("tokenizer.chat_template") + struct.pack("<I", 8) + text(template),
    ]
    tensor = text("blk.0") + struct.pack("<IQQIQ", 2, 7, 11, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 1, len(facts)) + b"".join(facts) + tensor)
    return path


def test_a_gguf_file_is_described_from_its_header(tmp_path: Path):
    gguf(tmp_path / "house" / "house.gguf")
    found = provider_for(tmp_path).describe("house")
    assert found is not None
    assert (found.window, found.parameters, found.tools, found.thinking) == (4096, 77, True, False)
    assert not found.converted


@pytest.mark.parametrize("size", [0, 3, 24, 40, 100, 200])
def test_a_damaged_gguf_file_is_refused(tmp_path: Path, size: int):
    file = gguf(tmp_path / "house.gguf")
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ConfigurationError, match="damaged"):
        gguf_header(file)


def test_two_gguf_files_are_no_weights(tmp_path: Path):
    gguf(tmp_path / "house" / "a.gguf")
    gguf(tmp_path / "house" / "b.gguf")
    assert "exactly one `.gguf`" in refused(tmp_path / "house")


@pytest.fixture
def conversions(archive: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Converting takes seconds: here it copies the tiny weights."""
    made: list[Path] = []

    def convert_fast(source: Path, folder: Path) -> None:
        made.append(source)
        shutil.copytree(archive / "qwen3", folder, dirs_exist_ok=True)

    monkeypatch.setattr(convert, "_convert", convert_fast)
    return made


@pytest.mark.parametrize("cached", [False, True])
def test_a_gguf_file_is_converted_once_and_then_used(tmp_path: Path, conversions: list[Path], cached: bool):
    gguf(tmp_path / "archive" / "house" / "house.gguf")
    stages = []
    options: dict[str, Any] = {"progress": lambda model, stage: stages.append((model, stage))}
    if cached:
        options["cache"] = tmp_path / "cache"
    for _ in range(2):
        provider = provider_for(tmp_path / "archive", **options)
        answer = Answer(provider.stream(attempt("Count to 20", "house")))
        assert (answer.text, answer.model) == (COUNT, "house")
        provider.close()
    found = provider.describe("house")
    assert found is not None
    assert found.converted
    assert found.folder.parent == tmp_path / ("cache" if cached else "archive")
    assert len(conversions) == 1
    assert provider.models() == ("house",)
    assert stages == [("house", stage) for stage in ("converting", "loading", "ready", "loading", "ready")]


def test_texts_beside_a_gguf_file_go_with_its_conversion_and_folders_do_not(tmp_path: Path, conversions: list[Path]):
    gguf(tmp_path / "house" / "house.gguf")
    (tmp_path / "house" / "LICENSES").mkdir()
    (tmp_path / "house" / "LICENSE").write_text("Apache License")
    made = convert_gguf(tmp_path / "house" / "house.gguf", tmp_path / "made")
    assert (made / "LICENSE").read_text() == "Apache License"
    assert not (made / "LICENSES").exists()
    assert conversions


def test_a_gguf_file_that_was_replaced_is_converted_again(tmp_path: Path, conversions: list[Path]):
    for template in ("{{ tools }}", "{{ tools }}, again"):
        gguf(tmp_path / "house" / "house.gguf", template)
        provider = provider_for(tmp_path)
        list(provider.stream(attempt("Hello", "house", max_tokens=1)))
        provider.close()
    assert len(conversions) == 2


def test_a_conversion_that_fails_leaves_nothing_behind(tmp_path: Path):
    gguf(tmp_path / "house" / "house.gguf")
    with pytest.raises(ConfigurationError, match=r"`house.gguf` cannot be converted"):
        convert_gguf(tmp_path / "house" / "house.gguf", tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["house"]


def test_of_two_conversions_at_once_the_first_stays(
    tmp_path: Path, conversions: list[Path], monkeypatch: pytest.MonkeyPatch
):
    destination = tmp_path / "made"
    fast = convert._convert

    def slower(source: Path, folder: Path) -> None:
        fast(source, folder)
        destination.mkdir()
        (destination / "config.json").write_text("of the other process")

    monkeypatch.setattr(convert, "_convert", slower)
    assert convert_gguf(gguf(tmp_path / "house" / "house.gguf"), destination) == destination
    assert (destination / "config.json").read_text() == "of the other process"
    assert {path.name for path in tmp_path.iterdir()} == {"house", "made"}


def test_providers_share_the_weights_and_the_last_to_close_frees_them(archive: Path):
    first, second = provider_for(archive), provider_for(archive)
    for provider in (first, second):
        list(provider.stream(attempt("Hello", max_tokens=1)))
    assert first._engines["qwen3"] is second._engines["qwen3"]
    engine = first._engines["qwen3"]
    first.close()
    assert engine.usable
    assert Answer(second.stream(attempt("Count to 20"))).text == COUNT


def test_importing_the_adapter_loads_no_torch():
    import subprocess
    import sys

    code = "import sys, multimodel.providers.local; print({'torch', 'transformers', 'tokenizers'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_the_provider_is_what_adapters_are():
    for verb in ("stream", "astream", "close", "aclose"):
        assert callable(getattr(LocalProvider, verb))
