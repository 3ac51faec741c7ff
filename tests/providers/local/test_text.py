from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from multimodel.providers.local.text import Stops, Writer
from multimodel.types import TextDelta
from multimodel.wire.qwen_text import QwenText

ANY = "a👍🏽é漢字\n👩‍👩‍👧‍👦 𝄞ß"


def writer(archive: Path, stops: tuple[str, ...] = ()) -> tuple[Tokenizer, Writer]:
    tokenizer = Tokenizer.from_file(str(archive / "qwen3" / "tokenizer.json"))
    return tokenizer, Writer(tokenizer, QwenText((), thinking=False, new_id=str), stops)


def spelled(events: object) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))  # type: ignore[attr-defined]


@given(st.text(alphabet=ANY, max_size=30))
def test_ids_one_by_one_spell_the_text(archive_tokenizer: Path, text: str):
    tokenizer, writes = writer(archive_tokenizer)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    said = "".join(spelled(writes.feed(token)) for token in ids) + spelled(writes.close(cut=False))
    assert said == tokenizer.decode(ids, skip_special_tokens=False)


@given(st.text(alphabet=ANY, min_size=1, max_size=12), st.data())
def test_a_cut_anywhere_spells_a_beginning(archive_tokenizer: Path, text: str, data: st.DataObject):
    tokenizer, writes = writer(archive_tokenizer)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    cut = data.draw(st.integers(0, len(ids)))
    said = "".join(spelled(writes.feed(token)) for token in ids[:cut]) + spelled(writes.close(cut=True))
    assert tokenizer.decode(ids, skip_special_tokens=False).startswith(said)
    assert "\ufffd" not in said


@given(
    st.text(alphabet="ab", max_size=40), st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=3), st.data()
)
def test_a_stop_string_is_found_however_the_text_is_cut(text: str, strings: list[str], data: st.DataObject):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    stops, said = Stops(strings), ""
    for piece in pieces:
        said += stops.feed(piece)
        if stops.found:
            break
    else:
        said += stops.close()
    # the first to be complete ends the text
    ends = [text.index(string) + len(string) for string in strings if string in text]
    assert stops.found == bool(ends)
    if not ends:
        assert said == text
    else:
        assert text.startswith(said)
        assert all(string not in said for string in strings)
