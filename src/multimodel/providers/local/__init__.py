"""Open weights in this process: loaded by transformers, computed by a loop of our own.

Importing this loads neither torch nor transformers; the first answer does.
"""

from __future__ import annotations

from .convert import convert_gguf
from .folder import LocalModel
from .provider import LocalProvider

__all__ = ["LocalModel", "LocalProvider", "convert_gguf"]
