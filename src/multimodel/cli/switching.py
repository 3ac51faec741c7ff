"""``status``, ``off`` and ``on``."""

from __future__ import annotations

import sys
from argparse import Namespace
from datetime import UTC, datetime, timedelta

from ..client import Client
from ..config import MistakeError, OffEntry, parse_duration
from ..config.policy import OffKind
from ..errors import ConfigurationError
from ..types import Target
from .opening import open_to_look, open_to_switch
from .parser import MisuseError
from .printing import agreed, print_json, print_table, tell

__all__ = ["off", "on", "status"]

_STATES = {"closed": "ready"}
"""What a healthy target is called: a breaker that is closed sounds shut."""


def status(args: Namespace) -> int:
    """Print the targets of each route, and what is off."""
    with open_to_look(args) as client:
        known = client.status()
        if args.json:
            print_json(known)
            return 0
        rows = [
            (route, one.target, one.target.operator, one.target.author, _STATES.get(one.state, one.state), one.detail)
            for route, targets in known.routes.items()
            for one in targets
        ]
        print_table(("route", "target", "operator", "author", "state", "why"), rows)
        if known.off:
            print()
            _print_entries(client)
    tell(f"policy: {known.policy or 'built in'}, version {known.policy_hash}")
    tell("note: each process has its own breakers; this is the configuration and the switches")
    return 0


def off(args: Namespace) -> int:
    """Tell what would stop, ask on a terminal, switch off, and print what is off now."""
    if not args.reason.strip() or not (args.reason + (args.by or "")).isprintable():
        raise MisuseError("the audit log needs a reason, in plain text", "say why, for whoever wonders later")
    until = None if args.until is None else _until(args.until, datetime.now(UTC))
    kind: OffKind | None = "author" if args.weights else args.kind
    with open_to_switch(args) as client:
        if client.status().switch_file is None:
            raise ConfigurationError(
                "there is no policy file, so a switch would end with this process",
                hint="write one with `multimodel init`, or name one with `--config`",
            )
        stranded = _tell_impact(client, args.name, kind)
        if stranded and not args.force:
            raise ConfigurationError(
                f"no target would be left for {_listed(stranded)}; nothing was changed",
                hint="add a target that stays on, or say `--force`",
            )
        if stranded:
            tell(f"warning: no target would be left for {_listed(stranded)}")
        if sys.stdin.isatty() and not args.yes and not agreed(f"switch `{args.name}` off?"):
            tell("nothing was changed")
            return 1
        client._core.switchboard.off(args.name, reason=args.reason, until=until, by=args.by, cut=args.cut, kind=kind)  # noqa: SLF001  # for people, so for no other caller
        _print_entries(client)
    return 0


def on(args: Namespace) -> int:
    """Lift, and print what is off still."""
    with open_to_switch(args) as client:
        for entry in client.on(args.name, by=args.by):
            tell(f"on again: {entry.kind} `{entry.name}`" + (f", off for: {entry.reason}" if entry.reason else ""))
        _print_entries(client)
    return 0


def _until(text: str, now: datetime) -> datetime:
    """Read a span from now, or an instant: a bare date is its first moment in UTC, as in a policy."""
    try:
        moment = now + timedelta(seconds=parse_duration(text))
    except MistakeError:
        moment = _instant(text)
    except OverflowError:
        raise MisuseError("`--until` is too far away", "leave it out, for good") from None
    if moment <= now:
        raise MisuseError(f"`--until`: {moment.isoformat()} is over")
    return moment


def _instant(text: str) -> datetime:
    hint = "write a span, as in `2h`, or a time, as in `2026-12-31T18:00:00Z`"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MisuseError(f"`--until`: `{text}` is no span and no time", hint) from None
    if moment.tzinfo is None and len(text) == len("2026-12-31"):
        return moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise MisuseError(f"`--until`: `{text}` has no time zone", hint)
    return moment


def _tell_impact(client: Client, name: str, kind: OffKind | None) -> tuple[str, ...]:
    """Say what would stop, and what the routes that go on would lose; return those that would not go on."""
    try:
        impact = client._core.switchboard.impact(name, kind=kind)  # noqa: SLF001  # for people, so for no other caller
    except ConfigurationError as error:
        if kind is None and client.policy.origin.mistakes:  # it may stand in what was left out
            raise ConfigurationError(error.message, hint="say what it is with `--kind`") from None
        raise
    tell(f"{impact.kind} `{name}`: {_listed(impact.stops) or 'no target'} would stop")
    for change in impact.changed:
        if change.needs:
            tell(f"warning: no target left of `{change.route}` is known to have {', '.join(change.needs)}")
        if change.room is not None:
            before, after = change.room
            tell(f"warning: prompts of `{change.route}` could have {after:,} tokens, not {before:,}")
        if change.places is not None:
            before_there, there = change.places
            tell(f"note: the first target of `{change.route}` would store in {there}, not in {before_there}")
        if change.prices is not None:
            (old_in, old_out), (new_in, new_out) = change.prices
            tell(
                f"note: the first target of `{change.route}` would cost {new_in:g} and {new_out:g} USD per million tokens "
                f"of input and output, not {old_in:g} and {old_out:g}"
            )
    targets = {one.target for route in client.status().routes.values() for one in route}
    if impact.kind == "author":
        unknown = sorted(str(target) for target in targets if target.author is None)
        if unknown:
            tell(f"warning: nobody knows whose weights these are, so they stay on: {_listed(unknown)}")
    elif impact.kind == "operator":
        elsewhere = sorted(str(target) for target in targets if target.author == name != target.operator)
        if elsewhere:
            tell(f"note: weights of `{name}` that run elsewhere stay on: {_listed(elsewhere)}")
            tell("hint: `--weights` leaves them too")
    return impact.stranded


def _listed(names: tuple[Target | str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _print_entries(client: Client) -> None:
    entries = client.status().off
    if not entries:
        print("nothing is off")
        return
    heads = ("off", "name", "reason", "by", "since", "until", "in")
    print_table(heads, [_row(entry, fixed=entry in client.policy.off) for entry in entries])


def _row(entry: OffEntry, *, fixed: bool) -> tuple[object, ...]:
    place = "the policy" if fixed else "the switch file"
    return entry.kind, entry.name, entry.reason, entry.by, _minute(entry.since), _minute(entry.until), place


def _minute(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
