"""Files of certificates and keys that the configuration names: are they there, do they fit.

Under `checks`.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path

from bff.config.faults import Fault


def check_tls(certificate: Path | None, key: Path | None) -> Iterator[Fault]:
    """The faults of the pair that ends TLS here."""
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        yield Fault(
            key=f"server.{'tls_certificate' if certificate is None else 'tls_key'}",
            message="is missing: half of a TLS pair",
            mend="set tls_certificate and tls_key",
        )
        return
    absent = [*_file("server.tls_certificate", certificate), *_file("server.tls_key", key)]
    yield from absent
    if not absent and not _is_pair(certificate, key):
        yield Fault(
            key="server.tls_certificate",
            message="and server.tls_key are no pair in PEM without a passphrase",
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
    absent = list(_file(key, path))
    yield from absent
    if not absent and not _holds_certificates(path):
        yield Fault(
            key=key, message="holds no certificates", mend="name a PEM file of CA certificates"
        )


def _file(key: str, path: Path) -> Iterator[Fault]:
    if not path.is_file():
        yield Fault(key=key, message="is no file", mend="create it, or name another")


def _holds_certificates(path: Path) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except OSError:
        return False
    return True
