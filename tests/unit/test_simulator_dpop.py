"""The simulator refuses every proof that is not to the letter, at the provider and at the API."""

import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm

from bff.simulator import Client, Plan, Simulator, running
from bff.simulator.keys import b64url, left_half
from tests.unit.simulator_client import CALLBACK, SECRET, Party, seen


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    registered = Client(client_id="spa", client_secret=SECRET, redirect_uris=(CALLBACK,))
    strict = Client(
        client_id="strict",
        client_secret=SECRET,
        redirect_uris=(CALLBACK,),
        dpop_bound_access_tokens=True,
    )
    with running(Plan(clients=(registered, strict))) as started:
        yield started


@pytest.fixture
def party(simulator: Simulator) -> Iterator[Party]:
    with Party(simulator) as fresh:
        yield fresh


KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def public(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {name: jwk[name] for name in ("kty", "crv", "x", "y")}


def proof(
    url: str,
    *,
    method: str = "POST",
    key: Any = KEY,
    alg: str = "ES256",
    header: dict[str, Any] | None = None,
    **changes: object,
) -> str:
    now = int(time.time())  # noqa: TID251 - a client's own clock
    right = {"htm": method, "htu": url, "iat": now, "jti": f"a-long-name-{time.monotonic_ns()}"}
    claims = {name: value for name, value in (right | changes).items() if value is not None}
    shown = {"typ": "dpop+jwt", "jwk": public(KEY)} | (header or {})
    return jwt.encode(claims, key, algorithm=alg, headers=shown)


def redeemed(party: Party, *proofs: str, code: str | None = None) -> httpx.Response:
    form = {
        "client_id": "spa",
        "client_secret": SECRET,
        "grant_type": "authorization_code",
        "code": code or party.code(),
        "redirect_uri": CALLBACK,
        "code_verifier": party.code_verifier,
    }
    headers = [("dpop", each) for each in proofs]
    return party.http.post(f"{party.issuer}/token", data=form, headers=headers)


def ath(token: str) -> str:
    return b64url(hashlib.sha256(token.encode()).digest())


def test_a_right_proof_binds_the_token_and_is_good_once(party: Party) -> None:
    once = proof(f"{party.issuer}/token")
    answer = redeemed(party, once)
    assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP")
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert set(claims["cnf"]) == {"jkt"}
    assert seen(redeemed(party, once)) == (400, "invalid_dpop_proof")
    assert party.last("token")["outcome"] == "dpop_replayed"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"htm": "GET"}, "dpop_target", id="another method"),
        pytest.param({"htu": "https://evil.example/token"}, "dpop_target", id="another server"),
        pytest.param({"htu": None}, "dpop_target", id="no target"),
        pytest.param({"iat": 1}, "dpop_time", id="of long ago"),
        pytest.param({"iat": 99_999_999_999}, "dpop_time", id="of the future"),
        pytest.param({"iat": None}, "dpop_time", id="of no time"),
        pytest.param({"jti": None}, "dpop_replayed", id="no name"),
        pytest.param({"jti": "1"}, "dpop_replayed", id="a name one could guess"),
        pytest.param({"ath": "x"}, "dpop_ath", id="for a token that is not there"),
        pytest.param({"nonce": "x"}, "dpop_nonce", id="a nonce that nobody gave"),
        pytest.param({"header": {"typ": "JWT"}}, "dpop_header", id="any JWT"),
        pytest.param({"header": {"jwk": None}}, "dpop_header", id="no key"),
        pytest.param({"header": {"jwk": public(OTHER)}}, "dpop_signature", id="another's key"),
        pytest.param(
            {"header": {"jwk": {**public(KEY), "d": "secret"}}}, "dpop_header", id="a private key"
        ),
        pytest.param({"key": "", "alg": "none"}, "dpop_header", id="alg none"),
        pytest.param({"key": "a shared secret of thirty-two octets", "alg": "HS256"},
                     "dpop_header", id="HS256"),
        pytest.param(
            {"key": rsa.generate_private_key(public_exponent=65537, key_size=2048), "alg": "RS256"},
            "dpop_header",
            id="RS256",
        ),
    ],
)  # fmt: skip
def test_a_proof_is_refused_with(party: Party, changes: dict[str, Any], why: str) -> None:
    answer = redeemed(party, proof(f"{party.issuer}/token", **changes))
    assert answer.status_code == 400
    assert party.last("token")["outcome"] == why


def test_two_proofs_are_none_and_no_jwt_is_none(party: Party) -> None:
    url = f"{party.issuer}/token"
    assert seen(redeemed(party, proof(url), proof(url))) == (400, "invalid_dpop_proof")
    assert party.last("token")["outcome"] == "dpop_missing"
    redeemed(party, "no.jwt")
    assert party.last("token")["outcome"] == "dpop_malformed"
    redeemed(party, proof(f"{url}?tenant=7"))
    assert party.last("token")["outcome"] == "dpop_target"


def test_a_code_is_good_with_the_key_of_its_request_alone(party: Party) -> None:
    jkt = b64url(_thumbprint(KEY))
    code = party.code(dpop_jkt=jkt)
    stolen = proof(f"{party.issuer}/token", key=OTHER, header={"jwk": public(OTHER)})
    assert seen(redeemed(party, stolen, code=code)) == (400, "invalid_dpop_proof")
    assert party.last("token")["outcome"] == "dpop_another_key"
    code = party.code(dpop_jkt=jkt)
    assert seen(redeemed(party, code=code)) == (400, "invalid_dpop_proof")
    code = party.code(dpop_jkt=jkt)
    assert redeemed(party, proof(f"{party.issuer}/token"), code=code).status_code == 200


def _thumbprint(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(
        json.dumps(public(key), sort_keys=True, separators=(",", ":")).encode()
    ).digest()


def test_a_refresh_token_is_good_with_the_same_key_alone(party: Party) -> None:
    url = f"{party.issuer}/token"
    tokens = redeemed(party, proof(url)).json()
    form = {
        "client_id": "spa",
        "client_secret": SECRET,
        "grant_type": "refresh_token",
        "refresh_token": tokens["refresh_token"],
    }
    other = {"dpop": proof(url, key=OTHER, header={"jwk": public(OTHER)})}
    assert seen(party.http.post(url, data=form)) == (400, "invalid_dpop_proof")
    assert seen(party.http.post(url, data=form, headers=other)) == (400, "invalid_dpop_proof")
    answer = party.http.post(url, data=form, headers={"dpop": proof(url)})
    assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP")


def test_a_client_that_must_prove_gets_nothing_without(party: Party) -> None:
    form = {"client_id": "strict", "client_secret": SECRET, "grant_type": "refresh_token"}
    answer = party.http.post(f"{party.issuer}/token", data={**form, "refresh_token": "x"})
    assert seen(answer) == (400, "invalid_dpop_proof")


@pytest.mark.parametrize("habit", ["on_success", "demanded"])
def test_the_newest_nonce_is_what_counts(party: Party, habit: str) -> None:
    party.control("switches", {"dpop_nonces": habit})
    url = f"{party.issuer}/token"
    first = redeemed(party, proof(url))
    assert first.status_code == (400 if habit == "demanded" else 200)
    nonce = first.headers["dpop-nonce"]
    if habit == "demanded":
        assert seen(first) == (400, "use_dpop_nonce")
    second = redeemed(party, proof(url, nonce=nonce))
    assert second.status_code == 200
    assert second.headers["dpop-nonce"] != nonce
    stale = redeemed(party, proof(url, nonce=nonce))
    assert seen(stale) == (400, "use_dpop_nonce")
    assert stale.headers["dpop-nonce"] == second.headers["dpop-nonce"]


@pytest.mark.parametrize("where", ["userinfo", "api"])
def test_whoever_takes_the_token_wants_the_proof_for_it(party: Party, where: str) -> None:
    token = redeemed(party, proof(f"{party.issuer}/token")).json()["access_token"]
    url = f"{party.issuer}/userinfo" if where == "userinfo" else f"{party.simulator.api}/tasks"

    def shown(scheme: str = "DPoP", **changes: Any) -> int:
        made = proof(url, method="GET", **{"ath": ath(token), **changes})
        headers = {"authorization": f"{scheme} {token}", "dpop": made}
        return party.http.get(url, headers=headers).status_code

    assert shown() == 200
    assert shown("Bearer") == 401
    assert shown(ath=None) == 401
    assert shown(ath=left_half(token)) == 401
    assert shown(htu=f"{url}/") == 401
    assert shown(htm="POST") == 401
    assert shown(key=OTHER, header={"jwk": public(OTHER)}) == 401
    assert party.http.get(url, headers={"authorization": f"DPoP {token}"}).status_code == 401
    assert party.http.get(url, headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_a_bearer_token_is_none_that_is_bound(party: Party) -> None:
    token = party.sign_in()["access_token"]
    for url in (f"{party.issuer}/userinfo", f"{party.simulator.api}/tasks"):
        made = proof(url, method="GET", ath=ath(token))
        headers = {"authorization": f"DPoP {token}", "dpop": made}
        assert party.http.get(url, headers=headers).status_code == 401


def test_the_api_demands_a_nonce_of_its_own(party: Party) -> None:
    party.control("switches", {"api_dpop_nonces": "demanded"})
    token = redeemed(party, proof(f"{party.issuer}/token")).json()["access_token"]
    url = f"{party.simulator.api}/tasks"

    def shown(**changes: Any) -> httpx.Response:
        made = proof(url, method="GET", ath=ath(token), **changes)
        return party.http.get(url, headers={"authorization": f"DPoP {token}", "dpop": made})

    first = shown()
    assert first.status_code == 401
    assert 'DPoP realm="tasks", error="use_dpop_nonce"' in first.headers["www-authenticate"]
    nonce = first.headers["dpop-nonce"]
    second = shown(nonce=nonce)
    assert second.status_code == 200
    assert shown(nonce=nonce).status_code == 401
    assert shown(nonce=second.headers["dpop-nonce"]).status_code == 200
