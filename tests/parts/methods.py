"""A provider at which one application is registered once for each way of authenticating."""

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bff.simulator import Client, Plan, Simulator, Switches, running
from tests.parts.certificates import Authority, authority
from tests.parts.client_keys import ALGS, ClientKeyFile, jwt_lines, write_key
from tests.parts.config import SECRET
from tests.parts.control import Control, client
from tests.wire.test_serve_tls import write_pair

ORIGIN: Final = "https://app.example.com"
BY_JWT: Final = tuple(f"private_key_jwt {alg}" for alg in ALGS)
BY_TLS: Final = ("tls_client_auth", "self_signed_tls_client_auth")
METHODS: Final = ("client_secret_basic", "client_secret_post", *BY_JWT, *BY_TLS)


def client_id(method: str) -> str:
    return method.replace(" ", "-")


@dataclass(frozen=True)
class Methods:
    """What the BFF has in hand for each, and the provider that knows it."""

    simulator: Simulator
    keys: dict[str, ClientKeyFile]
    server: Authority
    pairs: dict[str, tuple[Path, Path]]

    @contextlib.contextmanager
    def control(self) -> Iterator[Control]:
        """The provider as after its start."""
        with client() as http:
            control = Control(self.simulator, http)
            control.do("reset")
            yield control

    def parts(self, method: str, provider: str = "") -> dict[str, str]:
        """The parts of a configuration that authenticates so."""
        secret = "BFF_TEST_SECRET" if method.startswith("client_secret") else ""
        lines = [f'client_authentication = "{method}"']
        if method in BY_JWT:
            lines = [jwt_lines(self.keys[method.split()[1]])]
        if method in BY_TLS:
            certificate, key = self.pairs[method]
            lines += [
                f'ca_file = "{self.server.ca}"',
                f'client_certificate = "{certificate}"\nclient_key = "{key}"',
            ]
        return {
            "issuer": self.simulator.issuer,
            "api": self.simulator.api,
            "client_id": client_id(method),
            "secret": secret,
            "provider": "\n".join([*lines, provider]),
        }


@contextlib.contextmanager
def methods(folder: Path, **more: object) -> Iterator[Methods]:
    """The provider; `more` is said of every client."""
    keys = {alg: write_key(folder, alg) for alg in ALGS}
    server = authority(folder / "server", "localhost")
    ours = authority(folder / "ours", "bff.internal")
    own, own_key = write_pair(folder)
    pairs = {BY_TLS[0]: (ours.certificate, ours.key), BY_TLS[1]: (own, own_key)}
    base = Client(
        client_id="?",
        client_secret=SECRET,
        redirect_uris=(f"{ORIGIN}/bff/callback",),
        post_logout_redirect_uris=(f"{ORIGIN}/",),
        token_endpoint_auth_methods=("client_secret_basic",),
    )
    base = replace(base, **more)  # type: ignore[arg-type]  # as the caller says
    clients = [
        replace(base, client_id=method, token_endpoint_auth_methods=(method,))
        for method in METHODS[:2]
    ]
    clients += [
        replace(
            base,
            client_id=client_id(method),
            client_secret="",
            jwks=(keys[method.split()[1]].jwk,),
            token_endpoint_auth_methods=("private_key_jwt",),
        )
        for method in BY_JWT
    ]
    der = x509.load_pem_x509_certificate(own.read_bytes()).public_bytes(Encoding.DER)
    subject = x509.load_pem_x509_certificate(ours.certificate.read_bytes()).subject
    clients += [
        replace(
            base,
            client_id=method,
            client_secret="",
            tls_client_auth_subject_dn=subject.rfc4514_string() if method == BY_TLS[0] else None,
            certificates=() if method == BY_TLS[0] else (der,),
            token_endpoint_auth_methods=(method,),
        )
        for method in BY_TLS
    ]
    plan = Plan(
        clients=tuple(clients),
        switches=Switches(access_token_seconds=300),
        mtls=_asks_for_a_certificate(server, ours.ca, own),
    )
    with running(plan) as simulator:
        yield Methods(simulator, keys, server, pairs)


def _asks_for_a_certificate(server: Authority, *trusted: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    context.verify_mode = ssl.CERT_OPTIONAL
    for each in trusted:
        context.load_verify_locations(each)
    return context
