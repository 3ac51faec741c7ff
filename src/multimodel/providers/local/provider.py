"""Open weights in this process: the adapter ``local``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import cast
from uuid import uuid4

from ...errors import CallError, ConfigurationError, error_for
from ...types import AnswerEvent, AnyRequest, Attempt, EmbedRequest, Finished
from ...wire.qwen_text import QwenText
from ...wire.schemas import asked_in_words
from ..base import ProviderSetup
from . import folder as folders
from . import registry
from .constrain_request import guide_for, schema_for
from .convert import convert_gguf
from .embedding import EmbeddingModel, EmbeddingWeights, describe_embedding, load_embedding, tokenized
from .embedding_engine import EmbeddingEngine, Texts
from .engine import Engine, EngineSettings, Row
from .extra import require
from .folder import LocalModel
from .load import Weights, load
from .manifest import Manifest
from .patience import Patience
from .sampling import Sampler
from .seal import check_hashes, check_sizes
from .text import Writer

__all__ = ["LocalProvider"]

Said = AnswerEvent | CallError


class LocalProvider:
    """Weights in folders of an archive: the model ``NAME`` is the folder ``archive/NAME``.

    Options of the setup:

    - ``archive``: the folder that holds a folder for each model;
    - ``cache``: where weights converted from GGUF are kept; beside their source by default;
    - ``threads``, ``device``, ``dtype``: how to compute; by default what torch and the machine suggest;
    - ``max_rows`` (16): requests that are computed together; ``queue`` (64): requests that may wait;
    - ``progress``: called as ``progress(model, stage)`` while weights are loaded, on a thread of its own; the stages
      are ``verifying``, ``converting``, ``loading`` and ``ready``.

    Weights that were archived must be as their manifest says: names and sizes whenever they are described, hashes
    before they are loaded.

    All providers of a process share the weights they have in common, with the first one's settings.
    """

    embeds = True

    def __init__(self, setup: ProviderSetup) -> None:
        options = setup.options
        self._name = setup.name
        self._archive = Path(options["archive"])
        self._cache = Path(options["cache"]) if options.get("cache") else None
        self._device: str | None = options.get("device")
        self._dtype: str | None = options.get("dtype")
        self._settings = EngineSettings(
            options.get("threads"), options.get("max_rows") or 16, options.get("queue") or 64
        )
        self._progress: Callable[[str, str], None] = options.get("progress") or (lambda _model, _stage: None)
        self._engines: dict[str, Engine | EmbeddingEngine] = {}

    def models(self) -> tuple[str, ...]:
        """Return the names of the weights that can be used, largest first."""
        found = []
        for name in folders.names(self._archive):
            try:
                model = self.describe(name)
            except ConfigurationError:
                continue
            if model is not None:
                found.append((-model.parameters, name))
        return tuple(name for _, name in sorted(found))

    def describe(self, model: str) -> LocalModel | None:
        """Say what the weights ``model`` are, from small files alone; None when there are none.

        :raises ConfigurationError: when they are refused or damaged, or the extra is missing.
        """
        try:
            where, author = self._locate(model)
            if where is None:
                return None
            source = folders.inspect(where)
            require(convert=source.gguf is not None)
            found = folders.describe(source, self._cache)
            if describe_embedding(source) is not None:
                raise ConfigurationError(
                    f"`{model}` turns texts into vectors", hint="use weights that are tuned to chat"
                )
        except OSError as error:
            raise ConfigurationError(f"the weights `{model}` cannot be read: {error.strerror}") from error
        return replace(found, author=author)

    def describe_embedding(self, model: str) -> EmbeddingModel | None:
        """Say what the weights ``model`` are, if they turn texts into vectors; None when they chat, or are not there.

        :raises ConfigurationError: when they are refused or damaged, or the extra is missing.
        """
        try:
            where, author = self._locate(model)
            found = None if where is None else describe_embedding(folders.inspect(where))
        except OSError as error:
            raise ConfigurationError(f"the weights `{model}` cannot be read: {error.strerror}") from error
        if found is None:
            return None
        require()
        return replace(found, author=author)

    def stream(self, attempt: Attempt[AnyRequest]) -> Iterator[AnswerEvent]:
        """Compute one answer; the caller's thread only waits."""
        return self._stream(attempt)

    def _stream(self, attempt: Attempt[AnyRequest]) -> Generator[AnswerEvent, None, None]:
        patience = Patience(attempt)
        engine = self._engine(attempt)
        while not engine.ready.done():
            try:
                engine.ready.result(patience.left)
            except TimeoutError:
                _raise_if_late(patience)
        engine.ready.result()
        patience.loaded()
        said: SimpleQueue[Said] = SimpleQueue()
        row = self._submit(engine, attempt, said.put)
        try:
            while True:
                try:
                    event = said.get(timeout=patience.left)
                except Empty:
                    _raise_if_late(patience)
                    continue
                if isinstance(event, CallError):
                    raise event
                patience.content()
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            row.cancelled = True

    def astream(self, attempt: Attempt[AnyRequest]) -> AsyncIterator[AnswerEvent]:
        """Compute one answer; the event loop only waits."""
        return self._astream(attempt)

    async def _astream(self, attempt: Attempt[AnyRequest]) -> AsyncGenerator[AnswerEvent, None]:
        patience = Patience(attempt)
        engine = self._engine(attempt)
        while not engine.ready.done():
            try:
                async with asyncio.timeout(patience.left):
                    await asyncio.wrap_future(engine.ready)
            except TimeoutError:
                _raise_if_late(patience)
        engine.ready.result()
        patience.loaded()
        loop = asyncio.get_running_loop()
        said: asyncio.Queue[Said] = asyncio.Queue()

        def deliver(event: Said) -> None:
            try:
                loop.call_soon_threadsafe(said.put_nowait, event)
            except RuntimeError:  # the loop is closed
                row.cancelled = True

        row = await self._asubmit(engine, attempt, deliver)
        try:
            while True:
                try:
                    async with asyncio.timeout(patience.left):
                        event = await said.get()
                except TimeoutError:
                    _raise_if_late(patience)
                    continue
                if isinstance(event, CallError):
                    raise event
                patience.content()
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            row.cancelled = True

    def close(self) -> None:
        """Give up the weights; they are freed when no other provider of the process uses them."""
        self._engines.clear()
        registry.release(self)

    async def aclose(self) -> None:
        """Do the same as :meth:`close`: the weights belong to no event loop."""
        self.close()

    def _engine(self, attempt: Attempt[AnyRequest]) -> Engine | EmbeddingEngine:
        model = attempt.model
        engine = self._engines.get(model)
        known = engine is not None and engine.pid == os.getpid() and engine.usable
        embeds = isinstance(engine, EmbeddingEngine) if known else self.describe_embedding(model) is not None
        if isinstance(attempt.request, EmbedRequest) and not embeds:
            raise error_for("policy_denied", "the weights chat and do not turn texts into vectors", code="capability")
        if embeds and not isinstance(attempt.request, EmbedRequest):
            self.describe(model)  # raises, and says why they do not chat
        if engine is None or not known:
            engine = self._engines[model] = self._start(model, embeds=embeds)
        return engine

    def _start(self, model: str, *, embeds: bool) -> Engine | EmbeddingEngine:
        where = folders.locate(self._archive, model)
        if where is None:
            raise ConfigurationError(f"no weights `{model}` in `{self._archive}`")
        which = registry.Which(where.resolve(), self._device, self._dtype)
        if embeds:
            load = partial(self._load_embedding, model)
            return registry.acquire(self, which, EmbeddingEngine, self._settings, load)
        return registry.acquire(self, which, Engine, self._settings, partial(self._load, model))

    def _locate(self, model: str) -> tuple[Path | None, str | None]:
        """Return the folder of weights, checked, and who made them."""
        where = folders.locate(self._archive, model)
        manifest = None if where is None else check_sizes(where)
        return where, None if manifest is None else manifest.author_slug

    def _verify(self, model: str) -> Manifest | None:
        """Compare the hashes of archived weights. Takes a while: on no caller's thread."""
        where = folders.locate(self._archive, model)
        if where is None or check_sizes(where) is None:
            return None
        self._progress(model, "verifying")
        return check_hashes(where)

    def _load(self, model: str) -> Weights:
        manifest = self._verify(model)
        found = self.describe(model)
        if found is None:
            raise ConfigurationError(f"no weights `{model}` in `{self._archive}`")
        source = folders.inspect(found.folder)
        if source.gguf is not None:
            self._progress(model, "converting")
            convert_gguf(source.gguf, folders.conversion(source, self._cache), origin=manifest)
            found = self.describe(model)
            assert found is not None
        if check_hashes(found.folder) is None and manifest is not None:  # of what was converted, too
            raise ConfigurationError(
                f"`{found.folder}` says not from what it was converted", hint="delete it: it is made again"
            )
        self._progress(model, "loading")
        weights = load(model, found, self._device, self._dtype)
        check_hashes(found.folder)  # reads only what changed meanwhile
        self._progress(model, "ready")
        return weights

    def _load_embedding(self, model: str) -> EmbeddingWeights:
        self._verify(model)
        found = self.describe_embedding(model)
        if found is None:
            raise ConfigurationError(f"no weights `{model}` in `{self._archive}`")
        self._progress(model, "loading")
        weights = load_embedding(model, found, self._device, self._dtype)
        check_hashes(found.folder)
        self._progress(model, "ready")
        return weights

    def _submit(
        self, engine: Engine | EmbeddingEngine, attempt: Attempt[AnyRequest], deliver: Callable[[Said], None]
    ) -> Row | Texts:
        if isinstance(engine, EmbeddingEngine):
            texts = self._texts(engine, attempt, deliver)
            engine.submit(texts)
            return texts
        row = self._row(engine, cast("Attempt", attempt), deliver)
        engine.submit(row)
        return row

    async def _asubmit(
        self, engine: Engine | EmbeddingEngine, attempt: Attempt[AnyRequest], deliver: Callable[[Said], None]
    ) -> Row | Texts:
        """Do the same as ``_submit``; texts may be many, and are read beside the event loop."""
        if isinstance(engine, EmbeddingEngine):
            texts = await asyncio.to_thread(self._texts, engine, attempt, deliver)
            engine.submit(texts)
            return texts
        return self._submit(engine, attempt, deliver)

    def _texts(self, engine: EmbeddingEngine, attempt: Attempt[AnyRequest], deliver: Callable[[Said], None]) -> Texts:
        """Read the texts: what does not fit fails before it waits in the queue."""
        weights, request = engine.weights, attempt.request
        if weights is None:
            raise error_for("local_overload", "the local weights were unloaded")
        assert isinstance(request, EmbedRequest)
        ids = tokenized(weights, request.inputs, request.dimensions)
        return Texts(attempt.model, ids, request.dimensions, deliver)

    def _row(self, engine: Engine, attempt: Attempt, deliver: Callable[[Said], None]) -> Row:
        """Read the request, on the caller's thread: what does not fit fails before it waits in the queue."""
        weights = engine.weights
        if weights is None:
            raise error_for("local_overload", "the local weights were unloaded")
        request = attempt.request
        unused = request.extra.get(self._name)
        if unused:
            names = ", ".join(f"`{name}`" for name in unused)
            attempt.lose(f"extra.{self._name}", f"local weights have no option {names}")
        schema = schema_for(request, weights.tokenizer, attempt.note)
        prompt = weights.template.prompt(asked_in_words(request), attempt.note, attempt.lose)
        room = weights.window - len(prompt.ids)
        if room < (request.max_tokens or 1):
            answer = f" and an answer of {request.max_tokens}" if request.max_tokens else ""
            raise error_for(
                "context_window_exceeded",
                f"a prompt of {len(prompt.ids)} tokens{answer} does not fit into a window of {weights.window}",
            )
        offered = request.tools if request.tool_choice != "none" else ()
        parser = QwenText(offered, thinking=prompt.thinking, new_id=lambda: f"call_{uuid4().hex[:24]}")
        one_call = request.parallel_tool_calls is False
        guide = None if schema is None else guide_for(schema, weights, lambda: parser.thinking)
        return Row(
            model=attempt.model,
            ids=prompt.ids,
            most=request.max_tokens or room,
            sampler=Sampler(request, weights.model.generation_config, weights.device, guide),
            writer=Writer(weights.tokenizer.backend_tokenizer, parser, request.stop, one_call=one_call),
            deliver=deliver,
        )


def _raise_if_late(patience: Patience) -> None:
    error = patience.late()
    if error is not None:
        raise error
