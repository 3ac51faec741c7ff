"""Routes: the chain of targets behind one logical name, and how a call goes along it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, GetJsonSchemaHandler, JsonValue, StrictBool, field_validator, model_validator
from pydantic_core import CoreSchema

from ..types import ReasoningEffort
from .fields import Amount, Count, Duration, Pause, Settings, Share, TargetName, inherit
from .problems import MistakeError
from .prompt import Prompt, PromptFile
from .residency import Residency

__all__ = [
    "Breaker",
    "Budget",
    "ChainMember",
    "Hedge",
    "Need",
    "Params",
    "Retry",
    "Route",
    "Shadow",
    "Timeouts",
]

Need: TypeAlias = Literal[
    "tools",
    "parallel_tools",
    "json_object",
    "json_schema",
    "reasoning",
    "prefill",
    "seed",
    "embeddings",
    "vision",
    "audio",
    "video",
    "file",
]
"""What a request, or a route's ``requires``, may need of a target."""


class Timeouts(Settings):
    """The limits of one attempt, in seconds.

    :ivar first_content: until the first content; None is 10 s, or 60 s for a model that always thinks before it answers.
    :ivar idle: between two contents.
    :ivar whole: for a whole body, with ``transfer: whole``.
    """

    connect: Duration = 3.0
    first_content: Duration | None = None
    idle: Duration = 15.0
    whole: Duration = 60.0


class Retry(Settings):
    """Repeats on the same target.

    :ivar attempts: requests a target in one call, the first one counted.
    :ivar budget: repeats as a share of calls, over all calls with the same credential.
    :ivar patience: the longest wait asked for by a vendor that is slept through while another target is left.
    """

    attempts: Count = 2
    budget: Share = 0.1
    patience: Pause = 3.0


class Breaker(Settings):
    """When a failing target is left alone, and for how long.

    :ivar failures: consecutive failures that open it.
    :ivar ratio: share of failures that opens it, of at least ten calls within ``window``.
    :ivar open_at_most: seconds until the next probe, at most.
    """

    failures: Count = 5
    ratio: Share = 0.5
    window: Duration = 60.0
    open_at_most: Duration = 20.0


class Hedge(Settings):
    """A second attempt elsewhere when the first is slow.

    :ivar after: seconds without content, or ``p95``: what the target is measured to need.
    :ivar budget: second attempts as a share of calls.
    """

    after: Duration | Literal["p95"] = "p95"
    budget: Share = 0.05


class Shadow(Settings):
    """A target that gets a copy of some calls and whose answers nobody sees."""

    target: TargetName
    share: Share = 0.05


class Budget(Settings):
    """What may be spent, in US dollars.

    Before each request, the most that it can cost is set aside; afterwards what it did cost is booked, and the rest is
    free again. Targets that cost nothing are always allowed; those of unknown price are not asked.

    :ivar per_call: for all requests of one call together.
    :ivar per_day: for all calls of a UTC day on the route, by this client, or by one tenant of its views. It is kept in
        memory: each process counts by itself, from nothing.
    :ivar then: when a target does not fit: whether the call goes on with those after it that fit, or ends.
    """

    per_call: Amount | None = None
    per_day: Amount | None = None
    then: Literal["cheaper", "error"] = "cheaper"


class Params(Settings):
    """Defaults for the options of a request, with their names and ranges; what a call sets itself wins."""

    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False, strict=True)
    top_p: float | None = Field(default=None, gt=0, le=1, allow_inf_nan=False, strict=True)
    max_tokens: int | None = Field(default=None, ge=1, strict=True)
    stop: tuple[str, ...] = ()
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63, strict=True)
    parallel_tool_calls: StrictBool | None = None
    reasoning_effort: ReasoningEffort | None = None
    extra: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)

    def given(self) -> dict[str, Any]:
        """Return what was set, by name, ready for a request."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


class ChainMember(Settings):
    """One target of a chain, with what is different for it. In a policy file ``provider:model`` alone is enough.

    :ivar weights_id: names the weights, where the catalogue does not: vectors of targets of the same name can be
        compared.

    >>> ChainMember.model_validate("dashscope:qwen-plus").model
    'qwen-plus'
    """

    target: TargetName
    timeouts: Timeouts | None = None
    retry: Retry | None = None
    params: Params | None = None
    concurrency: Count | None = None
    weights_id: str | None = Field(default=None, min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"target": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        mapping = handler(schema)
        return {"anyOf": [{"type": "string", "pattern": r"^[^:\s]+:\S+$"}, mapping]}

    @property
    def provider(self) -> str:
        """The provider's name in the policy, or in the catalogue."""
        return self.target.partition(":")[0]

    @property
    def model(self) -> str:
        """The vendor's name of the model."""
        return self.target.partition(":")[2]


class Route(Settings):
    """One logical name that applications ask for.

    :ivar chain: the targets, in the order in which they are asked.
    :ivar extends: the route whose settings hold where this one says nothing.
    :ivar deadline: seconds for the whole call: every attempt, wait and fallback.
    :ivar max_attempts: requests a call, over all targets.
    :ivar concurrency: attempts that this process may have under way on one target; further calls take the next one.
        None is no limit of ours.
    :ivar requires: what every target must be able to do, whatever the request.
    :ivar residency: where data may be stored and inference may run; None is anywhere.
    :ivar fetch_media: whether images, sounds, films and documents that a request gives by their address are fetched for
        targets that take bytes only: from public addresses, at most 20 MB each, without redirects.
    :ivar transfer: whether answers come as a stream or as one body, where the caller does not stream.
    :ivar mid_stream: what happens when a stream breaks after its first content.
    :ivar traffic: weights by target; a draw decides who is asked first.
    :ivar on_content_filter: whether another target may be asked what one refuses.
    :ivar prompts: files with system text, by target, provider, author or operator, in this order; it comes before the
        call's own.
    :ivar budget: what may be spent; None is no limit.
    """

    chain: tuple[ChainMember, ...] = ()
    extends: str | None = None
    deadline: Duration = 120.0
    timeouts: Timeouts = Field(default_factory=Timeouts)
    retry: Retry = Field(default_factory=Retry)
    max_attempts: Count = 6
    concurrency: Count | None = None
    breaker: Breaker = Field(default_factory=Breaker)
    requires: tuple[Need, ...] = ()
    fetch_media: StrictBool = False
    residency: Residency | None = None
    transfer: Literal["stream", "whole"] = "stream"
    mid_stream: Literal["error", "restart", "continue"] = "error"
    hedge: Hedge | None = None
    traffic: dict[TargetName, Annotated[int, Field(strict=True, ge=0)]] = Field(default_factory=dict)
    shadow: Shadow | None = None
    on_content_filter: Literal["stop", "next"] = "stop"
    on_invalid_output: Literal["reask", "next", "stop"] = "reask"
    params: Params = Field(default_factory=Params)
    prompts: dict[str, PromptFile] = Field(default_factory=dict)
    budget: Budget | None = None

    @field_validator("chain")
    @classmethod
    def _each_target_once(cls, chain: tuple[ChainMember, ...]) -> tuple[ChainMember, ...]:
        seen: dict[str, int] = {}
        for place, member in enumerate(chain, 1):
            first = seen.setdefault(member.target, place)
            if first != place:
                message = f"members {first} and {place} of the chain are the same target"
                raise MistakeError(message, "remove one: each target is asked once")
        return chain

    @model_validator(mode="after")
    def _some_chain(self) -> Route:
        if not self.chain and self.extends is None:
            raise MistakeError("the route has no `chain`", "list its targets: `chain: [provider:model, …]`")
        return self

    def timeouts_for(self, member: ChainMember) -> Timeouts:
        """Return the limits of a member: the route's, and its own over them."""
        return self.timeouts if member.timeouts is None else inherit(member.timeouts, self.timeouts)

    def retry_for(self, member: ChainMember) -> Retry:
        """Return how often a member is repeated: the route's settings, and its own over them."""
        return self.retry if member.retry is None else inherit(member.retry, self.retry)

    def prompt_for(self, *names: str | None) -> tuple[str, Prompt] | None:
        """Return the first of ``names`` that has a system text, and the text."""
        return next(((name, self.prompts[name]) for name in names if name is not None and name in self.prompts), None)

    def params_for(self, member: ChainMember) -> Params:
        """Return the options of a member: the route's, and its own over them."""
        return self.params if member.params is None else inherit(member.params, self.params)
