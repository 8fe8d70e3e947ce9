"""The rules for logout tokens, one row each, and the whole check under the keys of a provider."""

import asyncio
import time
from typing import Any

import pytest

from bff.clock import StoreClock
from bff.provider.jws import TokenFault
from bff.provider.logout_token import (
    LOGOUT_EVENT,
    LogoutExpected,
    LogoutToken,
    check_logout,
    is_logout_typ,
    verify_logout_token,
)
from bff.provider.server import close, open_server
from bff.simulator.keys import SigningKey, _rsa, compact
from tests.parts.config import config
from tests.parts.control import Control

NOW = 1_000_000.0
GONE: object = object()


def claims(**changes: object) -> dict[str, Any]:
    """Those of a good token at NOW; GONE leaves one out."""
    good: dict[str, object] = {
        "iss": "https://login.example.com",
        "aud": "spa",
        "iat": NOW,
        "exp": NOW + 120,
        "jti": "one",
        "sub": "ada",
        "sid": "s-1",
        "events": {LOGOUT_EVENT: {}},
    }
    return {name: value for name, value in (good | changes).items() if value is not GONE}


def found(*, exp_required: bool = True, **changes: Any) -> TokenFault | None:
    expected = LogoutExpected(
        issuer="https://login.example.com",
        client_id="spa",
        skew=30.0,
        exp_required=exp_required,
    )
    return check_logout(claims(**changes), expected, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="person and provider session"),
        pytest.param({"sid": GONE}, id="the person alone"),
        pytest.param({"sub": GONE}, id="the provider session alone"),
        pytest.param({"aud": ["another", "spa"]}, id="other audiences besides us"),
        pytest.param({"more": {"a": [1]}, "trace": "x"}, id="claims that nobody knows"),
        pytest.param({"events": {LOGOUT_EVENT: {"a": 1}, "urn:b": {}}}, id="more in the events"),
        pytest.param({"iat": NOW - 630, "exp": NOW + 1}, id="as old as it may be"),
        pytest.param({"iat": NOW + 30}, id="dated ahead within the skew"),
    ],
)
def test_a_right_logout_token_is_believed(changes: dict[str, Any]) -> None:
    assert found(**changes) is None


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"iss": "https://login.example.com/"}, TokenFault.ISS),
        ({"iss": GONE}, TokenFault.ISS),
        ({"aud": "another"}, TokenFault.AUD),
        ({"aud": ["spa", 1]}, TokenFault.AUD),
        ({"aud": GONE}, TokenFault.AUD),
        ({"exp": GONE}, TokenFault.EXP),
        ({"exp": NOW - 30}, TokenFault.EXP),
        ({"exp": "soon"}, TokenFault.EXP),
        ({"iat": GONE}, TokenFault.IAT),
        ({"iat": True}, TokenFault.IAT),
        ({"iat": NOW - 631}, TokenFault.IAT),
        ({"iat": NOW + 31}, TokenFault.IAT),
        ({"jti": GONE}, TokenFault.JTI),
        ({"jti": ""}, TokenFault.JTI),
        ({"jti": 7}, TokenFault.JTI),
        ({"nonce": None}, TokenFault.NONCE),
        ({"nonce": "n"}, TokenFault.NONCE),
        ({"events": GONE}, TokenFault.EVENTS),
        ({"events": [LOGOUT_EVENT]}, TokenFault.EVENTS),
        ({"events": {LOGOUT_EVENT: None}}, TokenFault.EVENTS),
        ({"events": {"urn:another": {}}}, TokenFault.EVENTS),
        ({"sub": GONE, "sid": GONE}, TokenFault.SUB),
        ({"sub": ""}, TokenFault.SUB),
        ({"sub": None}, TokenFault.SUB),
        ({"sid": 7}, TokenFault.SID),
        ({"sid": "\ud800"}, TokenFault.SID),
    ],
)
def test_a_wrong_logout_token_names_its_fault(changes: dict[str, Any], fault: TokenFault) -> None:
    assert found(**changes) is fault


def test_where_the_provider_sends_no_expiry_the_time_of_issue_bounds_it() -> None:
    assert found(exp_required=False, exp=GONE) is None
    assert found(exp_required=False, exp=GONE, iat=NOW - 631) is TokenFault.IAT
    assert found(exp_required=False, exp=NOW - 30) is TokenFault.EXP


@pytest.mark.parametrize(
    ("typ", "tolerant", "strict"),
    [
        (None, True, False),
        ("JWT", True, False),
        ("logout+jwt", True, True),
        ("LOGOUT+JWT", True, True),
        ("at+jwt", False, False),
        ("", False, False),
    ],
)
def test_typ_tells_other_kinds_of_token_apart(
    typ: str | None, tolerant: bool, strict: bool
) -> None:
    assert is_logout_typ(typ, strict=False) is tolerant
    assert is_logout_typ(typ, strict=True) is strict


def verified(
    provider: Control, key: SigningKey, header: dict[str, object] | None = None
) -> LogoutToken | TokenFault:
    """What a process without keys finds out about a token of that key."""
    issuer = provider.simulator.issuer
    now = time.time()  # noqa: TID251 - the simulator's keys, signed outside of it
    token = compact(
        {"alg": key.alg, "kid": key.kid, **(header or {})},
        claims(iss=issuer, iat=now, exp=now + 120),
        key.sign,
    )

    async def verify() -> LogoutToken | TokenFault:
        frontend = config(issuer=issuer, api=provider.simulator.api).frontends[0]
        server = open_server(frontend, StoreClock())
        try:
            return await verify_logout_token(server, token)
        finally:
            await close(server)

    return asyncio.run(verify())


def test_a_process_without_keys_fetches_them_and_believes_the_token(provider: Control) -> None:
    token = verified(provider, provider.simulator.realm.keys.signing("RS256"))
    assert isinstance(token, LogoutToken)
    assert (token.sub, token.sid, token.jti) == ("ada", "s-1", "one")
    assert "ada" not in repr(token)


def test_another_key_another_algorithm_and_none_are_refused(provider: Control) -> None:
    ours, foreign = provider.simulator.realm.keys.signing("RS256"), _rsa()
    assert verified(provider, foreign) is TokenFault.NO_KEY
    assert verified(provider, foreign, {"kid": ours.kid}) is TokenFault.SIGNATURE
    assert verified(provider, ours, {"alg": "none"}) is TokenFault.ALG
    assert verified(provider, ours, {"typ": "at+jwt"}) is TokenFault.TYP
