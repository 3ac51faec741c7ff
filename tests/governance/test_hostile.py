"""A sample of the campaign: every kind of hostile folder, archive and policy once, with values of one seed."""

from __future__ import annotations

import pickle
import socket
from pathlib import Path

import pytest

from ..campaign import hostile, watch
from ..campaign.hostile_archives import ARCHIVED, FOLDERS
from ..campaign.hostile_policies import POLICIES


def test_every_kind_is_refused_in_words_and_changes_nothing():
    figures = hostile.run(archives=len(FOLDERS) + len(ARCHIVED), policies=2 * len(POLICIES), seed=2026)
    assert figures.wrong == []
    assert len(figures.kinds) == len(FOLDERS) + len(ARCHIVED) + len(POLICIES)
    assert figures.taken > 0


def test_the_campaign_sees_what_is_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hostile, "FOLDERS", {"harmless": lambda _rng, _folder: None})
    monkeypatch.setattr(hostile, "ARCHIVED", {"untouched": lambda _rng, _folder: None})
    monkeypatch.setattr(hostile, "POLICIES", {"well-formed": lambda _rng: hostile.GOOD})
    wrong = hostile.run(archives=2, policies=1, seed=1).wrong
    assert [line.partition(":")[0] for line in wrong if "was taken" in line] == [
        "folder harmless",
        "archived untouched",
        "policy well-formed",
    ]


def test_the_campaign_sees_what_is_done_elsewhere(tmp_path: Path):
    (tmp_path / "root").mkdir()
    with watch.watch(tmp_path / "root") as seen:
        (tmp_path / "root" / "inside").write_text("x")
        (tmp_path / "root" / ".." / "outside").write_text("x")
        (tmp_path / "link").symlink_to("x")
        (tmp_path / "root" / "inside").rename(tmp_path / "moved")
        pickle.loads(pickle.dumps(Path))
        with socket.socket() as opened, pytest.raises(OSError, match="refused"):
            opened.connect(("127.0.0.1", 1))
    assert [line.partition(" ")[0] for line in seen] == [
        "open",
        "os.symlink",
        "os.rename",
        "pickle.find_class",
        "socket.connect",
    ]
