from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp

import pytest

from multimodel.providers.local import LocalProvider

from .lab import Lab, attempt, provider_for

RECIPE = Path(__file__).with_name("tiny.py")
CACHE = Path(__file__).parents[3] / ".cache" / "weights"


def trained(kind: str) -> Path:
    """Train the tiny model once for each recipe and version."""
    versions = [version(name) for name in ("torch", "transformers", "tokenizers")]
    mark = sha256(RECIPE.read_bytes() + " ".join(versions).encode()).hexdigest()[:16]
    folder = CACHE / mark / kind
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # processes that come at the same time wait for the first
        if not folder.is_dir():
            unfinished = Path(mkdtemp(dir=folder.parent, prefix="."))
            env = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
            ran = subprocess.run(
                [sys.executable, RECIPE, kind, unfinished], capture_output=True, text=True, env=env, check=False
            )
            assert ran.returncode == 0, ran.stderr[-2000:]
            unfinished.rename(folder)
    return folder


@pytest.fixture(scope="session")
def archive() -> Path:
    """An archive that holds `qwen3`."""
    return trained("qwen3").parent


@pytest.fixture(scope="session", params=["qwen3", "qwen3_5"])
def kind(request: pytest.FixtureRequest) -> str:
    """Both architectures: full attention only, and three layers of linear attention to one of full."""
    trained(request.param)
    return str(request.param)


@pytest.fixture(scope="session")
def provider(archive: Path) -> Iterator[LocalProvider]:
    provider = provider_for(archive)
    list(provider.stream(attempt("Hello", max_tokens=1)))
    yield provider
    provider.close()


@pytest.fixture
def lab(provider: LocalProvider) -> Iterator[Lab]:
    lab = Lab(provider, "qwen3")
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def archive_tokenizer(archive: Path) -> Path:
    """The archive again: hypothesis wants fixtures that outlive an example."""
    return archive
