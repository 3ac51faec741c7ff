"""Frameworks over the drop-in clients, each in an environment of its own: their bounds fight each other.

``python -m tests.campaign.frameworks`` makes one environment a framework in a temporary folder, installs the framework
and this package there, runs ``examples/frameworks/NAME.py`` against a vendor on loopback, and prints a line each.
It needs the package index. ``--only NAME`` runs one of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

from multimodel.testing import FaultyVendor, VendorRequest
from multimodel.testing.reply import Reply, text_of

ROOT = Path(__file__).parents[2]
POLICY = """
providers:
  house: {{profile: openai, base_url: "{url}", api_key: sk-test, operator: house}}
routes:
  chat: {{chain: [house:our-model]}}
"""
PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Framework:
    """What is installed, and what the example must print."""

    requirement: str
    says: tuple[str, ...]


FRAMEWORKS = {
    "pydantic_ai_agent": Framework(
        "pydantic-ai-slim[openai]",
        ("tool: There are 4.", "typed: title='text' severity=1", "streamed: You said: Say something."),
    ),
    "langchain_chat": Framework(
        "langchain-openai",
        (
            "whole: You said: Say something.",
            "tool: stock",
            "typed: title='text' severity=1",
            "streamed: You said: Say something.",
        ),
    ),
    "instructor_extract": Framework("instructor", ("typed: title='text' severity=1",)),
}


def answer(request: VendorRequest) -> Reply | None:
    """Say what a tool found; else what fits the request."""
    last = request.messages[-1]
    if last["role"] == "tool" and text_of(last["content"]).isdigit():
        return Reply(f"There are {text_of(last['content'])}.")
    return None


def environment(folder: Path, requirement: str) -> Path:
    """Make an environment with a framework and this package; return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement, str(ROOT)]
    subprocess.run(install, check=True, timeout=PATIENCE)
    return python


def run(name: str, framework: Framework) -> list[str]:
    """Run one example; return what is missing in what it says."""
    with tempfile.TemporaryDirectory() as temporary, FaultyVendor(answer=answer) as vendor:
        folder = Path(temporary)
        python = environment(folder / "environment", framework.requirement)
        policy = folder / "multimodel.yaml"
        policy.write_text(POLICY.format(url=vendor.openai_url), encoding="utf-8")
        ran = subprocess.run(
            [python, ROOT / "examples" / "frameworks" / f"{name}.py"],
            cwd=folder,
            env={**os.environ, "MULTIMODEL_CONFIG": str(policy), "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )
    said = ran.stdout.splitlines()
    missing = [line for line in framework.says if line not in said]
    return [*missing, *(ran.stderr.splitlines()[-12:] if ran.returncode else [])]


def main() -> int:
    """Run the examples; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(FRAMEWORKS))
    only = parser.parse_args().only
    failed = False
    for name, framework in FRAMEWORKS.items():
        if only is not None and name != only:
            continue
        missing = run(name, framework)
        failed = failed or bool(missing)
        print(f"{name} ({framework.requirement}): {'failed' if missing else 'ok'}", flush=True)
        for line in missing:
            print(f"  {line}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
