"""Spans as OpenTelemetry's SDK makes them, and their way to the collector."""

from collections.abc import Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span as SdkSpan
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from typing_extensions import override

from bff.journal.log import Event, tell
from bff.journal.trace import Fields, Span

TIMEOUT: Final = 2.0  # seconds for one batch, repeats included
_CONTEXT: Final = TraceContextTextMapPropagator()
_FIELDS: Final = (b"traceparent", b"tracestate")
# Others come from outside, and are as many as somebody likes.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "_OTHER"  # as OpenTelemetry's conventions for HTTP spans call them


class Exporting:
    """A tracer whose spans go to the collector at `url`: so many of all traces, 0 to 1."""

    def __init__(self, url: str, ratio: float) -> None:
        # A browser's wish to be recorded costs us as much as it likes: only the ratio counts.
        some = TraceIdRatioBased(ratio)
        self._provider = TracerProvider(
            sampler=ParentBased(some, remote_parent_sampled=some, remote_parent_not_sampled=some),
            resource=Resource.create({SERVICE_NAME: "bff"}),
            shutdown_on_exit=False,
        )
        exporter = _Told(OTLPSpanExporter(endpoint=url, timeout=TIMEOUT))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("bff")

    def served(self, method: str, name: str, fields: Fields) -> Span:
        """A request that somebody makes of us."""
        known = method if method in _METHODS else _OTHER
        carrier = {key.decode(): fields[key].decode("latin-1") for key in _FIELDS if key in fields}
        span = self._tracer.start_span(
            f"{known} {name}",
            context=_CONTEXT.extract(carrier, context=Context()),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": known, "http.route": name},
        )
        return _Span(span, fails_from=500)

    def asked(self, name: str, cause: Span | None) -> Span:
        """A request that we make of somebody."""
        context = set_span_in_context(cause.span, Context()) if isinstance(cause, _Span) else None
        return _Span(
            self._tracer.start_span(name, context=context or Context(), kind=SpanKind.CLIENT),
            fails_from=400,
        )

    def close(self) -> None:
        """Send what is left. Takes its time."""
        self._provider.shutdown()


class _Span:
    """One of the SDK's."""

    __slots__ = ("_fails_from", "span")

    def __init__(self, span: SdkSpan, *, fails_from: int) -> None:
        self.span = span
        self._fails_from = fails_from

    def traceparent(self) -> str:
        carrier: dict[str, str] = {}
        _CONTEXT.inject(carrier, context=set_span_in_context(self.span, Context()))
        return carrier["traceparent"]

    def end(self, status: int | None) -> None:
        if status is not None:
            self.span.set_attribute("http.response.status_code", status)
        if status is None or status >= self._fails_from:
            self.span.set_status(Status(StatusCode.ERROR))
        self.span.end()


class _Told(SpanExporter):
    """An exporter whose failures are one line of our log, told once until it works again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = False

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them; see SpanExporter."""
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._failing:
            tell(Event.TRACES_FAILED, count=len(spans))
        self._failing = failed
        return result

    @override
    def shutdown(self) -> None:
        """No more."""
        self._exporter.shutdown()

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Whether all has gone."""
        return self._exporter.force_flush(timeout_millis)
