"""The main job on real weights: a vendor answers, fails in three ways, and is switched off; the application goes on.

The vendor is a stand-in on loopback. It speaks DashScope's native protocol byte for byte, but what it says is canned.
The weights are real: SmolLM2-135M-Instruct, computed in this process by transformers.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo.app import QUESTIONS, ask, ask_streaming
from offline import WEIGHTS, weights

from multimodel import Client
from multimodel.testing import FaultyVendor, faults

POLICY = """\
version: 1
providers:
  dashscope: {{base_url: "{url}", api_key: sk-demo}}
  local: {{archive: "{archive}"}}
routes:
  chat:
    chain: [dashscope:qwen-plus, local:{weights}]
"""


def main() -> None:
    print(__doc__)
    begun = time.perf_counter()
    archive = weights()
    print(f"weights ready in {time.perf_counter() - begun:.1f} s: {archive / WEIGHTS}\n")
    with tempfile.TemporaryDirectory() as folder, FaultyVendor() as vendor:
        vendor.answer = "(canned) The vendor is well and says so."
        policy = Path(folder, "multimodel.yaml")
        policy.write_text(POLICY.format(url=vendor.dashscope_url, archive=archive, weights=WEIGHTS), encoding="utf-8")
        print(policy.read_text(encoding="utf-8"))
        with Client(policy) as client:
            rows = scenes(client, vendor, policy)
    show(rows)
    print("\nThe application was not changed. The vendor was a stand-in on loopback; the weights were real.")


def scenes(client: Client, vendor: FaultyVendor, policy: Path) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    scene(rows, client, "the vendor answers")

    vendor.fault = faults.arrearage()
    scene(rows, client, "arrearage (HTTP 400 `Arrearage`)")
    client = renewed(client, policy)

    vendor.fault = faults.cut(after=2)
    scene(rows, client, "its streams are cut", calls=1)
    client = renewed(client, policy)

    vendor.fault = faults.refuse()
    scene(rows, client, "it refuses connections")
    vendor.fault = None
    client = renewed(client, policy)
    scene(rows, client, "it is back", calls=1)

    before = (vendor.bytes_received, vendor.connections.total)
    command = [
        sys.executable,
        "-m",
        "multimodel",
        "--config",
        str(policy),
        "off",
        "alibaba",
        "--reason",
        "demo",
        "--yes",
    ]
    print("$ multimodel off alibaba --reason demo")
    subprocess.run(command, check=True)  # another process, as an operator would
    scene(rows, client, "`off alibaba`, from another process")
    after = (vendor.bytes_received, vendor.connections.total)
    print(f"\nbytes that reached the vendor after `off`: {after[0] - before[0]}, connections: {after[1] - before[1]}")
    if after != before:
        sys.exit("the switch leaked")
    client.close()
    return rows


def renewed(client: Client, policy: Path) -> Client:
    """Begin the next scene with an open mind: a new client has seen no failure yet."""
    client.close()
    return Client(policy)


def scene(rows: list[tuple[str, ...]], client: Client, title: str, calls: int = len(QUESTIONS)) -> None:
    print(f"-- {title}")
    for number, question in enumerate(QUESTIONS[:calls]):
        asked = ask if number % 2 == 0 else ask_streaming
        answer = asked(client, question)
        print(f"   {question} -> {answer.text.strip()[:60]!r}")
        tried = ", ".join(f"{one.target.provider} {one.outcome}" for one in answer.report.attempts)
        skipped = ", ".join(f"{one.target.provider} ({one.reason})" for one in answer.report.skipped)
        usage = answer.usage
        tokens = f"{usage.input_tokens}+{usage.output_tokens}" if usage else "?"
        rows.append(
            (title, str(answer.target), answer.finish_reason, tokens, f"{answer.report.duration:.2f} s", tried, skipped)
        )


def show(rows: list[tuple[str, ...]]) -> None:
    heads = ("scene", "answered by", "finish", "tokens", "time", "attempts", "skipped")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    print()
    for row in (heads, tuple("-" * width for width in widths), *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
