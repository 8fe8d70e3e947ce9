"""The raw upstream over TLS, which knows who called."""

import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import override

from tests.parts.certificates import Authority
from tests.parts.raw import Received, Villain, _Handler, _Server


@dataclass
class TlsVillain(Villain):
    """`callers`: the certificate in DER that came with each request, or None."""

    callers: list[bytes | None] = field(default_factory=list)

    @property
    @override
    def url(self) -> str:
        return f"https://localhost:{self.port}"


class _TlsHandler(_Handler):
    @override
    def _read(self, number: int) -> Received | None:
        received = super()._read(number)
        if received is not None:
            self.server.villain.callers.append(self.connection.getpeercert(binary_form=True))  # type: ignore[attr-defined]
        return received

    @override
    def finish(self) -> None:
        with contextlib.suppress(OSError):  # what is closed is not flushed
            super().finish()


class _TlsServer(_Server):
    context: ssl.SSLContext

    @override
    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        # The handshake is made with the first read, in the thread of that connection.
        wrapped = self.context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )
        return wrapped, address


@contextlib.contextmanager
def tls_villain(own: Authority, *clients: Path) -> Iterator[TlsVillain]:
    """It shows `own`'s certificate, and demands one of these authorities if there are any."""
    with _TlsServer(("127.0.0.1", 0), _TlsHandler) as server:
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(own.certificate, own.key)
        for path in clients:
            server.context.load_verify_locations(path)
            server.context.verify_mode = ssl.CERT_REQUIRED
        found = TlsVillain(server.server_address[1])
        server.villain = found  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
