"""A provider that says whatever a test wants, in a hundred lines: for what no sane one would do.

Its tokens are any text, its upstream keeps the fields it was sent. Everybody is `ada`.
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from typing_extensions import override

from tests.parts.answers import query


@dataclass
class RawProvider:
    url: str = ""
    access_token: str = "an-access-token"
    refresh_token: str = "a-refresh-token"
    nonce: str = ""
    now: int = 0
    clock_off: float = 0.0  # seconds, as its Date says
    metadata: dict[str, object] = field(default_factory=dict)  # in place of what it would say
    forms: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    bearers: list[str] = field(default_factory=list)
    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )

    def callback(self, authorization_url: str) -> str:
        """What the person would bring back."""
        asked = query(authorization_url)
        self.nonce = asked["nonce"]
        return f"{asked['redirect_uri']}?code=a-code&state={asked['state']}"

    def answer(self, path: str, form: dict[str, str]) -> object:
        match path:
            case "/.well-known/openid-configuration":
                return {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/jwks",
                    "revocation_endpoint": f"{self.url}/revoke",
                } | self.metadata
            case "/jwks":
                jwk = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
                return {"keys": [{**jwk, "kid": "1", "use": "sig"}]}
            case "/token":
                granted = {
                    "access_token": self.access_token,
                    "refresh_token": self.refresh_token,
                    "token_type": "Bearer",
                    "expires_in": 1 if form["grant_type"] == "authorization_code" else 300,
                }
                return granted | {"id_token": self._id_token(form)}
            case _:
                return {}

    def _id_token(self, form: dict[str, str]) -> str:
        claims: dict[str, Any] = {
            "iss": self.url,
            "sub": "ada",
            "aud": "spa",
            "name": "Ada",
            "iat": self.now,
            "exp": self.now + 300,
        }
        if form["grant_type"] == "authorization_code":
            claims["nonce"] = self.nonce
        return jwt.encode(claims, self.key, "RS256", {"kid": "1"})


def _handler(provider: RawProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        @override
        def date_time_string(self, timestamp: float | None = None) -> str:
            now = time.time()  # noqa: TID251 - a clock of its own, which may be wrong
            return super().date_time_string(now + provider.clock_off)

        protocol_version = "HTTP/1.1"

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

        def _serve(self) -> None:
            path = urlsplit(self.path).path
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            assert all(len(values) == 1 for values in parse_qs(body).values())
            form = dict(parse_qsl(body))
            provider.forms.setdefault(path, []).append(form)
            if (bearer := self.headers.get("authorization", "")).startswith("Bearer "):
                provider.bearers.append(bearer.removeprefix("Bearer "))
            sent = json.dumps(provider.answer(path, form)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = _serve  # noqa: N815 - http.server's names

    return Handler


@contextlib.contextmanager
def raw_provider() -> Iterator[RawProvider]:
    provider = RawProvider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider))
    server.daemon_threads = True
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
