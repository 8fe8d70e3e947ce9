"""Logout tokens as a provider's server sends them, and what they did."""

from typing import Any, Final

import httpx
import jwt

from tests.parts.answers import reason
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.site import Site

URL: Final = "/bff/backchannel-logout"
REFUSED: Final = (400, {"error": "invalid_request"})
UNAVAILABLE: Final = (400, {"error": "temporarily_unavailable"})


def sid_of(provider: Control) -> str:
    """Of the provider session behind the newest login."""
    id_token = provider.ask("secrets")["id_tokens"][-1]
    claims = jwt.decode(id_token, options={"verify_signature": False})
    return str(claims["sid"])


def minted(provider: Control, departure: str | None = None, **who: str) -> str:
    if departure is not None:
        provider.fault("logout_token", departure=departure, count=1)
    return str(provider.do("logout-token", who)["logout_token"])


def send(site: Site, token: str, **more: Any) -> httpx.Response:
    """As a provider's server does: no cookie, no Fetch Metadata, no header of ours."""
    with browsing(site) as caller:
        return caller.request("POST", URL, site=None, **{"data": {"logout_token": token}, **more})


def said(answer: httpx.Response) -> tuple[int, object]:
    return answer.status_code, answer.json()


def ended(browser: Browser) -> bool:
    answer = browser.fetch("GET", "/api/tasks")
    if answer.status_code == 200:
        return False
    assert (answer.status_code, reason(answer)) == (401, "session_ended")
    assert "set-cookie" not in answer.headers
    return True
