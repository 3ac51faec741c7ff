"""``init``: a first policy, from what is here."""

from __future__ import annotations

import json
import os
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from ..client import Client
from ..client.accounts import default_archive
from ..client.check import check
from ..client.source import local_models
from ..config import Policy, default_policy, format_duration
from ..config.routes import ChainMember, Route
from ..errors import ConfigurationError
from ..providers.catalogue import profiles
from ..providers.profile import Profile
from .printing import plain, problem_text, tell

__all__ = ["init"]

_PLAIN = re.compile(r"[A-Za-z0-9./_][A-Za-z0-9./_:+@-]*")


def init(args: Namespace) -> int:
    """Write a policy over the vendors whose key is set and the weights that are found, and check it."""
    file = Path(args.path)
    known = profiles(os.environ)
    found = default_policy(os.environ, known, local_models(known))
    text = "\n".join(_lines(found, known, _archive_beside(file))) + "\n"
    try:
        with file.open("w" if args.force else "x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise ConfigurationError(
            f"`{file}` exists", hint="replace it with `--force`, or write another with `--path`"
        ) from None
    with Client(file) as client:
        problems = check(client._core, today=datetime.now(UTC).date())  # noqa: SLF001  # for people, so for no other caller
    for problem in problems:
        if problem.severity != "note":
            tell(problem_text(problem))
    targets = found.routes["chat"].chain
    print(f"{file}: route `chat` over {len(targets)} target{'s' if len(targets) > 1 else ''}")
    tell('hint: try it with `multimodel complete chat "Hello"`')
    return 0


def _archive_beside(file: Path) -> str:
    """Name the folder of local weights as a policy at ``file`` would: relative to it, if that stays below."""
    archive = Path.cwd() / default_archive(os.environ)
    folder = Path.cwd() / file.parent
    return f"./{archive.relative_to(folder).as_posix()}" if archive.is_relative_to(folder) else archive.as_posix()


def _lines(policy: Policy, known: Mapping[str, Profile], archive: str) -> Iterator[str]:
    route = policy.routes["chat"]
    yield "# The policy of multimodel, as `multimodel init` found things. `multimodel check` tells what is wrong with it."
    yield "# For help in an editor: `multimodel schema > schema.json`, and as the first line of this file"
    yield "#   yaml-language-server: $schema=schema.json"
    yield "version: 1"
    yield ""
    yield from _providers(route, known, archive)
    yield "routes:"
    yield "  # `chat` is what the application asks for; what answers is decided here"
    yield "  chat:"
    yield "    # asked in this order, until one answers"
    yield "    chain:"
    for member in route.chain:
        yield f"      - {_scalar(member.target)}  # {_about(member, known)}"
    if route.max_attempts != Route.model_fields["max_attempts"].default:
        yield f"    max_attempts: {route.max_attempts}"
    yield "    # these are the defaults"
    yield f"    # deadline: {format_duration(route.deadline)}  # for the whole call: attempts, waits, fallbacks"
    yield f"    # timeouts: {{connect: {format_duration(route.timeouts.connect)}, idle: {format_duration(route.timeouts.idle)}}}"
    yield f"    # retry: {{attempts: {route.retry.attempts}, patience: {format_duration(route.retry.patience)}}}"
    yield ""
    yield "# Who is off is asked no more, not even as a last resort. `multimodel off NAME --reason …` does the same from a shell."
    yield "# off:"
    yield "#   - {operator: NAME, reason: why}"


def _providers(route: Route, known: Mapping[str, Profile], archive: str) -> Iterator[str]:
    settings = {}
    for member in route.chain:
        profile = known[member.provider]
        if profile.adapter == "local":
            settings[profile.name] = f"{{archive: {_scalar(archive)}}}  # a folder for each model"
        elif profile.region is not None and len(profile.endpoints) > 1:
            others = ", ".join(name for name in profile.endpoints if name != profile.region)
            settings[profile.name] = f"{{region: {_scalar(profile.region)}}}  # or {others}"
    if settings:
        yield "# Only what differs from the catalogue: see `multimodel providers`. Keys stay in the environment."
        yield "providers:"
        yield from (f"  {name}: {setting}" for name, setting in settings.items())
        yield ""


def _about(member: ChainMember, known: Mapping[str, Profile]) -> str:
    profile = known[member.provider]
    if profile.adapter == "local":
        return "local weights: nobody can switch them off but you"
    place = f", {profile.jurisdiction}" if profile.jurisdiction else ""
    return f"operated by {profile.operator}{place}" if profile.operator else plain(profile.title)


def _scalar(text: str) -> str:
    """Write text as YAML: as it is where that is safe, else in quotes."""
    return text if _PLAIN.fullmatch(text) and not text.endswith(":") else json.dumps(text, ensure_ascii=False)
