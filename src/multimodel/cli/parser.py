"""The arguments of each command."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, RawDescriptionHelpFormatter
from typing import Any

from .. import __version__

__all__ = ["MisuseError", "build_parser"]

_KINDS = ("operator", "author", "provider", "target", "jurisdiction")
_EPILOG = """\
the policy is --config, else $MULTIMODEL_CONFIG, else ./multimodel.yaml, else a built-in one over the vendors
whose key is in the environment and the weights in $MULTIMODEL_ARCHIVE or ./archive
"""


class MisuseError(Exception):
    """The arguments do not make sense. Nothing was done.

    :ivar hint: what to do.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = str(self.args[0])
        return message if self.hint is None else f"{message}\nhint: {self.hint}"


def build_parser() -> ArgumentParser:
    """Make the parser. ``run`` of what it parses names the module and the function of the command."""
    parser = ArgumentParser(
        prog="multimodel",
        description="One completion interface over many model vendors",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"multimodel {__version__}")
    parser.add_argument("--config", metavar="FILE", help="the policy file")
    commands = _Commands(parser)
    _add_policy_commands(commands)
    _add_call_commands(commands)
    _add_switch_commands(commands)
    _add_audit_commands(commands)
    _add_drill_commands(commands)
    _add_catalogue_commands(commands)
    return parser


class _CommandParser(ArgumentParser):
    """Options may stand between its positional arguments."""

    _is_inside = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse what stands behind the command's name."""
        if self._is_inside:  # the intermixed way goes through here
            return super().parse_known_args(args, namespace)
        self._is_inside = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_inside = False


class _Commands:
    def __init__(self, parser: ArgumentParser) -> None:
        self._parsers = parser.add_subparsers(
            title="commands", metavar="COMMAND", required=True, parser_class=_CommandParser
        )

    def add(self, name: str, run: str, about: str, *, json: bool = False) -> ArgumentParser:
        """Add a command. ``--config`` may also stand behind its name."""
        parser: ArgumentParser = self._parsers.add_parser(name, help=about, description=about, allow_abbrev=False)
        parser.set_defaults(run=run)
        parser.add_argument("--config", metavar="FILE", default=SUPPRESS, help=SUPPRESS)
        if json:
            parser.add_argument("--json", action="store_true", help="print one JSON document")
        return parser


def _add_policy_commands(commands: _Commands) -> None:
    init = commands.add("init", "starting.init", "write a policy from the keys and the weights that are here")
    init.add_argument("--path", default="multimodel.yaml", help="the file to write (default: %(default)s)")
    init.add_argument("--force", action="store_true", help="replace the file if it exists")
    check = commands.add(
        "check", "checking.check", "tell all mistakes and doubts of a policy, without a network", json=True
    )
    check.add_argument("file", nargs="?", metavar="FILE", help="the policy file")
    check.add_argument("--strict", action="store_true", help="fail on warnings too")
    commands.add("schema", "checking.schema", "print the JSON Schema of the policy file")


def _add_call_commands(commands: _Commands) -> None:
    complete = commands.add("complete", "calling.complete", "ask a route", json=True)
    complete.add_argument("route", metavar="ROUTE", help="a route of the policy, or one of its aliases")
    complete.add_argument("prompt", nargs="?", metavar="PROMPT", help="the prompt; `-` or nothing is standard input")
    complete.add_argument("--system", metavar="TEXT", help="a system message before the prompt")
    complete.add_argument("--max-tokens", type=int, metavar="N", help="tokens of the answer, at most")
    complete.add_argument("--temperature", type=float, metavar="T", help="0 to 2")
    complete.add_argument("--no-stream", action="store_true", help="print the answer once it is whole")
    complete.add_argument("--report", action="store_true", help="tell every attempt on standard error")
    explain = commands.add("explain", "calling.explain", "tell what a call on a route would do now", json=True)
    explain.add_argument("route", metavar="ROUTE", help="a route of the policy, or one of its aliases")
    explain.add_argument(
        "--needs", default="", metavar="NEED,…", help="what the call needs, as in `vision,input=200000`"
    )


def _add_switch_commands(commands: _Commands) -> None:
    commands.add("status", "switching.status", "tell the targets of each route and what is off", json=True)
    off = commands.add("off", "switching.off", "send nothing more to an operator, author, provider or target")
    off.add_argument("name", metavar="NAME", help="looked up as operator, then author, provider, target")
    off.add_argument("--reason", required=True, metavar="TEXT", help="why, for the audit log")
    off.add_argument("--until", metavar="WHEN", help="when it ends: a span, as in `2h`, or a time, as in `2026-12-31`")
    kind = off.add_mutually_exclusive_group()
    kind.add_argument("--kind", choices=_KINDS, help="what NAME is; it is not looked up then")
    kind.add_argument(
        "--weights", action="store_true", help="the same as `--kind author`: weights stop wherever they run"
    )
    off.add_argument("--cut", action="store_true", help="end what is under way too, within about a second")
    off.add_argument("--force", action="store_true", help="also if it leaves a route without any target")
    off.add_argument("--yes", action="store_true", help="do not ask; it is only asked on a terminal")
    off.add_argument("--by", metavar="WHO", help="who, for the audit log (default: the user)")
    on = commands.add("on", "switching.on", "lift what `off` switched off")
    on.add_argument("name", metavar="NAME", help="the name that was switched off")
    on.add_argument("--by", metavar="WHO", help="who, for the audit log (default: the user)")


def _add_audit_commands(commands: _Commands) -> None:
    audit = commands.add("audit", "auditing.audit", "tell whether the log of all switches is whole", json=True)
    audit.add_argument("action", choices=("verify",), help="follow the chain of hashes from the first line to the last")
    audit.add_argument("file", nargs="?", metavar="FILE", help="the log (default: the policy's)")
    audit.add_argument("--head", metavar="HASH", help="a head that was noted earlier, which must be in the log")


def _add_drill_commands(commands: _Commands) -> None:
    drill = commands.add("drill", "drilling.drill", "make real calls on a route while a vendor cannot be reached")
    drill.add_argument("route", metavar="ROUTE", help="a route of the policy; or `verify`, with a report as FILE")
    drill.add_argument("file", nargs="?", metavar="FILE", help="the report to verify: its JSON, or its page")
    drill.add_argument("--without", metavar="NAME", help="looked up as operator, then author, provider, target")
    kind = drill.add_mutually_exclusive_group()
    kind.add_argument("--kind", choices=_KINDS, help="what NAME is; it is not looked up then")
    kind.add_argument(
        "--weights", action="store_const", dest="kind", const="author", help="the same as `--kind author`"
    )
    drill.add_argument("--prompts", metavar="FILE", help="JSON lines with `messages` (default: ten of ours)")
    drill.add_argument("--calls", type=int, metavar="N", help="calls with and without NAME (default: one a prompt)")
    drill.add_argument("--concurrency", type=int, default=1, metavar="N", help="calls at a time (default: %(default)s)")
    drill.add_argument("--min-success", metavar="SHARE", help="of the calls, to be answered (default: all)")
    drill.add_argument("--max-added-latency", metavar="SPAN", help="at the 95th percentile, as in `500ms`")
    drill.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="write the report; without FILE, print it alone"
    )
    drill.add_argument("--html", metavar="FILE", help="write the report as a page")
    drill.add_argument("--yes", action="store_true", help="do not ask; it is only asked on a terminal")


def _add_catalogue_commands(commands: _Commands) -> None:
    providers = commands.add(
        "providers", "catalogue.providers", "list the known vendors, or tell all of one", json=True
    )
    providers.add_argument("name", nargs="?", metavar="NAME", help="one vendor: its regions, models and prices")
