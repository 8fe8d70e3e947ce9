"""TLS that ends here: with the configured certificate, from TLS 1.2 on."""

import datetime
import signal
import socket
import ssl
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bff.simulator import Simulator
from tests.parts.raw import raw
from tests.parts.redis_process import RedisProcess
from tests.wire.serve_process import served


def write_pair(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    paths = folder / "app.pem", folder / "app.key"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_tls_ends_here(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess, version: str
) -> None:
    certificate, key = write_pair(tmp_path)
    more = f'[server]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n'
    with served(tmp_path, issuer=simulator.issuer, store=redis.url, more=more) as site:
        context = ssl.create_default_context(cafile=str(certificate))
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        port = site.public.rpartition(":")[2]
        assert site.public.startswith("https://")
        with httpx.Client(trust_env=False, verify=context) as http:
            answer = http.get(
                f"https://localhost:{port}/bff/session", headers={"host": "app.example.com"}
            )
        assert answer.status_code == 403
        assert answer.headers["strict-transport-security"]


def _shown(port: int) -> bytes:
    """The certificate that a new connection is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wire,
    ):
        found = wire.getpeercert(binary_form=True)
        assert found is not None
        return found


def test_a_renewed_certificate_is_shown_after_sighup_and_half_a_pair_never(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    certificate, key = write_pair(tmp_path)
    more = f'[server]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n'
    parts = {"issuer": simulator.issuer, "store": redis.url, "more": more}
    with served(tmp_path, workers=2, **parts) as site:  # type: ignore[arg-type]  # texts only
        port = int(site.public.rpartition(":")[2])
        first = _shown(port)
        context = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(trust_env=False, verify=context) as http:
            url, headers = f"https://localhost:{port}/bff/session", {"host": "app.example.com"}
            assert http.get(url, headers=headers).status_code == 403
            write_pair(tmp_path)
            site.process.signal(signal.SIGHUP)
            for _ in range(3):  # the supervisor, and both workers
                site.process.event("reloaded")
            assert http.get(url, headers=headers).status_code == 403  # on its old connection
        shown = {_shown(port) for _ in range(8)}
        assert len(shown) == 1
        assert first not in shown
        key.write_text("no key")
        site.process.signal(signal.SIGHUP)
        assert site.process.event("reload_refused")["key"] == "server.tls_certificate"
        assert {_shown(port) for _ in range(4)} == shown


def _hello(version: bytes) -> bytes:
    """A ClientHello with that newest version (RFC 5246 §7.4.1.2); OpenSSL says no old one."""
    suites = bytes.fromhex("c02bc009")  # ECDHE-ECDSA with AES-128: GCM, and CBC for TLS 1.1
    extensions = bytes.fromhex(
        "000a000400020017"  # the group secp256r1
        "000b00020100"  # uncompressed points
        "000d000400020403"  # ecdsa_secp256r1_sha256
    )
    body = version + bytes(32) + b"\0" + len(suites).to_bytes(2) + suites + b"\1\0"
    body += len(extensions).to_bytes(2) + extensions
    message = b"\1" + len(body).to_bytes(3) + body
    return b"\x16\3\1" + len(message).to_bytes(2) + message


@pytest.mark.parametrize(
    ("version", "answered"),
    [
        pytest.param(b"\3\3", True, id="TLS 1.2 gets a ServerHello"),
        pytest.param(b"\3\2", False, id="TLS 1.1 gets none"),
    ],
)
def test_no_older_version_is_spoken(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess, version: bytes, answered: bool
) -> None:
    certificate, key = write_pair(tmp_path)
    more = f'[server]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n'
    with served(tmp_path, issuer=simulator.issuer, store=redis.url, more=more) as site:
        with raw(int(site.public.rpartition(":")[2])) as connection:
            connection.send(_hello(version))
            first = connection.take(6) if answered else connection.rest()[:6]
        # A handshake record (22) with a ServerHello (2), or an alert at most.
        assert (first[:1] == b"\x16" and first[5:] == b"\2") is answered
