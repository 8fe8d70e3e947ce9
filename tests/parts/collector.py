"""A collector of traces (OTLP over HTTP) that keeps the spans it is sent."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from typing_extensions import override

from tests.canary import RECORDER


@dataclass
class Collector:
    """What it has got so far; `url` is where it takes more."""

    url: str = ""
    status: int = 200
    spans: list[Span] = field(default_factory=list)

    def named(self, name: str) -> list[Span]:
        """Those of that name, in the order they came."""
        return [span for span in self.spans if span.name == name]


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port. What it is sent left the BFF, and is searched for secrets."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            RECORDER.told(body.decode("latin-1"), "traces")
            if collector.status == 200:
                request = ExportTraceServiceRequest.FromString(body)
                collector.spans += [
                    span
                    for resource in request.resource_spans
                    for scope in resource.scope_spans
                    for span in scope.spans
                ]
            self.send_response(collector.status)
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield collector
    server.shutdown()
    thread.join()
    server.server_close()
