"""ID tokens: each claim's rule as a sentence; the rules are pure, so no key is needed here."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.provider.claims import Claims
from bff.provider.identity import (
    Expected,
    IdToken,
    OriginalClaims,
    at_hash,
    check_claims,
    check_login,
    check_refreshed,
)

NOW = 1_000_000.0
EXPECTED = Expected(
    issuer="https://login.example/",
    client_id="spa",
    trusted_audiences=("partner",),
    skew=30.0,
    alg="RS256",
    access_token="at",
)
GOOD: Claims = {
    "iss": "https://login.example/",
    "sub": "Alice-1",
    "aud": "spa",
    "exp": NOW + 300,
    "iat": NOW - 1,
    "nonce": "n-1",
}
HASH = base64.urlsafe_b64encode(hashlib.sha256(b"at").digest()[:16]).decode().rstrip("=")
ABSENT = object()


def claims(changes: dict[str, object]) -> Claims:
    merged = {**GOOD, **changes}
    return {name: value for name, value in merged.items() if value is not ABSENT}


def rule(row: str, sentence: str, fault: str | None, **changes: object) -> object:
    return pytest.param(changes, fault, id=sentence, marks=pytest.mark.rule(row))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        rule("I-05", "what is needed and nothing else", None),
        rule("I-05", "iss without the slash", "iss", iss="https://login.example"),
        rule("I-05", "iss in another case", "iss", iss="https://LOGIN.example/"),
        rule("I-05", "no iss", "iss", iss=ABSENT),
        rule("I-05", "a list for iss", "iss", iss=["https://login.example/"]),
        rule("I-06", "aud a list of one", None, aud=["spa"]),
        rule("I-06", "aud that is not us", "aud", aud="other"),
        rule("I-06", "aud in another case", "aud", aud="SPA"),
        rule("I-06", "no aud", "aud", aud=ABSENT),
        rule("I-06", "an empty aud", "aud", aud=[]),
        rule("I-06", "a number in aud", "aud", aud=["spa", 7]),
        rule("I-06", "an object for aud", "aud", aud={"spa": True}),
        rule("I-06", "an untrusted second audience", "aud", aud=["spa", "evil"], azp="spa"),
        rule("I-06", "a trusted second audience and azp", None, aud=["spa", "partner"], azp="spa"),
        rule("I-06", "several audiences without azp", "azp", aud=["spa", "partner"]),
        rule("I-06", "azp another client", "azp", azp="partner"),
        rule("I-06", "azp ours", None, azp="spa"),
        rule("I-06", "azp null is not ours", "azp", azp=None),
        rule("I-07", "no exp", "exp", exp=ABSENT),
        rule("I-07", "text for exp", "exp", exp=str(NOW + 300)),
        rule("I-07", "true for exp", "exp", exp=True),
        rule("I-07", "an exp beyond any date", "exp", exp=10**400),
        rule("I-07", "exp past, but within the skew", None, exp=NOW - 29),
        rule("I-07", "exp past by the skew", "exp", exp=NOW - 30),
        rule("I-07", "no iat", "iat", iat=ABSENT),
        rule("I-07", "text for iat", "iat", iat="now"),
        rule("I-07", "iat ahead, but within the skew", None, iat=NOW + 30),
        rule("I-07", "iat ahead by more", "iat", iat=NOW + 31),
        rule("I-07", "iat ten minutes ago", None, iat=NOW - 630),
        rule("I-07", "iat older", "iat", iat=NOW - 631),
        rule("I-07", "iat with a fraction", None, iat=NOW - 0.5),
        rule("I-07", "nbf past", None, nbf=NOW),
        rule("I-07", "nbf ahead, but within the skew", None, nbf=NOW + 30),
        rule("I-07", "nbf ahead by more", "nbf", nbf=NOW + 31),
        rule("I-07", "text for nbf", "nbf", nbf="now"),
        rule("I-09", "no sub", "sub", sub=ABSENT),
        rule("I-09", "an empty sub", "sub", sub=""),
        rule("I-09", "a number for sub", "sub", sub=7),
        rule("I-09", "sub of 255 characters", None, sub="s" * 255),
        rule("I-09", "sub of 256 characters", "sub", sub="s" * 256),
        rule("I-09", "sub not ASCII", "sub", sub="älice"),
        rule("I-10", "at_hash of the access token", None, at_hash=HASH),
        rule("I-10", "at_hash of another", "at_hash", at_hash=HASH[::-1]),
        rule("I-10", "at_hash with padding", "at_hash", at_hash=HASH + "=="),
        rule("I-10", "at_hash null", "at_hash", at_hash=None),
        rule("I-12", "events make it a logout token", "events", events={}),
    ],
)
def test_every_id_token_is_held_to(changes: dict[str, object], fault: str | None) -> None:
    assert check_claims(claims(changes), EXPECTED, NOW) == fault


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({}, None, id="its nonce"),
        pytest.param({"nonce": "n-2"}, "nonce", id="not another attempt's nonce"),
        pytest.param({"nonce": ABSENT}, "nonce", id="not none"),
        pytest.param({"nonce": ["n-1"]}, "nonce", id="not a list of nonces"),
        pytest.param({"nonce": "ä\ud800"}, "nonce", id="not what cannot be text"),
    ],
)
@pytest.mark.rule("I-08")
@pytest.mark.rule("T-08")
def test_a_login_is_held_to_its_nonce(changes: dict[str, object], fault: str | None) -> None:
    assert check_login(claims(changes), "n-1") == fault


def original(
    azp: str | None = None, nonce: str | None = "n-1", auth_time: float | None = 5.5
) -> OriginalClaims:
    return OriginalClaims(
        iss="https://login.example/",
        sub="Alice-1",
        aud=("partner", "spa"),
        azp=azp,
        nonce=nonce,
        auth_time=auth_time,
    )


@pytest.mark.rule("I-13")
@pytest.mark.parametrize(
    ("first", "changes", "fault"),
    [
        pytest.param(original(), {}, None, id="the same claims pass"),
        pytest.param(original(), {"nonce": ABSENT}, None, id="nonce may be absent"),
        pytest.param(original(), {"nonce": "n-2"}, "nonce", id="but not another"),
        pytest.param(original(nonce=None), {"nonce": "n-1"}, "nonce", id="nor new"),
        pytest.param(original(), {"iss": "https://evil.example/"}, "iss", id="iss is kept"),
        pytest.param(original(), {"sub": "alice-1"}, "sub", id="sub is kept, with its case"),
        pytest.param(original(), {"aud": ["spa"]}, "aud", id="aud loses nobody"),
        pytest.param(original(), {"aud": ["spa", "partner", "x"]}, "aud", id="aud gains nobody"),
        pytest.param(original(), {"azp": "spa"}, "azp", id="azp is not new"),
        pytest.param(original(azp="spa"), {}, "azp", id="azp is not dropped"),
        pytest.param(original(azp="spa"), {"azp": "spa"}, None, id="azp is kept"),
        pytest.param(original(), {"auth_time": 5.5}, None, id="auth_time is kept"),
        pytest.param(original(), {"auth_time": 6}, "auth_time", id="auth_time does not change"),
        pytest.param(original(auth_time=0), {"auth_time": 6}, "auth_time", id="nor from 0"),
        pytest.param(original(auth_time=None), {"auth_time": 6}, None, id="a first one is free"),
    ],
)
def test_a_refreshed_id_token_is_held_to_the_first(
    first: OriginalClaims, changes: dict[str, object], fault: str | None
) -> None:
    found = claims({"aud": ["spa", "partner"], **changes})
    assert check_refreshed(found, first) == fault


@pytest.mark.rule("I-10")
@pytest.mark.parametrize(
    ("alg", "size"),
    [("RS256", 256), ("PS384", 384), ("ES512", 512), ("EdDSA", 512)],
)
def test_at_hash_is_the_left_half_of_the_algorithms_hash(alg: str, size: int) -> None:
    digest = hashlib.new(f"sha{size}", b"jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y").digest()
    half = base64.urlsafe_b64decode(
        at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", alg) + "=="
    )
    assert half == digest[: size // 16]


def test_at_hash_is_the_one_of_the_standards_example() -> None:
    token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
    assert at_hash(token, "RS256") == "77QmUPtjPfzWtF2AnpK9RQ"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "azp", "nbf", "at_hash", "auth_time"]), json_values))
def test_whatever_the_claims_are_only_our_own_pass(found: dict[str, object]) -> None:
    merged = {**GOOD, **found}
    passed = check_claims(merged, EXPECTED, NOW) is None and check_login(merged, "n-1") is None
    check_refreshed(merged, original())
    if passed:
        assert merged["iss"] == "https://login.example/"
        assert merged["nonce"] == "n-1"
        assert merged["aud"] in ("spa", ["spa"])


@pytest.mark.rule("E-06")
def test_no_repr_shows_who_or_what_was_asked() -> None:
    token = IdToken(
        iss="i",
        sub="canary",
        aud=("spa",),
        azp=None,
        nonce="canary",
        sid="canary",
        auth_time=None,
        acr=None,
        iat=0,
        exp=0,
        claims={"email": "canary"},
    )
    first = OriginalClaims(iss="i", sub="canary", aud=(), azp=None, nonce="canary", auth_time=None)
    assert "canary" not in repr((token, first))
    assert "'at'" not in repr(EXPECTED)
