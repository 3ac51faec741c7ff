from __future__ import annotations

from pathlib import Path

import pytest

from multimodel.errors import LocalOverloadError, ServerError
from multimodel.providers.local import LocalProvider
from multimodel.types import Finished

from .lab import NONSENSE, PATIENT, Inbox, Lab, provider_for

LONG = "weather hello " * 350  # three chunks and more


def written(inboxes: list[Inbox]) -> list[list[int]]:
    for inbox in inboxes:
        assert isinstance(inbox.last(), Finished)
    return [inbox.written for inbox in inboxes]


def test_rows_that_join_late_write_what_generate_writes(archive: Path, kind: str):
    provider = provider_for(archive)
    lab = Lab(provider, kind)
    inboxes = []
    for place, text in enumerate(NONSENSE):
        inboxes.append(lab.submit(text, max_tokens=12 + place))
        lab.step(3)
    lab.model.open()
    for inbox, said in zip(inboxes, written(inboxes), strict=True):
        assert said == lab.alone(inbox.row, inbox.row.most)
    assert max(rows for rows, _ in lab.model.shapes) > 2
    lab.close()
    provider.close()


def test_a_long_prompt_is_computed_in_chunks_between_the_steps_of_the_others(archive: Path, kind: str):
    provider = provider_for(archive)
    lab = Lab(provider, kind)
    short = lab.submit("zq", max_tokens=12)
    lab.step(2)
    long = lab.submit(LONG, max_tokens=4)
    lab.step(9)
    lab.model.open()
    assert written([short, long]) == [lab.alone(short.row, 12), lab.alone(long.row, 4)]
    chunks = [length for _, length in lab.model.shapes if length > 1][1:]
    assert chunks[:-1] == [256] * (len(chunks) - 1)
    assert len(chunks) > 3
    between = lab.model.shapes.index((1, 256))
    assert lab.model.shapes[between : between + 4] == [(1, 256), (1, 1), (1, 256), (1, 1)]
    lab.close()
    provider.close()


def test_a_row_that_is_cancelled_while_it_waits_is_never_computed(provider: LocalProvider):
    lab = Lab(provider, "qwen3", max_rows=1)
    first, second = lab.submit("zq", max_tokens=3), lab.submit(LONG, max_tokens=3)
    lab.model.begun()
    second.row.cancelled = True
    lab.model.finish()
    lab.model.open()
    assert isinstance(first.last(), Finished)
    third = lab.submit("zq", max_tokens=1)
    assert isinstance(third.last(), Finished)
    assert second.said.empty()
    assert (1, 256) not in lab.model.shapes
    lab.close()


def test_a_row_that_is_cancelled_in_its_prompt_costs_one_chunk_more_at_most(lab: Lab):
    row = lab.submit(LONG, max_tokens=3)
    lab.model.begun()
    row.row.cancelled = True
    lab.model.finish()
    other = lab.submit("zq", max_tokens=1)
    lab.model.open()
    assert isinstance(other.last(), Finished)
    assert lab.model.shapes.count((1, 256)) == 1
    assert row.said.empty()


def test_a_row_that_is_cancelled_in_a_step_leaves_the_others_as_they_were(lab: Lab):
    stays = lab.submit("zq", max_tokens=10)
    lab.step()
    goes = lab.submit(NONSENSE[2], max_tokens=10)
    lab.step(3)
    lab.model.begun()
    goes.row.cancelled = True
    lab.model.finish()
    before = len(goes.row.ids)
    lab.model.open()
    assert written([stays]) == [lab.alone(stays.row, 10)]
    assert len(goes.row.ids) == before
    assert (1, 1) in lab.model.shapes[-4:]


def test_a_full_queue_refuses_at_once(provider: LocalProvider):
    lab = Lab(provider, "qwen3", max_rows=1, queue=2)
    rows = [lab.submit("zq", max_tokens=1)]
    lab.model.begun()
    rows += [lab.submit("zq", max_tokens=1), lab.submit("zq", max_tokens=1)]
    with pytest.raises(LocalOverloadError, match="2 requests already wait"):
        lab.submit("zq", max_tokens=1)
    lab.model.finish()
    lab.model.open()
    written(rows)
    lab.close()


def test_a_failing_step_is_told_to_every_row_and_the_engine_goes_on(provider: LocalProvider):
    lab = Lab(provider, "qwen3", max_rows=2)
    computed = lab.submit("zq", max_tokens=9)
    lab.step(2)
    in_prompt, waits = lab.submit(LONG, max_tokens=9), lab.submit("zq", max_tokens=9)
    lab.step(2)
    lab.model.begun()
    lab.model.fails = RuntimeError("out of luck")
    lab.model.finish()
    for inbox in (computed, in_prompt, waits):
        error = inbox.last()
        assert isinstance(error, ServerError)
        assert error.detail == "out of luck"
        assert inbox.said.empty()
    lab.model.fails = None
    lab.model.open()
    later = lab.submit("zq", max_tokens=5)
    assert written([later]) == [lab.alone(later.row, 5)]
    lab.close()


def test_a_row_whose_reading_fails_does_not_harm_the_others(lab: Lab):
    good, bad = lab.submit("zq", max_tokens=6), lab.submit("!!", max_tokens=6)

    def fails(*_: object) -> None:
        raise RuntimeError

    bad.row.sampler.pick = fails
    lab.model.open()
    assert isinstance(bad.last(), ServerError)
    assert written([good]) == [lab.alone(good.row, 6)]


def test_when_memory_is_short_rows_take_turns_and_lose_nothing(provider: LocalProvider):
    said = []
    for room in (None, 2 * 300):  # two rows fit, until they have grown
        lab = Lab(provider, "qwen3", room=room, window=600)
        lab.model.open()
        said.append(written([lab.submit(text, max_tokens=320) for text in ("zq", "!!", "hello")]))
        lab.close()
    assert said[0] == said[1]
    steps = [rows for rows, length in lab.model.shapes if length == 1]
    assert max(steps) == 2
    assert (1, 256) in lab.model.shapes  # computed again, with what was written


def test_an_engine_that_ends_now_tells_its_rows(lab: Lab):
    row = lab.submit("zq", max_tokens=100)
    lab.step(2)
    lab.close()
    assert isinstance(row.last(), LocalOverloadError)
    with pytest.raises(LocalOverloadError):
        lab.submit("zq")


def test_an_engine_that_ends_when_idle_finishes_its_rows_and_frees_the_weights(lab: Lab):
    row = lab.submit("zq", max_tokens=5)
    lab.step(2)
    lab.engine.end("when idle")
    lab.model.open()
    assert isinstance(row.last(), Finished)
    lab.engine.join(PATIENT)
    assert lab.engine.weights is None
