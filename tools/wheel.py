"""Build the wheel, install it alone into an empty environment, and use it from another folder."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 1_000_000
SMOKE = """
import multimodel, sys
assert not any(name in sys.modules for name in ("pydantic", "httpx2", "yaml")), "the front door is heavy"
from multimodel import Client
from multimodel.testing import FakeProvider, FaultyVendor
client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider(["Hello."])})
assert client.complete("chat", "Hi").text == "Hello."
with FaultyVendor() as vendor:
    vendor.answer = "From the wire."
    policy = {
        "providers": {"house": {"profile": "openai", "base_url": vendor.openai_url, "api_key": "sk-test"}},
        "routes": {"chat": {"chain": ["house:any"]}},
    }
    with Client(policy) as client:
        assert client.complete("chat", "Hi").text == "From the wire."
print("the wheel works:", multimodel.__file__)
"""


def main() -> None:
    """Fail when the wheel is not what it should be."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
        wheel = next(folder.glob("*.whl"))
        names = zipfile.ZipFile(wheel).namelist()
        wanted = ("multimodel/py.typed", "multimodel/providers/profiles/dashscope.yaml")
        missing = [name for name in wanted if name not in names]
        unwanted = [name for name in names if name.endswith(".pth") or name.startswith("tests/")]
        if missing or unwanted or wheel.stat().st_size > LARGEST:
            sys.exit(f"{wheel.name}: missing {missing}, unwanted {unwanted}, {wheel.stat().st_size} bytes")
        venv.create(folder / "empty", with_pip=True)
        python = folder / "empty" / "bin" / "python"
        constraints = str(ROOT / "constraints.txt")
        run(str(python), "-m", "pip", "install", "--quiet", "--constraint", constraints, str(wheel))
        run(str(python), "-W", "error", "-c", SMOKE, cwd=folder)
        run(str(folder / "empty" / "bin" / "multimodel"), "--version", cwd=folder)
        print(f"{wheel.name}: {wheel.stat().st_size} bytes, {len(names)} files")


def run(*command: str, cwd: Path | None = None) -> None:
    """Run a command; end with its exit code when it fails."""
    done = subprocess.run(command, cwd=cwd, check=False)  # noqa: S603  # our own commands
    if done.returncode:
        sys.exit(f"failed: {' '.join(command[:6])}")


if __name__ == "__main__":
    main()
