"""`docs/events.md` names every event, with its fields."""

from __future__ import annotations

import ast
import logging
import re
from collections import defaultdict
from pathlib import Path

from multimodel import Client
from multimodel.testing import FakeProvider

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| `(multimodel\.\w+)` \| [^|]+ \| ([^|]+) \|", re.MULTILINE)


def test_every_event_is_documented_with_its_fields():
    sent: dict[str, set[str]] = defaultdict(set)
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "emit":
                sent[ast.literal_eval(node.args[1])] |= {str(keyword.arg) for keyword in node.keywords}
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    assert {event: set(re.findall(r"`(\w+)`", fields)) for event, fields in ROW.findall(page)} == dict(sent)


def test_a_switch_is_told_by_the_process_that_threw_it(caplog):
    with (
        caplog.at_level(logging.WARNING, "multimodel"),
        Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider(["Yes."])}) as client,
    ):
        client.off("fake", reason="drill", by="ann")
        client.on("fake", by="bob")
    told = [
        (one.action, one.subject, one.by, one.reason) for one in caplog.records if one.message == "multimodel.switched"
    ]
    assert told == [("off", "provider fake", "ann", "drill"), ("on", "provider fake", "bob", "drill")]
