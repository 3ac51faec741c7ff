from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from multimodel.errors import ConfigurationError
from multimodel.governance.archive import Archive, Facts, compare
from multimodel.governance.archive.card import read_card

from .weights import CARD, LICENCE, make_weights, safetensors


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return make_weights(tmp_path / "house")


@pytest.fixture
def archived(weights: Path, tmp_path: Path) -> Path:
    noon = datetime(2026, 11, 29, 12, tzinfo=UTC)
    return Archive(tmp_path / "archive", lambda: noon).add(weights, Facts()).folder


def test_the_same_folder_is_the_same(archived: Path, weights: Path):
    found = compare(archived, weights)
    assert found.same
    assert found.seen == date(2026, 11, 29)


def test_files_that_changed_came_and_went_are_named(archived: Path, weights: Path):
    (weights / "model.safetensors").write_bytes(safetensors()[:-1] + b"x")
    (weights / "generation_config.json").write_text("{}")
    (weights / "chat_template.jinja").unlink()
    found = compare(archived, weights)
    assert (found.changed, found.added, found.removed) == (
        ("model.safetensors",),
        ("generation_config.json",),
        ("chat_template.jinja",),
    )
    assert found.licence == found.author == ()


def test_a_licence_text_that_changed_is_told_line_by_line(archived: Path, weights: Path):
    (weights / "LICENSE").write_text(LICENCE.replace("Version 2.0", "Version 2.0, for non-commercial use"))
    found = compare(archived, weights)
    assert found.licence == ("the text `LICENSE` changed",)
    assert found.licence_text == ("-Version 2.0", "+Version 2.0, for non-commercial use")


def test_a_licence_text_that_never_came_with_the_weights_is_not_missed(weights: Path, tmp_path: Path):
    (weights / "LICENSE").rename(tmp_path / "text")
    archive = Archive(tmp_path / "archive", lambda: datetime.now(UTC))
    archived = archive.add(weights, Facts(licence_file=tmp_path / "text")).folder
    assert compare(archived, weights).same
    (weights / "LICENSE").write_text("-- another\n")
    found = compare(archived, weights)
    assert found.licence == ("the text `LICENSE` changed",)
    assert found.licence_text[-1] == "+-- another"


def test_of_a_licence_text_that_is_a_bomb_only_the_beginning_is_told(archived: Path, weights: Path):
    (weights / "LICENSE").write_text("\n".join(f"{number} " + "x" * 1000 for number in range(50_000)))
    lines = compare(archived, weights).licence_text
    assert len(lines) == 200
    assert max(map(len, lines)) == 300


def test_a_licence_text_that_is_gone_and_one_that_is_new_are_told(archived: Path, weights: Path):
    (weights / "LICENSE").rename(weights / "LICENSE-2")
    found = compare(archived, weights)
    assert found.licence == ("the text `LICENSE-2` is new", "the text `LICENSE` is gone")
    assert not found.same


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("license: mit", "`mit`"),
        ("license: other\nlicense_name: qwen-research", "`qwen-research`"),
        ("", "not told"),
    ],
)
def test_a_licence_of_another_name_in_the_model_card_is_told(archived: Path, weights: Path, line: str, name: str):
    (weights / "README.md").write_text(CARD.replace("license: apache-2.0", line))
    assert compare(archived, weights).licence == (f"its name is {name}, and was `apache-2.0`",)


def test_an_author_that_the_card_names_no_more_is_told(archived: Path, weights: Path):
    (weights / "README.md").write_text(CARD.replace("author: Qwen\n", ""))
    assert compare(archived, weights).author == ("it is not told, and was `Qwen`",)


def test_an_author_that_nothing_mentions_any_more_is_told(weights: Path, tmp_path: Path):
    (weights / "README.md").write_text("# A model by Alibaba Cloud\n")
    archive = Archive(tmp_path / "archive", lambda: datetime.now(UTC))
    archived = archive.add(weights, Facts(author="alibaba")).folder
    assert compare(archived, weights).same
    (weights / "README.md").write_text("# A model\n")
    (said,) = compare(archived, weights).author
    assert said == "`alibaba` is named no more, neither by the model card nor by a licence text"


def test_without_a_folder_the_model_is_compared_with_what_it_was(archived: Path):
    assert compare(archived, archived).same
    (archived / "LICENSE").chmod(0o644)
    (archived / "LICENSE").write_text("gone")
    found = compare(archived, archived)
    assert (found.changed, found.licence) == (("LICENSE",), ("the text `LICENSE` changed",))


def test_a_damaged_model_is_no_measure_for_another_folder(archived: Path, weights: Path):
    (archived / "LICENSE").chmod(0o644)
    (archived / "LICENSE").write_text("gone")
    with pytest.raises(ConfigurationError, match="not as they were archived"):
        compare(archived, weights)


def test_another_copy_of_the_archive_is_the_same(archived: Path, tmp_path: Path):
    shutil.copytree(archived, tmp_path / "copy")
    assert compare(archived, tmp_path / "copy").same


def test_plain_weights_cannot_be_compared(weights: Path):
    with pytest.raises(ConfigurationError, match="is not archived"):
        compare(weights, weights)


def test_a_link_in_the_new_folder_is_not_followed(archived: Path, weights: Path):
    (weights / "NOTICE").symlink_to("/etc/passwd")
    with pytest.raises(ConfigurationError, match="`NOTICE` is a link"):
        compare(archived, weights)


@pytest.mark.parametrize(
    ("text", "licence", "author"),
    [
        ("", None, None),
        ("# no front matter\nlicense: mit", None, None),
        ("---\nlicense: mit\n", None, None),
        ("---\nlicense: mit\n---", "mit", None),
        ("\ufeff---\r\nlicense: 'mit'  # really\r\nauthor: \"A B\"\r\n---\r\n", "mit", "A B"),
        ("---\nlicense:\n- mit\n- apache-2.0\n---", "mit, apache-2.0", None),
        ("---\nlicense: [mit, bsd]\nauthors:\n  - A\n  - B\n---", "mit, bsd", "A, B"),
        ("---\nlicense: other\nlicense_name: qwen\n---", "qwen", None),
        ("---\nlicense: other\n---", "other", None),
        ("---\nother: {license: mit}\n---", None, None),
        ("---\nlicense: &a [*a, *a]\n---", "&a [*a, *a]", None),
        ("---\nlicense: !!python/object:os.system x\n---", "!!python/object:os.system x", None),
        ("---\nlicense: \x1b[31mred\n---", None, None),
        ("---\nlicense:\n---", None, None),
        (f"---\nlicense: a{' ' * 60_000}b\n---", "a", None),
    ],
)
def test_of_a_model_card_only_plain_lines_are_read(text: str, licence: str | None, author: str | None):
    said = read_card(text)
    assert (said.licence, said.author) == (licence, author)
