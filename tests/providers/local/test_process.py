"""What happens to a whole process: it forks, it ends, it says nothing on its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import os, sys, threading, time, signal
from pathlib import Path
from multimodel.errors import CallError
from multimodel.providers.base import ProviderSetup
from multimodel.providers.local import LocalProvider
from multimodel.types import Attempt, Limits, Request, TextDelta

provider = LocalProvider(ProviderSetup("local", None, options={"archive": Path(sys.argv[1])}))

def ask(text, **options):
    now = time.monotonic()
    limits = Limits(60, now + 60, 60, now + 60, now + 60)
    return provider.stream(Attempt(Request(messages=text, **options), "qwen3", True, limits, time.monotonic))

def text(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))

def endless():
    "An answer that goes on, computed while this returns."
    make = provider._row
    def never_ends(*given):
        row = make(*given)
        row.sampler.pick = lambda logits, ids: 70
        return row
    provider._row = never_ends
    events = ask("Hello")
    next(events)
    provider._row = make
    return events
"""


def run(archive: Path, code: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in {"OMP_WAIT_POLICY", "HF_HUB_OFFLINE"}}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", BEGIN + code, str(archive)],
        capture_output=True,
        text=True,
        env=env,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(("code", "status"), [("", 0), ("sys.exit(3)", 3)])
def test_a_process_that_ends_while_it_computes_ends_cleanly_and_without_a_word(archive: Path, code: str, status: int):
    ran = run(
        archive, f"events = endless()\nprint(os.environ['OMP_WAIT_POLICY'], os.environ['HF_HUB_OFFLINE'])\n{code}"
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (status, "PASSIVE 1\n", "")


def test_a_process_that_closes_its_provider_and_ends_at_once_ends_cleanly(archive: Path):
    ran = run(archive, "print(text(ask('Hello')))\nprovider.close()")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "Hello! How can I help you today?\n", "")


def test_a_child_that_is_forked_in_the_middle_of_a_step_computes_on_its_own(archive: Path):
    ran = run(
        archive,
        """
events = endless()
for _ in range(3):
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # a child that hangs is a failure
        try:
            said = text(ask("Hello"))
        finally:
            os._exit(0 if said == "Hello! How can I help you today?" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    next(events)
events.close()
print(text(ask("Hello")))
""",
    )
    assert (ran.returncode, ran.stdout) == (0, "Hello! How can I help you today?\n"), ran.stderr


def test_interrupting_a_caller_stops_its_row(archive: Path):
    ran = run(
        archive,
        """
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell leaves it ignored
events = endless()
threading.Timer(0.05, signal.raise_signal, (signal.SIGINT,)).start()
try:
    for event in events:
        pass
except KeyboardInterrupt:
    events.close()
    print(text(ask("Hello")))
""",
    )
    assert (ran.returncode, ran.stdout) == (0, "Hello! How can I help you today?\n"), ran.stderr


def test_many_threads_load_the_weights_once(archive: Path):
    ran = run(
        archive,
        """
from multimodel.providers.local import provider as module
loads = []
load = module.load
module.load = lambda *given: loads.append(given) or load(*given)
said = []
threads = [threading.Thread(target=lambda: said.append(text(ask("Hello")))) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(loads), set(said))
""",
    )
    assert (ran.returncode, ran.stdout) == (0, "1 {'Hello! How can I help you today?'}\n"), ran.stderr
