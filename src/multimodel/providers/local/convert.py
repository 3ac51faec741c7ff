"""GGUF to safetensors, once. GGUF saves no memory here: its numbers are unpacked before they are computed with."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

from ...errors import ConfigurationError
from .extra import require
from .load import first_line, loading
from .manifest import Licence, Manifest, write_manifest
from .seal import hash_files

__all__ = ["convert_gguf"]

_KEPT = ("LICENSE*", "NOTICE*", "README*")


def convert_gguf(source: Path, destination: Path, *, origin: Manifest | None = None) -> Path:
    """Convert one GGUF file, with its tokenizer and chat template, to a folder of float32 safetensors.

    The folder appears when it is whole, or not at all. One that is there already is left as it is.

    :param origin: the manifest of the folder that ``source`` was archived in: what is made of it gets one too.
    :returns: ``destination``.
    :raises ConfigurationError: when the file cannot be converted, or the folder not be written.
    """
    if destination.is_dir():
        return destination
    require(convert=True)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(mkdtemp(prefix=f".{destination.name.lstrip('.')}-unfinished-", dir=destination.parent))
    except OSError as error:
        raise ConfigurationError(
            f"`{source.name}` must be converted, and `{destination.parent}` cannot be written: {error.strerror}",
            hint="set `cache:` to a folder that can be written",
        ) from error
    try:
        with loading():
            _convert(source, unfinished)
        _keep_texts(source, unfinished)
        if origin is not None:
            licence = Licence(name=origin.licence.name, seen=origin.licence.seen)
            facts = {"name": destination.name, "licence": licence, "files": hash_files(unfinished)}
            write_manifest(unfinished, origin.model_copy(update=facts))
        _publish(unfinished, destination)
    except ConfigurationError:
        raise
    except Exception as error:  # whatever the libraries say of a file they cannot read
        raise ConfigurationError(
            f"`{source.name}` cannot be converted: {first_line(error)}", hint="use the same weights as safetensors"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return destination


def _convert(source: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, modeling_gguf_pytorch_utils

    # its progress bar has no switch
    modeling_gguf_pytorch_utils.tqdm = lambda tensors, **_settings: tensors
    where = {"gguf_file": source.name, "local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(source.parent, **where)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, **where, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _keep_texts(source: Path, folder: Path) -> None:
    for pattern in _KEPT:
        for text in source.parent.glob(pattern):
            if text.is_file():
                shutil.copy(text, folder)


def _publish(unfinished: Path, destination: Path) -> None:
    unfinished.chmod(0o755)  # temporary folders, and the files of safetensors, are for their owner alone
    for file in unfinished.iterdir():
        file.chmod(0o644)
    try:
        unfinished.rename(destination)
    except OSError:
        if not destination.is_dir():  # else another process was faster
            raise
