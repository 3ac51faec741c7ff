"""The public door: a policy, vendors by name, a number of calls."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from ...client.targets import call_settings
from ...config import Policy, load_policy
from ...config.problems import did_you_mean
from ...engine.settings import TargetPlan
from ...errors import ConfigurationError
from ...providers.catalogue import profiles as catalogue
from ...providers.profile import Fact, Profile
from ...rehearsal.stage import plan_without_keys
from ...rehearsal.vendors import Healthy, Vendor
from .traffic import Traffic, Way
from .violations import Violation

__all__ = ["Simulation", "SimulationResult"]

_EVERY = 1.0
"""Seconds between two looks at the breakers."""


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What became of the calls.

    :ivar cancelled: calls that their callers gave up.
    :ivar failed: calls that ended with an error, by its kind.
    :ivar attempts: requests on the wire by ``provider:model``.
    :ivar added_p50: half of the answered calls lost at most so many seconds before the attempt began that answered.
    :ivar added_p99: 99 % of them.
    :ivar seconds: virtual time that passed.
    :ivar timeline: by ``provider:model``, the instants at which its state changed, to the second, and the new state:
        ``closed``, ``open``, ``half_open``, ``gated`` or ``full``.
    :ivar violations: laws of the engine that did not hold: defects of ours. Empty, or please report it.
    :ivar calls_per_second: calls played in a second of real time.
    """

    calls: int
    answered: int
    cancelled: int
    failed: Mapping[str, int]
    attempts: Mapping[str, int]
    added_p50: float
    added_p99: float
    seconds: float
    timeline: Mapping[str, tuple[tuple[float, str], ...]]
    violations: tuple[Violation, ...]
    calls_per_second: float

    def __str__(self) -> str:
        failed = sum(self.failed.values())
        head = f"{self.calls} calls in {self.seconds:.0f} s: {self.answered} answered"
        lines = [
            f"{head}, {failed} failed, {self.cancelled} cancelled",
            f"added before the answer began: p50 {self.added_p50:.3f} s, p99 {self.added_p99:.3f} s",
            *(f"failed with {kind}: {count}" for kind, count in sorted(self.failed.items())),
        ]
        width = max(map(len, self.timeline))
        for target, states in self.timeline.items():
            path = " ".join(f"{state}@{at:.0f}" for at, state in states[:_SHOWN])
            more = f" … {len(states) - _SHOWN} more" if len(states) > _SHOWN else ""
            lines.append(f"{target:<{width}}  {self.attempts.get(target, 0):>7} attempts  {path}{more}")
        lines += [f"violated: {violation}" for violation in self.violations[:_SHOWN]]
        return "\n".join(lines)


_SHOWN = 6


class Simulation:
    """Replays a route of a policy against scripted vendors.

    No key, weights or network are needed: every target that is not switched off can be asked. Each provider of the
    policy counts as an account of its own.

    :param policy: a path, what would stand in the file, or a ``Policy``. Variables that are not set do not matter.
    :param vendors: what each vendor does, by provider or by ``provider:model``; those that are not named are healthy.
    :param route: which route; may be left out when there is only one.
    :param seed: decides everything: the same seed is the same run.
    :raises ConfigurationError: the policy is wrong, or the route or a vendor's name is unknown.

    >>> from multimodel.testing.simulation import Healthy, Outage, Simulation
    >>> policy = {"routes": {"chat": {"chain": ["dashscope:qwen-plus", "deepseek:deepseek-flash"]}}}
    >>> vendors = {"dashscope": Outage(start=60, end=120), "deepseek": Healthy(first_content=0.4)}
    >>> result = Simulation(policy, vendors, seed=1).run(calls=1_000, rate=5.0)
    >>> result.answered, result.violations
    (1000, ())
    >>> [state for _, state in result.timeline["dashscope:qwen-plus"]][:2]
    ['closed', 'open']
    """

    def __init__(
        self,
        policy: str | os.PathLike[str] | Mapping[str, Any] | Policy,
        vendors: Mapping[str, Vendor] | None = None,
        *,
        route: str | None = None,
        seed: int = 1,
    ) -> None:
        given = dict(vendors or {})
        profiles = {**{name: _unknown(name) for name in given if ":" not in name}, **catalogue({})}
        source = os.fspath(policy) if isinstance(policy, os.PathLike) else policy
        loaded = load_policy(source, environ={}, profiles=profiles, unset="unavailable")
        name, settings = _route(loaded, route)
        planned = plan_without_keys(loaded, settings, profiles)
        now = datetime.now(UTC)
        plans = [
            one.plan
            for one in planned
            if one.why_not is None
            and not any(
                entry.covers(one.plan.target, jurisdiction=one.plan.jurisdiction, at=now) for entry in loaded.off
            )
        ]
        self._plans = tuple(plans)
        self._vendors = _by_target(plans, [str(one.plan.target) for one in planned], given)
        self._seed = seed
        streamed = tuple(replace(plan, stream=True) for plan in plans)
        self._whole = Way(name, self._plans, call_settings(settings, stream=False))
        self._streamed = Way(name, streamed, call_settings(settings, stream=True), stream=True)

    def run(
        self,
        calls: int = 1000,
        rate: float = 1.0,
        *,
        streamed: float = 0.5,
        impatient: float = 0.0,
        patience: float = 2.0,
    ) -> SimulationResult:
        """Play calls, from the beginning with each run.

        :param rate: calls a second on average; they come at random.
        :param streamed: share of them that are streams, the others are whole answers.
        :param impatient: share of them that are given up, at a random instant within ``patience`` seconds.
        """

        def way(chance: Random) -> Way:
            return self._streamed if chance.random() < streamed else self._whole

        traffic = Traffic(way, copy.deepcopy(self._vendors), self._seed, impatient=impatient, patience=patience)
        timeline = _Timeline(traffic, self._plans)
        began = time.perf_counter()
        tally = traffic.run(calls, rate)
        took = time.perf_counter() - began
        added = sorted(tally.added)
        return SimulationResult(
            tally.calls,
            tally.answered,
            tally.cancelled,
            dict(tally.failed),
            dict(tally.attempts),
            _quantile(added, 0.5),
            _quantile(added, 0.99),
            traffic.driver.clock.now,
            timeline.states,
            tuple(traffic.laws.violations),
            calls / took,
        )


class _Timeline:
    """Looks at the breakers once a second while calls come."""

    def __init__(self, traffic: Traffic, plans: tuple[TargetPlan, ...]) -> None:
        self._traffic = traffic
        self._plans = plans
        self.states: dict[str, tuple[tuple[float, str], ...]] = {plan.key: () for plan in plans}
        self._look()

    def _look(self) -> None:
        now = self._traffic.driver.clock.now
        for plan in self._plans:
            state, known = self._traffic.health.state(plan, now)[0], self.states[plan.key]
            if not known or known[-1][1] != state:
                self.states[plan.key] = (*known, (now, state))
        if self._traffic.busy:
            self._traffic.driver.at(now + _EVERY, self._look)


def _route(policy: Policy, name: str | None) -> tuple[str, Any]:
    if name is None and len(policy.routes) == 1:
        return next(iter(policy.routes.items()))
    wanted = policy.aliases.get(name, name) if name is not None else None
    if wanted is None or wanted not in policy.routes:
        known = ", ".join(f"`{route}`" for route in policy.routes)
        what = f"unknown route `{name}`" if name is not None else "the policy has more than one route"
        raise ConfigurationError(what, hint=f"say which: {known}")
    return wanted, policy.routes[wanted]


def _by_target(plans: list[TargetPlan], chain: list[str], given: Mapping[str, Vendor]) -> dict[str, Vendor]:
    known = {*chain, *(target.partition(":")[0] for target in chain)}
    for name in given:
        if name not in known:
            raise ConfigurationError(f"`{name}` is not in the chain", hint=did_you_mean(name, sorted(known)))
    healthy = Healthy()
    return {plan.key: given.get(plan.key) or given.get(plan.target.provider) or healthy for plan in plans}


def _unknown(name: str) -> Profile:
    """What is known of a provider that neither the policy nor the catalogue describes: nothing."""
    fact = Fact(source="given to the simulation", date=datetime.now(UTC).date())
    return Profile(name=name, title=name, operator=None, adapter="given", key_required=False, fact=fact)


def _quantile(values: list[float], share: float) -> float:
    return values[int(share * (len(values) - 1))] if values else 0.0
