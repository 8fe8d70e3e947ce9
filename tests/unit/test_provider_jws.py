"""Headers and keys: what may be believed before a signature is checked."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from bff.provider.jws import (
    JwsHeader,
    TokenFault,
    VerificationKey,
    fits,
    read_header,
    read_key,
    verified_payload,
)
from bff.provider.keyset import payload_under, read_keys, worth_a_fetch

ALL = ("RS256", "PS256", "RS512", "ES256", "ES384", "ES512", "EdDSA")
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
RSA_JWK: dict[str, Any] = RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)
EC_JWK: dict[str, Any] = ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True)
ED_JWK: dict[str, Any] = OKPAlgorithm.to_jwk(ED_KEY.public_key(), as_dict=True)


def token(header: object, payload: str = "e30", signature: str = "AA") -> str:
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return f"{encoded}.{payload}.{signature}"


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        pytest.param(None, "missing", id="no token", marks=pytest.mark.rule("I-01")),
        pytest.param("", "missing", id="an empty one", marks=pytest.mark.rule("I-01")),
        pytest.param("x" * 16385, "too_long", id="over 16 KiB", marks=pytest.mark.rule("I-01")),
        pytest.param("a.b.c.d.e", "not_compact", id="encrypted", marks=pytest.mark.rule("I-01")),
        pytest.param("a.b", "not_compact", id="two parts", marks=pytest.mark.rule("I-01")),
        pytest.param("ä.b.c", "not_compact", id="not ASCII", marks=pytest.mark.rule("I-01")),
        pytest.param("!!.b.c", "header", id="no base64url", marks=pytest.mark.rule("I-01")),
        pytest.param("a.b.c", "header", id="half an octet", marks=pytest.mark.rule("I-01")),
        pytest.param(token([]), "header", id="a list", marks=pytest.mark.rule("I-01")),
        pytest.param(token({}), "alg", id="no alg", marks=pytest.mark.rule("I-02")),
        pytest.param(token({"alg": "none"}), "alg", id="none", marks=pytest.mark.rule("I-02")),
        pytest.param(token({"alg": "None"}), "alg", id="None", marks=pytest.mark.rule("I-02")),
        pytest.param(token({"alg": "HS256"}), "alg", id="HS256", marks=pytest.mark.rule("I-02")),
        pytest.param(token({"alg": "ES256K"}), "alg", id="ES256K", marks=pytest.mark.rule("I-02")),
        pytest.param(token({"alg": ["RS256"]}), "alg", id="a list", marks=pytest.mark.rule("I-02")),
        pytest.param(
            token({"alg": "RS384"}), "alg", id="not configured", marks=pytest.mark.rule("I-02")
        ),
        pytest.param(
            token({"alg": "RS256", "crit": ["exp"]}),
            "crit",
            id="an extension",
            marks=pytest.mark.rule("I-02"),
        ),
        pytest.param(
            token({"alg": "RS256", "b64": False}),
            "crit",
            id="a payload elsewhere",
            marks=pytest.mark.rule("I-02"),
        ),
        pytest.param(
            token({"alg": "RS256", "kid": 7}),
            "header",
            id="a number for kid",
            marks=pytest.mark.rule("I-04"),
        ),
        pytest.param(
            token({"alg": "RS256", "typ": 7}),
            "header",
            id="a number for typ",
            marks=pytest.mark.rule("I-12"),
        ),
    ],
)
def test_a_token_is_refused_before_any_key_is_looked_up(raw: str | None, fault: str) -> None:
    assert read_header(raw, ALL) == fault


@pytest.mark.rule("I-02")
@pytest.mark.parametrize("alg", ["none", "HS256"])
def test_no_configuration_lets_none_or_a_shared_secret_in(alg: str) -> None:
    assert read_header(token({"alg": alg}), (alg,)) is TokenFault.ALG


@pytest.mark.rule("I-03")
def test_keys_and_addresses_of_keys_in_a_header_do_not_count() -> None:
    header = {"alg": "RS256", "jku": "https://evil.example", "jwk": RSA_JWK, "x5u": "x", "x5c": []}
    assert read_header(token(header), ALL) == JwsHeader(alg="RS256", kid=None, typ=None)


@pytest.mark.rule("I-04")
@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param("key", id="text"),
        pytest.param({}, id="nothing"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0"}, id="a shared secret"),
        pytest.param({**EC_JWK, "crv": "secp256k1"}, id="secp256k1"),
        pytest.param({**EC_JWK, "crv": ["P-256"]}, id="a list of curves"),
        pytest.param({**EC_JWK, "x": EC_JWK["y"]}, id="a point not on its curve"),
        pytest.param({**EC_JWK, "x": 7}, id="a number for a coordinate"),
        pytest.param({**RSA_JWK, "use": "enc"}, id="for encryption"),
        pytest.param({**RSA_JWK, "key_ops": ["encrypt"]}, id="for other operations"),
        pytest.param({**RSA_JWK, "key_ops": "verify"}, id="operations that are no list"),
        pytest.param({**RSA_JWK, "n": "!"}, id="no base64url"),
        pytest.param({**RSA_JWK, "n": None}, id="no modulus"),
        pytest.param({**RSA_JWK, "e": "AQ"}, id="an exponent of one"),
        pytest.param({**RSA_JWK, "kid": 7}, id="a number for kid"),
        pytest.param({**RSA_JWK, "alg": 7}, id="a number for alg"),
        pytest.param({**ED_JWK, "x": "AA"}, id="a short point"),
        pytest.param(RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True), id="a private key"),
        pytest.param(
            OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate().public_key(), as_dict=True),
            id="Ed448",
        ),
    ],
)
def test_a_key_that_we_cannot_use_is_skipped(jwk: object) -> None:
    assert read_key(jwk) is None
    keys = read_keys({"keys": [jwk, {**RSA_JWK, "kid": "good"}]})
    assert keys is not None
    assert [key.kid for key in keys] == ["good"]


@pytest.mark.rule("P-11")
@pytest.mark.rule("F-22")
def test_an_rsa_key_under_2048_bits_is_refused() -> None:
    short = rsa.generate_private_key(65537, 1024)
    assert read_key(RSAAlgorithm.to_jwk(short.public_key(), as_dict=True)) is None


@pytest.mark.rule("I-04")
@pytest.mark.parametrize(
    ("jwk", "alg", "kid", "fitting"),
    [
        pytest.param(RSA_JWK, "RS256", None, True, id="RSA for RS256"),
        pytest.param(RSA_JWK, "PS256", None, True, id="RSA for PS256"),
        pytest.param(RSA_JWK, "ES256", None, False, id="RSA not for ES256"),
        pytest.param({**RSA_JWK, "alg": "RS256"}, "PS256", None, False, id="RSA bound to RS256"),
        pytest.param(EC_JWK, "ES256", None, True, id="P-256 for ES256"),
        pytest.param(EC_JWK, "ES384", None, False, id="P-256 not for ES384"),
        pytest.param(ED_JWK, "EdDSA", None, True, id="Ed25519 for EdDSA"),
        pytest.param({**ED_JWK, "kid": "a"}, "EdDSA", "a", True, id="its kid"),
        pytest.param({**ED_JWK, "kid": "a"}, "EdDSA", "b", False, id="another kid"),
        pytest.param(ED_JWK, "EdDSA", "b", False, id="a kid that the key lacks"),
        pytest.param({**ED_JWK, "kid": "a"}, "EdDSA", None, True, id="no kid asked for"),
        pytest.param({**RSA_JWK, "use": "sig", "key_ops": ["verify"]}, "RS256", None, True, id="-"),
    ],
)
def test_a_key_fits_by_kind_curve_algorithm_and_kid(
    jwk: dict[str, Any], alg: str, kid: str | None, fitting: bool
) -> None:
    key = read_key(jwk)
    assert key is not None
    assert fits(key, JwsHeader(alg=alg, kid=kid, typ=None)) is fitting


def keys_of(*jwks: dict[str, Any]) -> tuple[VerificationKey, ...]:
    keys = read_keys({"keys": list(jwks)})
    assert keys is not None
    return keys


@pytest.mark.rule("I-02")
@pytest.mark.rule("I-04")
@pytest.mark.parametrize(
    ("private", "alg"),
    [
        (RSA_KEY, "RS256"),
        (RSA_KEY, "PS256"),
        (RSA_KEY, "RS512"),
        (EC_KEY, "ES256"),
        (ED_KEY, "EdDSA"),
    ],
)
@pytest.mark.rule("F-23")
def test_keys_that_share_a_kid_are_told_apart(private: Any, alg: str) -> None:
    signed = jwt.encode({"a": 1}, private, alg, headers={"kid": "same"})
    keys = keys_of(*({**jwk, "kid": "same"} for jwk in (EC_JWK, ED_JWK, RSA_JWK)))
    header = read_header(signed, ALL)
    assert isinstance(header, JwsHeader)
    found = payload_under(keys, signed, header)
    assert isinstance(found, bytes)
    assert json.loads(found) == {"a": 1}


@pytest.mark.rule("I-01")
@pytest.mark.rule("I-02")
def test_a_signature_of_another_key_or_over_another_payload_is_none() -> None:
    other = rsa.generate_private_key(65537, 2048)
    forged = jwt.encode({"a": 1}, other, "RS256")
    header = JwsHeader(alg="RS256", kid=None, typ=None)
    key = keys_of(RSA_JWK)[0]
    assert verified_payload(forged, header, key) is None
    good = jwt.encode({"a": 1}, RSA_KEY, "RS256").split(".")
    assert verified_payload(".".join((good[0], "eyJhIjoyfQ", good[2])), header, key) is None


@pytest.mark.rule("I-02")
def test_a_header_that_two_parsers_read_differently_verifies_with_neither() -> None:
    signed = jwt.encode({}, RSA_KEY, "RS512")
    claimed = JwsHeader(alg="RS256", kid=None, typ=None)
    assert verified_payload(signed, claimed, keys_of(RSA_JWK)[0]) is None


@pytest.mark.rule("I-04")
@pytest.mark.parametrize(
    ("found", "kid", "fetch"),
    [
        pytest.param(b"{}", None, False, id="found"),
        pytest.param(TokenFault.NO_KEY, "a", True, id="an unknown kid"),
        pytest.param(TokenFault.NO_KEY, None, True, id="no kid, and no key of that kind"),
        pytest.param(TokenFault.SIGNATURE, None, True, id="no kid, and no key that signed it"),
        pytest.param(TokenFault.SIGNATURE, "a", False, id="the named key did not sign it"),
    ],
)
def test_when_newer_keys_could_help(
    found: bytes | TokenFault, kid: str | None, fetch: bool
) -> None:
    assert worth_a_fetch(found, JwsHeader(alg="RS256", kid=kid, typ=None)) is fetch


def test_what_is_no_list_of_keys_is_no_key_set() -> None:
    assert read_keys({"keys": {}}) is None
    assert read_keys({}) is None
    assert read_keys({"keys": []}) == ()


values = (
    st.none() | st.integers() | st.text(max_size=50) | st.lists(st.text(max_size=3), max_size=2)
)


@given(
    st.sampled_from([RSA_JWK, EC_JWK, ED_JWK, {}]),
    st.dictionaries(
        st.sampled_from(["kty", "crv", "n", "e", "x", "y", "use", "alg", "kid", "key_ops"]), values
    ),
)
def test_no_key_is_fatal(jwk: dict[str, Any], changes: dict[str, object]) -> None:
    key = read_key({**jwk, **changes})
    assert key is None or key.public is not None


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_=-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*"))
def test_no_text_gets_past_by_being_strange(raw: str) -> None:
    found = read_header(raw, ALL)
    if isinstance(found, JwsHeader):
        assert found.alg in ALL
        for key in keys_of(RSA_JWK, EC_JWK, ED_JWK):
            assert verified_payload(raw, found, key) is None
