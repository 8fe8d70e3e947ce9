"""UserInfo, and revocation: what is asked over the wire with a token in hand."""

import asyncio
from typing import Literal

import pytest
import structlog.testing

from bff.problem import Reason, Refused
from bff.provider.revocation import revoke
from bff.provider.userinfo import userinfo
from tests.wire.test_provider_call import Script, drop, http, in_a_loop, metadata_document, provider
from tests.wire.test_provider_login import asked_for


@pytest.mark.rule("I-14")
@in_a_loop
async def test_userinfo_is_asked_with_the_token_in_its_header_only() -> None:
    async with provider() as (peer, server):
        peer.answers["/userinfo"] = http(200, {"sub": "alice", "email": "a@example"})
        assert (await userinfo(server, "canary-at", "alice"))["email"] == "a@example"
        asked = peer.asked[-1]
        assert (asked.method, asked.target) == ("GET", "/userinfo")
        assert asked.headers["authorization"] == "Bearer canary-at"


@pytest.mark.rule("I-14")
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(http(200, {"sub": "mallory"}), "provider_error", id="about somebody else"),
        pytest.param(http(200, {"sub": "Alice"}), "provider_error", id="sub in another case"),
        pytest.param(http(200, {"email": "a"}), "provider_error", id="about nobody"),
        pytest.param(http(200, b"a.b.c", kind="application/jwt"), "provider_error", id="no JWT"),
        pytest.param(http(200, b"\xff.b.c", kind="application/jwt"), "provider_error", id="octets"),
        pytest.param(http(401), "provider_error", id="the token is not good there"),
        pytest.param(http(302, location="/x"), "provider_error", id="a redirect"),
        pytest.param(http(500), "provider_unavailable", id="500"),
        pytest.param(http(429, retry_after=3), "provider_unavailable", id="too many"),
        pytest.param(drop, "provider_unavailable", id="nothing"),
    ],
)
@in_a_loop
async def test_a_login_fails_on_userinfo(answer: bytes | Script, reason: str) -> None:
    async with provider() as (peer, server):
        peer.answers["/userinfo"] = answer
        with structlog.testing.capture_logs() as lines, pytest.raises(Refused) as refused:
            await userinfo(server, "canary-at", "alice")
        assert refused.value.reason == reason
        assert len(lines) == 1
        assert "canary" not in str(lines)


@pytest.mark.rule("I-14")
@in_a_loop
async def test_userinfo_that_is_not_announced_cannot_be_asked() -> None:
    async with provider() as (peer, server):
        document = metadata_document(peer.url, peer.url)
        del document["userinfo_endpoint"]
        peer.answers["/.well-known/openid-configuration"] = http(200, document)
        with pytest.raises(Refused) as refused:
            await userinfo(server, "canary-at", "alice")
        assert refused.value.reason is Reason.PROVIDER_UNAVAILABLE


@pytest.mark.rule("O-04")
@pytest.mark.parametrize("hint", ["refresh_token", "access_token"])
@in_a_loop
async def test_a_token_is_revoked_as_the_same_client(
    hint: Literal["refresh_token", "access_token"],
) -> None:
    async with provider() as (peer, server):
        peer.answers["/revoke"] = http(200, b"whatever", kind="text/html")
        assert await revoke(server, "canary-rt", hint=hint)
        assert asked_for(peer, "/revoke") == {"token": "canary-rt", "token_type_hint": hint}


def in_turn(*answers: bytes | Script) -> Script:
    left = list(answers)

    async def script(writer: asyncio.StreamWriter) -> None:
        answer = left.pop(0)
        if isinstance(answer, bytes):
            writer.write(answer)
        else:
            await answer(writer)

    return script


@pytest.mark.rule("O-05")
@pytest.mark.parametrize(
    ("answer", "revoked", "times"),
    [
        pytest.param(in_turn(http(503, retry_after=0), http(200)), True, 2, id="503, then 200"),
        pytest.param(in_turn(*[http(503, retry_after=0)] * 9), False, 3, id="503 a few times"),
        pytest.param(
            in_turn(http(400, {"error": "unsupported_token_type"})), False, 1, id="unsupported"
        ),
        pytest.param(in_turn(http(307, location="/x")), False, 1, id="a redirect"),
    ],
)
@in_a_loop
async def test_how_often_revocation_is_tried(answer: Script, revoked: bool, times: int) -> None:
    async with provider() as (peer, server):
        peer.answers["/revoke"] = answer
        with structlog.testing.capture_logs() as lines:
            assert await revoke(server, "canary-rt", hint="refresh_token") is revoked
        assert peer.count("/revoke") == times
        assert [line["event"] for line in lines] == ([] if revoked else ["revocation_failed"])
        assert "canary" not in str(lines)


@pytest.mark.rule("O-05")
@in_a_loop
async def test_without_an_endpoint_nothing_is_tried_and_without_metadata_nothing_raises() -> None:
    async with provider() as (peer, server):
        document = metadata_document(peer.url, peer.url)
        del document["revocation_endpoint"]
        peer.answers["/.well-known/openid-configuration"] = http(200, document)
        assert await revoke(server, "canary-rt", hint="refresh_token")
    async with provider() as (peer, server):
        peer.answers["/.well-known/openid-configuration"] = drop
        assert not await revoke(server, "canary-rt", hint="refresh_token")
