"""Policy files that must be refused. Each kind differs with the seed."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Make = Callable[[Random], "str | bytes"]

POLICIES: dict[str, Make] = {}
"""How a hostile policy is written, by name."""

GOOD = """\
version: 1
providers:
  house: {profile: openai, base_url: "https://llm.example.net/v1", api_key: "${CANARY}", operator: house}
routes:
  chat: {chain: [house:small, dashscope:qwen-plus]}
off:
  - {operator: alibaba, reason: drill}
"""


def policy(make: Make) -> Make:
    POLICIES[make.__name__] = make
    return make


def _with(line: str) -> str:
    return f"{GOOD}{line}\n"


def _route(setting: str) -> str:
    return GOOD.replace("qwen-plus]}", f"qwen-plus], {setting}}}")


def _provider(setting: str) -> str:
    return GOOD.replace("operator: house}", f"operator: house, {setting}}}")


def _off(entry: str) -> str:
    return f"{GOOD}  - {{{entry}}}\n"


@policy
def alias_bomb(rng: Random) -> str:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, rng.randint(2, 60))]
    return GOOD + "\n".join(lines)


@policy
def anchor_or_merge(rng: Random) -> str:
    return rng.choice(
        (
            GOOD.replace("[house", "&a [house"),
            GOOD.replace("routes:", "routes: &r"),
            _with("aliases: {old: &x chat}"),
            GOOD.replace("  chat: {", "  chat: {<<: {deadline: 3s}, "),
            GOOD.replace("  chat: {", "  chat: {<<: *nothing, "),
        )
    )


@policy
def nesting(rng: Random) -> str:
    depth = rng.randint(33, 100_000)
    opening = rng.choice(("[", "{a: ", "- ", "? "))
    return _with("aliases: " + opening * depth) if rng.random() < 0.5 else opening * depth


@policy
def duplicate_key(rng: Random) -> str:
    return rng.choice(
        (
            GOOD + "routes: {chat: {chain: [local:x]}}\n",
            GOOD + "off: []\n",
            GOOD.replace("profile: openai", "profile: openai, profile: dashscope"),
            GOOD.replace("chain: [house", 'chain: [local:x], "chain": [house'),
            GOOD.replace("operator: alibaba", "operator: groq, operator: alibaba"),
        )
    )


@policy
def tag(rng: Random) -> str:
    return GOOD.replace(
        rng.choice(("drill", "openai", "house:small", "1\n")),
        rng.choice(
            (
                '!!python/object/apply:os.system ["touch /tmp/owned"]',
                "!!python/name:os.system x",
                "!!str x",
                "!include /etc/passwd",
                "!!binary aGk=",
                "!<tag:yaml.org,2002:int> 3",
            )
        )
        + "\n",
    )


@policy
def directive_or_documents(rng: Random) -> str:
    return rng.choice(
        ("%YAML 1.1\n---\n" + GOOD, "%TAG ! tag:x,2000:\n---\n" + GOOD, GOOD + "---\n" + GOOD, GOOD + "...\na")
    )


@policy
def control_bytes(rng: Random) -> bytes:
    data = bytearray(GOOD.encode())
    at = rng.randrange(len(data))
    bad = rng.choice(
        (
            b"\0",
            b"\x1b",
            b"\x08",
            b"\x7f",
            b"\xff",
            b"\xc3",
            b"\xed\xa0\x80",
            b"\xef\xbf\xbe",
            b"\xc2\x85",
            b"\xe2\x80\xa8",
        )
    )
    return bytes(data[:at] + bad + data[at:])


@policy
def another_encoding(rng: Random) -> bytes:
    return GOOD.encode(rng.choice(("utf-16", "utf-16-le", "utf-32", "utf-7"))) + b"+/v8-"


@policy
def too_large(rng: Random) -> str:
    return GOOD + rng.choice(("# x\n", " ", "\n")) * (2**20 + rng.randrange(999))


@policy
def huge_number(rng: Random) -> str:
    number = rng.choice(
        ("9" * rng.randint(301, 9000), "1e999", "-.inf", ".nan", "0x" + "f" * 400, "1" + "0" * 400, "-1")
    )
    settings = (
        "max_attempts: N",
        "deadline: Ns",
        "concurrency: N",
        "params: {temperature: N}",
        "params: {max_tokens: N}",
    )
    settings += (
        "retry: {attempts: N}",
        "breaker: {failures: N, ratio: N}",
        "budget: {per_day: N USD}",
        "hedge: {after: Ns}",
    )
    return _route(rng.choice(settings).replace("N", number))


@policy
def variable(rng: Random) -> str:
    return GOOD.replace(
        '"${CANARY}"',
        rng.choice(
            (
                '"${NOT_SET_ANYWHERE}"',
                "${CANARY}",
                '"${}"',
                '"${CANARY"',
                '"${${CANARY}}"',
                '"${1X}"',
                '"${CANARY:-x}"',
                '"$(id)x${CANARY}\\n"',
                '["${CANARY}"]',
                '{a: "${CANARY}"}',
                '"${EMPTY}"',
            )
        ),
    )


@policy
def variable_elsewhere(rng: Random) -> str:
    return rng.choice(
        (
            GOOD.replace("https://llm.example.net/v1", "${CANARY}"),
            GOOD.replace("house:small", '"${CANARY}"'),
            GOOD.replace("version: 1", 'version: "${CANARY}"'),
            _route('deadline: "${CANARY}"'),
            _route('max_attempts: "${CANARY}"'),
            _off('jurisdiction: "${CANARY}"'),
            GOOD.replace("  chat:", '  "${CANARY}":'),
        )
    )


@policy
def off_entry(rng: Random) -> str:
    return _off(
        rng.choice(
            (
                "reason: nothing",
                "operator: alibaba, author: alibaba",
                "operator: Alibaba",
                "operator: [alibaba]",
                "operator: null",
                "jurisdiction: China",
                "jurisdiction: cn",
                "target: nothing",
                "target: 'a: b'",
                "operator: x, until: tomorrow",
                "operator: x, until: 2026-13-01",
                "operator: x, since: '2026-01-01T00:00:00'",
                "operator: x, untill: 2027-01-01",
                "provider: {a: 1}",
                "on: true",
                "operator: x, reason: [1]",
                "operator: ../../etc",
            )
        )
    )


@policy
def off_that_is_no_list(rng: Random) -> str:
    return (
        GOOD.partition("off:")[0]
        + "off: "
        + rng.choice(("alibaba", "{operator: alibaba}", "true", "[alibaba]", "[[]]", "3"))
    )


@policy
def residency(rng: Random) -> str:
    return _route(
        "residency: "
        + rng.choice(
            (
                "EU",
                "[EU]",
                "{storage: 5}",
                "{storage: {EU: 1}}",
                "{moon: [EU]}",
                "{storage: [[EU]]}",
                "{storage: [null]}",
                "true",
                "{storage: [1]}",
                "{inference: EU, storage: [EU], more: 1}",
                "{inference: [{a: b}]}",
            )
        )
    )


@policy
def budget(rng: Random) -> str:
    amount = rng.choice(
        ("-1 USD", "1 EUR", "1", "x USD", ".nan USD", "1e400 USD", "[1 USD]", "{a: 1}", "USD", "1 USD USD", "1,5 USD")
    )
    return _route(f"budget: {{{rng.choice(('per_call', 'per_day'))}: {amount}}}")


@policy
def budget_of_a_wrong_kind(rng: Random) -> str:
    return _route(
        "budget: "
        + rng.choice(
            ("5 USD", "[5 USD]", "{per_year: 1 USD}", "{then: stop}", "{per_day: 1 USD, then: [error]}", "true")
        )
    )


@policy
def base_url(rng: Random) -> str:
    return GOOD.replace(
        "https://llm.example.net/v1",
        rng.choice(
            (
                "http://llm.example.net/v1",
                "http://169.254.169.254/latest",
                "http://127.0.0.1.example.net",
                "https://user:pass@x/v1",
                "file:///etc/passwd",
                "javascript:alert(1)",
                "https://",
                "https://x/v1?key=1",
                "https://x/#a",
                "https://exämple.net/v1",
                "https://x y/v1",
                "https://x\\\\y/v1",
                "https://[::1/v1",
                "https://x:99999999/v1",
                "//x/v1",
                "https://x/\\r\\nHost: y",
                "",
            )
        ),
    )


@policy
def header_or_proxy(rng: Random) -> str:
    return _provider(
        rng.choice(
            (
                "headers: {Host: x}",
                'headers: {"X\\r\\nY": a}',
                'headers: {"": a}',
                'headers: {Content-Length: "0"}',
                "headers: {X: [1]}",
                "headers: [X]",
                "proxy: 'socks5://x'",
                "proxy: 'file:///x'",
                "proxy: [x]",
                "profle: x",
                "archive: ./x",
                "threads: 3",
                'api_key: "a\\nb"',
            )
        )
    )


@policy
def route_that_is_none(rng: Random) -> str:
    return GOOD.replace(
        "  chat: {chain: [house:small, dashscope:qwen-plus]}",
        rng.choice(
            (
                "  chat: {chain: []}",
                "  chat: {}",
                "  chat: []",
                "  chat: {chain: house:small}",
                "  chat: {chain: [house]}",
                "  chat: {chain: [nobody:x]}",
                "  chat: {chain: [house:small, house:small]}",
                "  chat: {extends: chat}",
                "  chat: {extends: b}\n  b: {extends: chat}",
                "  chat: {extends: gone}",
                "  'a b': {chain: [house:small]}",
                "  chat: {chain: [{target: house:small, traget: 1}]}",
                "  chat: {chain: [[house:small]]}",
                "  1: {chain: [house:small]}",
                "  null: {chain: [house:small]}",
                "  ? [a]\n  : {chain: [house:small]}",
            )
        ),
    )


@policy
def setting_of_a_wrong_kind(rng: Random) -> str:
    name = rng.choice(
        ("deadline", "timeouts", "retry", "breaker", "hedge", "traffic", "shadow", "params", "requires", "prompts")
    )
    return _route(f"{name}: {rng.choice(('[{}]', '{nothing: 1}', '[[[]]]', '{a: {b: c}}', 'x y z', '-5s'))}")


@policy
def alias_that_leads_nowhere(rng: Random) -> str:
    return _with(
        "aliases: "
        + rng.choice(("{a: gone}", "{chat: chat}", "{a: b, b: a}", "[a]", "{a: [chat]}", "{'a b': chat}", "{1: chat}"))
    )


@policy
def path_that_is_none(rng: Random) -> str:
    return _with("switch_file: " + rng.choice(("[a]", "{a: b}", '"a\\0b"', "''", "3", "true")))


@policy
def no_policy(rng: Random) -> bytes:
    return rng.choice(
        (b"", b"\n\n# nothing\n", b"null", b"[]", b"x", b"3", b"{}", b"routes: {}", b"routes: null", rng.randbytes(300))
    )
