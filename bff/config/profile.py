"""`provider.profile`: what a security profile sets where the file is silent, and what it forbids.

Before `reading`, which sees the file as the profile completes it, and under `checks`. Pure; each
fault names the clause that it breaks (FAPI 2.0 Security Profile, Final).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bff.config.faults import Fault
from bff.config.provider_section import Algorithm, ClientAuthentication, Profile

ALGORITHMS: Final[tuple[Algorithm, ...]] = ("PS256", "ES256", "EdDSA")
METHODS: Final[tuple[ClientAuthentication, ...]] = (
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
)


def completed(written: object) -> object:
    """The table [provider] with what its profile sets; what is no table is left to be refused."""
    if not isinstance(written, Mapping) or written.get("profile") != "fapi2":
        return written
    return {
        "client_authentication": METHODS[0],
        "algorithms": list(ALGORITHMS),
        # A certificate may bind tokens too; both is possible, and then it is said.
        "dpop": "client_certificate" not in written,
        **written,
    }


def check_authentication(profile: Profile, method: ClientAuthentication) -> Iterator[Fault]:
    """Whether we show who we are by a key or a certificate."""
    if profile == "fapi2" and method not in METHODS:
        yield Fault(
            key="provider.client_authentication",
            message=f'is "{method}", and FAPI 2.0 §5.3.3.1(2) knows keys and certificates alone',
            mend='use "private_key_jwt" or "tls_client_auth"',
        )


def check_audience(profile: Profile, audience: str) -> Iterator[Fault]:
    """Whether assertions are for the issuer."""
    if profile == "fapi2" and audience != "issuer":
        yield Fault(
            key="provider.client_assertion_audience",
            message="is not the issuer, as FAPI 2.0 §5.3.3.1(5) wants it",
            mend='remove it: "issuer" is the default',
        )


def check_binding(profile: Profile, dpop: bool, certificate: Path | None) -> Iterator[Fault]:
    """Whether tokens are bound to something."""
    if profile == "fapi2" and not dpop and certificate is None:
        yield Fault(
            key="provider.dpop",
            message="is off, so that tokens are bound to nothing (FAPI 2.0 §5.3.3.1(1))",
            mend="set dpop = true, or a client_certificate that they are bound to",
        )


def check_pushing(profile: Profile, pushed: bool) -> Iterator[Fault]:
    """Whether requests are pushed."""
    if profile == "fapi2" and not pushed:
        yield Fault(
            key="provider.pushed_authorization_requests",
            message="is off, and FAPI 2.0 §5.3.3.2(2) wants every request pushed",
            mend="remove it: true is the default",
        )


def check_algorithms(profile: Profile, algorithms: tuple[Algorithm, ...]) -> Iterator[Fault]:
    """Whether ID tokens are believed under strong algorithms alone."""
    weaker = [each for each in algorithms if each not in ALGORITHMS]
    if profile == "fapi2" and weaker:
        yield Fault(
            key="provider.algorithms",
            message=f"holds {weaker[0]}, which FAPI 2.0 §5.4.1 does not know",
            mend=f"write some of {', '.join(ALGORITHMS)}",
        )


def check_route(where: str, values: Mapping[str, object], shown: Path | None) -> Iterator[Fault]:
    """Whether an API sees the certificate that its tokens are bound to; `values`: of the file."""
    ours = values.get("provider.client_certificate")
    by_certificate = values.get("provider.profile") == "fapi2" and not values.get("provider.dpop")
    if by_certificate and ours is not None and shown != ours:
        yield Fault(
            key=f"{where}.client_certificate",
            message="is not provider.client_certificate, to which the tokens are bound"
            " (FAPI 2.0 §5.3.3.1(1))",
            mend="set client_certificate and client_key to those of [provider]",
        )
