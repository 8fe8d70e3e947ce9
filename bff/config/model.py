"""The sections of the file as frozen models. Names here are the keys of the file."""

from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)

from bff.config.provider_section import Provider
from bff.config.risk_codes import RiskCode
from bff.config.route_section import Route
from bff.config.section import Section
from bff.config.values import (
    Address,
    AdminPassword,
    Count,
    Flag,
    Network,
    OriginUrl,
    Seconds,
    Secret,
    ServerUrl,
    fault,
    read_secret,
)
from bff.keys import KEY_ID


def _claims(value: tuple[str, ...]) -> tuple[str, ...]:
    inner = {
        "nonce",
        "at_hash",
        "c_hash",
        "s_hash",
        "sid",
        "aud",
        "azp",
        "exp",
        "iat",
        "nbf",
        "jti",
    }
    if taken := sorted(inner & set(value)):
        raise fault(f"would show {taken[0]} to the page", f"remove {taken[0]}: it is not for pages")
    return value


def _store(value: object, info: ValidationInfo) -> object:
    """A URL, or the place of one; a password is never written into the file (T-05)."""
    if isinstance(value, str) and "@" not in value:
        return SecretStr(value)
    return read_secret(value, info)


_STORE_SCHEMA: Final[dict[str, Any]] = {
    "oneOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"env": {"type": "string"}, "file": {"type": "string"}},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    ]
}


class SessionSection(Section):
    """What we remember of a browser, where, and for how long."""

    # A URL with a password in it is a secret, so it is held as one wherever it came from.
    store: Annotated[SecretStr, BeforeValidator(_store), WithJsonSchema(_STORE_SCHEMA)]
    ca_file: Path | None = None
    store_deadline: Annotated[Seconds, Field(gt=0, le=30)] = 1.0
    wait_replicas: Annotated[Count, Field(ge=0, le=10)] | None = None
    sentinel_password: Secret | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")] = "bff"
    idle: Annotated[Seconds, Field(ge=1)] = 1800.0
    lifetime: Annotated[Seconds, Field(ge=1, le=34_560_000)] = 43200.0
    claims: Annotated[tuple[str, ...], AfterValidator(_claims)] = ("name", "picture")
    persistent: Flag = False
    expiring: Annotated[Seconds, Field(gt=0)] = 120.0
    addresses: Flag = False
    max_per_user: Annotated[Count, Field(ge=1)] | None = None


class Refresh(Section):
    """When tokens are renewed: in the last part of their life, spread so that no herd forms."""

    ahead: Annotated[float, Field(ge=0, le=0.9, strict=True)] = 0.2
    jitter: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.5
    lease: Annotated[Seconds, Field(gt=0, le=600)] | None = None


class Logout(Section):
    """What happens around the end of a session."""

    return_to: str = "/"
    revoke_access_token: Flag = False
    revoke_former: Flag = False
    clear_site_data: Flag = False
    front_channel: Flag = False


def _key_ids(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(KEY_ID.fullmatch(kid) for kid in value):
        raise fault("is no key id", "write the eight hex digits that `bff keys new` showed")
    return value


class Keys(Section):
    """The keyring's lines, as `bff keys new` prints them."""

    current: Secret
    accepted: tuple[Secret, ...] = ()
    retired: Annotated[tuple[str, ...], AfterValidator(_key_ids)] = ()


class Limits(Section):
    """How much one process relays at once: requests and streams apart, in all and per session."""

    requests: Annotated[Count, Field(ge=1)] = 4096
    requests_per_session: Annotated[Count, Field(ge=1)] = 256
    streams: Annotated[Count, Field(ge=1)] = 10_000
    streams_per_session: Annotated[Count, Field(ge=1)] = 32


class Server(Section):
    """The public side: TLS where it ends here, and how long a browser may take."""

    tls_certificate: Path | None = None
    tls_key: Path | None = None
    head_timeout: Annotated[Seconds, Field(gt=0)] = 10.0
    progress_timeout: Annotated[Seconds, Field(gt=0)] = 30.0
    write_timeout: Annotated[Seconds, Field(gt=0)] = 300.0
    keep_alive: Annotated[Seconds, Field(gt=0)] = 75.0
    connections: Annotated[Count, Field(ge=16)] = 10_000


class Operate(Section):
    """The operations address, whom to believe, how to stop."""

    listen: Address = ("127.0.0.1", 9090)
    admin_password: AdminPassword | None = None
    trusted_proxies: tuple[Network, ...] = ()
    drain_delay: Annotated[Seconds, Field(ge=0)] = 5.0
    stop_deadline: Annotated[Seconds, Field(gt=0)] = 30.0
    traces: ServerUrl | None = None
    trace_ratio: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.05
    accepted_risks: tuple[RiskCode, ...] = ()


class FrontEndSection(Section):
    """One application: at the top of a file with one, or `[frontends.NAME]`."""

    origin: OriginUrl
    provider: Provider
    session: SessionSection
    routes: Annotated[tuple[Route, ...], Field(min_length=1)]
    refresh: Refresh = Refresh()
    logout: Logout = Logout()


class File(FrontEndSection):
    """The whole file of one application; `frontends` makes one of each in a file of several."""

    keys: Keys
    limits: Limits = Limits()
    server: Server = Server()
    operate: Operate = Operate()
