"""``providers``: the vendors that are known."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

from ..config.facts import FACTS_AGE, PRICES_AGE, is_stale
from ..config.problems import did_you_mean
from ..errors import ConfigurationError
from ..providers.catalogue import profiles
from ..providers.profile import Fact, ModelFacts, Profile
from .printing import plain, print_json, print_table, tell

__all__ = ["providers"]


def providers(args: Namespace) -> int:
    """Print a table of all vendors, or all that is known of one."""
    known = profiles(os.environ)
    if args.name is None:
        summaries = [_summary(profile, os.environ) for profile in known.values()]
        if args.json:
            print_json(summaries)
        else:
            print_table(tuple(summaries[0]), [tuple(summary.values()) for summary in summaries])
        return 0
    if args.name not in known:
        hint = did_you_mean(args.name, known) or "`multimodel providers` lists them"
        raise ConfigurationError(f"unknown provider `{args.name}`", hint=hint)
    profile = known[args.name]
    if args.json:
        print_json(profile)
    else:
        _print_profile(profile)
    return 0


def _summary(profile: Profile, environ: Mapping[str, str]) -> dict[str, str | None]:
    protocol = profile.protocols.get(profile.protocol or "")
    return {
        "name": profile.name,
        "title": profile.title,
        "operator": profile.operator,
        "jurisdiction": profile.jurisdiction,
        "wire": protocol.wire if protocol else profile.adapter,
        "key": _keys(profile, environ),
    }


def _keys(profile: Profile, environ: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {'set' if environ.get(name) else 'not set'}" for name in profile.key)


def _print_profile(profile: Profile) -> None:
    sources = _Sources(datetime.now(UTC).date())
    law = profile.sources.get("jurisdiction", profile.fact)
    place = f" ({profile.jurisdiction}) {sources.number(law)}" if profile.jurisdiction else ""
    print(plain(f"{profile.name}: {profile.title}"))
    print(f"operator: {profile.operator or 'whoever runs it'}{place}")
    print(f"key: {_keys(profile, os.environ) or 'none'}")
    print(f"asked: {_asked(profile)} {sources.number(profile.fact)}")
    if profile.remark is not None:
        print(plain(f"remark: {profile.remark}"))
    _section(
        ("variable", "now", "for"),
        [(name, "set" if os.environ.get(name) else "not set", use) for name, use in profile.variables.items()],
    )
    _section(
        ("region", "stored in", "inference in", "other names", "endpoint", "source"),
        [
            (
                f"{name} (default)" if name == profile.region else name,
                "unknown" if endpoint.stored_in is None else endpoint.stored_in,
                "unknown" if endpoint.inference_in is None else endpoint.inference_in,
                endpoint.aliases,
                endpoint.url or endpoint.workspace_url,
                sources.number(endpoint.fact),
            )
            for name, endpoint in profile.endpoints.items()
        ],
    )
    _print_models(profile, sources)
    errors = sources.number(profile.sources.get("errors", profile.fact)) if profile.errors else ""
    _section(
        ("error", "status", "code", "text", "hint", "source"),
        [(row.kind, row.status, row.code, row.text, row.hint, errors) for row in profile.errors],
    )
    sources.print()


def _asked(profile: Profile) -> str:
    """Say how requests reach the vendor."""
    if profile.litellm is not None:
        return f"through litellm, as `{profile.litellm}/MODEL`"
    if not profile.protocols:
        return f"through the adapter `{profile.adapter}`"
    ways = [f"{name} ({way.wire}{f' at {way.path}' if way.path else ''})" for name, way in profile.protocols.items()]
    return ", ".join(ways)


def _print_models(profile: Profile, sources: _Sources) -> None:
    _section(
        ("model", "author", "window", "output", "takes", "can", "cannot", "thinks", "retired", "source"),
        [_model_row(name, facts, sources) for name, facts in profile.models.items()],
    )
    _section(
        ("USD per million tokens", "region", "up to", "input", "cached", "output", "thinking", "source"),
        list(_price_rows(profile, sources)),
    )
    _section(
        ("weights of", "licence", "weights", "restricts", "source"),
        [
            (name, facts.licence, facts.weights_id, facts.restricts, sources.of(facts, "restricts", "licence"))
            for name, facts in profile.models.items()
            if facts.licence or facts.open_weights
        ],
    )
    _section(
        ("remark on", "remark", "source"),
        [
            (name, facts.remark, sources.of(facts, "remark"))
            for name, facts in profile.models.items()
            if facts.remark is not None
        ],
    )


def _section(heads: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    if rows:
        print()
        print_table(heads, rows)


def _model_row(name: str, facts: ModelFacts, sources: _Sources) -> tuple[object, ...]:
    gone = f"{facts.retired}" if facts.retired else ""
    return (
        name,
        facts.author,
        facts.window or facts.max_input,
        facts.max_output,
        facts.modalities,
        facts.features,
        facts.lacks,
        facts.thinking,
        f"{gone} → {facts.replaced_by}".strip() if facts.replaced_by else gone,
        sources.number(facts.fact),
    )


def _price_rows(profile: Profile, sources: _Sources) -> Iterator[tuple[object, ...]]:
    for name, facts in profile.models.items():
        for price in facts.prices:
            amounts = (price.input, price.cached_input, price.output, price.thinking_output)
            shown = tuple(None if amount is None else f"{amount:g}" for amount in amounts)
            yield (name, price.region, price.up_to, *shown, sources.number(price.fact, PRICES_AGE))


class _Sources:
    """Where the facts of a page come from, each told once, at its end."""

    def __init__(self, today: date) -> None:
        self._today = today
        self._numbers: dict[Fact, int] = {}
        self._stale: dict[Fact, timedelta] = {}

    def number(self, fact: Fact, age: timedelta = FACTS_AGE) -> str:
        """Return the number under which ``fact`` is told.

        :param age: how old it may be.
        """
        if is_stale(fact, age, self._today):
            self._stale[fact] = min(age, self._stale.get(fact, age))
        return f"[{self._numbers.setdefault(fact, len(self._numbers) + 1)}]"

    def of(self, facts: ModelFacts, *fields: str) -> str:
        """Return the number of the source of the first of these fields that has one of its own, or of the model."""
        return self.number(next((facts.sources[field] for field in fields if field in facts.sources), facts.fact))

    def print(self) -> None:
        """Tell all that were numbered, and which of them are old."""
        print()
        for fact, number in self._numbers.items():
            age = self._stale.get(fact)
            old = f"  (older than {age.days} days)" if age is not None else ""
            print(plain(f"[{number}] {fact.date}  {fact.source}{old}"))
        if self._stale:
            tell("note: what comes from old sources may have changed")
