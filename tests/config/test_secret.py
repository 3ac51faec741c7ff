from __future__ import annotations

import copy
import hashlib
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from multimodel.config import MistakeError, Secret

CANARY = "sk-canary-0123456789"


class Holder(BaseModel):
    key: Secret


def test_a_secret_shows_itself_only_when_asked_to() -> None:
    secret = Secret(CANARY)
    holder = Holder(key=secret)
    places = [repr(secret), str(secret), f"{secret}", repr(holder), holder.model_dump_json(), str(holder.model_dump())]
    assert not any(CANARY in place for place in places)
    assert secret.reveal() == CANARY


def test_a_secret_cannot_be_pickled_but_copied() -> None:
    secret = Secret(CANARY)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret)
    assert copy.deepcopy(secret) is copy.copy(secret) is secret


def test_secrets_of_the_same_text_are_equal() -> None:
    assert Secret("a") == Secret("a\n") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a") != "a"


def test_line_ends_after_a_key_are_removed_and_that_is_told() -> None:
    assert [Secret(text).stripped for text in ("k", "k\n", "k\r\n")] == [False, True, True]
    assert Secret("k\r\n").reveal() == "k"


def test_the_fingerprint_is_the_beginning_of_the_hash() -> None:
    assert Secret(CANARY).fingerprint == hashlib.sha256(CANARY.encode()).hexdigest()[:12]


@pytest.mark.parametrize("text", ["", "\n", " key", "key ", "ke\ny", "schlüssel", "k\x00y", "k\ty", "“key”"])
def test_what_no_header_can_carry_is_no_key(text: str) -> None:
    with pytest.raises(MistakeError, match="the key is"):
        Secret(text)


@given(st.text(min_size=1))
def test_a_key_is_taken_or_refused_and_never_quoted(text: str) -> None:
    try:
        made = Secret(CANARY + text)
    except MistakeError as error:
        told = "".join(traceback.format_exception(error))
    else:
        told = repr(made)
    assert CANARY not in told


def test_pydantic_takes_text_or_a_secret_and_nothing_else() -> None:
    assert Holder.model_validate({"key": CANARY}).key == Holder(key=Secret(CANARY)).key
    with pytest.raises(ValidationError, match="a key is text"):
        Holder.model_validate({"key": 5})
