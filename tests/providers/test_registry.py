"""Adapters and profiles by name: ours, the user's, and those of plugins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest

from multimodel.errors import ConfigurationError
from multimodel.providers import registry
from multimodel.providers.catalogue import load_profiles, packaged_directory, profiles
from multimodel.providers.profile import Profile

FACT = {"source": "https://echo.example/docs", "date": "2026-11-24"}
FILE = """\
name: {name}
title: Ours
protocols: {{chat: {{wire: openai_chat}}}}
protocol: chat
fact: {{source: our wiki, date: 2026-11-24}}
"""


class EchoProvider:
    """A plugin's adapter."""

    profile: ClassVar = {"title": "Echo", "key_required": False, "fact": FACT}

    def __init__(self, setup: object) -> None:
        self.setup = setup


class FakeEntryPoint:
    """As much of an entry point as the registry uses."""

    def __init__(self, name: str, found: object) -> None:
        self.name = name
        self.found = found
        self.dist = SimpleNamespace(name=f"multimodel-{name}")

    def load(self) -> object:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    from multimodel.providers import catalogue

    registry.plugins.cache_clear()
    catalogue._from_plugin.cache_clear()
    yield
    registry.plugins.cache_clear()
    catalogue._from_plugin.cache_clear()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    """Install plugins: a name and what its entry point names."""

    def install(**found: object) -> None:
        entry_points = tuple(FakeEntryPoint(name, plugin) for name, plugin in found.items())
        found_in = {registry.GROUP: entry_points}
        monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: found_in.get(group, ()))
        registry.plugins.cache_clear()

    return install


# --- adapters ---


def test_the_adapter_of_http_vendors_is_ours():
    assert registry.adapter("http").__name__ == "HttpProvider"


def test_a_plugins_adapter_is_found_by_its_entry_points_name(installed):
    installed(echo=EchoProvider)
    assert registry.adapter("echo") is EchoProvider


def test_a_plugin_may_keep_profile_and_adapter_apart(installed):
    installed(echo=SimpleNamespace(profile=EchoProvider.profile, adapter=EchoProvider))
    assert registry.adapter("echo") is EchoProvider
    assert profiles({})["echo"].adapter == "echo"


def test_an_unknown_adapter_gets_the_nearest_name():
    with pytest.raises(ConfigurationError, match="unknown adapter `htp`") as caught:
        registry.adapter("htp")
    assert caught.value.hint == "did you mean `http`?"


def test_an_unknown_adapter_like_no_other_gets_all_names(installed):
    installed(echo=EchoProvider)
    with pytest.raises(ConfigurationError) as caught:
        registry.adapter("zzz")
    assert caught.value.hint == "known are `echo`, `http`, `litellm`, `local`"


def test_a_plugin_never_replaces_an_adapter_of_ours(installed):
    installed(http=EchoProvider)
    assert registry.adapter("http").__name__ == "HttpProvider"


def test_a_broken_plugin_is_named_with_its_distribution(installed):
    installed(echo=ImportError("no module named `secret`"))
    with pytest.raises(ConfigurationError, match="`echo` of `multimodel-echo` cannot be loaded: ImportError"):
        registry.adapter("echo")


def test_a_profile_alone_is_no_adapter(installed):
    installed(house={"title": "House", "fact": FACT})
    with pytest.raises(ConfigurationError, match="has no adapter"):
        registry.adapter("house")


# --- profiles ---


def test_the_name_and_the_adapter_of_a_plugins_profile_may_be_left_out(installed):
    installed(echo=EchoProvider)
    echo = profiles({})["echo"]
    assert (echo.name, echo.adapter, echo.title) == ("echo", "echo", "Echo")


def test_a_plugin_may_be_a_profile_alone(installed):
    protocols = {"chat": {"wire": "openai_chat"}}
    installed(house={"title": "House", "protocols": protocols, "protocol": "chat", "fact": FACT})
    assert profiles({})["house"].adapter == "http"


def test_a_plugin_may_give_a_profile_that_is_made_already(installed):
    made = Profile.model_validate({"name": "echo", "adapter": "echo", "title": "Echo", "fact": FACT})
    installed(echo=made)
    assert profiles({})["echo"] is made


def test_a_plugin_never_replaces_a_file(installed):
    installed(openai=EchoProvider)
    assert profiles({})["openai"].title == "OpenAI"


def test_a_plugin_without_a_profile_is_told_so(installed):
    installed(echo=len)
    with pytest.raises(ConfigurationError, match="the plugin `echo` has no profile of that name"):
        profiles({})["echo"]


def test_a_plugins_wrong_profile_names_the_field(installed):
    installed(echo={"title": 3, "fact": FACT})
    with pytest.raises(ConfigurationError, match="the profile of the plugin `echo` is wrong: title"):
        profiles({})["echo"]


def test_names_of_plugins_are_listed_without_loading_them(installed):
    installed(echo=ImportError("never"))
    assert "echo" in profiles({})
    assert "echo" in list(profiles({}))


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError):
        profiles({})["nobody"]


def test_the_names_are_known_without_reading_a_file(tmp_path: Path):
    (tmp_path / "broken.yaml").write_text("[", encoding="utf-8")
    catalogue = load_profiles(directories=[tmp_path])
    assert list(catalogue) == ["broken"]
    assert "broken" in catalogue
    assert len(catalogue) == 1


def test_a_file_is_read_once_and_again_when_it_changes(tmp_path: Path):
    import os

    file = tmp_path / "ours.yaml"
    file.write_text(FILE.format(name="ours"), encoding="utf-8")
    catalogue = load_profiles(directories=[tmp_path])
    first = catalogue["ours"]
    assert catalogue["ours"] is first
    file.write_text(FILE.format(name="ours").replace("Ours", "Changed"), encoding="utf-8")
    os.utime(file, ns=(1, 1))
    assert catalogue["ours"].title == "Changed"


def test_the_users_directories_go_before_ours(tmp_path: Path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        text = FILE.format(name="openai").replace("Ours", folder)
        (tmp_path / folder / "openai.yaml").write_text(text, encoding="utf-8")
    import os

    listed = os.pathsep.join(str(tmp_path / folder) for folder in ("one", "two"))
    catalogue = profiles({"MULTIMODEL_PROVIDERS": listed})
    assert catalogue["openai"].title == "one"
    assert "dashscope" in catalogue


def test_a_directory_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="which is no directory"):
        profiles({"MULTIMODEL_PROVIDERS": str(tmp_path / "missing")})


def test_the_packaged_profiles_are_found_from_a_checkout():
    assert (packaged_directory() / "dashscope.yaml").is_file()


# --- mistakes in files ---


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (FILE.replace("title", "titel"), r"p\.yaml:2:8: `titel`: Extra inputs are not permitted"),
        (FILE.replace("wire: openai_chat", "wire: soap"), r"p\.yaml:3:26: `protocols\.chat\.wire`"),
        (FILE.replace("2026-11-24", "2026-13-24"), r"p\.yaml:5:32: `fact\.date`"),
        (FILE + "name: twice\n", r"p\.yaml:6:1: `name` stands twice"),
        (FILE + "key: [\n", r"p\.yaml:7:1: "),
        (FILE + "region: nowhere\n", r"p\.yaml:1:1: .*`region` must be one of"),
        (FILE.replace("title: Ours", "title: null"), r"p\.yaml:2:8: `title`"),
        ("", r"p\.yaml:1:1: "),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, told: str):
    (tmp_path / "p.yaml").write_text(text.format(name="p"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=told):
        load_profiles(directories=[tmp_path])["p"]


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path):
    text = FILE.format(name="p").replace("title", "titel").replace("soap", "wire").replace("2026-11-24", "soon")
    (tmp_path / "p.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_profiles(directories=[tmp_path])["p"]
    assert len(caught.value.problems) == 3


def test_a_file_of_another_name_is_told(tmp_path: Path):
    (tmp_path / "p.yaml").write_text(FILE.format(name="q"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="the profile is named `q`") as caught:
        load_profiles(directories=[tmp_path])["p"]
    assert caught.value.hint == "name the file `q.yaml`"


def test_a_file_that_is_not_text_is_told(tmp_path: Path):
    (tmp_path / "p.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="cannot be read: it is not UTF-8"):
        load_profiles(directories=[tmp_path])["p"]


def test_norway_is_a_country(tmp_path: Path):
    (tmp_path / "p.yaml").write_text(FILE.format(name="p") + "jurisdiction: NO\n", encoding="utf-8")
    assert load_profiles(directories=[tmp_path])["p"].jurisdiction == "NO"


def test_asking_for_names_loads_no_yaml():
    code = (
        "import sys\nfrom multimodel.providers.catalogue import profiles\n"
        "assert 'dashscope' in profiles({})\nassert list(profiles({}))\nassert 'yaml' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- packages ---


class Forbidding:
    """An import hook under which nothing is installed."""

    def find_spec(self, name: str, *_more: object) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_a_package_that_an_import_hook_forbids_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "litellm", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Forbidding()])
    assert registry.missing("litellm") == "litellm is not installed"


def test_a_stand_in_for_a_package_counts_as_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "litellm", ModuleType("litellm"))
    assert registry.missing("litellm") is None
