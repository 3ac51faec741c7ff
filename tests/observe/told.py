"""What an application hears that has set OpenTelemetry up."""

from __future__ import annotations

from opentelemetry import _logs, metrics, trace
from opentelemetry._logs import _internal as logs_state
from opentelemetry.metrics import _internal as metrics_state
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.util._once import Once


class Told:
    """Spans and measurements, kept in memory. Setting it up is what an application does once; see ``forget_providers``."""

    def __init__(self, *more: SpanProcessor, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        tracers = TracerProvider(sampler)
        for processor in (SimpleSpanProcessor(self._exporter), *more):
            tracers.add_span_processor(processor)
        trace.set_tracer_provider(tracers)
        metrics.set_meter_provider(MeterProvider([self._reader]))
        self._logs = InMemoryLogRecordExporter()
        loggers = LoggerProvider()
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        _logs.set_logger_provider(loggers)
        self.tracer = trace.get_tracer("application")

    @property
    def spans(self) -> list[ReadableSpan]:
        """All spans, in order of their beginning; a parent before its children."""
        ended = self._exporter.get_finished_spans()[::-1]
        return sorted(ended, key=lambda span: span.start_time)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    @property
    def events(self) -> list[ReadableLogRecord]:
        return list(self._logs.get_finished_logs())

    def measured(self) -> dict[str, list]:
        """The data points by the names of metrics."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def metrics_as_json(self) -> str:
        data = self._reader.get_metrics_data()
        return "" if data is None else data.to_json()

    def everything(self) -> str:
        """All that was told, as text."""
        events = "".join(event.to_json() for event in self.events)
        return "".join(span.to_json() for span in self.spans) + events + self.metrics_as_json()

    def take(self) -> list[ReadableSpan]:
        """The spans since the last time."""
        spans = self.spans
        self._exporter.clear()
        return spans


def forget_providers() -> None:
    """OpenTelemetry lets a process set its providers once; tests begin anew."""
    trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE = None, Once()
    logs_state._LOGGER_PROVIDER, logs_state._LOGGER_PROVIDER_SET_ONCE = None, Once()
    metrics_state._METER_PROVIDER, metrics_state._METER_PROVIDER_SET_ONCE = None, Once()
