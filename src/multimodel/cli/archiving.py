"""``archive``."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ..client.accounts import default_archive
from ..config import load_policy
from ..governance.archive import Archive, Comparison, Facts, Stored, Verdict, compare
from ..providers.catalogue import profiles
from .opening import policy_file
from .parser import MisuseError
from .printing import plain, print_json, print_table, tell

__all__ = ["add", "diff", "list_models", "verify"]


def add(args: Namespace) -> int:
    """Archive a folder, and tell what was left out and what nobody knows."""
    facts = Facts(
        source=args.source,
        revision=args.revision,
        author=args.author,
        licence=args.licence,
        licence_file=None if args.licence_file is None else Path(args.licence_file),
        no_licence_text=args.no_licence_text,
    )
    added = _archive(args).add(Path(args.folder), facts, args.name)
    manifest = added.manifest
    for path in added.left_out:
        tell(f"note: left out, because nothing reads it: {path}")
    unknown = [word for word in ("source", "revision", "author") if getattr(manifest, word) is None]
    unknown += ["licence"] if manifest.licence.name is None else []
    if unknown:
        tell(f"note: the manifest does not say its {', '.join(unknown)}")
        tell(f"hint: remove it, and add it again with {', '.join(f'`--{word}`' for word in unknown)}")
    if manifest.licence.file is None:
        tell("warning: it has no licence text")
    if added.unusable is not None:
        tell(f"warning: it is kept, but `local:{added.name}` cannot answer: {added.unusable}")
    if args.json:
        print_json(added)
    else:
        print(f"{added.folder}: {len(manifest.files)} files, {_size(manifest.size)}")
    return 0


def verify(args: Namespace) -> int:
    """Verify one model or all; fail when one is damaged, or the one that was named has no manifest."""
    archive = _archive(args)
    if args.manifest is not None and args.name is None:
        raise MisuseError("`--manifest` is the hash of one manifest", "name the model")
    names = [args.name] if args.name is not None else [stored.name for stored in archive.list()]
    verdicts = []
    for name in names:
        verdict = archive.verify(name, args.manifest)
        verdicts.append(verdict)
        if not args.json:
            _print_verdict(verdict)
    if args.json:
        print_json({"archive": archive.folder, "models": verdicts})
    elif not names:
        print(f"nothing is in `{archive.folder}`")
    wrong = {"damaged"} if args.name is None else {"damaged", "plain"}
    return 1 if any(verdict.state in wrong for verdict in verdicts) else 0


def list_models(args: Namespace) -> int:
    """Print what is in the archive; what a crash left there is told."""
    archive = _archive(args)
    models, under_way = archive.list(), archive.under_way()
    if args.json:
        print_json({"archive": archive.folder, "models": models, "under_way": under_way})
        return 0
    if models:
        heads = ("name", "size", "licence", "author", "source", "revision", "added", "state")
        print_table(heads, map(_row, models))
    else:
        print(f"nothing is in `{archive.folder}`")
    for name, is_abandoned in under_way.items():
        if is_abandoned:
            tell(f"note: `{name}` was left by an `archive add` that did not end: delete it")
        else:
            tell(f"note: `{name}` is being added")
    return 0


def diff(args: Namespace) -> int:
    """Print how a folder differs from a model of the archive; like `diff`, 1 when it does."""
    archived = _archive(args).find(args.name)
    found = compare(archived, archived if args.folder is None else Path(args.folder))
    if args.json:
        print_json({"same": found.same, **asdict(found)})
    else:
        for line in _lines(found):
            print(plain(line))
    return 0 if found.same else 1


def _archive(args: Namespace) -> Archive:
    """Open the archive of the provider `local`: the policy's, else the usual one."""
    file = policy_file(args)
    folder: Path | None = None
    if file is not None:
        policy = load_policy(file, environ=os.environ, profiles=profiles(os.environ), unset="unavailable")
        folder = policy.provider("local").archive
    return Archive(default_archive(os.environ) if folder is None else folder, lambda: datetime.now(UTC))


def _print_verdict(verdict: Verdict) -> None:
    if verdict.state == "plain":
        tell(f"note: `{verdict.name}` is plain weights: it was not archived")
        return
    if verdict.state == "whole":
        print(
            f"{verdict.name}: whole, {verdict.files} files, {_size(verdict.size)}, manifest {verdict.manifest_sha256}"
        )
        return
    print(f"{verdict.name}: damaged")
    for flaw in verdict.flaws:
        print(plain(f"  {flaw}"))


def _row(stored: Stored) -> tuple[object, ...]:
    manifest = stored.manifest
    if manifest is None:
        return (stored.name, *[None] * 6, stored.flaw or "not archived")
    licence = manifest.licence.name or ("unnamed" if manifest.licence.file else None)
    facts = (_size(manifest.size), licence, manifest.author, manifest.source, manifest.revision)
    return (stored.name, *facts, manifest.added.date(), stored.flaw or "archived")


def _lines(found: Comparison) -> Iterator[str]:
    if found.same:
        yield f"{found.name}: `{found.folder}` is the same"
        return
    yield from (f"licence: {change}, since {found.seen}" for change in found.licence)
    yield from (f"  {line}" for line in found.licence_text)
    yield from (f"author: {change}" for change in found.author)
    for word in ("changed", "added", "removed"):
        yield from (f"{word}: {path}" for path in getattr(found, word))


def _size(size: int) -> str:
    amount, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount >= 1024:  # noqa: PLR2004  # of each in the next
            amount, unit = amount / 1024, larger
    return f"{amount:.4g} {unit}"
