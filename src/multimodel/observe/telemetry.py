"""OpenTelemetry as the application has set it up: where spans and measurements go.

It is on as soon as the application has given OpenTelemetry a provider, and off before that and without one. Nothing is
imported to find out: what is not in ``sys.modules`` has no provider.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import conventions as names

if TYPE_CHECKING:
    from opentelemetry._logs import Logger, LoggerProvider
    from opentelemetry.metrics import Meter, MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

__all__ = ["Instruments", "Telemetry", "telemetry"]


class Instruments:
    """What is measured, under the names that the application has chosen.

    :param latest: the names of the conventions as they are, and not those that most backends show yet.
    """

    def __init__(self, meter: Meter, *, latest: bool) -> None:
        def seconds(name: str, what: str) -> Any:
            return meter.create_histogram(name, "s", what, explicit_bucket_boundaries_advisory=names.SECONDS)

        self.latest = latest
        self.call = seconds(names.CALL_DURATION, "Duration of calls, with all their attempts.")
        self.operation = seconds(names.OPERATION_DURATION, "GenAI operation duration.")
        self.tokens = meter.create_histogram(
            names.TOKEN_USAGE,
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=names.TOKENS,
        )
        if latest:
            self.inference = seconds(names.INFERENCE_DURATION, "GenAI client inference operation duration.")
            self.first_chunk = seconds(names.INFERENCE_FIRST_CHUNK, "Time to receive the first chunk.")
            self.usage = {
                kind: meter.create_counter(f"{names.INFERENCE_USAGE}{kind}", "{token}", what)
                for kind, what in _USAGE.items()
            }


_USAGE = {
    "input_tokens": "The number of input tokens used, including cached tokens.",
    "output_tokens": "The number of output tokens used, including reasoning tokens.",
    "cache_read.input_tokens": "The number of input tokens served from a provider-managed cache.",
    "reasoning.output_tokens": "The number of output tokens used for reasoning.",
}


class Telemetry:
    """Where one process tells of its calls.

    :ivar tracer: None: nobody wants spans.
    :ivar instruments: None: nobody wants measurements.
    :ivar content: whether spans hold what was asked and answered.
    :ivar logger: takes what was asked and answered as an event; None: nobody wants that.
    """

    def __init__(
        self, tracer: Tracer | None, instruments: Instruments | None, logger: Logger | None, *, content: bool
    ) -> None:
        self.tracer = tracer
        self.instruments = instruments
        self.logger = logger
        self.content = content


def telemetry(environ: Mapping[str, str]) -> Telemetry | None:
    """Return where to tell of a call, or None: nobody listens.

    :param environ: OpenTelemetry's own variables choose the names of metrics, and whether content is captured, or
        nothing is told at all.
    """
    if "opentelemetry" not in sys.modules:
        return None
    try:
        tracers, meters = _provider("trace", "tracer"), _provider("metrics", "meter")
        if (tracers is None and meters is None) or "multimodel" in environ.get(names.DISABLED, ""):
            return None
        latest = names.LATEST in environ.get(names.OPT_IN, "")
        capture = environ.get(names.CAPTURE_CONTENT, "").strip().lower()
        loggers = _provider("_logs", "logger") if capture in _IN_EVENTS else None
        return Telemetry(
            None if tracers is None else _made(tracers, _tracer),
            None if meters is None else _made(meters, _latest if latest else _instruments),
            None if loggers is None else _made(loggers, _logger),
            content=capture in _IN_SPANS,
        )
    except Exception:  # noqa: BLE001  # whatever is wrong with it must not cost an answer
        return None


_IN_SPANS = frozenset({"true", "span_only", "span_and_event"})
_IN_EVENTS = frozenset({"event_only", "span_and_event"})
_known: dict[Callable[[Any], Any], tuple[object, Any]] = {}


def _provider(module: str, kind: str) -> Any:
    """Return the application's provider.

    None while it has not set one: what stands in its place is OpenTelemetry's own, and tells nobody.
    """
    api = sys.modules.get(f"opentelemetry.{module}")
    if api is None:
        return None
    provider = getattr(api, f"get_{kind}_provider")()
    return None if type(provider).__module__.startswith(api.__name__) else provider


def _made(provider: object, make: Callable[[Any], Any]) -> Any:
    """Return what was made of a provider; an application sets it once."""
    known = _known.get(make)
    if known is None or known[0] is not provider:
        known = _known[make] = provider, make(provider)
    return known[1]


def _tracer(provider: TracerProvider) -> Tracer:
    from .. import __version__

    return provider.get_tracer("multimodel", __version__)


def _logger(provider: LoggerProvider) -> Logger:
    from .. import __version__

    return provider.get_logger("multimodel", __version__)


def _instruments(provider: MeterProvider) -> Instruments:
    from .. import __version__

    return Instruments(provider.get_meter("multimodel", __version__), latest=False)


def _latest(provider: MeterProvider) -> Instruments:
    from .. import __version__

    return Instruments(provider.get_meter("multimodel", __version__), latest=True)
