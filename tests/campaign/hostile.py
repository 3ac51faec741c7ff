"""Hostile folders, tampered archives and hostile policies: each is refused in words, and nothing else changes.

``python -m tests.campaign.hostile --archives 400 --policies 300 --seed 1`` prints one line of figures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from io import StringIO
from itertools import cycle
from pathlib import Path
from random import Random
from time import monotonic

from multimodel.cli import main as command
from multimodel.config import OffEntry, load_policy
from multimodel.errors import MultimodelError
from multimodel.governance.archive import Archive, Facts
from multimodel.governance.archive.survey import Caps
from multimodel.governance.switches import Switches
from multimodel.providers.base import ProviderSetup
from multimodel.providers.catalogue import profiles
from multimodel.providers.local import LocalProvider
from multimodel.providers.local.seal import check_hashes

from ..governance.weights import make_weights, tree
from .hostile_archives import ARCHIVED, FOLDERS, ODD
from .hostile_policies import GOOD, POLICIES
from .watch import watch

CANARY = "sk-canary-4711"
CAPS = Caps(files=100)
LONGEST = 2000


@dataclass(slots=True)
class Figures:
    """What was tried, each once, and whatever went wrong.

    :ivar archives: what tells hostile folders and tampered archives apart.
    :ivar odd: plain weights that were described or refused.
    :ivar kinds: of what was tried.
    :ivar wrong: what was taken, raised another error, had no words, told a secret, or changed something.
    :ivar taken: well-formed folders and policies that were taken, as they must be.
    """

    archives: set[str] = field(default_factory=set)
    policies: set[bytes] = field(default_factory=set)
    odd: set[str] = field(default_factory=set)
    taken: int = 0
    kinds: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{len(self.archives)} hostile archives and {len(self.policies)} hostile policies of {len(self.kinds)} kinds, "
            f"{len(self.odd)} odd weights, {self.taken} good ones taken; not refused, without words, or with an effect elsewhere: {len(self.wrong)}; "
            f"{self.seconds:.0f} s"
        )


class Campaign:
    """One scratch folder: an archive with a good model, a policy with a switch that is off, and what is hostile.

    :ivar root: all that must not change is below it.
    """

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.rng = Random(seed)
        self.figures = Figures()
        self.archive = Archive(root / "archive", lambda: datetime.now(UTC), CAPS)
        self.archive.add(make_weights(root / "good"), Facts())
        self.template = self.archive.add(root / "good", Facts(), "house").folder
        self.template.chmod(0o755)
        self.template.rename(root / "template")
        (root / "outside").mkdir()
        (root / "outside" / "secret.txt").write_text(CANARY)
        (root / "multimodel.yaml").write_text(GOOD)
        self.switches = Switches([], root / "multimodel.off.json", lambda: datetime.now(UTC))
        self.switches.throw(OffEntry(operator="openai", reason="drill"))
        self.before = tree(root)

    def folder(self, kind: str) -> None:
        """A folder that must not be archived."""
        hostile = make_weights(self.root / "hostile")
        FOLDERS[kind](self.rng, hostile)
        if not self.is_new(self.figures.archives, hostile):
            return
        self.refused(f"folder {kind}", lambda: self.archive.add(hostile, Facts()))
        if kind != "too_many_files":  # the command line has the usual limit
            self.told(f"folder {kind}", "archive", "add", str(hostile))
        self.clean(hostile)
        self.unchanged(kind)

    def tampered(self, kind: str) -> None:
        """A model of the archive that must not be used."""
        house = self.root / "archive" / "house"
        shutil.copytree(self.root / "template", house)
        house.chmod(0o755)
        ARCHIVED[kind](self.rng, house)
        if not self.is_new(self.figures.archives, house):
            return
        self.refused(f"archived {kind}", lambda: check_hashes(house))
        self.described(f"archived {kind}", house)
        self.told(f"archived {kind}", "archive", "verify", "house")
        if self.archive.verify("good").state != "whole":
            self.figures.wrong.append(f"archived {kind}: the good model suffered")
        self.clean(house)
        self.unchanged(kind)

    def odd(self, kind: str) -> None:
        """Plain weights that may be described or refused, and no more."""
        plain = make_weights(self.root / "archive" / "plain")
        ODD[kind](self.rng, plain)
        if not self.is_new(self.figures.odd, plain):
            return
        self.described(f"odd {kind}", plain)
        self.clean(plain)
        self.unchanged(kind)

    def described(self, what: str, folder: Path) -> None:
        """Expect weights to be described, or refused by an error of ours."""
        setup = ProviderSetup("local", profiles({})["local"], options={"archive": folder.parent})
        provider = LocalProvider(setup)
        provider.models()
        for describe in (provider.describe, provider.describe_embedding):
            try:
                describe(folder.name)
            except MultimodelError as error:
                self.check_words(what, error)
            except BaseException as error:  # noqa: BLE001  # any other is what is looked for
                self.figures.wrong.append(f"{what}: {error!r}"[:3000])

    def policy(self, kind: str) -> None:
        """A policy that must be refused."""
        made = POLICIES[kind](self.rng)
        content = made if isinstance(made, bytes) else made.encode()
        if content in self.figures.policies:
            return
        self.figures.policies.add(content)
        file = self.root / "hostile.yaml"
        file.write_bytes(content)
        known = profiles(os.environ)
        self.refused(f"policy {kind}: {made[:2000]!r}", lambda: load_policy(file, environ=os.environ, profiles=known))
        self.told(f"policy {kind}", "check", str(file))
        file.unlink()
        self.unchanged(kind)

    def good(self) -> None:
        """What is well-formed is taken: refusing everything would be easy."""
        name = f"good{self.figures.taken}"
        self.archive.add(self.root / "good", Facts(), name)
        check_hashes(self.root / "archive" / name)
        self.clean(self.root / "archive" / name)
        load_policy(self.root / "multimodel.yaml", environ=os.environ, profiles=profiles(os.environ))
        self.figures.taken += 2
        self.unchanged("good")

    def refused(self, what: str, act: Callable[[], object]) -> None:
        """Expect an error of ours, in words that can be printed."""
        self.figures.kinds.add(what.partition(":")[0])
        try:
            act()
        except MultimodelError as error:
            self.check_words(what, error)
        except BaseException as error:  # noqa: BLE001  # any other is what is looked for
            self.figures.wrong.append(f"{what}: {error!r}"[:3000])
        else:
            self.figures.wrong.append(f"{what}: was taken")

    def check_words(self, what: str, error: MultimodelError) -> None:
        said = str(error)
        if not said.strip() or len(said) > LONGEST or not said.replace("\n", "").isprintable() or CANARY in said:
            self.figures.wrong.append(f"{what}: {said[:300]!r}")

    def told(self, what: str, *arguments: str) -> None:
        """Expect the command line to fail in words."""
        out, err = StringIO(), StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = command(["--config", str(self.root / "multimodel.yaml"), *arguments])
        except BaseException as error:  # noqa: BLE001  # any other is what is looked for
            self.figures.wrong.append(f"{what}: the command line raised {error!r}")
            return
        said = out.getvalue() + err.getvalue()
        if code != 1 or "Traceback" in said or CANARY in said or not said.strip():
            self.figures.wrong.append(f"{what}: the command line ended with {code} and {said[:300]!r}")

    def unchanged(self, what: str) -> None:
        """Expect everything to be as it was: the good model, the switch, and all beside them."""
        after = tree(self.root)
        changed = {path for path in {*after, *self.before} if after.get(path) != self.before.get(path)}
        changed -= {"archive"}  # the time at which something was in it
        if changed:
            self.figures.wrong.append(f"{what}: changed {sorted(changed)}")
            self.before = after
        if [entry.name for entry in self.switches.entries()] != ["openai"]:
            self.figures.wrong.append(f"{what}: the switch is not as it was")

    def is_new(self, known: set[str], folder: Path) -> bool:
        """Whether a folder was not tried before; one that was is removed."""
        files = {path: (mode, what) for path, (mode, _changed, what) in tree(folder).items()}
        mark = sha256(repr(files).encode()).hexdigest()
        if mark in known:
            self.clean(folder)
            return False
        known.add(mark)
        return True

    def clean(self, folder: Path) -> None:
        for parent, _below, _files in os.walk(folder):
            Path(parent).chmod(0o755)
        shutil.rmtree(folder)
        (self.root / "archive" / ".copy").unlink(missing_ok=True)  # what a link led to


@contextmanager
def surroundings(root: Path) -> Iterator[None]:
    """Work below ``root``, with an environment of the campaign's own."""
    before, here = dict(os.environ), Path.cwd()
    os.environ.update(CANARY=CANARY, EMPTY="")
    os.environ.pop("NOT_SET_ANYWHERE", None)
    os.chdir(root)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)


def run(archives: int, policies: int, seed: int) -> Figures:
    """Try so many hostile archives and policies, kind after kind, and a good one after every tenth."""
    begun = monotonic()
    with tempfile.TemporaryDirectory() as scratch, surroundings(Path(scratch)), watch(Path(scratch).resolve()) as seen:
        campaign = Campaign(Path(scratch).resolve(), seed)
        tries = [
            *(lambda kind=kind: campaign.folder(kind) for kind in FOLDERS),
            *(lambda kind=kind: campaign.tampered(kind) for kind in ARCHIVED),
        ]
        for number, attempt in enumerate(cycle(tries)):
            if len(campaign.figures.archives) >= archives:
                break
            attempt()
            if number % 10 == 0:
                campaign.good()
            if number % 3 == 0:
                campaign.odd(campaign.rng.choice(sorted(ODD)))
        for kind in cycle(POLICIES):
            if len(campaign.figures.policies) >= policies:
                break
            campaign.policy(kind)
        campaign.switches.audit.verify()
        for path in Path(scratch).rglob("*"):
            if path.is_dir():
                path.chmod(0o755)
    campaign.figures.wrong += seen
    campaign.figures.seconds = monotonic() - begun
    return campaign.figures


def main() -> None:
    """Run, print the line, and fail when anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archives", type=int, default=400)
    parser.add_argument("--policies", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    figures = run(args.archives, args.policies, args.seed)
    for line in figures.wrong:
        print(line, file=sys.stderr)
    print(figures)
    sys.exit(1 if figures.wrong else 0)


if __name__ == "__main__":
    main()
