"""One direction of imports: each package may import those to its right only."""

from __future__ import annotations

import ast
from pathlib import Path

import multimodel

ROOT = Path(multimodel.__file__).parent
LAYERS = [
    {"cli", "compat"},
    {"rehearsal"},
    {"client"},
    {"governance", "observe", "drivers"},
    {"config"},
    {"engine", "providers"},
    {"wire"},
    {"types", "errors"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
ALONE = {"testing"}


def imports(file: Path) -> set[str]:
    """The packages of multimodel that a file imports, wherever in it."""
    package = ["multimodel", *file.relative_to(ROOT).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            path = [*base, *(node.module.split(".") if node.module else [])]
            names = [[*path, alias.name] for alias in node.names] if len(path) == 1 else [path]
            found |= {name[1] for name in names if name[0] == "multimodel" and len(name) > 1}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("multimodel.")}
    return found


def files(package: str) -> list[Path]:
    folder = ROOT / package
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [ROOT / f"{package}.py"]


def test_imports_go_one_way():
    wrong = []
    for package, rank in RANK.items():
        for file in files(package):
            for other in imports(file) - {package, "__version__"}:
                beside = RANK.get(other) == rank and {package, other} == {"types", "errors"}
                if not beside and RANK.get(other, -1) <= rank:
                    wrong.append(f"{file.relative_to(ROOT)} imports {other}")
    assert wrong == []


def test_nothing_inside_imports_the_tests_helpers():
    for package in RANK:
        for file in files(package):
            assert imports(file).isdisjoint(ALONE), file


def test_the_wire_and_the_engine_touch_no_clock_socket_or_file():
    forbidden = {"time", "socket", "asyncio", "threading", "os", "pathlib", "httpx2", "ssl", "subprocess"}
    for package in ("wire", "engine"):
        for file in files(package):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names = (
                    {alias.name.partition(".")[0] for alias in node.names}
                    if isinstance(node, ast.Import)
                    else {(node.module or "").partition(".")[0]}
                    if isinstance(node, ast.ImportFrom) and not node.level
                    else set()
                )
                assert names.isdisjoint(forbidden), f"{file}: {names & forbidden}"


def test_only_the_http_adapter_and_the_bounds_of_litellm_import_the_http_library():
    users = {
        file.name
        for file in ROOT.rglob("*.py")
        if "import httpx2" in file.read_text(encoding="utf-8") or "import httpcore2" in file.read_text(encoding="utf-8")
    }
    assert users <= {"fetch.py", "http_api.py", "http_limits.py", "http_exchange.py", "litellm_once.py"}


def test_no_module_has_outgrown_one_idea():
    long = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in ROOT.rglob("*.py")
    }
    assert {name: lines for name, lines in long.items() if lines > 450} == {}
