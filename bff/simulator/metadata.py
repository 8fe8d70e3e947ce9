"""What anybody may read: discovery, the key set, the style sheet, the avatars."""

from collections.abc import Awaitable, Callable, Mapping
from html import escape
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bff.simulator.call import Call
from bff.simulator.client_assertion import ALGS
from bff.simulator.realm import Realm
from bff.simulator.settings import SCOPES, SIGNING_ALGS, Settings

_STYLE: Final = Path(__file__).with_name("simulator.css").read_text(encoding="utf-8")


async def discovery(realm: Realm, _call: Call) -> Response:
    """The metadata (Discovery §3, RFC 8414), with the switch `discovery` laid over."""
    settings = realm.settings
    if not settings.openid:
        return JSONResponse({"error": "not_found"}, 404)
    methods = sorted({m for each in settings.clients for m in each.token_endpoint_auth_methods})
    document: dict[str, object] = {
        "issuer": settings.issuer,
        "authorization_endpoint": f"{settings.base}/authorize",
        "token_endpoint": f"{settings.base}/token",
        "userinfo_endpoint": f"{settings.base}/userinfo",
        "jwks_uri": f"{settings.base}/jwks",
        "revocation_endpoint": f"{settings.base}/revoke",
        "end_session_endpoint": f"{settings.base}/end-session",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": _grant_types(realm),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(SIGNING_ALGS),
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": list(ALGS),
        "dpop_signing_alg_values_supported": ["ES256"] if realm.switches.dpop else None,
        "tls_client_certificate_bound_access_tokens": settings.mtls_base is not None,
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "acr_values_supported": list(settings.acr_values_supported),
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }
    if realm.switches.par != "absent":
        document["pushed_authorization_request_endpoint"] = f"{settings.base}/par"
        document["require_pushed_authorization_requests"] = realm.switches.par == "required"
    document["mtls_endpoint_aliases"] = _aliases(settings, document)
    document |= realm.switches.discovery
    return JSONResponse({name: value for name, value in document.items() if value is not None})


def _grant_types(realm: Realm) -> list[str]:
    known = ["authorization_code", "refresh_token", "client_credentials"]
    exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
    return [*known, *([exchange] if realm.switches.token_exchange else [])]


def _aliases(settings: Settings, document: Mapping[str, object]) -> dict[str, str] | None:
    """Where a client with a certificate calls (RFC 8705 §5)."""
    if settings.mtls_base is None:
        return None
    called = ("token", "userinfo", "revocation", "pushed_authorization_request")
    plain = {name: document.get(name) for name in (f"{each}_endpoint" for each in called)}
    return {
        name: url.replace(settings.base, settings.mtls_base, 1)
        for name, url in plain.items()
        if isinstance(url, str)
    }


async def jwks(realm: Realm, _call: Call) -> Response:
    """The public keys."""
    return JSONResponse(realm.keys.jwks(), media_type="application/jwk-set+json")


async def style(_request: Request) -> Response:
    """The pages' style sheet."""
    return Response(_STYLE, media_type="text/css", headers={"Cache-Control": "no-cache"})


def avatar(realm: Realm) -> Callable[[Request], Awaitable[Response]]:
    """A person's picture: initials on a colour, for any site to show."""

    async def answer(request: Request) -> Response:
        account = realm.settings.account(request.path_params["sub"])
        if account is None:
            return Response("no such account\n", 404, media_type="text/plain")
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96" width="96" height="96">'
            f'<rect width="96" height="96" fill="hsl({account.hue} 45% 42%)"/>'
            '<text x="48" y="48" fill="#fff" font-family="system-ui,sans-serif" font-size="38" '
            'text-anchor="middle" dominant-baseline="central">'
            f"{escape(account.initials)}</text></svg>"
        )
        headers = {
            "Cross-Origin-Resource-Policy": "cross-origin",
            "Content-Security-Policy": "default-src 'none'",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(svg, media_type="image/svg+xml", headers=headers)

    return answer
