"""Files of certificates and keys that the configuration names: are they there, do they fit, and
the TLS that they make towards whoever we call.

Under `checks`.
"""

import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path

from bff.config.faults import Fault
from bff.config.paths import check_file


def check_tls(certificate: Path | None, key: Path | None) -> Iterator[Fault]:
    """The faults of the pair that ends TLS here."""
    yield from check_pair("server", ("tls_certificate", certificate), ("tls_key", key))


def check_client_pair(
    where: str, scheme: str, certificate: Path | None, key: Path | None
) -> Iterator[Fault]:
    """The faults of the pair that we show to a route's upstream (RFC 8446 §4.4.2)."""
    names = ("client_certificate", certificate), ("client_key", key)
    if scheme != "https":
        for name, path in names:
            if path is not None:
                yield Fault(
                    key=f"{where}.{name}",
                    message="means nothing beside an upstream without TLS",
                    mend="remove it, or name an https upstream",
                )
        return
    yield from check_pair(where, *names)


Named = tuple[str, Path | None]


def check_pair(where: str, certificate: Named, key: Named) -> Iterator[Fault]:
    """The faults of a certificate and its key, each with its name in the table `where`."""
    (one, certificate_file), (other, key_file) = certificate, key
    if certificate_file is None and key_file is None:
        return
    if certificate_file is None or key_file is None:
        yield Fault(
            key=f"{where}.{one if certificate_file is None else other}",
            message="is missing: half of a TLS pair",
            mend=f"set {one} and {other}",
        )
        return
    absent = [
        *check_file(f"{where}.{one}", certificate_file),
        *check_file(f"{where}.{other}", key_file),
    ]
    yield from absent
    if not absent and not _is_pair(certificate_file, key_file):
        yield Fault(
            key=f"{where}.{one}",
            message=f"and {where}.{other} are no pair in PEM without a passphrase",
            mend="name the certificate with its chain, and its own key",
        )


def _is_pair(certificate: Path, key: Path) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password of our own OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError):  # SSLError is an OSError
        return False
    return True


def check_ca_file(key: str, path: Path | None) -> Iterator[Fault]:
    """The faults of a file of CA certificates, if one is named."""
    if path is None:
        return
    absent = list(check_file(key, path))
    yield from absent
    if not absent and not _holds_certificates(path):
        yield Fault(
            key=key, message="holds no certificates", mend="name a PEM file of CA certificates"
        )


def _holds_certificates(path: Path) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except OSError:
        return False
    return True


def client_tls(ca_file: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """TLS towards whom we call: 1.2 or later, their certificate and their name verified.

    The files are read here and now: with renewed ones it takes a new context.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    if certificate is not None:
        context.load_cert_chain(certificate, key, password="")
    return context


def tls_mark(ca_file: Path | None, certificate: Path | None, key: Path | None) -> bytes:
    """A digest that is another one if `client_tls` would read anything else by now.

    The system's roots count by the time of their last change: there may be a whole folder of them.
    """
    system = ssl.get_default_verify_paths()
    mark = hashlib.sha256()
    for path in (ca_file, certificate, key):
        mark.update(hashlib.sha256(b"" if path is None else path.read_bytes()).digest())
    for root in (system.cafile, system.capath):
        changed_at = 0 if root is None else Path(root).stat().st_mtime_ns
        mark.update(f"{root} {changed_at}\n".encode())
    return mark.digest()
