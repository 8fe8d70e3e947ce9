"""The provider as one ASGI application: every endpoint under watch, loopback peers only."""

from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bff.simulator.authorize import authorize, page_refusal
from bff.simulator.control import control_routes
from bff.simulator.interaction import choose, consent
from bff.simulator.logout import confirm, end_session
from bff.simulator.metadata import avatar, discovery, jwks, style
from bff.simulator.panel import panel_routes
from bff.simulator.pushed import push
from bff.simulator.realm import Realm
from bff.simulator.revocation import revoke
from bff.simulator.settings import Settings, is_loopback
from bff.simulator.token import token, token_refusal
from bff.simulator.userinfo import bearer_refusal, userinfo
from bff.simulator.watch import watched

DISCOVERY: Final = "/.well-known/openid-configuration"


class LoopbackOnly:
    """Refuses a peer or a Host that is not this machine.

    The second is for browsers: a name that resolves to 127.0.0.1 would make a foreign page
    same-origin with `/control/secrets` (DNS rebinding)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what comes from this machine under this machine's name."""
        if scope["type"] == "http":
            peer = scope.get("client")
            if peer is None or not is_loopback(peer[0]) or not is_loopback(_host(scope)):
                refusal = PlainTextResponse("the simulator answers on loopback only\n", 421)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _host(scope: Scope) -> str:
    try:
        return urlsplit("//" + Headers(scope=scope).get("host", "")).hostname or ""
    except ValueError:
        return ""


def provider_app(settings: Settings | Realm) -> Starlette:
    """The provider; give a Realm to look into it from the same process."""
    realm = settings if isinstance(settings, Realm) else Realm(settings)

    routes = [
        Route(DISCOVERY, watched(realm, "discovery", discovery)),
        Route("/jwks", watched(realm, "jwks", jwks)),
        Route("/par", watched(realm, "par", push), methods=["POST"]),
        Route("/authorize", watched(realm, "authorize", authorize, page_refusal)),
        Route("/choose", watched(realm, "choose", choose, page_refusal), methods=["POST"]),
        Route("/consent", watched(realm, "consent", consent, page_refusal), methods=["POST"]),
        Route("/token", watched(realm, "token", token, token_refusal), methods=["POST"]),
        Route(
            "/userinfo",
            watched(realm, "userinfo", userinfo, bearer_refusal),
            methods=["GET", "POST"],
        ),
        Route("/revoke", watched(realm, "revoke", revoke), methods=["POST"]),
        Route(
            "/end-session",
            watched(realm, "end_session", end_session, page_refusal),
            methods=["GET", "POST"],
        ),
        Route(
            "/end-session/confirm",
            watched(realm, "confirm", confirm, page_refusal),
            methods=["POST"],
        ),
        Route("/simulator.css", style),
        Route("/avatars/{sub}.svg", avatar(realm)),
    ]
    path = realm.settings.path
    own = [*control_routes(realm), *panel_routes(realm)]
    app = Starlette(routes=[*own, *([Mount(path, routes=routes)] if path else routes)])
    app.add_middleware(LoopbackOnly)
    return app
