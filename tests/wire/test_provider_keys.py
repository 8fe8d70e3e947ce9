"""ID tokens over the wire: signed here with real keys, verified with what `jwks_uri` serves."""

import asyncio
import base64
import hmac
from typing import Any

import jwt
import pytest
import structlog.testing
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from bff.problem import Reason, Refused
from bff.provider.identity import IdToken, OriginalClaims, verify_id_token, verify_refreshed
from bff.provider.server import AuthorizationServer
from tests.wire.test_provider_call import Peer, Script, SetClock, drop, http, in_a_loop, provider

KEY = rsa.generate_private_key(65537, 2048)
NEXT = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
NOW = int(SetClock.time)


def jwk(key: rsa.RSAPrivateKey, **members: str) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), **members}


def serve(peer: Peer, *keys: object) -> None:
    peer.answers["/jwks"] = http(200, {"keys": keys}, kind="application/jwk-set+json")


def claims(peer: Peer, **changes: object) -> dict[str, object]:
    return {
        "iss": peer.url,
        "sub": "alice",
        "aud": "spa",
        "iat": NOW,
        "exp": NOW + 300,
        "nonce": "n-1",
        **changes,
    }


def signed(peer: Peer, kid: str | None = "k1", key: Any = KEY, alg: str = "RS256") -> str:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(peer), key, alg, headers=headers)


async def verify(server: AuthorizationServer, token: str | None) -> IdToken:
    return await verify_id_token(server, token, access_token="at", nonce="n-1")


async def refusal(server: AuthorizationServer, token: str | None) -> Reason:
    with pytest.raises(Refused) as refused:
        await verify(server, token)
    return refused.value.reason


@pytest.mark.rule("I-02")
@in_a_loop
async def test_a_token_of_the_issuers_key_is_believed() -> None:
    async with provider() as (peer, server):
        serve(peer, "garbage", {"kty": "EC", "crv": "secp256k1"}, jwk(KEY, kid="k1"))
        extra = {"sid": "s-1", "acr": "gold", "auth_time": NOW - 1.5, "azp": "spa", "name": "A"}
        token = jwt.encode(claims(peer, aud=["spa"], **extra), KEY, "RS256", headers={"kid": "k1"})
        found = await verify(server, token)
        assert (found.iss, found.sub, found.aud, found.azp) == (peer.url, "alice", ("spa",), "spa")
        assert (found.sid, found.acr, found.auth_time) == ("s-1", "gold", NOW - 1.5)
        assert (found.iat, found.exp, found.nonce) == (NOW, NOW + 300, "n-1")
        assert found.claims["name"] == "A"


def hs256(peer: Peer) -> str:
    """The classic: the public key as the secret of an HMAC, which PyJWT would not make."""
    public = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    message = jwt.encode(claims(peer), "x" * 32, "HS256", headers={"kid": "k1"}).rpartition(".")[0]
    mac = hmac.digest(public, message.encode(), "sha256")
    return f"{message}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def bare(payload: bytes, **header: object) -> str:
    return jwt.PyJWS().encode(payload, KEY, "RS256", headers={"kid": "k1", **header})


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda _p: None, id="none at all", marks=pytest.mark.rule("I-01")),
        pytest.param(lambda p: signed(p)[:-8], id="cut off", marks=pytest.mark.rule("I-01")),
        pytest.param(
            lambda p: signed(p).rpartition(".")[0] + ".",
            id="without its signature",
            marks=pytest.mark.rule("I-01"),
        ),
        pytest.param(
            lambda p: signed(p, key=NEXT),
            id="signed by another key under a known kid",
            marks=pytest.mark.rule("I-01"),
        ),
        pytest.param(lambda _p: bare(b"[]"), id="a list inside", marks=pytest.mark.rule("I-01")),
        pytest.param(lambda _p: bare(b"x"), id="no JSON inside", marks=pytest.mark.rule("I-01")),
        pytest.param(
            lambda p: jwt.encode(claims(p), "", "none"),
            id="alg none",
            marks=pytest.mark.rule("I-02"),
        ),
        pytest.param(hs256, id="HS256 with the public key", marks=pytest.mark.rule("I-02")),
        pytest.param(
            lambda p: signed(p, alg="RS512"),
            id="an algorithm that is not configured",
            marks=pytest.mark.rule("I-02"),
        ),
        pytest.param(
            lambda p: signed(p, key=EC, alg="ES256"),
            id="a decoy: another kind of key under the same kid, its alg not configured",
            marks=pytest.mark.rule("I-04"),
        ),
        pytest.param(
            lambda p: jwt.encode(claims(p), NEXT, "RS256", headers={"kid": "k1", "jwk": jwk(NEXT)}),
            id="bringing its own key",
            marks=pytest.mark.rule("I-03"),
        ),
        pytest.param(
            lambda p: jwt.encode(claims(p), KEY, "RS256", headers={"kid": "k1", "typ": "at+jwt"}),
            id="an access token",
            marks=pytest.mark.rule("I-12"),
        ),
        pytest.param(
            lambda p: jwt.encode(
                claims(p), KEY, "RS256", headers={"kid": "k1", "typ": "logout+jwt"}
            ),
            id="a logout token",
            marks=pytest.mark.rule("I-12"),
        ),
        pytest.param(
            lambda p: jwt.encode(claims(p, aud="other"), KEY, "RS256", headers={"kid": "k1"}),
            id="for another client",
            marks=pytest.mark.rule("I-06"),
        ),
        pytest.param(
            lambda p: jwt.encode(claims(p, nonce="n-2"), KEY, "RS256", headers={"kid": "k1"}),
            id="of another attempt",
            marks=pytest.mark.rule("I-08"),
        ),
        pytest.param(
            lambda p: jwt.encode(claims(p, exp=NOW - 30), KEY, "RS256", headers={"kid": "k1"}),
            id="past its end",
            marks=pytest.mark.rule("I-07"),
        ),
    ],
)
@in_a_loop
async def test_a_login_fails_on_a_token(make: Any) -> None:
    async with provider() as (peer, server):
        decoy = ECAlgorithm.to_jwk(EC.public_key(), as_dict=True)
        serve(peer, {**decoy, "kid": "k1"}, jwk(KEY, kid="k1"))
        with structlog.testing.capture_logs() as lines:
            assert await refusal(server, make(peer)) is Reason.ID_TOKEN_INVALID
        assert [line["endpoint"] for line in lines] == ["id_token"]
        assert {asked.target for asked in peer.asked} <= {
            "/.well-known/openid-configuration",
            "/jwks",
        }
        assert (await verify(server, signed(peer))).sub == "alice"


@pytest.mark.rule("I-02")
@pytest.mark.rule("I-03")
@in_a_loop
async def test_what_the_header_forbids_causes_no_request() -> None:
    async with provider() as (peer, server):
        headers = {"alg": "RS512", "jku": f"{peer.url}/evil", "x5u": f"{peer.url}/evil"}
        for token in (jwt.encode({}, "", "none"), jwt.encode({}, KEY, "RS512", headers=headers)):
            assert await refusal(server, token) is Reason.ID_TOKEN_INVALID
        assert peer.asked == []


@pytest.mark.rule("I-04")
@in_a_loop
async def test_a_rotation_just_before_signing_costs_one_fetch() -> None:
    async with provider() as (peer, server):
        serve(peer, jwk(KEY, kid="k1"))
        await verify(server, signed(peer))
        serve(peer, jwk(NEXT, kid="k2"), jwk(KEY, kid="k1"))
        for key, kid in ((NEXT, "k2"), (KEY, "k1"), (NEXT, "k2")):
            await verify(server, signed(peer, kid, key))
        assert peer.count("/jwks") == 2
        third = rsa.generate_private_key(65537, 2048)
        serve(peer, jwk(third, kid="k3"))
        await verify(server, signed(peer, "k3", third))
        assert peer.count("/jwks") == 3, "a fetch that helped does not hold up the next"


@pytest.mark.rule("I-04")
@pytest.mark.parametrize("kid", ["unknown", None])
@in_a_loop
async def test_fetches_that_bring_no_key_are_limited(kid: str | None) -> None:
    clock = SetClock()
    async with provider(clock=clock) as (peer, server):
        serve(peer, jwk(KEY, kid="k1"))
        await verify(server, signed(peer))
        forged = signed(peer, kid, NEXT)
        reasons = await asyncio.gather(*(refusal(server, forged) for _ in range(20)))
        assert set(reasons) == {Reason.ID_TOKEN_INVALID}
        assert peer.count("/jwks") == 2
        clock.time += 29
        assert await refusal(server, forged) is Reason.ID_TOKEN_INVALID
        assert peer.count("/jwks") == 2
        clock.time += 1
        serve(peer, jwk(NEXT) if kid is None else jwk(NEXT, kid=kid))
        assert (await verify(server, forged)).sub == "alice"
        assert peer.count("/jwks") == 3


@pytest.mark.rule("I-04")
@in_a_loop
async def test_the_very_first_fetch_is_not_repeated_for_an_unknown_kid() -> None:
    async with provider() as (peer, server):
        serve(peer, jwk(KEY, kid="k1"))
        assert await refusal(server, signed(peer, "unknown", NEXT)) is Reason.ID_TOKEN_INVALID
        assert await refusal(server, signed(peer, "unknown", NEXT)) is Reason.ID_TOKEN_INVALID
        assert peer.count("/jwks") == 1
        assert (await verify(server, signed(peer))).sub == "alice"


@pytest.mark.rule("I-04")
@in_a_loop
async def test_without_a_kid_every_fitting_key_is_tried() -> None:
    async with provider() as (peer, server):
        serve(peer, jwk(NEXT, kid="a"), jwk(NEXT, alg="PS256"), jwk(KEY))
        assert (await verify(server, signed(peer, None))).sub == "alice"
        assert peer.count("/jwks") == 1


@pytest.mark.rule("P-11")
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(500), id="an error"),
        pytest.param(drop, id="nothing"),
        pytest.param(http(200, {"keys": {}}), id="no list of keys"),
        pytest.param(http(200, {"keys": []}, kind="text/html"), id="html"),
        pytest.param(http(302, location="/elsewhere"), id="a redirect"),
    ],
)
@in_a_loop
async def test_keys_that_cannot_be_fetched_are_503_and_not_counted_as_unknown(
    answer: bytes | Script,
) -> None:
    clock = SetClock()
    async with provider(clock=clock) as (peer, server):
        peer.answers["/jwks"] = answer
        assert await refusal(server, signed(peer)) is Reason.PROVIDER_UNAVAILABLE
        clock.time += 1
        serve(peer, jwk(KEY, kid="k1"))
        await verify(server, signed(peer))
        peer.answers["/jwks"] = answer
        of_three = [refusal(server, signed(peer, "k2", NEXT)) for _ in range(3)]
        assert set(await asyncio.gather(*of_three)) == {Reason.PROVIDER_UNAVAILABLE}
        assert (await verify(server, signed(peer))).sub == "alice", "the known keys live on"
        clock.time += 1
        serve(peer, jwk(NEXT, kid="k2"))
        assert (await verify(server, signed(peer, "k2", NEXT))).sub == "alice"


@pytest.mark.rule("P-11")
@in_a_loop
async def test_without_metadata_there_are_no_keys() -> None:
    async with provider() as (peer, server):
        peer.answers["/.well-known/openid-configuration"] = drop
        assert await refusal(server, signed(peer)) is Reason.PROVIDER_UNAVAILABLE


@pytest.mark.rule("I-13")
@in_a_loop
async def test_a_refreshed_token_needs_no_nonce_but_the_same_person() -> None:
    async with provider() as (peer, server):
        serve(peer, jwk(KEY, kid="k1"))
        first = await verify(server, signed(peer))
        original = OriginalClaims(
            iss=first.iss,
            sub=first.sub,
            aud=first.aud,
            azp=first.azp,
            nonce=first.nonce,
            auth_time=first.auth_time,
        )
        later = claims(peer)
        del later["nonce"]
        token = jwt.encode(later, KEY, "RS256", headers={"kid": "k1"})
        found = await verify_refreshed(server, token, access_token="at", original=original)
        assert (found.sub, found.nonce) == ("alice", None)
        other = jwt.encode({**later, "sub": "mallory"}, KEY, "RS256", headers={"kid": "k1"})
        for token, reason in [
            (other, Reason.ID_TOKEN_INVALID),
            # What the issuer did not sign, or not for now, is no proof of anything.
            (other[:-8] + "AAAAAAAA", Reason.PROVIDER_UNAVAILABLE),
            (signed(peer, "k9", NEXT), Reason.PROVIDER_UNAVAILABLE),
            (jwt.encode({**later, "exp": 1}, KEY, "RS256"), Reason.PROVIDER_UNAVAILABLE),
        ]:
            with pytest.raises(Refused) as refused:
                await verify_refreshed(server, token, access_token="at", original=original)
            assert refused.value.reason is reason
