"""System texts by target, provider, author and operator, from files beside the policy."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from multimodel import AsyncClient, Client, ConfigurationError, Message, TextPart
from multimodel.client.prompts import prompted
from multimodel.config import load_policy
from multimodel.providers.catalogue import profiles
from multimodel.testing import FaultyVendor, faults
from multimodel.types import Request


@pytest.fixture
def vendors():
    with FaultyVendor(answer="from qwen") as first, FaultyVendor(answer="from the other") as second:
        yield first, second


@pytest.fixture
def policy(vendors, tmp_path: Path):
    """Write a policy with texts for some names; return its path."""

    def write(**texts: str) -> Path:
        (tmp_path / "prompts").mkdir(exist_ok=True)
        lines = []
        for number, (name, text) in enumerate(texts.items()):
            (tmp_path / "prompts" / f"{number}.txt").write_text(text, encoding="utf-8")
            lines.append(f'"{name}": prompts/{number}.txt')
        file = tmp_path / "multimodel.yaml"
        file.write_text(
            f"""
providers:
  dashscope: {{protocol: compatible, base_url: "{vendors[0].compatible_url}", api_key: sk-1}}
  openai: {{base_url: "{vendors[1].openai_url}", api_key: sk-2}}
routes:
  chat:
    chain: [dashscope:qwen-plus, openai:gpt-5]
    retry: {{attempts: 1}}
    prompts: {{{", ".join(lines)}}}
""",
            encoding="utf-8",
        )
        return file

    return write


def system(vendor: FaultyVendor) -> list[str]:
    return [message["content"] for message in vendor.log[-1].messages if message["role"] == "system"]


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({"alibaba": "Author or operator."}, "Author or operator."),
        ({"alibaba": "Author.", "dashscope": "Provider."}, "Provider."),
        ({"alibaba": "Author.", "dashscope": "Provider.", "dashscope:qwen-plus": "Target."}, "Target."),
        ({"alibaba": "用中文回答。\r\n\n"}, "用中文回答。"),
    ],
)
def test_the_most_specific_name_wins(vendors, policy, texts: dict[str, str], told: str):
    with Client(policy(**texts)) as client:
        client.complete("chat", "Hi")
    assert system(vendors[0]) == [told]


def test_each_target_gets_its_own_text_and_one_without_gets_none(vendors, policy):
    vendors[0].fault = faults.status(500)
    with Client(policy(alibaba="Be brief.")) as client:
        answer = client.complete("chat", "Hi")
    assert answer.text == "from the other"
    assert system(vendors[0]) == ["Be brief."]
    assert system(vendors[1]) == []


def test_the_calls_own_system_text_follows(vendors, policy):
    messages = [{"role": "system", "content": "Answer in verse."}, {"role": "user", "content": "Hi"}]
    with Client(policy(alibaba="Be brief.")) as client:
        client.complete("chat", messages)
        assert system(vendors[0]) == ["Be brief.\n\nAnswer in verse."]
        assert messages[0]["content"] == "Answer in verse."


def test_the_report_names_the_text_that_was_used(policy):
    with Client(policy(alibaba="Be brief.")) as client:
        assert client.complete("chat", "Hi").report.notes == ("dashscope:qwen-plus: system text of `alibaba`, `0.txt`",)


def test_streams_and_async_clients_get_it_too(vendors, policy):
    file = policy(alibaba="Be brief.")

    async def main() -> None:
        async with AsyncClient(file) as client:
            await client.complete("chat", "Hi")
            async with client.stream("chat", "Hi") as stream:
                assert "".join([text async for text in stream.text_deltas()]) == "from qwen"

    asyncio.run(main())
    with Client(file) as client, client.stream("chat", "Hi") as stream:
        assert "".join(stream.text_deltas()) == "from qwen"
    assert [[one["content"] for one in request.messages if one["role"] == "system"] for request in vendors[0].log] == [
        ["Be brief."]
    ] * 3


def test_the_text_is_that_of_the_day_the_policy_was_loaded(vendors, policy, tmp_path: Path):
    with Client(policy(alibaba="Before.")) as client:
        (tmp_path / "prompts" / "0.txt").write_text("After.", encoding="utf-8")
        client.complete("chat", "Hi")
    assert system(vendors[0]) == ["Before."]


def test_a_text_comes_before_parts_of_a_system_message():
    request = Request(
        messages=(Message(role="system", content=(TextPart(text="own"),)), Message(role="user", content="Hi"))
    )
    first, second = prompted(request, "policy's").messages
    assert [part.text for part in first.content if isinstance(part, TextPart)] == ["policy's\n\n", "own"]
    assert second == request.messages[1]


# --- mistakes ---


def mistake(tmp_path: Path, whose: str, content: bytes | None) -> str:
    if content is not None:
        (tmp_path / "p.txt").write_bytes(content)
    file = tmp_path / "m.yaml"
    file.write_text(f"routes:\n  chat:\n    chain: [dashscope:qwen-plus]\n    prompts: {{{whose}: p.txt}}\n")
    with pytest.raises(ConfigurationError) as caught:
        load_policy(file, environ={"DASHSCOPE_API_KEY": "k"}, profiles=profiles({}))
    (problem,) = caught.value.problems
    return str(problem).replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no file `p.txt`\nhint: create it; a path is relative to the policy"),
        (b"", "`p.txt` is empty\nhint: write the text into it, or remove the line"),
        (b"\xef\xbb\xbf \r\n", "`p.txt` is empty\nhint: write the text into it, or remove the line"),
        (b"Gr\xfc\xdfe", "`p.txt` is not UTF-8: byte 3 does not fit\nhint: save it as UTF-8"),
        (b"x" * (256 * 1024 + 1), "`p.txt` is larger than 256 KiB\nhint: shorten it"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_mistake_with_its_place(tmp_path: Path, content: bytes | None, told: str):
    assert mistake(tmp_path, "alibaba", content) == f"/m.yaml:4:24: {told}"


def test_a_name_that_no_target_of_the_chain_has_is_a_mistake_with_its_place(tmp_path: Path):
    told = mistake(tmp_path, "alibabba", b"text")
    assert told == (
        "/m.yaml:4:15: `alibabba` is no target, provider, author or operator of the chain\nhint: did you mean `alibaba`?"
    )


def test_a_folder_or_a_device_is_no_text(tmp_path: Path):
    (tmp_path / "p.txt").mkdir()
    assert "there is no file `p.txt`" in mistake(tmp_path, "alibaba", None)


def test_a_route_that_extends_another_has_its_texts(vendors, policy):
    file = policy(alibaba="Be brief.")
    file.write_text(file.read_text() + "  other: {extends: chat, chain: [dashscope:qwen-turbo]}\n")
    with Client(file) as client:
        client.complete("other", "Hi")
    assert system(vendors[0]) == ["Be brief."]


def test_a_policy_that_is_handed_in_reads_its_texts_again(policy, vendors):
    with Client(policy(alibaba="Be brief.")) as first, Client(first.policy) as second:
        second.complete("chat", "Hi")
    assert system(vendors[0]) == ["Be brief."]
