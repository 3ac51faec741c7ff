"""Local weights held to a schema: the matcher, the tokens, and models that would never write JSON by themselves."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, Literal

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from multimodel import Client
from multimodel.providers.local import LocalProvider
from multimodel.providers.local.constrain import Grammar, State
from multimodel.providers.local.constrain_tokens import Guide, Vocabulary, is_spelt

from .local.conftest import trained
from .local.lab import Answer, attempt, provider_for

ROOT = Path(__file__).parents[2]
RISK = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "severity": {"enum": ["low", "high", 3]},
        "likely": {"type": "boolean"},
        "score": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
        "more": {"$ref": "#/$defs/More"},
    },
    "required": ["title", "severity", "tags"],
    "additionalProperties": False,
    "$defs": {
        "More": {
            "type": "object",
            "properties": {"kind": {"const": "more"}, "more": {"$ref": "#/$defs/More"}},
            "required": ["kind"],
            "additionalProperties": False,
        }
    },
}


# --- the matcher ---


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string"}, ['""', r'"a\n\u00e9é😀"'], ["a", '"', '"\n"', r'"\x"', r'"\ud800"', '""""']),
        ({"type": "integer"}, ["0", "-7", "12"], ["", "-", "01", "1.5", "1e3", "1" * 16]),
        ({"type": "integer", "minimum": 0}, ["0", "5"], ["-5"]),
        ({"type": "number"}, ["0.5", "-1e-9", "2E+10"], [".5", "1.", "1e", "NaN", "1e999"]),
        ({"type": "boolean"}, ["true", "false"], ["True", "tru"]),
        ({"type": ["null", "integer"]}, ["null", "3"], ["true"]),
        ({"enum": [1, 12, "a", None]}, ["1", "12", '"a"', "null"], ["2", "121", '"b"']),
        ({"const": {"a": [1]}}, ['{"a":[1]}'], ["{}"]),
        ({"type": "array", "items": {"type": "integer"}}, ["[]", "[1,2, 3]"], ["[1,]", "[,1]", "[1", '["a"]']),
        ({"type": "array", "minItems": 1, "maxItems": 2}, ["[1]", '["a",{}]'], ["[]", "[1,2,3]"]),
        ({"prefixItems": [{"type": "string"}], "items": False, "type": "array"}, ["[]", '["a"]'], ['["a",1]', "[1]"]),
        (
            {"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["b"]},
            ['{"b":1}', '{"a": 1, "b": [null]}'],
            ["{}", '{"a":1}', '{"b":1,"a":1}', '{"b":1,}', '{"c":1}', '{"b":1,"b":2}'],
        ),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, ["{}", '{"x":1,"y": 2}'], ['{"x":"a"}']),
        ({"type": "object"}, ['{"a":{"b":[1,{}]}}'], ["[]", "{a:1}"]),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, ["1", '"a"'], ["[]"]),
        ({"allOf": [{"type": "integer"}]}, ["1"], ['"a"']),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/n"}]}}}, ["null"], ["1"]),
        ({"required": ["a"], "type": "object"}, ['{"a":1}'], ["{}"]),
        (False, [], ["1", "{}", ""]),
        (True, ["1", "{}", '"a"', "[[]]"], ["", "x"]),
    ],
)
def test_only_values_of_the_schema_are_read(schema: Any, good: list[str], bad: list[str]):
    grammar = Grammar(schema)
    assert [text for text in good if not grammar.reads(text.encode())] == []
    assert [text for text in bad if grammar.reads(text.encode())] == []


def test_text_is_valid_unicode():
    grammar = Grammar({"type": "string"})
    for wrong in (b"\xff", b"\xc3", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80"):
        assert not grammar.reads(b'"' + wrong + b'"')


def test_what_is_not_looked_at_is_named():
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "x", "title": "A"}}, "not": {}}
    assert Grammar(schema).ignored == {"pattern", "not"}
    assert Grammar({"allOf": [{}, {}]}).ignored == {"allOf"}
    assert Grammar({"$ref": "https://example.com/schema"}).ignored == {"$ref"}


def test_nesting_has_an_end():
    assert Grammar(True).reads(b"[" * 60 + b"]" * 60)
    assert not Grammar(True).reads(b"[" * 100 + b"]" * 100)


def test_schemas_that_are_shared_by_many_are_begun_once():
    shared = {f"n{level}": {"anyOf": 2 * [{"$ref": f"#/$defs/n{level + 1}"}]} for level in range(60)}
    grammar = Grammar({"$ref": "#/$defs/n0", "$defs": shared | {"n60": {"type": "integer"}}})
    assert grammar.reads(b"12")
    assert not grammar.reads(b"a")


def walked(grammar: Grammar, chance: Random) -> bytes:
    """Write a value by picking any byte that may come next; it is steered towards an end."""
    said, state = bytearray(), grammar.start
    while not grammar.complete(state) or (len(said) < 200 and chance.random() < 0.5):
        follow = {byte: after for byte in range(256) if (after := grammar.step(state, byte)) is not None}
        if not follow:
            break
        closing = [byte for byte in b'"]}' if byte in follow]
        byte = chance.choice(closing) if closing and chance.random() < 0.4 else chance.choice(list(follow))
        said.append(byte)
        state = follow[byte]
    return bytes(said)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_may_be_written_is_valid(seed: int):
    text = walked(Grammar(RISK), Random(seed))
    jsonschema.validate(json.loads(text.decode()), RISK)


MORE = st.recursive(
    st.just({"kind": "more"}), lambda below: below.map(lambda more: {"kind": "more", "more": more}), max_leaves=4
)
VALUES = st.fixed_dictionaries(
    {"title": st.text(), "severity": st.sampled_from(["low", "high", 3])},
    optional={
        "likely": st.booleans(),
        "score": st.none() | st.integers(-(10**14), 10**14) | st.floats(-1e6, 1e6).map(lambda value: round(value, 6)),
    },
)


@settings(max_examples=30, deadline=None)
@given(VALUES, st.lists(st.integers(-1000, 1000), min_size=1, max_size=3), st.none() | MORE)
def test_every_value_in_the_order_of_the_schema_may_be_written(value: dict, tags: list[int], more: dict | None):
    order = list(RISK["properties"])
    whole = {**value, "tags": tags, **({} if more is None else {"more": more})}
    whole = {name: whole[name] for name in order if name in whole}
    grammar = Grammar(RISK)
    assert grammar.reads(json.dumps(whole, ensure_ascii=False).encode())
    assert grammar.reads(json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode())


# --- the tokens ---


@pytest.fixture(scope="module")
def provider() -> Iterator[LocalProvider]:
    provider = provider_for(trained("qwen3").parent)
    list(provider.stream(attempt("Hello", max_tokens=1)))
    yield provider
    provider.close()


def states(grammar: Grammar, text: bytes) -> Iterator[State]:
    state: State | None = grammar.start
    for byte in text:
        assert state is not None
        yield state
        state = grammar.step(state, byte)


def test_the_mask_is_of_exactly_the_tokens_that_may_follow(provider: LocalProvider):
    weights = provider._engines["qwen3"].weights
    assert weights is not None
    vocabulary = Vocabulary.of(weights.tokenizer, weights.model.config.vocab_size)
    assert Vocabulary.of(weights.tokenizer, weights.model.config.vocab_size) is vocabulary
    _, grammar = vocabulary.reading(RISK)
    assert vocabulary.reading(RISK)[1] is grammar

    def follows(state: State, spelling: bytes) -> bool:
        after: State | None = state
        for byte in spelling:
            after = grammar.step(after, byte) if after is not None else None
        return bool(spelling) and after is not None

    for state in states(grammar, '{"title": "ü \\" hello", "severity": 3,"tags": [1, 20]}'.encode()):
        allowed = vocabulary.allowed(grammar, state).nonzero().flatten().tolist()
        assert allowed == [one for one in range(vocabulary.size) if follows(state, vocabulary.spelling(one))]


def test_tokenizers_that_spell_by_words_are_understood_and_others_are_not():
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<unk>": 0, "▁a": 1, "a": 2, '{"': 3, "<0x7B>": 4, "▁": 5}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True))
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    words = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    assert is_spelt(words)
    spelt = Vocabulary(words, 6)
    assert [spelt.spelling(number) for number in range(6)] == [b"", b" a", b"a", b'{"', b"{", b" "]
    other = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
    other.decoder = decoders.WordPiece()
    assert not is_spelt(PreTrainedTokenizerFast(tokenizer_object=other, unk_token="[UNK]"))


def test_a_value_that_cannot_go_on_ends(provider: LocalProvider):
    import torch

    weights = provider._engines["qwen3"].weights
    assert weights is not None
    size = weights.model.config.vocab_size
    guide = Guide(False, lambda: Vocabulary.of(weights.tokenizer, size), [1, 2], lambda: False)  # type: ignore[arg-type]
    held = guide.hold(torch.zeros(size))
    assert (held == 0).nonzero().flatten().tolist() == [1, 2]


def test_masks_of_all_schemas_have_one_bound(provider: LocalProvider):
    import torch

    weights = provider._engines["qwen3"].weights
    assert weights is not None
    vocabulary = Vocabulary(weights.tokenizer, weights.model.config.vocab_size)
    for number in range(300):
        Guide({"const": number}, lambda: vocabulary, [1], lambda: False).hold(torch.zeros(vocabulary.size))
    assert len(vocabulary._masks) == 256


FORK = """
import os
import multimodel.providers.{module} as module

with module.{lock}:
    child = os.fork()
    if not child:
        os._exit(0 if module.{lock}.acquire(timeout=0) else 1)
_, status = os.waitpid(child, 0)
raise SystemExit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize(
    ("module", "lock"), [("local.constrain_tokens", "_one_at_a_time"), ("litellm_import", "_lock")]
)
def test_a_forked_child_does_not_wait_for_a_thread_of_its_parent(module: str, lock: str):
    code = FORK.format(module=module, lock=lock)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=60, check=False).returncode == 0


# --- the model ---


def asked(provider: LocalProvider, **options: Any) -> Answer:
    return Answer(provider.stream(attempt(options.pop("messages", "Hello"), temperature=1.5, **options)))


def as_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


BOUNDED = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["storm", "fire"]},
        "sure": {"type": "boolean"},
        "counts": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
    },
    "required": ["kind", "sure", "counts"],
}


def test_a_model_that_never_learnt_json_writes_what_fits(provider: LocalProvider):
    free = asked(provider, seed=1, max_tokens=40)
    with pytest.raises(ValueError):
        json.loads(free.text)
    for seed in range(3):
        held = asked(provider, seed=seed, max_tokens=200, response_format=as_format(BOUNDED))
        assert held.reason == "stop"
        jsonschema.validate(json.loads(held.text), BOUNDED)


def test_requests_that_are_computed_together_are_held_each_to_its_own(provider: LocalProvider):
    schemas = [BOUNDED, {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}, None]

    def one(schema: Any) -> Answer:
        given = {} if schema is None else {"response_format": as_format(schema)}
        return asked(provider, seed=3, max_tokens=120, **given)

    with ThreadPoolExecutor(3) as pool:
        first, second, free = pool.map(one, schemas)
    jsonschema.validate(json.loads(first.text), BOUNDED)
    assert list(json.loads(second.text)) == ["n"]
    assert free.text == one(None).text


def test_what_is_not_held_to_is_told(provider: LocalProvider):
    notes: list[str] = []
    schema = {"type": "object", "properties": {"a": {"enum": ["x"], "pattern": "x"}}, "required": ["a"]}
    held = asked(provider, response_format=as_format(schema), max_tokens=30, notes=notes)
    assert json.loads(held.text) == {"a": "x"}
    assert notes == ["the answer is not held to `pattern` while it is written"]
    notes.clear()
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    asked(provider, response_format=as_format(schema), tools=[tool], max_tokens=3, notes=notes)
    assert notes == ["the answer is not held to its format while it is written, as it may be a tool call"]


def test_thinking_is_free_and_the_answer_after_it_is_held(provider: LocalProvider):
    import torch

    weights = provider._engines["qwen3"].weights
    assert weights is not None
    size, thinking = weights.model.config.vocab_size, [True]
    guide = Guide(BOUNDED, lambda: Vocabulary.of(weights.tokenizer, size), weights.ends, lambda: thinking[0])
    logits = torch.zeros(size)
    assert guide.hold(logits) is logits
    guide.take(5)
    thinking[0] = False
    held = guide.hold(logits)
    spelt = {Vocabulary.of(weights.tokenizer, size).spelling(one) for one in (held == 0).nonzero().flatten().tolist()}
    assert b"{" in spelt
    assert all(spelling.startswith(b"{") for spelling in spelt)


class Risk(BaseModel):
    title: Literal["Lock-in", "Outage"]
    severity: int


def test_real_small_weights_answer_with_a_value_through_the_client():
    spec = importlib.util.spec_from_file_location("offline", ROOT / "examples" / "offline.py")
    assert spec is not None
    assert spec.loader is not None
    offline = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(offline)
    policy = {
        "providers": {"local": {"archive": str(offline.weights())}},
        "routes": {
            "chat": {"chain": [f"local:{offline.WEIGHTS}"], "timeouts": {"first_content": "120s", "idle": "60s"}}
        },
    }
    with Client(policy) as client:
        answer = client.complete("chat", "Which risk?", response_model=Risk, max_tokens=40)
        assert isinstance(answer.parsed, Risk)
        assert [one.outcome for one in answer.report.attempts] == ["ok"]
        mapping = client.complete("chat", "Say hello.", response_format={"type": "json_object"}, max_tokens=12)
        assert mapping.text.startswith("{")
