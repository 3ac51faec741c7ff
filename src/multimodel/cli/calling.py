"""``complete``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from typing import Any

from ..client import Client
from ..errors import AllTargetsFailedError, CallError, MultimodelError
from ..types import Completion, Message, Report, Restarted, StreamEvent, Switched, TextDelta
from .opening import open_client
from .parser import MisuseError
from .printing import plain, print_json, print_table, tell

__all__ = ["complete"]

_CUT = {"length": "a limit of tokens cut the answer", "content_filter": "a content filter cut the answer"}


def complete(args: Namespace) -> int:
    """Ask a route and print the answer, as it comes or as a whole."""
    text = _prompt(args.prompt)
    system = [Message(role="system", content=args.system)] if args.system is not None else []
    messages = [*system, Message(role="user", content=text)]
    options = {"max_tokens": args.max_tokens, "temperature": args.temperature}
    try:
        answer = _asked(args, messages, options)
    except MultimodelError as error:
        if args.json:
            print_json({"error": _facts(error)})
        raise
    if args.json:
        print_json(answer)
    elif args.no_stream:
        print(_shown(answer.text))
    if args.report:
        _tell_report(answer.report)
    if answer.finish_reason in _CUT:
        tell(f"warning: {_CUT[answer.finish_reason]}")
    return 0


def _asked(args: Namespace, messages: list[Message], options: dict[str, Any]) -> Completion[Any]:
    with open_client(args) as client:
        try:
            if args.json or args.no_stream:
                return client.complete(args.route, messages, **options)
            return _stream(client, args.route, messages, options)
        except CallError as error:
            if args.report and error.report is not None:
                _tell_report(error.report)
                _tell_details(error)
            raise


def _facts(error: MultimodelError) -> dict[str, object]:
    """What a program may want to know of a failure."""
    facts = {"class": type(error).__name__, "message": getattr(error, "message", str(error))}
    names = _FACTS if isinstance(error, CallError) else ("hint",)
    return facts | {name: getattr(error, name, None) for name in names}


_FACTS = ("kind", "provider", "target", "status", "code", "request_id", "retry_after", "retryable", "hint", "report")


def _prompt(given: str | None) -> str:
    if given is None and sys.stdin.isatty():
        raise MisuseError("there is no prompt", "write it behind the route, or pipe it in")
    text = given if given not in (None, "-") else _standard_input()
    if not text.strip():
        raise MisuseError("the prompt is empty")
    return text


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise MisuseError("standard input is not UTF-8") from None


def _stream(client: Client, route: str, messages: list[Message], options: dict[str, Any]) -> Completion[Any]:
    with client.stream(route, messages, **options) as stream:
        _print_events(stream)
    return stream.completion


def _print_events(events: Iterable[StreamEvent]) -> None:
    """Print the text as it comes, and end its last line whatever happens."""
    open_line = False
    try:
        for event in events:
            match event:
                case TextDelta(text=text) if text:
                    print(_shown(text), end="", flush=True)
                    open_line = not text.endswith("\n")
                case Restarted(target=target) | Switched(target=target):
                    if open_line:
                        print(flush=True)
                        open_line = False
                    tell(f"note: the answer {_HOW[type(event)]} {target}")
    finally:
        if open_line:
            print(flush=True)


_HOW = {Restarted: "starts again, at", Switched: "goes on, written by"}


def _shown(text: str) -> str:
    """What a model writes must not command a terminal; a file gets it as it is."""
    return plain(text) if sys.stdout.isatty() else text


def _tell_report(report: Report) -> None:
    tell(f"route `{report.route}`: {report.outcome} after {report.duration:.2f} s")
    if report.attempts:
        heads = ("attempt", "target", "why", "outcome", "first content", "end", "status", "code", "tokens", "USD")
        print_table(heads, _attempts(report), data=False)
    for skip in report.skipped:
        tell(f"not asked: {skip.target}, {skip.reason}" + (f": {skip.detail}" if skip.detail else ""))
    for note in report.notes:
        tell(f"note: {note}")
    for loss in report.losses:
        tell(f"lost: {loss.what} at {loss.target}, {loss.detail}")


def _attempts(report: Report) -> Iterator[tuple[object, ...]]:
    for one in report.attempts:
        first = None if one.first_content is None else f"{one.first_content:.2f} s"
        tokens = None if one.usage is None else f"{one.usage.input_tokens} + {one.usage.output_tokens}"
        cost = None if one.usage is None or one.usage.cost is None else f"{one.usage.cost:.6f}".rstrip("0").rstrip(".")
        facts = (one.index, one.target, one.reason, one.outcome, first, f"{one.ended:.2f} s")
        yield (*facts, one.status, one.code, tokens, cost)


def _tell_details(error: CallError) -> None:
    """Print the vendors' own words."""
    for one in error.exceptions if isinstance(error, AllTargetsFailedError) else (error,):
        if isinstance(one, CallError) and one.detail:
            tell(f"{one.target} says: {' '.join(one.detail.split())}")
