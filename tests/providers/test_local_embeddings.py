"""Weights that turn texts into vectors: tiny random ones, made here, in the layout of sentence-transformers."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from multimodel import AllTargetsFailedError, AsyncClient, Client, ConfigurationError
from multimodel.governance.archive import Archive, Facts
from multimodel.providers.base import ProviderSetup
from multimodel.providers.local import LocalProvider
from multimodel.providers.local import folder as folders
from multimodel.providers.local import provider as local_provider
from multimodel.providers.local.embedding import describe_embedding
from multimodel.providers.local.embedding_engine import ROOM, Texts
from multimodel.providers.profile import Fact, Profile

TEXTS = ["a cat sat", "a dog", "the stock market fell by two", "a"]
SIZE = 32


def build(folder: Path, kind: str) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=["<end>"], show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=[("<end>", 0)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<end>").save_pretrained(folder)
    torch.manual_seed(0)
    shape = {
        "hidden_size": SIZE, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "vocab_size": 300, "max_position_embeddings": 64,
    }  # fmt: skip
    qwen = {"num_key_value_heads": 1, "head_dim": 16}
    model = Qwen3Model(Qwen3Config(**shape, **qwen)) if kind == "qwen" else BertModel(BertConfig(**shape))
    model.save_pretrained(folder)


def layout(folder: Path, pooling: str, *steps: str) -> None:
    modules = [
        {"idx": number, "name": str(number), "path": "", "type": f"sentence_transformers.models.{step}"}
        for number, step in enumerate(("Transformer", "Pooling", *steps))
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    modes = dict.fromkeys(["pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_lasttoken"], False)
    modes |= {pooling: True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": SIZE, **modes}))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("archive")
    build(archive / "last", "qwen")
    build(archive / "mean", "bert")
    layout(archive / "mean", "pooling_mode_mean_tokens", "Normalize")
    shutil.copytree(archive / "mean", archive / "cls")
    layout(archive / "cls", "pooling_mode_cls_token")
    shutil.copytree(archive / "last", archive / "qwen3-embedding")
    layout(archive / "qwen3-embedding", "pooling_mode_lasttoken", "Normalize")
    (archive / "qwen3-embedding" / "chat_template.jinja").write_text("{{ messages }}")
    return archive


@pytest.fixture(scope="module")
def client(archive: Path) -> Iterator[Client]:
    chains = {name: {"chain": [f"local:{name}"]} for name in ("last", "mean", "cls", "qwen3-embedding")}
    with Client({"providers": {"local": {"archive": str(archive), "dtype": "float32"}}, "routes": chains}) as client:
        yield client


def test_archived_weights_are_verified_before_they_are_loaded(archive: Path, tmp_path: Path):
    kept = Archive(tmp_path / "archive", lambda: datetime.now(UTC))
    folder = kept.add(archive / "mean", Facts(no_licence_text=True)).folder
    policy = {"providers": {"local": {"archive": str(kept.folder)}}, "routes": {"v": {"chain": ["local:mean"]}}}
    with Client(policy) as client:
        assert len(client.embed("v", TEXTS).vectors) == len(TEXTS)
    weights = folder / "model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with Client(policy) as client, pytest.raises(AllTargetsFailedError) as failed:
        client.embed("v", TEXTS)
    assert "`model.safetensors` has other content" in str(failed.value.report)


def by_hand(folder: Path, text: str) -> tuple[float, ...]:
    """What transformers computes, one text at a time and without padding."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt").input_ids
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(folder)(input_ids=ids).last_hidden_state[0]
    pooled = {"mean": hidden.mean(0), "cls": hidden[0]}.get(folder.name, hidden[-1])
    unit = pooled if folder.name == "cls" else pooled / pooled.norm()
    return tuple(unit.tolist())


@pytest.mark.parametrize("name", ["last", "mean", "cls", "qwen3-embedding"])
def test_vectors_computed_together_are_those_computed_alone(client: Client, archive: Path, name: str):
    answer = client.embed(name, TEXTS)
    assert answer.dimensions == SIZE
    assert answer.usage.cost == 0.0
    assert answer.usage.input_tokens == answer.usage.total_tokens > len(TEXTS)
    for text, vector in zip(TEXTS, answer.vectors, strict=True):
        assert vector == pytest.approx(by_hand(archive / name, text), abs=1e-5)
        assert vector == pytest.approx(client.embed(name, text).vectors[0], abs=1e-5)


def test_more_texts_than_are_computed_together_keep_their_order(client: Client):
    texts = [" ".join(["a"] * (1 + 7 * number % 20)) for number in range(40)]
    many = client.embed("mean", texts).vectors
    assert [many[3], many[39]] == [
        pytest.approx(client.embed("mean", texts[number]).vectors[0], abs=1e-5) for number in (3, 39)
    ]


class Counting:
    """Weights that only tell the shape of what is computed together."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []

    def vectors(self, rows: list[list[int]], _dimensions: int | None) -> list[tuple[float, ...]]:
        self.shapes.append((len(rows), max(map(len, rows))))
        return [(0.0,)] * len(rows)


def test_long_texts_are_computed_together_only_as_far_as_there_is_room():
    weights, lengths = Counting(), [ROOM + 1, ROOM // 2, ROOM // 2 - 1, ROOM // 4, 1, 1, 1, 1, 1]
    texts = Texts("m", [[0] * length for length in lengths], None, lambda _: None)
    while not texts.step(cast("Any", weights), 4):
        pass
    assert weights.shapes == [(1, ROOM + 1), (2, ROOM // 2), (4, ROOM // 4), (2, 1)]
    assert sorted(number for number, _ in texts.rows) == list(range(9))


def test_fewer_dimensions_are_the_first_ones_made_to_length_one_again(client: Client):
    whole = client.embed("last", "a dog").vectors[0]
    short = client.embed("last", "a dog", dimensions=8).vectors[0]
    length = math.hypot(*whole[:8])
    assert short == pytest.approx([value / length for value in whole[:8]], abs=1e-5)


def test_more_dimensions_than_the_weights_have_are_refused(client: Client):
    with pytest.raises(Exception, match="have 32 numbers") as caught:
        client.embed("last", "a dog", dimensions=33)
    assert caught.value.kind == "bad_request"


def test_a_text_that_is_too_long_is_refused_and_never_cut(client: Client):
    with pytest.raises(AllTargetsFailedError) as caught:
        client.embed("mean", ["short", "dog " * 100])
    assert [error.kind for error in caught.value.exceptions] == ["context_window_exceeded"]
    assert "a window of 64" in str(caught.value)


def test_the_event_loop_gets_the_same_vectors(client: Client):
    async def main() -> object:
        async with AsyncClient(client.policy) as aio:
            return (await aio.embed("mean", TEXTS)).vectors

    assert asyncio.run(main()) == client.embed("mean", TEXTS).vectors


def test_texts_are_read_beside_the_event_loop(client: Client, monkeypatch: pytest.MonkeyPatch):
    readers: list[threading.Thread] = []
    real = local_provider.tokenized

    def tokenized(*args: Any) -> list[list[int]]:
        readers.append(threading.current_thread())
        return real(*args)

    monkeypatch.setattr(local_provider, "tokenized", tokenized)

    async def main() -> None:
        async with AsyncClient(client.policy) as aio:
            await aio.embed("mean", TEXTS)

    asyncio.run(main())
    assert len(readers) == 1
    assert readers[0] is not threading.main_thread()


@pytest.mark.parametrize("name", ["mean", "qwen3-embedding"])
def test_weights_that_make_vectors_do_not_chat(client: Client, name: str):
    with pytest.raises(AllTargetsFailedError) as caught:
        client.complete(name, "Hello")
    assert [skip.reason for skip in caught.value.report.skipped] == ["unavailable"]
    assert "use weights that are tuned to chat" in str(caught.value.exceptions[0])


def test_weights_that_chat_make_no_vectors(archive: Path, tmp_path: Path):
    shutil.copytree(archive / "last", tmp_path / "chatty")
    (tmp_path / "chatty" / "chat_template.jinja").write_text("{{ messages }}")
    policy = {"providers": {"local": {"archive": str(tmp_path)}}, "routes": {"v": {"chain": ["local:chatty"]}}}
    with Client(policy) as client, pytest.raises(AllTargetsFailedError) as caught:
        client.embed("v", "a")
    assert [(skip.reason, skip.detail) for skip in caught.value.report.skipped] == [
        ("capability", "it has no embeddings")
    ]


def test_weights_that_make_vectors_are_no_part_of_a_default_chain(archive: Path):
    fact = Fact(source="test", date="2026-11-24")
    profile = Profile(name="local", title="Local", adapter="local", key_required=False, fact=fact)
    assert LocalProvider(ProviderSetup("local", profile, options={"archive": archive})).models() == ()


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "a pooling that is not known"),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "a pooling"),
        ("modules.json", [{"type": "sentence_transformers.models.Dense"}], "the step `Dense`"),
        ("modules.json", "{", "no JSON"),
    ],
)
def test_a_layout_that_is_not_known_is_refused(
    archive: Path, tmp_path: Path, file: str, content: object, complaint: str
):
    shutil.copytree(archive / "mean", tmp_path / "odd")
    (tmp_path / "odd" / file).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ConfigurationError, match=complaint):
        describe_embedding(folders.inspect(tmp_path / "odd"))


def test_the_longest_text_is_what_the_layout_allows(archive: Path, tmp_path: Path):
    shutil.copytree(archive / "mean", tmp_path / "short")
    (tmp_path / "short" / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
    found = describe_embedding(folders.inspect(tmp_path / "short"))
    assert (found.window, found.pooling, found.unit) == (16, "mean", True)


def test_newer_layouts_name_the_pooling(archive: Path, tmp_path: Path):
    shutil.copytree(archive / "mean", tmp_path / "new")
    (tmp_path / "new" / "1_Pooling" / "config.json").write_text('{"pooling_mode": "lasttoken"}')
    assert describe_embedding(folders.inspect(tmp_path / "new")).pooling == "last"


def test_damaged_weights_disable_their_target_only(archive: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(archive / "mean", tmp_path / "cut")
    tensors = load_file(tmp_path / "cut" / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, tmp_path / "cut" / "model.safetensors", metadata={"format": "pt"})
    policy = {"providers": {"local": {"archive": str(tmp_path)}}, "routes": {"v": {"chain": ["local:cut"]}}}
    with Client(policy) as client, pytest.raises(AllTargetsFailedError) as caught:
        client.embed("v", "a")
    assert [skip.reason for skip in caught.value.report.skipped] == ["unavailable"]
    assert "incomplete" in str(caught.value)
