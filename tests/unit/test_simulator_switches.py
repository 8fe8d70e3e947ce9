"""Habits of real providers, switched at run time; and what the simulator tells about itself."""

from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from bff.simulator import Simulator, running
from tests.unit.simulator_client import PLAN, SECRET, Party, seen


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(PLAN) as started:
        yield started


@pytest.fixture
def party(simulator: Simulator) -> Iterator[Party]:
    with Party(simulator) as fresh:
        yield fresh


def claims(token: str) -> dict[str, Any]:
    unverified: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return unverified


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        pytest.param({"access_token_seconds": 5}, {"expires_in": 5}, id="a short life"),
        pytest.param({"omit_expires_in": True}, {"expires_in": None}, id="no expires_in"),
        pytest.param({"omit_scope": True}, {"scope": None}, id="no scope"),
        pytest.param({"token_type": "bearer"}, {"token_type": "bearer"}, id="lower case"),
        pytest.param(
            {"refresh_expires_in": True, "refresh_token_seconds": 60},
            {"refresh_expires_in": 60},
            id="the refresh token's life is told",
        ),
        pytest.param(
            {"drop_scopes": ["offline_access", "email", "phone", "tasks:read"]},
            {"scope": "openid profile", "refresh_token": None},
            id="less scope than asked",
        ),
    ],
)
def test_the_token_answer_has_the_habit(
    party: Party, switches: dict[str, Any], expected: dict[str, Any]
) -> None:
    party.control("switches", switches)
    tokens = party.sign_in()
    assert {name: tokens.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("switches", "again"),
    [
        pytest.param({"rotate": True}, "new", id="rotated"),
        pytest.param({"rotate": False}, "same", id="sent again"),
        pytest.param({"rotate": False, "send_refresh_token_again": False}, None, id="not sent"),
    ],
)
def test_refresh_tokens_are(party: Party, switches: dict[str, Any], again: str | None) -> None:
    party.control("switches", switches)
    first = party.sign_in()["refresh_token"]
    second = party.refresh(first).json().get("refresh_token")
    assert again == (None if second is None else "same" if second == first else "new")
    assert party.refresh(second or first).status_code == 200


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        pytest.param({}, (True, False), id="an ID token without nonce"),
        pytest.param({"nonce_at_refresh": True}, (True, True), id="an ID token with nonce"),
        pytest.param({"id_token_at_refresh": False}, (False, False), id="no ID token"),
    ],
)
def test_a_refresh_brings(
    party: Party, switches: dict[str, Any], expected: tuple[bool, bool]
) -> None:
    party.control("switches", switches)
    answer = party.refresh(party.sign_in()["refresh_token"]).json()
    nonce = "id_token" in answer and "nonce" in claims(answer["id_token"])
    assert ("id_token" in answer, nonce) == expected


def test_the_old_access_token_may_die_at_refresh(party: Party) -> None:
    party.control("switches", {"access_token_dies_at_refresh": True})
    tokens = party.sign_in()
    renewed = party.refresh(tokens["refresh_token"]).json()
    assert party.userinfo(tokens["access_token"]).status_code == 401
    assert party.userinfo(renewed["access_token"]).status_code == 200


def test_the_profile_may_be_in_userinfo_only(party: Party) -> None:
    party.control("switches", {"profile_in_id_token": False})
    tokens = party.sign_in()
    assert "name" not in claims(tokens["id_token"])
    assert party.userinfo(tokens["access_token"]).json()["name"] == "Ada Lovelace"


def test_metadata_can_be_bent(party: Party) -> None:
    url = f"{party.issuer}/.well-known/openid-configuration"
    right = party.http.get(url).json()
    assert right["issuer"] == party.issuer
    assert right["authorization_response_iss_parameter_supported"] is True
    bent = {"revocation_endpoint": None, "require_pushed_authorization_requests": True}
    party.control("switches", {"discovery": bent})
    answer = party.http.get(url).json()
    assert "revocation_endpoint" not in answer
    assert answer["require_pushed_authorization_requests"] is True
    assert answer["token_endpoint"] == right["token_endpoint"]


@pytest.mark.parametrize("keep", [True, False])
def test_keys_are_rotated(party: Party, *, keep: bool) -> None:
    def signed() -> tuple[str, set[str]]:
        header = jwt.get_unverified_header(party.sign_in()["id_token"])
        keys = party.http.get(f"{party.issuer}/jwks").json()["keys"]
        return header["kid"], {key["kid"] for key in keys}

    before, _ = signed()
    party.control("rotate-keys", {"keep": keep})
    after, published = signed()
    assert after != before
    assert (before in published, after in published) == (keep, True)


def test_the_key_set_has_rsa_keys_and_an_ec_key_and_nothing_private(party: Party) -> None:
    party.control("rotate-keys", {"keep": False})
    keys = party.http.get(f"{party.issuer}/jwks").json()["keys"]
    assert sorted((key["kty"], key["alg"]) for key in keys) == [
        ("EC", "ES256"),
        ("RSA", "RS256"),
        ("RSA", "RS256"),
        ("RSA", "RS512"),
    ]
    assert not {"d", "p", "q", "dp", "dq", "qi"} & {member for key in keys for member in key}


def test_all_grants_of_a_person_are_revoked(party: Party) -> None:
    token = party.sign_in()["refresh_token"]
    assert party.control("revoke", {"sub": "grace"}) == {"revoked": 0}
    assert party.control("revoke", {"sub": "ada"}) == {"revoked": 1}
    assert seen(party.refresh(token)) == (400, "invalid_grant")
    assert party.last("token")["outcome"] == "grant_revoked"


def test_reset_makes_all_as_at_the_start_but_for_keys_and_secrets(party: Party) -> None:
    token = party.sign_in()["refresh_token"]
    party.control("switches", {"rotate": False})
    party.control("faults", {"endpoint": "token", "status": 500})
    keys = party.http.get(f"{party.issuer}/jwks").json()
    party.control("reset")
    assert party.ask("switches")["rotate"] is True
    assert party.ask("faults") == {}
    assert party.ask("ledger") == {"entries": [], "counters": {}}
    assert seen(party.refresh(token)) == (400, "invalid_grant")
    assert party.http.get(f"{party.issuer}/jwks").json() == keys
    assert token in party.ask("secrets")["refresh_tokens"]


def test_the_ledger_counts_and_tells_no_secret(party: Party) -> None:
    tokens = party.sign_in()
    party.refresh(tokens["refresh_token"])
    party.refresh(tokens["refresh_token"])
    ledger = party.ask("ledger")
    assert ledger["counters"]["token:refresh_token"] == {
        "received": 2,
        "ok": 1,
        "refresh_token_reused": 1,
    }
    secrets = [value for values in party.ask("secrets").values() for value in values]
    assert not [value for value in secrets if value in str(ledger)]


def test_the_secrets_are_all_there(party: Party) -> None:
    code = party.code()
    tokens = party.redeem(code).json()
    secrets = party.ask("secrets")
    for kind, value in {
        "client_secrets": SECRET,
        "codes": code,
        "access_tokens": tokens["access_token"],
        "refresh_tokens": tokens["refresh_token"],
        "id_tokens": tokens["id_token"],
        "states": "the-state",
        "nonces": "the-nonce",
        "code_verifiers": party.code_verifier,
    }.items():
        assert value in secrets[kind]
    assert secrets["code_challenges"]


def test_no_secret_has_a_repr(simulator: Simulator, party: Party) -> None:
    party.sign_in()
    settings = simulator.realm.settings
    shown = repr((PLAN, settings, settings.clients, simulator.realm.keys.signing("RS256")))
    assert SECRET not in shown
    assert "other-secret" not in shown
    assert "PRIVATE" not in shown
