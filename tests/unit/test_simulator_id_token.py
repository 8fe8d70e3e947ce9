"""The ID token, right and in every named wrong way."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from bff.simulator import Simulator, running
from bff.simulator.id_token import ID_TOKEN_DEPARTURES
from tests.unit.simulator_client import CALLBACK, PLAN, Party


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(PLAN) as started:
        yield started


@pytest.fixture
def party(simulator: Simulator) -> Iterator[Party]:
    with Party(simulator) as fresh:
        yield fresh


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Header, claims, what is signed, and the signature; read without the library under test."""
    head, body, signature = token.split(".")

    def raw(part: str) -> bytes:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    return json.loads(raw(head)), json.loads(raw(body)), f"{head}.{body}".encode(), raw(signature)


def verified(party: Party, token: str, alg: str = "RS256") -> bool:
    header = parts(token)[0]
    keys = party.http.get(f"{party.issuer}/jwks").json()["keys"]
    jwk = next((key for key in keys if key["kid"] == header.get("kid")), None)
    if jwk is None or header["alg"] != alg or jwk["alg"] != alg:
        return False
    try:
        jwt.decode(token, jwt.PyJWK(jwk), algorithms=[alg], audience=["spa", "other"])
    except jwt.InvalidSignatureError:
        return False
    return True


def test_a_right_id_token(party: Party) -> None:
    tokens = party.sign_in()
    header, claims, _, _ = parts(tokens["id_token"])
    assert (header["alg"], header["typ"]) == ("RS256", "JWT")
    digest = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    at_hash = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    expected = {"iss": party.issuer, "sub": "ada", "aud": "spa", "nonce": "the-nonce"}
    assert expected.items() <= claims.items()
    assert claims["at_hash"] == at_hash
    assert claims["exp"] - claims["iat"] == 300
    assert 0 <= claims["iat"] - claims["auth_time"] < 60
    assert claims["sid"]
    assert claims["acr"] == "1"
    assert verified(party, tokens["id_token"])


def test_another_client_gets_es256(party: Party) -> None:
    code = party.code(client_id="other")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    form["code_verifier"] = party.code_verifier
    auth = ("other", "other-secret")
    answer = party.http.post(f"{party.issuer}/token", data=form, auth=auth).json()
    assert verified(party, answer["id_token"], "ES256")


@pytest.mark.parametrize(
    ("scope", "shown"),
    [
        pytest.param("openid", set(), id="openid alone shows nobody"),
        pytest.param("openid email", {"email", "email_verified"}, id="email"),
        pytest.param("openid phone", {"phone_number", "phone_number_verified"}, id="phone"),
        pytest.param(
            "openid profile",
            {"name", "given_name", "family_name", "preferred_username", "picture"},
            id="profile",
        ),
    ],
)
def test_claims_follow_the_scope(party: Party, scope: str, shown: set[str]) -> None:
    tokens = party.sign_in(scope=scope)
    protocol = {"iss", "sub", "aud", "iat", "exp", "auth_time", "sid", "acr", "at_hash", "nonce"}
    assert set(parts(tokens["id_token"])[1]) - protocol == shown
    assert set(party.userinfo(tokens["access_token"]).json()) == shown | {"sub"}


def test_the_picture_can_be_seen(party: Party) -> None:
    claims = parts(party.sign_in()["id_token"])[1]
    picture = party.http.get(claims["picture"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
    assert party.http.get(f"{party.issuer}/avatars/nobody.svg").status_code == 404


BAD_SIGNATURE = {
    "alg_none",
    "hs256_public_key",
    "other_alg",
    "unknown_kid",
    "no_kid",
    "kid_of_another_key",
    "bad_signature",
    "foreign_key",
    "crit",
    "missing",
}
DECODES = sorted(set(ID_TOKEN_DEPARTURES) - BAD_SIGNATURE)
TIMES = {"expired", "future_iat", "missing_aud", "wrong_aud"}


@pytest.mark.parametrize("kind", ["authorization_code", "refresh_token"])
@pytest.mark.parametrize("name", DECODES)
def test_claims_depart(party: Party, name: str, kind: str) -> None:
    party.control("switches", {"nonce_at_refresh": True})
    tokens = party.sign_in()
    right = tokens["id_token"]
    party.control("faults", {"endpoint": f"id_token:{kind}", "departure": name, "count": 1})
    if kind == "refresh_token":
        departed = party.refresh(tokens["refresh_token"]).json()["id_token"]
    else:
        departed = party.sign_in()["id_token"]
    header, claims, _, _ = parts(departed)
    changed = {
        claim for claim in claims if claim not in {"iat", "exp", "auth_time", "sid", "at_hash"}
    }
    before = {claim: parts(right)[1].get(claim) for claim in changed}
    differs = (
        {claim: claims[claim] for claim in changed} != before
        or set(claims) != set(parts(right)[1])
        or header != parts(right)[0]
        or abs(claims["iat"] - parts(right)[1]["iat"]) > 60
        or abs(claims["auth_time"] - parts(right)[1]["auth_time"]) > 60
        or isinstance(claims["auth_time"], float)
        or claims["at_hash"] == "A" * 22
    )
    assert differs
    assert name in TIMES or verified(party, departed)  # only the claims are wrong


@pytest.mark.parametrize("name", sorted(BAD_SIGNATURE - {"missing", "crit"}))
def test_signatures_depart(party: Party, name: str) -> None:
    party.control("faults", {"endpoint": "id_token", "departure": name, "count": 1})
    assert not verified(party, party.sign_in()["id_token"])
    assert verified(party, party.sign_in()["id_token"])


def test_the_hmac_of_the_confusion_attack_is_right(party: Party) -> None:
    """A library that takes the public key for an HMAC secret would accept it."""
    party.control("faults", {"endpoint": "id_token", "departure": "hs256_public_key", "count": 1})
    header, _, signed, signature = parts(party.sign_in()["id_token"])
    keys = party.http.get(f"{party.issuer}/jwks").json()["keys"]
    jwk = next(key for key in keys if key["kid"] == header["kid"])
    pem = party.simulator.realm.keys.signing("RS256").public_pem
    assert jwt.PyJWK(jwk).key.public_numbers()
    assert hmac.digest(pem, signed, "sha256") == signature


def test_the_id_token_may_be_missing(party: Party) -> None:
    party.control("faults", {"endpoint": "id_token", "departure": "missing", "count": 1})
    assert "id_token" not in party.sign_in()


def test_a_critical_header_is_there(party: Party) -> None:
    party.control("faults", {"endpoint": "id_token", "departure": "crit", "count": 1})
    assert parts(party.sign_in()["id_token"])[0]["crit"]
