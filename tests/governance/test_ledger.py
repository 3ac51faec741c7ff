"""The ledger of real calls: over real sockets, real files and real processes."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from multimodel import AsyncClient, CallError, Client
from multimodel.errors import ConfigurationError
from multimodel.governance.ledger import Ledger, Line, read_ledger, writer
from multimodel.governance.ledger.file import BUSY
from multimodel.testing import FakeProvider, FaultyVendor, Reply, faults
from multimodel.types import Usage

FAULTS = [faults.status(500), faults.status(429), faults.cut(after=2), faults.garbage(), faults.usage_missing()]
KEY, PROMPT, ANSWER = "sk-canary-key", "canary prompt", "canary answer"


@pytest.fixture
def vendors():
    with FaultyVendor(answer=ANSWER) as first, FaultyVendor(answer=ANSWER) as second:
        yield first, second


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "calls.db"


def policy(vendors, file: Path | None, **settings: Any) -> dict[str, Any]:
    first, second = vendors
    given = {
        "providers": {
            "first": {"profile": "dashscope", "base_url": first.dashscope_url, "api_key": KEY},
            "second": {"profile": "openai", "base_url": second.openai_url, "api_key": KEY, "operator": "house"},
        },
        "routes": {
            "chat": {"chain": ["first:qwen-plus", "second:our-model"], **settings},
            "vectors": {"chain": ["first:text-embedding-v4"]},
        },
    }
    return given if file is None else {**given, "ledger": file}


def rows(file: Path, columns: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute(f"SELECT {columns} FROM attempts ORDER BY time, attempt").fetchall()
    finally:
        connection.close()


def flush(ledger: Ledger) -> None:
    with ledger._disk:
        ledger._flush()


def line(call: str, **facts: Any) -> Line:
    known = {
        "time": 1.0,
        "call": call,
        "verb": "complete",
        "route": "chat",
        "attempt": 1,
        "reason": "first",
        "target": "a:m",
        "operator": "a",
        "author": None,
        "jurisdiction": None,
        "outcome": "ok",
        "input_tokens": 1,
        "output_tokens": 1,
        "cost": None,
        "cost_estimated": False,
        "latency": 0.1,
    }
    return Line(**{**known, **facts})


# --- what is kept ---


def test_each_attempt_is_a_line_with_what_is_known_of_it(vendors, file):
    vendors[0].fault = faults.status(500)
    begun = time.time()
    with Client(policy(vendors, file, retry={"attempts": 1})) as client:
        answer = client.complete("chat", PROMPT)
    facts = "call, verb, route, attempt, reason, target, operator, author, jurisdiction, outcome, cost, cost_estimated"
    (failed, answered) = rows(file, facts)
    assert failed[0] == answered[0]
    assert failed[1:] == (
        *("complete", "chat", 1, "first", "first:qwen-plus", "alibaba", "alibaba", "CN", "server_error", 0.0, 1),
    )
    assert answered[1:] == ("complete", "chat", 2, "fallback", "second:our-model", "house", None, None, "ok", None, 0)
    _, (tokens_in, tokens_out, moment, latency) = rows(file, "input_tokens, output_tokens, time, latency")
    assert (tokens_in, tokens_out) == (answer.usage.input_tokens, answer.usage.output_tokens)
    assert begun - 1 < moment < time.time()
    assert latency == answer.report.attempts[1].duration


def test_what_is_unknown_is_null_and_what_is_known_is_priced(vendors, file):
    vendors[0].fault = faults.usage_missing()
    with Client(policy(vendors, file)) as client:
        client.complete("chat", PROMPT)
        vendors[0].fault = None
        answer = client.complete("chat", PROMPT)
    assert rows(file, "input_tokens, output_tokens") == [
        (None, None),
        (answer.usage.input_tokens, answer.usage.output_tokens),
    ]


def test_no_prompt_answer_or_key_is_in_the_file(vendors, file):
    vendors[0].faults.extend([faults.refusal("bad_request"), faults.cut(after=3), faults.status(500)])
    with Client(policy(vendors, file)) as client:
        for _ in range(4):
            with suppress(CallError):
                client.complete("chat", PROMPT)
        client.embed("vectors", [PROMPT])
    client.close()
    held = b"".join(part.read_bytes() for part in file.parent.glob("calls.db*"))
    assert rows(file, "count(*)") != [(0,)]
    for secret in (KEY, PROMPT, ANSWER, "canary"):
        assert secret.encode() not in held


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_streams_are_kept_whether_they_are_read_left_or_dropped(vendors, file, colour):
    if colour == "sync":
        with Client(policy(vendors, file)) as client:
            with client.stream("chat", PROMPT) as stream:
                for _ in stream:
                    pass
            with client.stream("chat", PROMPT) as stream:
                next(stream)
            with client.stream("chat", PROMPT):
                pass  # nothing was sent
    else:

        async def main() -> None:
            async with AsyncClient(policy(vendors, file)) as client:
                async with client.stream("chat", PROMPT) as stream:
                    async for _ in stream:
                        pass
                async with client.stream("chat", PROMPT) as stream:
                    await anext(stream)

        asyncio.run(main())
    assert rows(file, "verb, outcome") == [("stream", "ok"), ("stream", "cancelled")]


def test_a_stream_that_is_dropped_is_kept(vendors, file):
    with Client(policy(vendors, file)) as client:
        stream = client.stream("chat", PROMPT)
        next(stream)
        with pytest.warns(ResourceWarning, match="neither read"):
            del stream
            gc.collect()
    assert rows(file, "verb, outcome") == [("stream", "cancelled")]


def test_a_call_that_is_cancelled_is_kept(vendors, file):
    vendors[0].fault = faults.silent()

    async def main() -> None:
        async with AsyncClient(policy(vendors, file)) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.complete("chat", PROMPT), 0.3)

    asyncio.run(main())
    assert rows(file, "verb, target, outcome") == [("complete", "first:qwen-plus", "cancelled")]


def test_a_call_that_fails_everywhere_is_kept(vendors, file):
    vendors[0].fault = vendors[1].fault = faults.status(500)
    with Client(policy(vendors, file, retry={"attempts": 1})) as client, pytest.raises(CallError):
        client.complete("chat", PROMPT)
    assert rows(file, "target, outcome") == [("first:qwen-plus", "server_error"), ("second:our-model", "server_error")]


def test_each_batch_of_texts_is_a_line_of_one_call(vendors, file):
    with Client(policy(vendors, file)) as client:
        client.embed("vectors", [f"text {number}" for number in range(25)])
    found = rows(file, "call, verb, outcome, target")
    assert len(found) == 3
    assert {one[1:] for one in found} == {("embed", "ok", "first:text-embedding-v4")}
    assert len({one[0] for one in found}) == 1


def test_the_loser_of_a_hedge_is_kept(vendors, file):
    vendors[0].fault = faults.silent()
    with Client(policy(vendors, file, hedge={"after": 0.1, "budget": 1.0})) as client:
        client.complete("chat", PROMPT)
    found = rows(file, "target, reason, outcome")
    assert found == [("first:qwen-plus", "first", "lost"), ("second:our-model", "hedge", "ok")]


def test_a_copy_for_a_shadow_is_kept_and_is_no_call(vendors, file):
    given = policy(vendors, file, shadow={"target": "second:our-model", "share": 1.0})
    given["routes"]["chat"]["chain"] = ["first:qwen-plus"]
    with Client(given) as client:
        client.complete("chat", PROMPT)
        assert vendors[1].wait_until(lambda: bool(vendors[1].log) and vendors[1].log[0].outcome == "answered")
        while any(thread.name == "multimodel-shadow" for thread in threading.enumerate()):
            threading.Event().wait(0.01)
    assert sorted(rows(file, "verb, target")) == [("complete", "first:qwen-plus"), ("shadow", "second:our-model")]
    found = read_ledger(file)
    assert (found.calls, found.answered) == (1, 1)
    assert [(flow.target, flow.calls, flow.attempts) for flow in found.flows] == [
        ("first:qwen-plus", 1, 1),
        ("second:our-model", 0, 1),
    ]


def test_calls_of_a_view_are_kept_too(vendors, file):
    with Client(policy(vendors, file)) as client:
        client.using(tenant="acme", credentials={"first": "sk-other"}).complete("chat", PROMPT)
    assert rows(file, "target, jurisdiction") == [("first:qwen-plus", "CN")]
    assert b"acme" not in file.read_bytes()


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_whatever_goes_wrong_each_attempt_of_each_report_is_one_line(vendors, file, colour):
    """120 calls of three verbs over vendors that fail in every third request: lines, reports and vendors agree."""
    chance, reported = Random(6), Counter()
    for vendor in vendors:
        vendor.fault = lambda _request: chance.choice(FAULTS) if chance.random() < 1 / 3 else None
    given = policy(vendors, file, retry={"attempts": 1}, mid_stream="restart", hedge={"after": 0.2, "budget": 1.0})

    def count(report) -> None:
        reported.update((str(one.target), one.outcome) for one in report.attempts)

    def ask(client: Client, number: int) -> None:
        if number % 3 == 0:
            count(client.complete("chat", PROMPT).report)
        elif number % 3 == 1:
            count(client.embed("vectors", [PROMPT]).report)
        else:
            with client.stream("chat", PROMPT) as stream:
                for _ in stream:
                    pass
            count(stream.report)

    async def aask(client: AsyncClient, number: int) -> None:
        if number % 3 == 0:
            count((await client.complete("chat", PROMPT)).report)
        elif number % 3 == 1:
            count((await client.embed("vectors", [PROMPT])).report)
        else:
            async with client.stream("chat", PROMPT) as stream:
                async for _ in stream:
                    pass
            count(stream.report)

    async def main() -> None:
        async with AsyncClient(given) as client:
            for number in range(120):
                try:
                    await aask(client, number)
                except CallError as error:
                    count(error.report)

    if colour == "async":
        asyncio.run(main())
    else:
        with Client(given) as client:
            for number in range(120):
                try:
                    ask(client, number)
                except CallError as error:
                    count(error.report)
    assert Counter(rows(file, "target, outcome")) == reported
    assert len(reported) > 6
    seen = sum(len(vendor.log) for vendor in vendors)
    unseen = sum(number for (_, outcome), number in reported.items() if outcome == "connection.unsent")
    assert seen == sum(reported.values()) - unseen


def writers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "multimodel-ledger"]


def wait_for_no_writer() -> None:
    until = time.monotonic() + 30
    while writers() and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert writers() == []


def test_without_the_setting_there_is_no_file_and_no_thread(vendors, tmp_path):
    wait_for_no_writer()
    with Client(policy(vendors, None)) as client:
        client.complete("chat", PROMPT)
        assert writers() == []
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_made_before_the_first_call_and_the_thread_ends_with_the_client(vendors, file):
    with Client(policy(vendors, file)) as client:
        assert not file.exists()
        client.complete("chat", PROMPT)
    wait_for_no_writer()
    assert rows(file, "outcome") == [("ok",)]


def test_the_file_is_beside_the_policy_and_may_be_read_by_who_may_read_that(vendors, tmp_path):
    from pydantic_core import to_json

    source = tmp_path / "multimodel.yaml"
    source.write_bytes(to_json(policy(vendors, Path("kept/calls.db"))))
    source.chmod(0o640)
    (tmp_path / "kept").mkdir()
    before = os.umask(0)
    try:
        with Client(source) as client:
            assert client.policy.ledger == tmp_path / "kept" / "calls.db"
            client.complete("chat", PROMPT)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "kept" / "calls.db").stat().st_mode) == 0o640


def test_a_call_does_not_wait_for_the_file(vendors, file):
    """Another process keeps the file locked: calls go on, and are written when it lets go."""
    with Client(policy(vendors, file)) as client:
        client.complete("chat", PROMPT)
        client._core.ledger.close()
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        slowest = 0.0
        for _ in range(20):
            begun = time.monotonic()
            client.complete("chat", PROMPT)
            slowest = max(slowest, time.monotonic() - begun)
        other.execute("ROLLBACK")
        other.close()
    assert slowest < BUSY / 2
    assert rows(file, "count(*)") == [(21,)]


@pytest.mark.parametrize("digits", [30, 400])
def test_a_count_that_no_answer_can_have_costs_neither_the_answer_nor_the_ledger(vendors, file, digits):
    absurd = Usage(input_tokens=10**digits, output_tokens=1, total_tokens=1)
    vendors[0].answer = Reply(ANSWER, usage=absurd)
    fake = FakeProvider([Reply(ANSWER, usage=absurd)])
    given = policy(vendors, file)
    given["routes"]["fake"] = {"chain": ["fake:m"]}
    with Client(given, providers={"fake": fake}) as client:
        assert client.complete("chat", PROMPT).text == ANSWER
        assert client.complete("fake", PROMPT).text == ANSWER
        flush(client._core.ledger)
        vendors[0].answer = ANSWER
        client.complete("chat", PROMPT)
    assert [tokens is None for (tokens,) in rows(file, "input_tokens")] == [True, True, False]


# --- when it cannot be written ---


def events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    return [(one.reason, one.lost) for one in caplog.records if one.message == "multimodel.ledger_unwritable"]


def test_a_file_that_cannot_be_written_fails_no_call_and_is_told_once(vendors, tmp_path, caplog):
    file = tmp_path / "missing" / "calls.db"
    with caplog.at_level(logging.ERROR, "multimodel"), Client(policy(vendors, file)) as client:
        for _ in range(3):
            assert client.complete("chat", PROMPT).text == ANSWER
            flush(client._core.ledger)
        assert events(caplog) == [("No such file or directory", 0)]
        file.parent.mkdir()
    assert rows(file, "count(*)") == [(3,)]
    assert len(events(caplog)) == 1


def test_what_is_lost_at_the_end_is_told(vendors, tmp_path, caplog):
    file = tmp_path / "missing" / "calls.db"
    with caplog.at_level(logging.ERROR, "multimodel"), Client(policy(vendors, file)) as client:
        client.complete("chat", PROMPT)
        client.complete("chat", PROMPT)
    assert events(caplog)[-1] == ("No such file or directory", 2)
    file.parent.mkdir()  # or it is told once more when the process ends
    client._core.ledger.close()


def test_a_broken_file_and_somebody_elses_are_left_as_they_are(vendors, file, tmp_path, caplog):
    file.write_bytes(b"this is no database, " * 500)
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE orders (id)")
    connection.commit()
    connection.close()
    for one in (file, other):
        before = one.read_bytes()
        with caplog.at_level(logging.ERROR, "multimodel"), Client(policy(vendors, one)) as client:
            assert client.complete("chat", PROMPT).text == ANSWER
        assert one.read_bytes() == before
        client._core.ledger._calls.clear()
    reasons = [reason for reason, _ in events(caplog)]
    assert "file is not a database" in reasons
    assert "the file is no ledger of this version" in reasons


def test_when_too_many_wait_further_ones_are_dropped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_MOST", 3)
    told: list[tuple[str, int]] = []
    file = tmp_path / "missing" / "calls.db"
    ledger = Ledger(file, on_trouble=lambda *what: told.append(what))
    with ledger._disk:  # or the thread takes them
        for number in range(5):
            ledger.add([line(str(number))])
        file.parent.mkdir()
    ledger.close()
    assert rows(file, "call") == [("0",), ("1",), ("2",)]
    assert ledger.lost == 2
    assert told == [("more calls came than could be written", 2)]


def test_whatever_keeps_it_from_writing_is_told_and_ends_no_thread(file):
    told: list[tuple[str, int]] = []
    ledger = Ledger(file, on_trouble=lambda *what: told.append(what))
    ledger.add([line("1", input_tokens=10**30)])
    until = time.monotonic() + 10
    while not told and time.monotonic() < until:
        time.sleep(0.01)
    assert ledger._writer is not None
    assert ledger._writer.is_alive()
    ledger._calls.clear()
    ledger.add([line("2")])
    ledger.close()
    assert told == [("Python int too large to convert to SQLite INTEGER", 0)]
    assert rows(file, "call") == [("2",)]


def test_a_full_disk_fails_no_call(vendors, file):
    """The size of files is limited in a process of its own, which is as near to a full disk as any machine allows."""
    code = (
        "import logging, resource, signal, sys\n"
        "from multimodel import Client\n"
        "from multimodel.testing import FakeProvider\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
        "told = []\n"
        "handler = logging.Handler()\n"
        "handler.emit = lambda record: told.append((record.getMessage(), record.reason))\n"
        "logging.getLogger('multimodel').addHandler(handler)\n"
        "fake = FakeProvider(['Yes.'])\n"
        "policy = {'ledger': sys.argv[1], 'routes': {'chat': {'chain': ['fake:any']}}}\n"
        "with Client(policy, providers={'fake': fake}) as client:\n"
        "    for number in range(2000):\n"
        "        assert client.complete('chat', 'Hi').text == 'Yes.'\n"
        "print(len(fake.attempts), told[0])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("2000 ('multimodel.ledger_unwritable', ")


def test_closing_waits_for_another_process_to_have_written(file, monkeypatch):
    monkeypatch.setattr("multimodel.governance.ledger.file.BUSY", 0.05)
    ledger = Ledger(file)
    ledger.add([line("1")])
    ledger.close()
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.5, other.close)
    release.start()
    ledger.add([line("2")])
    ledger.close()
    release.join()
    assert rows(file, "call") == [("1",), ("2",)]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a name is Unicode")
def test_a_ledger_may_lie_in_a_folder_of_any_name(tmp_path):
    folder = tmp_path / os.fsdecode(b"a \xff?mode=ro&b#%41")
    folder.mkdir()
    ledger = Ledger(folder / "calls.db")
    ledger.add([line("1")])
    ledger.close()
    assert read_ledger(folder / "calls.db").calls == 1


def test_a_file_that_was_moved_away_is_begun_anew(file):
    ledger = Ledger(file)
    ledger.add([line("before")])
    flush(ledger)
    for part in file.parent.glob("calls.db*"):
        part.rename(part.with_name(part.name.replace("calls", "old")))
    ledger.add([line("after")])
    ledger.close()
    assert rows(file, "call") == [("after",)]
    assert rows(file.with_name("old.db"), "call") == [("before",)]


# --- processes ---


def in_a_child(work) -> int:
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


forking = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@forking
def test_children_of_a_fork_write_their_own_calls_and_none_of_the_parents(file):
    ledger, stop = Ledger(file), threading.Event()

    def write(name: str, count: int) -> None:
        for number in range(count):
            ledger.add([line(f"{name}-{number}")])

    def parent() -> None:
        number = 0
        while not stop.is_set():
            ledger.add([line(f"parent-{number}")])
            number += 1
            time.sleep(0.0005)

    thread = threading.Thread(target=parent)
    thread.start()
    try:
        children = []
        for name in range(8):
            time.sleep(0.03)
            children.append(in_a_child(lambda name=name: (write(f"child {name}", 200), ledger.close())))
        ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    finally:
        stop.set()
        thread.join()
    ledger.close()
    assert ends == [0] * 8
    found = [call for (call,) in rows(file, "call")]
    assert len(found) == len(set(found))
    assert sum(call.startswith("child") for call in found) == 1600
    assert sum(call.startswith("parent") for call in found) > 20
    assert ledger.lost == 0
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def opened(file: Path) -> bool:
    found = set()
    for descriptor in range(3, 256):
        with suppress(OSError):
            found.add(os.fstat(descriptor).st_ino)
    return file.stat().st_ino in found


@forking
def test_a_child_inherits_no_connection(file):
    ledger = Ledger(file)
    ledger.add([line("1")])
    flush(ledger)
    assert opened(file)

    def look() -> None:
        assert not opened(file)

    assert os.waitstatus_to_exitcode(os.waitpid(in_a_child(look), 0)[1]) == 0
    ledger.add([line("2")])
    ledger.close()
    assert not opened(file)
    assert rows(file, "call") == [("1",), ("2",)]


@forking
def test_a_call_that_a_child_inherits_is_the_parents(vendors, file):
    vendors[0].answer = " ".join(map(str, range(50)))
    vendors[0].pace = 0.002
    with Client(policy(vendors, file)) as client, client.stream("chat", PROMPT) as stream:
        next(stream)

        def leave() -> None:
            stream.close()
            client.close()

        assert os.waitstatus_to_exitcode(os.waitpid(in_a_child(leave), 0)[1]) == 0
        for _ in stream:
            pass
    assert rows(file, "outcome") == [("ok",)]


WRITER = """
import sys
from pathlib import Path
from multimodel.governance.ledger import Ledger, Line
ledger = Ledger(Path(sys.argv[1]))
for number in range(500):
    call = f"{sys.argv[2]}-{number}"
    ledger.add([Line(1.0, call, "complete", "chat", 1, "first", "a:m", None, None, None, "ok", 1, 1, None, False, 0.1)])
"""


def test_eight_processes_write_one_file_and_each_writes_the_rest_when_it_ends(file):
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), str(number)], cwd=root) for number in range(8)
    ]
    assert [one.wait(60) for one in started] == [0] * 8
    assert rows(file, "count(*), count(DISTINCT call)") == [(4000, 4000)]


def keep_in_a_worker(file: Path, call: str) -> None:
    Ledger(file).add([line(call)])


@forking
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_worker_of_multiprocessing_writes_the_rest_when_it_ends(file, method):
    inherited = Ledger(file)
    context = multiprocessing.get_context(method)
    work = [context.Process(target=keep_in_a_worker, args=(file, "its own"))]
    if method == "fork":
        work.append(context.Process(target=inherited.add, args=([line("inherited")],)))
    for one in work:
        one.start()
    for one in work:
        one.join(60)
    inherited.close()
    assert [one.exitcode for one in work] == [0] * len(work)
    assert {call for (call,) in rows(file, "call")} == {"its own"} | ({"inherited"} if method == "fork" else set())


# --- reading ---


def test_reading_sums_up_by_route_and_target(file):
    ledger = Ledger(file)
    ledger.add(
        [line("1", outcome="server_error", input_tokens=None, output_tokens=None, cost=0.0, cost_estimated=True)]
    )
    ledger.add([line("2", time=5.0, input_tokens=10, output_tokens=5, cost=0.5), line("2", attempt=2, outcome="lost")])
    ledger.add([line("3", time=9.0, input_tokens=None, output_tokens=None, cost=0.25, cost_estimated=True)])
    ledger.add([line("3", time=9.5, verb="shadow", target="b:m", input_tokens=7, output_tokens=0, cost=0.125)])
    ledger.close()
    found = read_ledger(file)
    assert (found.calls, found.answered, found.first, found.last) == (3, 2, 1.0, 9.5)
    first, second = found.flows
    assert (first.target, first.calls, first.attempts) == ("a:m", 2, 4)
    assert (first.tokens, first.uncounted) == (17, 1)
    assert (first.cost, first.unpriced, first.estimated) == (0.75, 1, 0.25)
    assert (first.first_answer, first.last_answer) == (5.0, 9.0)
    assert (second.target, second.calls, second.tokens, second.cost) == ("b:m", 0, 7, 0.125)
    later = read_ledger(file, since=9.0)
    assert (later.calls, later.flows[0].cost) == (1, 0.25)
    assert read_ledger(file, since=100.0).flows == ()


def test_a_ledger_can_be_read_while_it_is_written_and_from_a_folder_that_cannot(file, tmp_path):
    ledger = Ledger(file)
    ledger.add([line("1")])
    flush(ledger)
    assert read_ledger(file).calls == 1
    ledger.close()
    tmp_path.chmod(0o500)
    try:
        assert read_ledger(file).calls == 1
    finally:
        tmp_path.chmod(0o700)


def test_what_is_no_ledger_is_refused_with_what_to_do(file, tmp_path):
    with pytest.raises(ConfigurationError, match="there is no ledger"):
        read_ledger(file)
    file.write_bytes(b"no database at all, only text that is long enough to have a header" * 4)
    with pytest.raises(ConfigurationError, match="cannot be read: file is not a database"):
        read_ledger(file)
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(ConfigurationError, match="is no ledger of this version"):
        read_ledger(empty)
