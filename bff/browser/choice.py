"""Which of several providers a login goes to; or the page on which the person says so."""

from collections.abc import Mapping
from urllib.parse import urlencode

from bff.browser.front import LOGIN_URL, Front
from bff.problem import Answer, Reason, Refused
from bff.provider.server import AuthorizationServer
from bff.session.record import Session


def chosen(
    front: Front, *, name: str | None, issuer: str | None, former: Session | None
) -> AuthorizationServer | None:
    """The provider; None where the person must choose. Raises Refused(BAD_REQUEST).

    `issuer` is what a third party says (OpenID Connect Core §4); with a name it must be that one's.
    `former`: the session that the login is about, if it is about one: it goes to that one's own.
    """
    frontend = front.frontend
    if name is not None or issuer is not None:
        server = front.server_of(issuer or "") if name is None else front.server_named(name)
        if server is None or issuer not in (None, server.config.issuer):
            raise Refused(Reason.BAD_REQUEST)
        return server
    if len(frontend.providers) > 1 and former is not None:
        return front.server_of(former.identity.iss)
    default = frontend.default_provider
    return None if default is None else front.server_named(default)


def chooser(front: Front, kept: Mapping[str, object]) -> Answer:
    """The page with a link for each provider; `kept` is what else the login was asked for."""
    choices = [
        (f"{LOGIN_URL}?{urlencode({'provider': name, **kept})}", provider.title or name)
        for name, provider in front.frontend.providers.items()
    ]
    return front.page("Sign in", ("Where do you want to sign in?",), choices=choices)
