"""``explain``: what a call would do, or what one did."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import get_args

from ..client.needs import split_needs
from ..config.problems import did_you_mean
from ..config.routes import Need
from .opening import open_to_look
from .parser import MisuseError
from .printing import plain, print_json

__all__ = ["explain"]


def explain(args: Namespace) -> int:
    """Print what a call on a route would do now, or the time line of a recorded one."""
    if (args.route is None) == (args.call is None):
        raise MisuseError("one route or one recorded call can be explained", "write ROUTE, or `--call FILE`")
    found = _route(args) if args.call is None else _call(args)
    if args.json:
        print_json(found)
    else:
        print(plain(str(found)))
    return 0


def _route(args: Namespace) -> object:
    needs = [need.strip() for need in args.needs.split(",") if need.strip()]
    for need in split_needs(needs)[0]:
        if need not in get_args(Need):
            is_number = need.startswith(("input", "output"))
            hint = "write tokens as in `input=2000`" if is_number else did_you_mean(need, get_args(Need))
            raise MisuseError(f"`{need}` is nothing that a call can need", hint)
    with open_to_look(args) as client:
        return client.explain(args.route, needs=needs)


def _call(args: Namespace) -> object:
    from ..client.recorded import read_call

    if args.needs:
        raise MisuseError("a recorded call needs nothing any more", "leave `--needs` out")
    name = "standard input" if args.call == "-" else args.call
    return read_call(sys.stdin.buffer.read() if args.call == "-" else Path(args.call).read_bytes(), name)
