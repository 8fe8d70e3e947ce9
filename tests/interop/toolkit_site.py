"""A site of Django with django-oauth-toolkit, as small as it goes: `python toolkit_site.py JSON`.

The argument: `client_id`, `client_secret`, `origin` of the BFF, `access_token_seconds`, `folder`
for the database. It prints its issuer, which has a path, and ends with its standard input.

    GET /test/tokens    every access token that lives, every refresh token and whether it does
"""

import json
import os
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import include, path
from typing_extensions import override

GIVEN: dict[str, Any] = json.loads(sys.argv[1])
APPS = ("auth", "contenttypes", "sessions")
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)

settings.configure(
    SECRET_KEY=os.urandom(16).hex(),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(GIVEN["folder"]) / "toolkit.sqlite3"),
            # Nothing of it need outlive the process.
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY",
            },
        }
    },
    INSTALLED_APPS=[*(f"django.contrib.{name}" for name in APPS), "oauth2_provider"],
    MIGRATION_MODULES=dict.fromkeys((*APPS, "oauth2_provider")),  # tables as they are today
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    LOGIN_URL="/login",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": KEY.decode(),
        "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
        "OIDC_RP_INITIATED_LOGOUT_ALWAYS_PROMPT": False,
        "OAUTH2_VALIDATOR_CLASS": f"{__name__}.Validator",
        "SCOPES": {name: name for name in ("openid", "profile", "email", "offline_access")},
        "PKCE_REQUIRED": True,
        "ACCESS_TOKEN_EXPIRE_SECONDS": GIVEN["access_token_seconds"],
        "ROTATE_REFRESH_TOKEN": True,
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    },
)
django.setup()

from django.contrib.auth import get_user_model, login  # noqa: E402 - only once it is set up
from oauth2_provider.models import (  # noqa: E402
    get_access_token_model,
    get_application_model,
    get_refresh_token_model,
)
from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: E402


class Validator(OAuth2Validator):  # type: ignore[misc]  # it is not typed
    """What the ID token says of a person beside who they are."""

    oidc_claim_scope = None

    @override
    def get_additional_claims(self, request: Any) -> dict[str, object]:
        name = request.user.username
        return {"name": f"{name} of Django", "email": f"{name}@example.com"}


def sign_in(request: HttpRequest) -> HttpResponse:
    """Whoever comes is Ada."""
    login(request, get_user_model().objects.get(username="ada"))
    return HttpResponseRedirect(request.GET["next"])


def tokens(_request: HttpRequest) -> JsonResponse:
    """Which ones live."""
    access = get_access_token_model().objects.all()
    refresh = get_refresh_token_model().objects.order_by("id")
    return JsonResponse(
        {
            "access_tokens": [each.token for each in access if not each.is_expired()],
            "refresh_tokens": [[each.token, each.revoked is None] for each in refresh],
        }
    )


urlpatterns = [
    path("login", sign_in),
    path("test/tokens", tokens),
    path("some/where/", include("oauth2_provider.urls", namespace="oauth2_provider")),
]


class Silent(WSGIRequestHandler):
    """It would tell every request, with its tokens."""

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


class Threaded(socketserver.ThreadingMixIn, WSGIServer):
    """Several at a time."""

    daemon_threads = True


def main() -> None:
    call_command("migrate", verbosity=0, run_syncdb=True)
    get_user_model().objects.create_user("ada")
    get_application_model().objects.create(
        client_id=GIVEN["client_id"],
        client_secret=GIVEN["client_secret"],
        name="BFF",
        client_type="confidential",
        authorization_grant_type="authorization-code",
        hash_client_secret=False,  # it would take a second of each token request
        algorithm="RS256",
        redirect_uris=f"{GIVEN['origin']}/bff/callback",
        post_logout_redirect_uris=f"{GIVEN['origin']}/",
        skip_authorization=True,
    )
    server = make_server("127.0.0.1", 0, get_wsgi_application(), Threaded, Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    issuer = f"http://127.0.0.1:{server.server_port}/some/where"
    print(json.dumps({"issuer": issuer}), flush=True)  # noqa: T201 - whoever started it reads it
    sys.stdin.read()


if __name__ == "__main__":
    main()
