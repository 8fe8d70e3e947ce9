"""`/panel`: trouble at the press of a button, and the last exchanges as a sequence diagram.

Every button is a call of `/control/` that the page shows, so that a test can do the same.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from bff.simulator.realm import Realm

_HERE: Final = Path(__file__).parent
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_ASKED_BY_CLIENT: Final = ("discovery", "jwks", "token", "userinfo", "revoke")


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """One thing to press: the call it makes, and what comes of it."""

    label: str
    about: str
    call: str  # under /control/
    body: object = field(default_factory=dict)


ONCE: Final = (
    Button(
        label="Expire the access tokens",
        about="The API refuses them with 401. One older than 30 s is renewed and the call repeated;"
        " a younger one's 401 passes.",
        call="expire",
    ),
    Button(
        label="Revoke every grant",
        about="The next refresh is refused, and the session ends.",
        call="revoke-all",
    ),
    Button(
        label="Refuse one refresh",
        about="invalid_grant: the person has to sign in again.",
        call="faults",
        body={"endpoint": "token:refresh_token", "status": 400, "error": "invalid_grant",
              "count": 1},
    ),
    Button(
        label="Rotate the signing keys",
        about="The BFF meets a key that it does not know, and fetches the key set.",
        call="rotate-keys",
    ),
    Button(
        label="Sign everybody out here",
        about="Only at the provider: the application's session goes on.",
        call="sign-out",
    ),
)  # fmt: skip
LASTING: Final = (
    Button(
        label="Be slow",
        about="Every token request takes five seconds.",
        call="faults",
        body={"endpoint": "token", "delay": 5},
    ),
    Button(
        label="Be down",
        about="All that the BFF asks is answered 503.",
        call="faults",
        body=[{"endpoint": name, "status": 503} for name in _ASKED_BY_CLIENT],
    ),
    Button(
        label="Narrow the scope",
        about="The next grant leaves out offline_access: no refresh token.",
        call="switches",
        body={"drop_scopes": ["offline_access"]},
    ),
    Button(
        label="Short tokens",
        about="Access tokens live for five seconds.",
        call="switches",
        body={"access_token_seconds": 5},
    ),
)
WELL: Final = Button(
    label="All well again",
    about="No trouble is left; whoever is signed in stays so.",
    call="well",
)


def panel_routes(realm: Realm) -> list[Route]:
    """The page and its two files."""
    return [
        Route("/panel", _page(realm)),
        Route("/panel.js", _file("panel.js", "text/javascript")),
        Route("/panel.css", _file("panel.css", "text/css")),
    ]


def _file(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    text = (_HERE / name).read_text(encoding="utf-8")

    async def answer(_request: Request) -> Response:
        return Response(text, media_type=kind, headers=_HEADERS)

    return answer


def _page(realm: Realm) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        people = "\n".join(
            f"<li><b>{escape(each.name)}</b> <code>{escape(each.sub)}</code>"
            f"<span>{''.join(_button(button) for button in _about(each.sub))}</span></li>"
            for each in realm.settings.accounts
        )
        return HTMLResponse(
            _PAGE.format(
                issuer=escape(realm.settings.issuer),
                once="\n".join(_item(each) for each in ONCE),
                lasting="\n".join(_item(each) for each in LASTING),
                well=_item(WELL),
                people=people,
            ),
            headers=_HEADERS,
        )

    return answer


def _about(sub: str) -> tuple[Button, ...]:
    """What can be done to one person."""
    return (
        Button(label="Revoke", about="", call="revoke", body={"sub": sub}),
        Button(label="Sign out", about="", call="backchannel-logout", body={"sub": sub}),
    )


def _button(button: Button) -> str:
    body = escape(json.dumps(button.body), quote=True)
    return (
        f'<button type="button" data-call="{escape(button.call)}" data-body="{body}">'
        f"{escape(button.label)}</button>"
    )


def _item(button: Button) -> str:
    return f"<li>{_button(button)}<small>{escape(button.about)}</small></li>"


_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>What goes on</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/panel.css">
<script type="module" src="/panel.js"></script>
</head>
<body>
<header>
<h1>What goes on</h1>
<p>Provider <code>{issuer}</code> &middot; for development: no passwords, no security</p>
</header>
<main>
<section class="troubles" aria-labelledby="troubles">
<h2 id="troubles">Trouble</h2>
<ul>
{once}
</ul>
<h3>Until all is well again</h3>
<ul>
{lasting}
{well}
</ul>
<h3>People</h3>
<p>Revoke the grants, or sign out by back-channel logout.</p>
<ul class="people">
{people}
</ul>
<p class="said" role="status" id="said"></p>
</section>
<section class="exchanges" aria-labelledby="exchanges">
<div class="bar"><h2 id="exchanges">Exchanges</h2>
<button type="button" class="quiet" id="pause" aria-pressed="false">Hold still</button>
<button type="button" class="quiet" id="clear">Clear the view</button></div>
<div class="parties" aria-hidden="true">
<span>Browser</span><span>BFF</span><span>Provider</span><span>API</span>
</div>
<ol id="list"></ol>
<p class="empty" id="empty">Nothing yet: open the application and sign in.</p>
</section>
</main>
</body>
</html>
"""
