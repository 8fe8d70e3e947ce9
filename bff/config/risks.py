"""What a valid file chooses that is legal and yet risky: each choice with a code that stays.

`bff check` shows them, and the log does at every start.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from bff.config.faults import one_line
from bff.config.load import Config, FrontEnd
from bff.config.store_url import parse_store_url
from bff.config.values import is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """One choice: a stable code, its key, and what it costs."""

    code: str
    key: str
    message: str

    def text(self) -> str:
        """The risk as one line for a person."""
        return one_line(f"{self.key} {self.message} [{self.code}]")


Risks = Iterator[Risk]


def risks(config: Config) -> tuple[Risk, ...]:
    """Every risky choice of the configuration, in the order of its keys."""
    return tuple(
        risk for frontend in config.frontends for each in _RISKS for risk in each(frontend)
    )


def _client_secret_post(frontend: FrontEnd) -> Risks:
    if frontend.provider.client_authentication == "client_secret_post":
        yield Risk(
            code="client_secret_post",
            key="provider.client_authentication",
            message="puts the secret into bodies, which are logged more readily"
            " (RFC 6749 §2.3.1): client_secret_basic where the provider takes it",
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
        if route.documents:
            yield Risk(
                code="documents",
                key=f"routes.{place}.documents",
                message="lets the upstream's pages run scripts on the application's own origin:"
                " they can do all that a signed-in person can",
            )


_RISKS: Final[tuple[Callable[[FrontEnd], Risks], ...]] = (_client_secret_post, _store, _routes)
