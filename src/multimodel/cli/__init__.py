"""The command line: arguments in, text out; all else is done by the client.

Exit codes: 0 done, 1 failed, 2 misuse; 130 after Ctrl-C and 141 when the reader of the output has gone, as shells
have it. The module of a command is imported when the command runs, so that ``--help`` and ``--version`` load nothing.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from .parser import MisuseError, build_parser
from .printing import print_error

__all__ = ["main"]

FAILED = 1
MISUSE = 2
INTERRUPTED = 130
READER_GONE = 141
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    :param argv: the arguments; None are those of the process.
    """
    _fill_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # not a text file of the process
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # suppressed
    try:
        code = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return READER_GONE
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _forget_output()
        print_error(f"the output cannot be written: {error.strerror}")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _run(argv: Sequence[str] | None) -> int:
    from ..errors import MultimodelError

    try:
        args = build_parser().parse_args(argv)
    except SystemExit as end:  # --help, --version, or misuse: it is told already
        return end.code if isinstance(end.code, int) else MISUSE
    module, _, function = args.run.partition(".")
    try:
        code: int = getattr(import_module(f".{module}", __package__), function)(args)
    except MisuseError as error:
        print_error(error)
        return MISUSE
    except MultimodelError as error:
        print_error(error)
        return FAILED
    except OSError as error:
        if error.filename is None:  # not about a file of the user's: a bug
            raise
        print_error(f"`{error.filename}`: {error.strerror}")
        return FAILED
    return code


def _fill_closed_streams() -> None:
    """Put nothing where the process was started without a stream: what goes to one must never land in another."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _forget_output() -> None:
    """Point standard output elsewhere, or Python complains when it flushes it at exit."""
    with suppress(OSError, ValueError):  # not a file of the process
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
