"""The npm oidc-provider as a process, and a person who answers its development pages."""

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx

from tests.canary import RECORDER
from tests.parts.config import SECRET
from tests.parts.control import client

HERE: Final = Path(__file__).parent
KINDS: Final = {  # as the canary's recorder calls them
    "access_token": "access_tokens",
    "client_credentials": "access_tokens",
    "refresh_token": "refresh_tokens",
    "authorization_code": "codes",
}


@dataclass(frozen=True)
class OidcProvider:
    """What the tests ask of it, beside what the BFF does."""

    issuer: str
    http: httpx.Client

    def seen(self) -> dict[str, Any]:
        """What it has emitted and answered: grants, saved, revoked, ended, told, requests."""
        found: dict[str, Any] = self.http.get(f"{self.issuer}/test/seen").json()
        for kind, value in found["saved"]:
            RECORDER.secret(KINDS[kind], value)
        return found

    def refreshes(self) -> int:
        """How many refreshes it has granted."""
        count: int = self.seen()["grants"].count("refresh_token")
        return count

    def newest(self, kind: str) -> str:
        """The token of that kind which it issued last."""
        tokens: list[str] = [value for found, value in self.seen()["saved"] if found == kind]
        return tokens[-1]

    def let_access_tokens_live(self, seconds: int) -> None:
        self.http.post(f"{self.issuer}/test/access-token-seconds?{seconds}")

    def introspected(self, token: str) -> dict[str, Any]:
        """What it says about a token (RFC 7662), asked by a client of its own."""
        answer = self.http.post(
            f"{self.issuer}/token/introspection",
            data={"token": token},
            auth=("observer", "observes"),
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def application(client_id: str, method: str, origin: str, **more: object) -> dict[str, object]:
    """The registration of a BFF at `origin`, in the words of OpenID Registration."""
    shown = {"client_secret": SECRET}
    if method == "private_key_jwt":
        shown = {"jwks_uri": f"{origin}/bff/jwks"}
    return {
        "client_id": client_id,
        **shown,
        **more,
        "token_endpoint_auth_method": method,
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [f"{origin}/bff/callback"],
        "post_logout_redirect_uris": [f"{origin}/"],
        "backchannel_logout_uri": f"{origin}/bff/backchannel-logout",
        # With it `sid` is in its ID tokens and logout tokens; without, `sub` alone. Both must do.
        "backchannel_logout_session_required": method == "client_secret_basic",
    }


_OBSERVER: Final[dict[str, object]] = {
    "client_id": "observer",
    "client_secret": "observes",
    "redirect_uris": [],
    "response_types": [],
    "grant_types": [],
}


@contextlib.contextmanager
def oidc_provider(
    clients: Sequence[dict[str, object]], *, access_token_seconds: int, **more: object
) -> Iterator[OidcProvider]:
    """The provider in a process of its own, which ends with the block; `more`: its settings."""
    node = shutil.which("node")
    assert node, "node is missing: run `make test` as root, or install it"
    assert (HERE / "node_modules/oidc-provider").is_dir(), "oidc-provider is missing: `make npm`"
    clients = [*clients, _OBSERVER]
    settings = {"clients": clients, "accessTokenSeconds": access_token_seconds, **more}
    with (
        subprocess.Popen(
            [node, "--no-deprecation", str(HERE / "provider.mjs"), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        client() as http,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        found = OidcProvider(json.loads(line)["issuer"], http)
        try:
            yield found
        finally:
            found.seen()  # so that the canaries know every token
            process.communicate("")


class Visitor:
    """A person in front of the development pages; keeps the provider's cookies."""

    def __init__(self, login: str = "ada", *, allows: bool = True) -> None:
        self.login = login
        self.allows = allows
        self.http = client()

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def visit(self, url: str) -> str:
        """Where the provider sends the browser in the end: an address that is not its own."""
        home = urlsplit(url).netloc
        response = self.http.get(url)
        while True:
            if response.has_redirect_location:
                url = urljoin(str(response.url), response.headers["location"])
                if urlsplit(url).netloc != home:
                    return url
                response = self.http.get(url)
            else:
                response = self._answered(response)

    def _answered(self, page: httpx.Response) -> httpx.Response:
        assert page.status_code == 200, page.text
        action = urljoin(str(page.url), _one(r'<form [^>]*action="([^"]+)"', page.text))
        if xsrf := re.search(r'name="xsrf" value="([^"]+)"', page.text):
            return self.http.post(action, data={"xsrf": xsrf[1], "logout": "yes"})
        prompt = _one(r'name="prompt" value="([^"]+)"', page.text)
        if prompt == "consent" and not self.allows:
            return self.http.get(_one(r'href="([^"]+/abort)"', page.text))
        return self.http.post(
            action, data={"prompt": prompt, "login": self.login, "password": "any"}
        )


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found, f"no {pattern} in {text}"
    return found[1]
