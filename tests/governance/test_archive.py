from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from multimodel.errors import ConfigurationError
from multimodel.governance.archive import Archive, Facts
from multimodel.providers.local.headers import safetensors_parameters

from .weights import LICENCE, make_weights, safetensors, tree

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
PATIENCE = 30.0


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive", lambda: NOON)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return make_weights(tmp_path / "house")


def test_a_folder_is_archived_with_all_that_is_known_of_it(archive: Archive, weights: Path):
    added = archive.add(weights, Facts(source="Qwen/Qwen3", revision="abc123"))
    manifest = added.manifest
    assert added.folder == archive.folder / "house"
    assert (manifest.name, manifest.added, manifest.source, manifest.revision) == (
        "house",
        NOON,
        "Qwen/Qwen3",
        "abc123",
    )
    assert (manifest.author, manifest.licence.name, manifest.licence.file) == ("Qwen", "apache-2.0", "LICENSE")
    assert manifest.licence.seen == date(2026, 11, 29)
    files = {file.path: file for file in manifest.files}
    assert set(files) == {path.name for path in weights.iterdir()}
    assert manifest.licence.sha256 == files["LICENSE"].sha256
    for name, file in files.items():
        assert (added.folder / name).read_bytes() == (weights / name).read_bytes()
        assert file.size == (weights / name).stat().st_size


def test_what_the_user_says_goes_before_what_the_folder_says(archive: Archive, weights: Path):
    manifest = archive.add(weights, Facts(author="alibaba", licence="Apache-2.0")).manifest
    assert (manifest.author, manifest.licence.name) == ("alibaba", "Apache-2.0")


def test_the_copy_is_read_only(archive: Archive, weights: Path):
    (weights / "1_Pooling").mkdir()
    (weights / "1_Pooling" / "config.json").write_text("{}")
    folder = archive.add(weights, Facts()).folder
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert modes == {0o444}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "1_Pooling")} == {0o555}


def test_adding_changes_nothing_but_the_archive(archive: Archive, weights: Path, tmp_path: Path):
    before = tree(weights)
    archive.add(weights, Facts())
    assert tree(weights) == before
    assert {path.name for path in tmp_path.iterdir()} == {"house", "archive"}
    assert {path.name for path in archive.folder.iterdir()} == {"house"}


def test_hidden_files_and_those_that_nothing_reads_are_left_out_and_told(archive: Archive, weights: Path):
    (weights / ".cache" / "huggingface").mkdir(parents=True)
    (weights / ".gitattributes").write_text("*.safetensors filter=lfs")
    (weights / "figure.png").write_bytes(b"\x89PNG\r\n")
    added = archive.add(weights, Facts())
    assert added.left_out == (".cache", ".gitattributes", "figure.png")
    assert not (added.folder / "figure.png").exists()


def test_without_a_licence_text_somebody_must_say_so(archive: Archive, weights: Path, tmp_path: Path):
    (weights / "LICENSE").unlink()
    with pytest.raises(ConfigurationError, match=r"no licence text\nhint: .*--licence-file.*--no-licence-text"):
        archive.add(weights, Facts())
    licence = archive.add(weights, Facts(no_licence_text=True)).manifest.licence
    assert (licence.name, licence.file, licence.sha256) == ("apache-2.0", None, None)
    (tmp_path / "qwen.txt").write_text(LICENCE)
    added = archive.add(weights, Facts(licence_file=tmp_path / "qwen.txt"), "again")
    assert added.manifest.licence.file == "LICENSE"
    assert (added.folder / "LICENSE").read_text() == LICENCE
    assert archive.verify("again").state == "whole"


def test_a_licence_text_may_have_the_name_of_a_file_of_the_folder(archive: Archive, weights: Path, tmp_path: Path):
    (weights / "LICENSE").unlink()
    (tmp_path / "README.md").write_text(LICENCE)
    added = archive.add(weights, Facts(licence_file=tmp_path / "README.md"))
    assert (added.folder / "LICENSE").read_text() == LICENCE
    assert (added.folder / "README.md").read_text() == (weights / "README.md").read_text()


def test_a_licence_text_is_neither_empty_nor_given_twice_nor_binary(archive: Archive, weights: Path, tmp_path: Path):
    (tmp_path / "text").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"has a licence text: `LICENSE`\nhint: leave"):
        archive.add(weights, Facts(licence_file=tmp_path / "text"))
    (weights / "LICENSE").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"`house/LICENSE` is empty"):
        archive.add(weights, Facts(no_licence_text=True))
    (weights / "LICENSE").unlink()
    for content, why in ((b"", "no licence text"), (b"a\0b", "no text"), (pickle.dumps(1), "can run code")):
        (tmp_path / "text").write_bytes(content)
        with pytest.raises(ConfigurationError, match=why):
            archive.add(weights, Facts(licence_file=tmp_path / "text"))
    with pytest.raises(ConfigurationError, match="`nowhere`: No such file"):
        archive.add(weights, Facts(licence_file=Path("nowhere")))
    assert list(archive.folder.iterdir()) == []


def without_tokenizer(weights: Path) -> None:
    (weights / "tokenizer.json").rename(weights / "tokenizer.model")


def quantised(weights: Path) -> None:
    (weights / "config.json").write_text('{"quantization_config": {"quant_method": "fp8"}}')


def without_template(weights: Path) -> None:
    (weights / "chat_template.jinja").unlink()
    (weights / "1_Pooling").mkdir()
    (weights / "1_Pooling" / "config.json").write_text('{"pooling_mode": "unheard"}')


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (without_tokenizer, "`house` lacks `tokenizer.json`"),
        (quantised, "weights quantised by `fp8` are not supported"),
        (without_template, "`house/1_Pooling/config.json` asks for a pooling that is not known here"),
    ],
)
def test_weights_that_only_others_can_run_are_kept_and_it_is_told(archive: Archive, weights: Path, change, why: str):
    change(weights)
    assert archive.add(weights, Facts()).unusable == why
    assert archive.verify("house").state == "whole"


@pytest.mark.parametrize("name", ["LICENSE", "LICENCE.md", "license.txt", "LICENSE-MODEL", "COPYING", "LICENSE.Apache"])
def test_a_licence_text_is_known_by_its_name(archive: Archive, weights: Path, name: str):
    (weights / "LICENSE").rename(weights / name)
    assert archive.add(weights, Facts()).manifest.licence.file == name


def test_weights_are_no_licence_text_whatever_their_name(archive: Archive, weights: Path):
    (weights / "LICENSE").unlink()
    (weights / "LICENSE.safetensors").write_bytes(safetensors())
    with pytest.raises(ConfigurationError, match="`house` has no licence text"):
        archive.add(weights, Facts())


def test_a_folder_is_named_where_the_user_is_in_it(archive: Archive, weights: Path, monkeypatch: pytest.MonkeyPatch):
    (weights / "LICENSE").unlink()
    monkeypatch.chdir(weights)
    with pytest.raises(ConfigurationError, match="`house` has no licence text"):
        archive.add(Path(), Facts())
    assert archive.add(Path(), Facts(no_licence_text=True)).name == "house"


def test_a_name_is_taken_once(archive: Archive, weights: Path):
    archive.add(weights, Facts())
    before = tree(archive.folder)
    for name in ("house", "HOUSE"):
        with pytest.raises(ConfigurationError, match=r"`house` is in the archive already\nhint: .*--name"):
            archive.add(weights, Facts(), name)
    assert tree(archive.folder) == before


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc", "../x", ".hidden", "a\0b", "C:\\x", "x" * 101, "ü"])
def test_a_name_that_is_no_plain_name_is_refused(archive: Archive, weights: Path, name: str):
    with pytest.raises(ConfigurationError, match=r"\nhint: .*--name"):
        archive.add(weights, Facts(), name)
    assert not archive.folder.exists()


@pytest.mark.parametrize("text", ["", "a\nb", "\x1b[31m", "x" * 501])
def test_facts_are_plain_text(archive: Archive, weights: Path, text: str):
    with pytest.raises(ConfigurationError, match="`--source` is no plain text"):
        archive.add(weights, Facts(source=text))


def test_a_folder_that_holds_the_archive_is_refused(weights: Path):
    with pytest.raises(ConfigurationError, match="lies in"):
        Archive(weights / "archive", lambda: NOON).add(weights, Facts())


def test_what_was_archived_is_not_archived_again(archive: Archive, weights: Path):
    folder = archive.add(weights, Facts()).folder
    with pytest.raises(ConfigurationError, match=r"holds a `manifest\.json` already"):
        archive.add(folder, Facts(), "again")


def test_too_little_space_is_told_before_anything_is_written(archive: Archive, weights: Path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=1000))
    with pytest.raises(ConfigurationError, match=r"`house` needs 0\.02 GiB and 0\.00 GiB are free"):
        archive.add(weights, Facts())
    assert list(archive.folder.iterdir()) == []


def test_a_disk_that_is_full_leaves_nothing_behind(archive: Archive, tmp_path: Path):
    weights = make_weights(tmp_path / "house", size=100_000)
    errors = adding(archive, weights, "house", before="resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))")
    assert errors.communicate(timeout=PATIENCE)[1].startswith("`house` was not archived: ")
    assert list(archive.folder.iterdir()) == []


def test_a_file_that_changes_while_it_is_copied_ends_it(archive: Archive, weights: Path, monkeypatch):
    from multimodel.governance.archive import adding as steps

    copy = steps.copy_file

    def changed(source, file, folder):
        (weights / "model.safetensors").write_bytes(safetensors(128))
        return copy(source, file, folder)

    monkeypatch.setattr(steps, "copy_file", changed)
    with pytest.raises(ConfigurationError, match=r"`model\.safetensors` changed while it was archived"):
        archive.add(weights, Facts())
    assert list(archive.folder.iterdir()) == []


def test_verify_tells_every_file_that_is_not_as_it_was(archive: Archive, weights: Path):
    folder = archive.add(weights, Facts()).folder
    assert archive.verify("house").state == "whole"
    folder.chmod(0o755)
    (folder / "README.md").unlink()
    (folder / "new.txt").write_text("new")
    for name, content in (("LICENSE", b"longer " + LICENCE.encode()), ("model.safetensors", safetensors()[:-1] + b"x")):
        (folder / name).chmod(0o644)
        (folder / name).write_bytes(content)
    verdict = archive.verify("house")
    assert verdict.state == "damaged"
    assert verdict.flaws == (
        "`LICENSE` has 50 bytes, not 43",
        "`README.md` is missing",
        "`model.safetensors` has other content",
        "`new.txt` is not in the manifest",
    )


def test_another_manifest_has_another_hash(archive: Archive, weights: Path):
    folder = archive.add(weights, Facts()).folder
    before = archive.verify("house").manifest_sha256
    (folder / "manifest.json").chmod(0o644)
    content = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**content, "author": "nobody"}))
    after = archive.verify("house")
    assert after.state == "whole"
    assert after.manifest_sha256 != before
    assert archive.verify("house", after.manifest_sha256).state == "whole"
    (flaw,) = archive.verify("house", before).flaws
    assert flaw == f"`manifest.json` has another hash: {after.manifest_sha256}"


def test_the_list_names_what_is_archived_what_is_plain_and_what_is_damaged(archive: Archive, weights: Path):
    archive.add(weights, Facts())
    make_weights(archive.folder / "plain")
    (archive.add(weights, Facts(), "spoilt").folder / "manifest.json").chmod(0o644)
    (archive.folder / "spoilt" / "manifest.json").write_text("{")
    listed = {stored.name: (stored.manifest is not None, stored.flaw) for stored in archive.list()}
    assert listed["house"] == (True, None)
    assert listed["plain"] == (False, None)
    assert listed["spoilt"][0] is False
    assert "is no manifest of an archived model" in str(listed["spoilt"][1])


def test_a_renamed_folder_is_not_taken_for_another_model(archive: Archive, weights: Path):
    archive.add(weights, Facts()).folder.rename(archive.folder / "other")
    assert archive.verify("other").flaws == ("`other` was archived as `house`",)


ADD_IMPORTS = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from multimodel.errors import ConfigurationError
from multimodel.governance.archive import Archive, Facts
"""
ADD = """
try:
    Archive(Path(sys.argv[1]), lambda: datetime.now(UTC)).add(Path(sys.argv[2]), Facts(), sys.argv[3])
except ConfigurationError as error:
    sys.exit(str(error))
"""


def adding(archive: Archive, weights: Path, name: str, *, before: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", f"{ADD_IMPORTS}{before}{ADD}", str(archive.folder), str(weights), name]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_of_processes_that_add_the_same_name_at_once_one_wins(archive: Archive, weights: Path):
    started = [adding(archive, weights, name) for name in ["same"] * 4 + ["other"]]
    errors = [process.communicate(timeout=PATIENCE)[1] for process in started]
    codes = [process.returncode for process in started]
    assert sorted(codes[:4]) == [0, 1, 1, 1]
    assert codes[4] == 0
    assert sum("is in the archive already" in error for error in errors) == 3
    assert {path.name for path in archive.folder.iterdir()} == {"same", "other"}
    assert archive.verify("same").state == "whole"


def test_a_process_that_is_killed_leaves_a_folder_that_is_named_and_not_used(archive: Archive, tmp_path: Path):
    large = make_weights(tmp_path / "large", size=0)
    size = 512 * 2**20
    with (large / "model.safetensors").open("wb") as file:
        file.write(safetensors(size=0).replace(b"[0]", b"[536870912]").replace(b"[0, 0]", b"[0, 536870912]"))
        header = file.tell() - 8
        file.truncate(8 + header + size)
        file.seek(0)
        file.write(header.to_bytes(8, "little"))
    assert safetensors_parameters(large / "model.safetensors") == size
    process = adding(archive, large, "large")
    until = time.monotonic() + PATIENCE
    while not list(archive.folder.glob(".adding-large-*/*")) and time.monotonic() < until:
        time.sleep(0.001)
    assert list(archive.under_way().values()) == [False]
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    (left,) = archive.folder.iterdir()
    assert archive.under_way() == {left.name: True}
    assert archive.list() == ()
    archive.add(make_weights(tmp_path / "small"), Facts(), "large")
    assert archive.verify("large").state == "whole"
    assert archive.under_way() == {left.name: True}


def test_a_file_system_without_locks_is_good_enough(archive: Archive, weights: Path, monkeypatch: pytest.MonkeyPatch):
    def flock(_descriptor: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    archive.add(weights, Facts())
    assert [path.name for path in archive.folder.iterdir()] == ["house"]
    (archive.folder / ".adding-other-abc").mkdir()
    assert archive.under_way() == {".adding-other-abc": True}


def test_what_only_has_the_name_of_a_folder_that_was_left_is_neither_opened_nor_told(archive: Archive, tmp_path: Path):
    archive.folder.mkdir()
    os.mkfifo(archive.folder / ".adding-pipe")
    (archive.folder / ".adding-link").symlink_to(tmp_path)
    (archive.folder / ".adding-\x1b[31m").mkdir()
    (archive.folder / os.fsdecode(b".adding-\xff")).mkdir()
    (archive.folder / ".adding-file").write_text("")
    assert archive.under_way() == {}


def test_a_sample_of_the_campaign_of_kills_finds_nothing_wrong():
    command = [sys.executable, "-m", "tests.campaign.killed", "--kills", "8", "--seed", "5"]
    root = Path(__file__).parents[2]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=4 * PATIENCE, check=False)
    assert (ran.returncode, ran.stderr.count("Error")) == (0, 0), ran.stderr
    assert ran.stdout.startswith("8 killed, ")
    assert ran.stdout.endswith(", 0 wrong\n")
