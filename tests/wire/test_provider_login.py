"""The token endpoint, asked over the wire."""

import base64
from collections.abc import Callable

import pytest
import structlog.testing

from bff.problem import Reason, Refused
from bff.provider.dpop import new_dpop_key
from bff.provider.server import AuthorizationServer
from bff.provider.token import exchange_code, refresh
from bff.provider.token_answer import TokenAnswer, TokenResponse
from tests.wire.test_provider_call import (
    NOBODY,
    Peer,
    Script,
    SetClock,
    drop,
    http,
    in_a_loop,
    metadata_document,
    patience,
    provider,
    stall,
)

GRANT = {"access_token": "canary-at", "token_type": "bearer", "refresh_token": "canary-rt"}
ASKS = {"error": "use_dpop_nonce"}
BASIC = "Basic " + base64.b64encode(b"spa:canary-secret").decode()


async def exchange(server: AuthorizationServer) -> TokenResponse:
    return await exchange_code(server, code="canary-code", code_verifier="canary-verifier")


def asked_for(peer: Peer, path: str) -> dict[str, str]:
    (asked,) = (each for each in peer.asked if each.target == path)
    assert asked.method == "POST"
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["authorization"] == BASIC
    return asked.form


@pytest.mark.rule("C-09")
@pytest.mark.rule("L-08")
@pytest.mark.rule("P-06")
@in_a_loop
async def test_a_code_is_exchanged_with_everything_that_binds_it() -> None:
    clock = SetClock()
    async with provider(clock=clock) as (peer, server):
        peer.answers["/token"] = http(200, GRANT)
        assert server.history.last_success is None
        response = await exchange(server)
        assert response.access_token == "canary-at"
        assert asked_for(peer, "/token") == {
            "grant_type": "authorization_code",
            "code": "canary-code",
            "redirect_uri": "http://localhost:8080/bff/callback",
            "code_verifier": "canary-verifier",
        }
        assert server.history.last_success == clock.time


@in_a_loop
async def test_what_the_tokens_are_for_is_named_at_both_requests() -> None:
    """RFC 8707 §2.2: else one provider or another gives a token for all, or for its favourite."""
    one = "https://api.example.com/"
    async with provider(resource=(one,)) as (peer, server):
        peer.answers["/token"] = http(200, GRANT)
        await exchange(server)
        await refresh(server, "canary-rt", patience=30.0)
        assert [asked.form["resource"] for asked in peer.asked if asked.target == "/token"] == [
            one
        ] * 2
    async with provider(resource=(one, "urn:x")) as (peer, server):
        peer.answers["/token"] = http(200, GRANT)
        await exchange(server)
        (body,) = (asked.body for asked in peer.asked if asked.target == "/token")
        assert body.count(b"resource=") == 2


@pytest.mark.rule("P-10")
@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        pytest.param(http(400, ASKS, dpop_nonce="one"), 2, id="a nonce"),
        pytest.param(http(401, ASKS, dpop_nonce="one"), 2, id="a nonce under 401"),
        pytest.param(http(400, ASKS), 1, id="none"),
        pytest.param(http(400, ASKS, dpop_nonce='a"b'), 1, id="what is no nonce"),
        pytest.param(http(500, ASKS, dpop_nonce="one"), 1, id="an outage"),
        pytest.param(http(400, {"error": "x"}, dpop_nonce="one"), 1, id="another error"),
    ],
)
@in_a_loop
async def test_a_nonce_that_is_asked_for_is_brought_once(answer: bytes, asked: int) -> None:
    async with provider() as (peer, server):
        peer.answers["/token"] = answer
        key = new_dpop_key()
        with pytest.raises(Refused):
            await exchange_code(server, code="canary-code", code_verifier="v", dpop_key=key)
        assert peer.count("/token") == asked
        outcome = await refresh(server, "canary-rt", patience=30.0)
        assert outcome.answer is not TokenAnswer.INVALID_GRANT
        assert peer.count("/token") == asked + 1  # without a key nothing is proven twice


@pytest.mark.rule("C-10")
@pytest.mark.rule("E-06")
@pytest.mark.parametrize(
    ("answer", "reason", "told"),
    [
        pytest.param(http(400, {"error": "invalid_grant"}), "code_rejected", 0, id="a bad code"),
        pytest.param(http(403, {"error": "invalid_code"}), "code_rejected", 0, id="403"),
        pytest.param(http(400, {"error": "invalid_request"}), "provider_error", 1, id="400"),
        pytest.param(http(400, b""), "provider_error", 1, id="an empty 400"),
        pytest.param(http(401, {"error": "x"}), "provider_unavailable", 1, id="not us"),
        pytest.param(http(500, b"canary"), "provider_unavailable", 1, id="500"),
        pytest.param(http(302, location="/x"), "provider_unavailable", 1, id="a redirect"),
        pytest.param(http(200, b"canary"), "provider_unavailable", 1, id="200, unreadable"),
        pytest.param(drop, "provider_unavailable", 1, id="nothing"),
        pytest.param(stall, "provider_unavailable", 1, id="no end"),
    ],
)
@in_a_loop
async def test_a_code_is_sent_at_most_once(answer: bytes | Script, reason: str, told: int) -> None:
    async with provider(**patience(answer)) as (peer, server):
        peer.answers["/token"] = answer
        with structlog.testing.capture_logs() as lines, pytest.raises(Refused) as refused:
            await exchange(server)
        assert refused.value.reason == reason
        assert peer.count("/token") == 1
        assert len(lines) == told
        assert "canary" not in str(lines)
        assert server.history.last_success is None


@pytest.mark.rule("R-07")
@in_a_loop
async def test_the_providers_own_retry_after_is_handed_on() -> None:
    async with provider() as (peer, server):
        peer.answers["/token"] = http(503, retry_after=17)
        with pytest.raises(Refused) as refused:
            await exchange(server)
        assert (refused.value.reason, refused.value.retry_after) == (
            Reason.PROVIDER_UNAVAILABLE,
            17,
        )
        outcome = await refresh(server, "canary-rt", patience=30.0)
        assert (outcome.answer, outcome.retry_after) == (TokenAnswer.PASSING, 17)


@pytest.mark.rule("R-01")
@in_a_loop
async def test_a_refresh_asks_for_no_scope_and_as_the_same_client() -> None:
    clock = SetClock()
    async with provider(clock=clock) as (peer, server):
        peer.answers["/token"] = http(200, GRANT)
        outcome = await refresh(server, "canary-rt", patience=30.0)
        assert outcome.answer is TokenAnswer.GRANTED
        assert outcome.response is not None
        assert asked_for(peer, "/token") == {
            "grant_type": "refresh_token",
            "refresh_token": "canary-rt",
        }
        assert server.history.last_success == clock.time


@pytest.mark.rule("R-07")
@pytest.mark.parametrize(
    ("answer", "means"),
    [
        pytest.param(http(400, {"error": "invalid_grant"}), "invalid_grant", id="dead"),
        pytest.param(http(400, b""), "definite_400", id="an empty 400"),
        pytest.param(http(401, b""), "client_refused", id="not us"),
        pytest.param(http(429, b""), "passing", id="too many"),
        pytest.param(http(500, b""), "unsure", id="500"),
        pytest.param(drop, "unsure", id="processed, and the answer lost"),
        pytest.param(stall, "unsure", id="no end"),
    ],
)
@in_a_loop
async def test_a_refresh_that_may_have_been_seen_is_sent_once(
    answer: bytes | Script, means: str
) -> None:
    async with provider(**patience(answer)) as (peer, server):
        peer.answers["/token"] = answer
        assert (await refresh(server, "canary-rt", patience=30.0)).answer == means
        assert peer.count("/token") == 1


@pytest.mark.rule("R-07")
@pytest.mark.parametrize("nobody", NOBODY)
@in_a_loop
async def test_only_a_refresh_that_was_not_sent_is_tried_again_once(
    nobody: Callable[[], str],
) -> None:
    async with provider() as (peer, server):
        document = metadata_document(peer.url, peer.url)
        document["token_endpoint"] = nobody()
        peer.answers["/.well-known/openid-configuration"] = http(200, document)
        with structlog.testing.capture_logs() as lines:
            outcome = await refresh(server, "canary-rt", patience=30.0)
        assert outcome.answer is TokenAnswer.PASSING
        assert [line["code"] for line in lines] == ["not_sent", "not_sent"]


@pytest.mark.rule("R-07")
@pytest.mark.parametrize("answer", [http(500), stall])
@in_a_loop
async def test_a_refresh_without_metadata_is_passing(answer: bytes | Script) -> None:
    async with provider(**patience(answer)) as (peer, server):
        peer.answers["/.well-known/openid-configuration"] = answer
        assert (await refresh(server, "canary-rt", patience=30.0)).answer is TokenAnswer.PASSING
        assert peer.count("/token") == 0


@pytest.mark.rule("E-06")
@in_a_loop
async def test_no_secret_is_in_the_repr_of_the_server() -> None:
    async with provider() as (_, server):
        assert "canary" not in repr(server)
