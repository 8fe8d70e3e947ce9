"""The proof that a session's key is ours (RFC 9449), and what a server may say about the next."""

import base64
import hashlib

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from bff.provider.dpop import Nonces, htu_of, new_dpop_key, open_dpop_key, proof, read_nonce

TOKEN = b"Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"  # of RFC 9449 §7.1, with its hash
ATH = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


@pytest.mark.rule("P-09")
def test_a_proof_says_what_it_is_for_and_nothing_else() -> None:
    key = open_dpop_key(new_dpop_key())
    made = [proof(key, htm="POST", htu="https://a.example/t", now=1000.9) for _ in range(2)]
    header = jwt.get_unverified_header(made[0])
    assert header == {"typ": "dpop+jwt", "alg": "ES256", "jwk": dict(key.jwk)}
    assert set(key.jwk) == {"kty", "crv", "x", "y"}
    public = ECAlgorithm.from_jwk(dict(key.jwk))
    assert isinstance(public, EllipticCurvePublicKey)
    said = [jwt.decode(each, public, algorithms=["ES256"], options=NOW) for each in made]
    names = [each.pop("jti") for each in said]
    assert names[0] != names[1]
    assert all(len(name) >= 22 for name in names)
    assert said[0] == {"htm": "POST", "htu": "https://a.example/t", "iat": 1000}
    bound = proof(key, htm="GET", htu="x", now=0, nonce="n", access_token=TOKEN)
    more = jwt.decode(bound, public, algorithms=["ES256"], options=NOW)
    assert (more["ath"], more["nonce"]) == (ATH, "n")


NOW: jwt.types.Options = {"verify_iat": False}


def test_a_thumbprint_is_made_of_the_four_members_in_their_order() -> None:
    """RFC 7638 §3.2; msgspec writes what it is given, and is not what is judged."""
    key = open_dpop_key(new_dpop_key())
    members = {name: key.jwk[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.sha256(msgspec.json.encode(members)).digest()
    assert key.thumbprint == base64.urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.rule("P-09")
def test_every_session_has_another_key_that_comes_back_from_its_text() -> None:
    texts = [new_dpop_key() for _ in range(50)]
    assert len({open_dpop_key(text).thumbprint for text in texts}) == 50
    assert all(len(text) == 43 for text in texts)
    assert open_dpop_key(texts[0]).jwk == open_dpop_key(texts[0]).jwk


@pytest.mark.rule("E-06")
def test_a_key_is_in_no_repr() -> None:
    text = new_dpop_key()
    assert text not in repr(open_dpop_key(text))
    assert "private" not in repr(open_dpop_key(text))


@pytest.mark.parametrize(
    ("url", "htu"),
    [
        ("https://a.example/token", "https://a.example/token"),
        ("https://a.example/token?tenant=7", "https://a.example/token"),
        ("https://a.example:8443/x%2Fy?a=b#c", "https://a.example:8443/x%2Fy"),
        ("https://a.example", "https://a.example"),
    ],
)
def test_the_target_of_a_proof_has_no_query(url: str, htu: str) -> None:
    assert htu_of(url) == htu


@pytest.mark.rule("P-10")
def test_the_newest_nonce_of_each_server_counts() -> None:
    nonces = Nonces()
    assert nonces.newest("https://a.example/token") is None
    nonces.heard("https://a.example/token", "one")
    nonces.heard("https://a.example/par", "two")
    nonces.heard("https://a.example/par", None)
    nonces.heard("https://a.example:8443/", "another's")
    assert nonces.newest("https://a.example/token?x") == "two"
    assert nonces.newest("https://a.example:8443/token") == "another's"
    assert nonces.newest("http://a.example/token") is None


@given(st.text(max_size=40))
def test_only_what_may_be_a_nonce_is_one(text: str) -> None:
    allowed = {chr(code) for code in range(0x21, 0x7F)} - {'"', "\\"}
    assert read_nonce(text) == (text if text and set(text) <= allowed else None)


def test_a_nonce_without_end_is_none() -> None:
    assert read_nonce("n" * 1024) == "n" * 1024
    assert read_nonce("n" * 1025) is None
    assert read_nonce(None) is None
