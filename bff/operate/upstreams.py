"""What `bff check --online` asks of upstreams behind TLS: a handshake each."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from bff.config.certificates import client_tls
from bff.config.route_section import Route
from bff.operate.finding import Finding
from bff.operate.handshake import lasting, shake_hands


async def examine_upstreams(routes: tuple[Route, ...]) -> AsyncIterator[Finding]:
    """What https upstreams say, and how long certificates last, route by route. Raises nothing."""
    for route in routes:
        if urlsplit(route.upstream or "").scheme == "https":
            for found in own_certificate(route.path, route.client_certificate):
                yield found
            yield await shake_hands(
                f"upstream of {route.path}",
                route.upstream or "",
                client_tls(route.ca_file, route.client_certificate, route.client_key),
                seconds=route.connect_timeout,
                shown="none of ours" if route.client_certificate is None else "ours",
            )


def own_certificate(where: str, certificate: Path | None) -> Iterator[Finding]:
    """How long our own certificate lasts; the check of the file has read it before."""
    if certificate is not None:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
        days = (read.not_valid_after_utc - datetime.now(UTC)).days
        yield lasting(f"client certificate of {where}", days)
