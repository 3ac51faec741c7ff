"""`docs/telemetry.md` names what is told, and nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from multimodel.observe import conventions
from multimodel.testing import FaultyVendor

PAGE = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")
NAME = re.compile(r"`((?:gen_ai|multimodel|server|http|error)\.[a-z_.]+)`|`(OTEL_[A-Z_]+)[=`]")


def test_the_page_names_what_is_told_and_nothing_else():
    told = {value for name, value in vars(conventions).items() if name.isupper() and isinstance(value, str)}
    told |= set(conventions.REQUEST.values())
    named = {one or other for one, other in NAME.findall(PAGE)}
    assert named == told - {conventions.LATEST}


def test_the_example_of_the_page_runs(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with FaultyVendor() as house:
        provider = {"profile": "openai", "base_url": house.openai_url, "api_key": "sk-test"}
        policy = {"providers": {"house": provider}, "routes": {"chat": {"chain": ["house:our-model"]}}}
        (tmp_path / "multimodel.yaml").write_text(json.dumps(policy), encoding="utf-8")  # JSON is YAML
        environ = {name: value for name, value in os.environ.items() if name != "MULTIMODEL_CONFIG"}
        command = [sys.executable, "-c", code]
        ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, encoding="utf-8", check=True)
    assert re.findall(r'^    "name": "(.*)"', ran.stdout, re.MULTILINE) == ["chat our-model", "chat chat", "order"]
