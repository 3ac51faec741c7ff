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
    _add_rehearsal_commands(commands)
    _add_switch_commands(commands)
    _add_audit_commands(commands)
    _add_risk_commands(commands)
    _add_archive_commands(commands)
    _add_drill_commands(commands)
    _add_catalogue_commands(commands)
    return parser


class _CommandParser(ArgumentParser):
    """Options may stand between its positional arguments."""

    _is_inside = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse what stands behind the command's name."""
        if self._is_inside or self._subparsers is not None:  # the intermixed way goes through here
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

    def group(self, name: str, about: str) -> _Commands:
        """Add a command that has commands of its own."""
        return _Commands(self._add_parser(name, about))

    def add(self, name: str, run: str, about: str, *, json: bool = False) -> ArgumentParser:
        """Add a command."""
        parser = self._add_parser(name, about)
        parser.set_defaults(run=run)
        if json:
            parser.add_argument("--json", action="store_true", help="print one JSON document")
        return parser

    def _add_parser(self, name: str, about: str) -> ArgumentParser:
        """``--config`` may also stand behind its name."""
        parser: ArgumentParser = self._parsers.add_parser(name, help=about, description=about, allow_abbrev=False)
        parser.add_argument("--config", metavar="FILE", default=SUPPRESS, help=SUPPRESS)
        return parser


def _add_policy_commands(commands: _Commands) -> None:
    init = commands.add("init", "starting.init", "write a policy from the keys and the weights that are here")
    init.add_argument("--path", default="multimodel.yaml", help="the file to write (default: %(default)s)")
    init.add_argument("--force", action="store_true", help="replace the file if it exists")
    check = commands.add("check", "checking.check", "tell all mistakes and doubts of a policy, without a network")
    check.add_argument("file", nargs="?", metavar="FILE", help="the policy file")
    check.add_argument("--strict", action="store_true", help="fail on warnings too")
    form = check.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--sarif", action="store_true", help="print SARIF 2.1.0, which code hosts show beside the lines")
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
    explain = commands.add(
        "explain",
        "explaining.explain",
        "tell what a call on a route would do now, or what a recorded one did",
        json=True,
    )
    explain.add_argument("route", nargs="?", metavar="ROUTE", help="a route of the policy, or one of its aliases")
    explain.add_argument(
        "--needs", default="", metavar="NEED,…", help="what the call needs, as in `vision,input=200000`"
    )
    explain.add_argument("--call", metavar="FILE", help="what `complete --json` printed; `-` is standard input")


def _add_rehearsal_commands(commands: _Commands) -> None:
    simulate = commands.add(
        "simulate", "simulating.simulate", "play an outage on a route, in virtual time and without a network", json=True
    )
    simulate.add_argument("policy", nargs="?", metavar="POLICY", help="the policy file")
    simulate.add_argument(
        "--outage",
        action="append",
        default=[],
        metavar="NAME:SPAN",
        help="who is out for how long, as in `alibaba:2h`, `alibaba:10m+2h` (from 10m on) or `alibaba:2h:silent` "
        "(503, which is the default, refused, silent or slow); NAME as for `off`; may be repeated",
    )
    simulate.add_argument("--rate", default="10/s", metavar="N/s", help="calls, as in `50/s` (default: %(default)s)")
    simulate.add_argument("--for", dest="duration", metavar="SPAN", help="how long calls come (default: as it takes)")
    simulate.add_argument("--route", metavar="ROUTE", help="a route of the policy (default: `chat`, or the first)")
    simulate.add_argument(
        "--latency",
        action="append",
        default=[],
        metavar="NAME:FIRST/TOTAL",
        help="when first content and end come, as in `dashscope:400ms/2s` (default: 500ms/3s); may be repeated",
    )
    simulate.add_argument(
        "--tokens",
        action="append",
        default=[],
        metavar="NAME:IN/OUT",
        help="tokens of prompt and answer, as in `1000/300`, which is the default; may be repeated",
    )
    simulate.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME:N/m",
        help="requests that a vendor takes, as in `deepseek:600/m` (default: any number); may be repeated",
    )
    simulate.add_argument("--seed", type=int, default=1, metavar="N", help="decides all chance (default: %(default)s)")
    simulate.add_argument("--svg", metavar="FILE", help="write the picture as SVG")


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


def _add_risk_commands(commands: _Commands) -> None:
    risk = commands.add(
        "risk", "risking.risk", "tell who the routes depend on, and what is left without each", json=True
    )
    risk.add_argument("--ledger", metavar="FILE", help="the ledger of real calls (default: the policy's)")
    risk.add_argument("--since", metavar="SPAN", help="how far back to look, as in `30d` (default: all)")
    risk.add_argument("--html", metavar="FILE", help="write the report with charts to a file of its own, too")


def _add_archive_commands(commands: _Commands) -> None:
    archive = commands.group("archive", "keep weights of your own, with hashes and the licence as it stands today")
    add = archive.add("add", "archiving.add", "copy a folder of weights into the archive", json=True)
    add.add_argument("folder", metavar="FOLDER", help="the weights, their tokenizer, licence text and model card")
    add.add_argument("--name", metavar="NAME", help="the model is `local:NAME` (default: the folder's name)")
    add.add_argument("--source", metavar="TEXT", help="where they were downloaded from")
    add.add_argument("--revision", metavar="TEXT", help="which revision of the source")
    add.add_argument("--author", metavar="TEXT", help="who made the weights (default: as the model card says)")
    add.add_argument("--licence", "--license", metavar="TEXT", help="its name (default: as the model card says)")
    text = add.add_mutually_exclusive_group()
    text.add_argument("--licence-file", "--license-file", metavar="FILE", help="its text, where FOLDER has none")
    text.add_argument(
        "--no-licence-text", "--no-license-text", action="store_true", help="there is none, and you know it"
    )
    verify = archive.add("verify", "archiving.verify", "compare every file with the hash it had", json=True)
    verify.add_argument("name", nargs="?", metavar="NAME", help="one model (default: all)")
    verify.add_argument("--manifest", metavar="HASH", help="what an earlier `verify` said of its manifest")
    archive.add("list", "archiving.list_models", "tell what is in the archive", json=True)
    diff = archive.add("diff", "archiving.diff", "tell how a folder differs, its licence above all", json=True)
    diff.add_argument("name", metavar="NAME", help="a model of the archive")
    diff.add_argument(
        "folder", nargs="?", metavar="FOLDER", help="for instance a new download (default: what NAME is now)"
    )


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
