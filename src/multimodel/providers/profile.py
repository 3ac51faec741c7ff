"""Profiles: what a vendor *is*, as data. One YAML file a vendor; this model also generates ``schema.json``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from ..errors import Kind, Scope
from ..wire import Dialect, ErrorRule

Slug = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
Modality = Literal["text", "image", "audio", "video", "file"]
Feature = Literal["tools", "parallel_tools", "json_object", "json_schema", "reasoning", "prefill", "seed", "embeddings"]
Thinking = Literal["hybrid", "always", "none"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Fact(_Data):
    """Where a fact comes from. A fact without a source and a date is left out of the catalogue.

    :ivar source: an address, or what else finds it again.
    :ivar date: the day that the source bears; the day it was read, if it bears none.
    """

    source: str
    date: date


class Endpoint(_Data):
    """One region of a vendor.

    :ivar url: scheme and host, without the protocol's path.
    :ivar workspace_url: the same for a workspace; ``{workspace}`` is replaced.
    :ivar aliases: other names of the region.
    :ivar stored_in: where data is stored, ISO 3166 codes; None is unknown.
    :ivar inference_in: where inference may run, all of it: ISO 3166 codes, ``EU``, or the vendor's own words, which
        no rule about places allows (``international``, ``global``); None is unknown.
    """

    url: str | None = None
    workspace_url: str | None = None
    aliases: tuple[str, ...] = ()
    stored_in: tuple[str, ...] | None = None
    inference_in: tuple[str, ...] | None = None
    fact: Fact

    @model_validator(mode="after")
    def _some_url(self) -> Endpoint:
        if self.url is None and self.workspace_url is None:
            raise ValueError("an endpoint needs `url` or `workspace_url`")
        return self


class Protocol(_Data):
    """One way to talk to the vendor: a wire format and the path it lives under."""

    wire: Literal["openai_chat", "dashscope"]
    path: str = ""


class ErrorRow(_Data):
    """One row of the vendor's error table: see :class:`multimodel.wire.ErrorRule`."""

    kind: Kind
    status: int | None = None
    code: str | None = None
    text: str | None = None
    scope: Scope | None = None
    hint: str | None = None

    def rule(self) -> ErrorRule:
        """Return the row as the codecs want it."""
        return ErrorRule(**self.model_dump())


class Price(_Data):
    """US dollars per million tokens, list price, for requests of up to ``up_to`` input tokens.

    :ivar region: the region it holds for; None for all.
    :ivar thinking_output: price of output tokens while thinking, where it differs.
    """

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(None, ge=0)
    thinking_output: float | None = Field(None, ge=0)
    up_to: int | None = Field(None, gt=0)
    region: str | None = None
    fact: Fact


class ModelFacts(_Data):
    """What is known of one model. None means unknown, and the unknown counts as supported.

    :ivar author: who made the weights.
    :ivar restricts: what the licence asks for or forbids beyond attribution; None when nothing is known.
    :ivar window: context window in tokens.
    :ivar max_input: input tokens, where the vendor limits them apart.
    :ivar modalities: what may go in.
    :ivar features: what works; a feature of ``lacks`` does not, any other is unknown.
    :ivar thinking: ``hybrid`` can be switched, ``always`` cannot, ``none`` has none.
    :ivar native_path: which of DashScope's native paths serves it.
    :ivar quirks: named deviations for this model, over the profile's.
    :ivar retired: when it stops, or stopped, answering.
    :ivar sources: where single fields come from, by their names, if not from ``fact``.
    """

    author: str | None = None
    licence: str | None = None
    restricts: str | None = None
    open_weights: bool | None = None
    weights_id: str | None = None
    window: int | None = Field(None, gt=0)
    max_input: int | None = Field(None, gt=0)
    max_output: int | None = Field(None, gt=0)
    modalities: tuple[Modality, ...] | None = None
    features: tuple[Feature, ...] = ()
    lacks: tuple[Feature, ...] = ()
    thinking: Thinking | None = None
    native_path: Literal["text", "multimodal"] | None = None
    quirks: dict[str, JsonValue] = Field(default_factory=dict)
    prices: tuple[Price, ...] = ()
    retired: date | None = None
    replaced_by: str | None = None
    remark: str | None = None
    sources: dict[str, Fact] = Field(default_factory=dict)
    fact: Fact


class Profile(_Data):
    """One vendor.

    :ivar operator: who runs the endpoint, a slug; None for whatever the user runs.
    :ivar jurisdiction: ISO 3166 code of the operator's seat, or None.
    :ivar adapter: ``http``, ``litellm``, ``local``, or the name of a plugin's adapter.
    :ivar litellm: the vendor's name at litellm: ``NAME`` is asked as ``vendor/NAME``. Only with that adapter.
    :ivar protocol: the protocol used unless the policy says otherwise.
    :ivar key: environment variables that may hold the key, in order.
    :ivar key_required: whether a missing key disables the provider's targets.
    :ivar variables: other environment variables that the adapter reads by itself, and what each is for.
    :ivar region: the endpoint used unless the policy says otherwise.
    :ivar default_model: the model of the built-in default chain.
    :ivar quirks: named deviations from the wire format.
    :ivar quirks_elsewhere: replaces ``quirks`` where a policy sets its own ``base_url``; None: the same hold there.
    :ivar families: quirks of all models with a word in their name, over ``quirks`` and under a model's own.
    :ivar otel: the vendor's name in OpenTelemetry's conventions, ``gen_ai.provider.name``; None: the profile's own.
    :ivar errors: the vendor's error table; the first row that matches holds.
    :ivar prices: what models cost that have no prices of their own, those that are not listed included.
    :ivar sources: where single fields come from, by their names, if not from ``fact``.
    """

    name: str = Slug
    title: str
    operator: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9-]*$")
    jurisdiction: str | None = None
    website: str | None = None
    adapter: str = "http"
    litellm: str | None = None
    protocols: dict[str, Protocol] = Field(default_factory=dict)
    protocol: str | None = None
    key: tuple[str, ...] = ()
    key_required: bool = True
    variables: dict[str, str] = Field(default_factory=dict)
    endpoints: dict[str, Endpoint] = Field(default_factory=dict)
    region: str | None = None
    default_model: str | None = None
    otel: str | None = None
    quirks: dict[str, JsonValue] = Field(default_factory=dict)
    quirks_elsewhere: dict[str, JsonValue] | None = None
    families: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)
    errors: tuple[ErrorRow, ...] = ()
    models: dict[str, ModelFacts] = Field(default_factory=dict)
    prices: tuple[Price, ...] = ()
    remark: str | None = None
    sources: dict[str, Fact] = Field(default_factory=dict)
    fact: Fact

    @model_validator(mode="after")
    def _consistent(self) -> Profile:
        if self.adapter == "http" and not self.protocols:
            raise ValueError("an http vendor needs `protocols`")
        if self.litellm is not None and self.adapter != "litellm":
            raise ValueError("`litellm` names a vendor for the adapter `litellm` only")
        if self.protocols and self.protocol not in self.protocols:
            raise ValueError(f"`protocol` must be one of {', '.join(self.protocols)}")
        if self.region is not None and self.region not in self.endpoints:
            raise ValueError(f"`region` must be one of {', '.join(self.endpoints)}")
        return self

    def endpoint(self, region: str) -> tuple[str, Endpoint] | None:
        """Find a region by its name or one of its aliases."""
        for name, endpoint in self.endpoints.items():
            if region == name or region in endpoint.aliases:
                return name, endpoint
        return None

    def facts(self, model: str) -> ModelFacts | None:
        """What is known of ``model``; None when the catalogue does not list it."""
        return self.models.get(model)

    def elsewhere(self) -> Profile:
        """What the vendor is at an endpoint of the user's own."""
        return self if self.quirks_elsewhere is None else self.model_copy(update={"quirks": self.quirks_elsewhere})

    def dialect(self, model: str) -> Dialect:
        """What a codec must know to talk to ``model``."""
        facts = self.facts(model)
        quirks: Mapping[str, Any] = self.quirks
        for word, common in self.families.items():
            if word in model:
                quirks = {**quirks, **common}
        if facts is not None:
            own = {"native_path": facts.native_path} if facts.native_path else {}
            quirks = {**quirks, **own, **facts.quirks}
        return Dialect(
            quirks=quirks,
            errors=tuple(row.rule() for row in self.errors),
            thinking=facts.thinking if facts else None,
        )
