"""What a valid file chooses that is legal and yet risky: each choice with a code that stays.

`bff check` shows them, and the log does at every start.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from bff.config.dev_server import has_open_pages, is_dev_server
from bff.config.faults import one_line
from bff.config.load import Config, FrontEnd
from bff.config.model import Operate
from bff.config.pages import REFERRERS_TO_ALL, runs_foreign_scripts
from bff.config.provider_section import Provider
from bff.config.risk_codes import RiskCode
from bff.config.store_url import parse_store_url
from bff.config.values import is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """One choice: a stable code, its key, and what it costs."""

    code: RiskCode
    key: str
    message: str

    def text(self) -> str:
        """The risk as one line for a person."""
        return one_line(f"{self.key} {self.message} [{self.code}]")


Risks = Iterator[Risk]


def risks(config: Config) -> tuple[Risk, ...]:
    """The risky choices that the file does not accept, in the order of their keys."""
    return tuple(risk for risk in all_risks(config) if risk.code not in _accepted(config))


def accepted_risks(config: Config) -> tuple[Risk, ...]:
    """Those that it accepts."""
    return tuple(risk for risk in all_risks(config) if risk.code in _accepted(config))


def all_risks(config: Config) -> tuple[Risk, ...]:
    """Every risky choice of the configuration."""
    of_each = [
        replace(risk, key=front.place(risk.key))
        for front in config.frontends
        for each in _RISKS
        for risk in each(front)
    ]
    of_providers = [
        replace(risk, key=front.place(risk.key, name))
        for front in config.frontends
        for name, provider in front.providers.items()
        for each in _RISKS_OF_PROVIDERS
        for risk in each(provider)
    ]
    # What stands at the top of the file is every front end's.
    return tuple(dict.fromkeys([*of_providers, *of_each, *_admin(config.operate)]))


def _accepted(config: Config) -> frozenset[RiskCode]:
    return frozenset(config.operate.accepted_risks)


def _client_secret_post(provider: Provider) -> Risks:
    if provider.client_authentication == "client_secret_post":
        yield Risk(
            code="client_secret_post",
            key="provider.client_authentication",
            message="puts the secret into bodies, which are logged more readily"
            " (RFC 6749 §2.3.1): client_secret_basic where the provider takes it",
        )


def _assertion_audience(provider: Provider) -> Risks:
    """P-07: where the token endpoint is, a document says; who the issuer is, we know."""
    if (
        provider.client_authentication == "private_key_jwt"
        and provider.client_assertion_audience != "issuer"
    ):
        yield Risk(
            code="assertion_audience",
            key="provider.client_assertion_audience",
            message="signs for whatever address the metadata names:"
            " issuer where the provider takes it",
        )


def _store(frontend: FrontEnd) -> Risks:
    """T-09. The URL holds a password perhaps, so only its key is named."""
    url = parse_store_url(frontend.session.store.get_secret_value())
    if all(is_loopback(host) for host, _ in url.addresses):
        return
    if not url.tls:
        yield Risk(
            code="store_without_tls",
            key="session.store",
            message="reaches the store off loopback without TLS: rediss:// hides who is signed in",
        )
    if not url.password:
        yield Risk(
            code="store_without_password",
            key="session.store",
            message="reaches the store off loopback without a password:"
            " whoever reaches it too can end every session",
        )


def _front_channel(frontend: FrontEnd) -> Risks:
    if frontend.logout.front_channel:
        yield Risk(
            code="front_channel_logout",
            key="logout.front_channel",
            message="lets whoever knows the sid of a provider session end its sessions:"
            " the back channel has a proof, where the provider knows it",
        )


def _routes(frontend: FrontEnd) -> Risks:
    for place, route in enumerate(frontend.routes):
        upstream = urlsplit(route.upstream or "")
        if upstream.scheme == "http" and not is_loopback(upstream.hostname):
            yield Risk(
                code="plaintext_upstream",
                key=f"routes.{place}.plaintext",
                message="sends access tokens in the clear:"
                " something else must protect that network",
            )
        if route.anonymous:
            yield Risk(
                code="anonymous_client",
                key=f"routes.{place}.anonymous",
                message="lets everybody act with the application's own token, without a session:"
                " the API must bear that",
            )
        if has_open_pages(route) and not is_dev_server(route, frontend.origin):
            yield Risk(
                code="dev_server",
                key=f"routes.{place}.upstream",
                message="may be a development server behind a public origin, and that hands out"
                " source files: build the application and name its folder in static",
            )
        if route.documents and not is_dev_server(route, frontend.origin):
            yield Risk(
                code="documents",
                key=f"routes.{place}.documents",
                message="lets the upstream's pages run scripts on the application's own origin:"
                " they can do all that a signed-in person can",
            )


def _route_tokens(frontend: FrontEnd) -> Risks:
    own = [
        place for place, route in enumerate(frontend.routes) if route.own_token and route.resource
    ]
    for provider in frontend.providers.values():
        if own and provider.route_tokens == "refresh" and not provider.resource:
            yield Risk(
                code="wide_session_token",
                key=f"routes.{own[0]}.resource",
                message="names an API whose tokens stay on its route, and the session's own names"
                " none: some providers make that one good for all of them (RFC 8707 §2.2);"
                " name the API of the other routes in provider.resource",
            )
            return


def _pages(frontend: FrontEnd) -> Risks:
    for place, route in enumerate(frontend.routes):
        where = f"routes.{place}"
        policy = route.content_security_policy
        if policy is not None and runs_foreign_scripts(policy):
            yield Risk(
                code="weak_policy",
                key=f"{where}.content_security_policy",
                message="lets scripts run that were slipped into the page",
            )
        headers = route.security_headers
        if headers.get("referrer-policy") in REFERRERS_TO_ALL:
            yield Risk(
                code="referrer_to_all",
                key=f"{where}.security_headers",
                message="tells other sites the whole address of the page",
            )
        if headers.get("cross-origin-opener-policy") == "unsafe-none":
            yield Risk(
                code="opener_kept",
                key=f"{where}.security_headers",
                message="lets a page that opened the application reach for its window:"
                " same-origin-allow-popups keeps popups, and is enough for most",
            )


def _admin(operate: Operate) -> Risks:
    """Of the process, not of a front end: the operations address has no TLS of its own."""
    if operate.admin_password is not None and not is_loopback(operate.listen[0]):
        yield Risk(
            code="admin_without_tls",
            key="operate.admin_password",
            message="travels in the clear to the operations address off loopback:"
            " listen on loopback, or let a proxy with TLS or a tunnel lead there",
        )


_RISKS: Final[tuple[Callable[[FrontEnd], Risks], ...]] = (
    _store,
    _front_channel,
    _routes,
    _route_tokens,
    _pages,
)
_RISKS_OF_PROVIDERS: Final[tuple[Callable[[Provider], Risks], ...]] = (
    _client_secret_post,
    _assertion_audience,
)
