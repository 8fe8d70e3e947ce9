"""A client of the simulator as a script, for the tests of the simulator itself."""

import base64
import hashlib
import secrets
import ssl
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from bff.simulator import Client, Person, Plan, Simulator, Switches

CALLBACK = "http://localhost:8080/bff/callback"
AFTER = "http://localhost:8080/signed-out"
SECRET = "s3cret: & %+ü"  # form-encoding must matter
SCOPE = "openid profile email phone offline_access tasks:read"

PLAN = Plan(
    clients=(
        Client(
            client_id="spa",
            client_secret=SECRET,
            redirect_uris=(CALLBACK, CALLBACK + "?tenant=1"),
            post_logout_redirect_uris=(AFTER,),
        ),
        Client(
            client_id="other",
            client_secret="other-secret",
            redirect_uris=(CALLBACK,),
            token_endpoint_auth_methods=("client_secret_basic",),
            id_token_signed_response_alg="ES256",
        ),
    ),
    switches=Switches(access_token_seconds=30),
)


class Party:
    """The client `spa`, with one PKCE pair, and the control channel."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.issuer = simulator.issuer
        # Plain http only: a context that trusts nobody spares reading all the CA files.
        self.http = httpx.Client(trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self.code_verifier = secrets.token_urlsafe(32)

    def __enter__(self) -> "Party":
        self.control("reset")
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        self.http.close()

    def control(self, name: str, json: object = None) -> Any:
        answer = self.http.post(
            f"{self.simulator.control}/{name}", json={} if json is None else json
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask(self, name: str, **query: object) -> Any:
        url = f"{self.simulator.control}/{name}?{urlencode(query)}"
        answer = self.http.get(url)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def last(self, endpoint: str) -> dict[str, Any]:
        entries: list[dict[str, Any]] = self.ask("ledger")["entries"]
        return [entry for entry in entries if entry["endpoint"] == endpoint][-1]

    def url(self, **changes: str | None) -> str:
        digest = hashlib.sha256(self.code_verifier.encode()).digest()
        parameters: dict[str, str | None] = {
            "client_id": "spa",
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": SCOPE,
            "state": "the-state",
            "nonce": "the-nonce",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        wanted = {
            name: value for name, value in (parameters | changes).items() if value is not None
        }
        return f"{self.issuer}/authorize?{urlencode(wanted)}"

    def callback(self, person: Person, **changes: str | None) -> dict[str, str]:
        location = person.visit(self.url(**changes))
        return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}

    def code(self, **changes: str | None) -> str:
        with Person() as person:
            return self.callback(person, **changes)["code"]

    def token(self, **form: str | None) -> httpx.Response:
        sent = {"client_id": "spa", "client_secret": SECRET} | form
        data = {name: value for name, value in sent.items() if value is not None}
        return self.http.post(f"{self.issuer}/token", data=data)

    def redeem(self, code: str | None, **changes: str | None) -> httpx.Response:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": self.code_verifier,
        }
        return self.token(**(form | changes))

    def refresh(self, refresh_token: str, **changes: str | None) -> httpx.Response:
        form: dict[str, str | None] = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
        }
        return self.token(**(form | changes))

    def sign_in(self, **changes: str | None) -> dict[str, Any]:
        answer = self.redeem(self.code(**changes))
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    def userinfo(self, access_token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {access_token}"}
        return self.http.get(f"{self.issuer}/userinfo", headers=headers)

    def revoke(self, token: str, **changes: str) -> httpx.Response:
        form = {"client_id": "spa", "client_secret": SECRET, "token": token}
        return self.http.post(f"{self.issuer}/revoke", data=form | changes)


def seen(answer: httpx.Response) -> tuple[int, str | None]:
    """Status and OAuth error."""
    return answer.status_code, answer.json().get("error")
