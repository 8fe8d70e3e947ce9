"""Metadata over the wire: fetched once, kept, renewed behind the callers' backs."""

import asyncio
import contextlib

import pytest
import structlog.testing

from bff.problem import Reason, Refused
from bff.provider.server import AuthorizationServer
from tests.wire.test_provider_call import (
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

CONFIGURATION = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"
EVIL = {"revocation_endpoint": "https://evil.example/revoke"}


async def refusal(server: AuthorizationServer) -> Reason:
    with pytest.raises(Refused) as refused:
        await server.discovery.metadata()
    return refused.value.reason


async def renewed(server: AuthorizationServer) -> None:
    """Join the fetch that runs in the background, however it ends."""
    assert server.discovery._cached.fetching
    with contextlib.suppress(Refused):
        await server.discovery._cached.fetched()


@pytest.mark.rule("P-11")
@in_a_loop
async def test_a_hundred_callers_at_once_cause_one_fetch() -> None:
    async with provider() as (peer, server):
        found = await asyncio.gather(*(server.discovery.metadata() for _ in range(100)))
        assert {each.token_endpoint for each in found} == {f"{peer.url}/token"}
        await server.discovery.metadata()
        assert peer.count(CONFIGURATION) == 1
        assert peer.count(OAUTH) == 0


@pytest.mark.rule("P-01")
@pytest.mark.rule("F-10")
@pytest.mark.parametrize("path", ["/", "/o", "/o/realm/"])
@in_a_loop
async def test_an_issuer_with_a_path_or_a_final_slash_is_found(path: str) -> None:
    async with provider(path=path) as (peer, server):
        metadata = await server.discovery.metadata()
        assert metadata.issuer == peer.url + path


@pytest.mark.rule("P-01")
@pytest.mark.rule("P-04")
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda url: http(200, metadata_document(url, url + "/")), id="a slash more"),
        pytest.param(lambda url: http(200, {"issuer": url}), id="no endpoints"),
        pytest.param(lambda url: http(200, [metadata_document(url, url)]), id="a list"),
        pytest.param(
            lambda url: http(200, metadata_document(url, url), kind="text/html"), id="html"
        ),
        pytest.param(lambda url: http(302, location=f"{url}/elsewhere"), id="a redirect"),
        pytest.param(lambda _url: http(500), id="an error"),
        pytest.param(lambda _url: drop, id="nothing"),
    ],
)
@in_a_loop
async def test_a_document_that_cannot_be_used_is_503_and_asked_for_once_a_second(
    answer: object,
) -> None:
    clock = SetClock()
    async with provider(clock=clock) as (peer, server):
        assert callable(answer)
        good, bad = peer.answers[CONFIGURATION], answer(peer.url)
        peer.answers[CONFIGURATION] = bad
        with structlog.testing.capture_logs() as lines:
            assert await refusal(server) is Reason.PROVIDER_UNAVAILABLE
        assert [line["event"] for line in lines] == ["provider_failed"]
        assert await refusal(server) is Reason.PROVIDER_UNAVAILABLE
        assert peer.count(CONFIGURATION) == 1
        peer.answers[CONFIGURATION] = good
        clock.time += 1
        await server.discovery.metadata()
        assert peer.count(CONFIGURATION) == 2


@pytest.mark.rule("P-11")
@pytest.mark.parametrize(
    "failure", [pytest.param(http(500), id="an error"), pytest.param(drop, id="nothing")]
)
@in_a_loop
async def test_the_last_good_copy_outlives_an_outage(failure: bytes | Script) -> None:
    clock = SetClock()
    async with provider(clock=clock) as (peer, server):
        first = await server.discovery.metadata()
        good, peer.answers[CONFIGURATION] = peer.answers[CONFIGURATION], failure
        clock.time += 3600
        assert await server.discovery.metadata() == first
        await renewed(server)
        assert await server.discovery.metadata() == first
        assert peer.count(CONFIGURATION) == 2, "a failed fetch is not repeated within a second"
        peer.answers[CONFIGURATION] = good
        clock.time += 1
        assert await server.discovery.metadata() == first
        await renewed(server)
        await server.discovery.metadata()
        assert peer.count(CONFIGURATION) == 3


@pytest.mark.rule("P-11")
@in_a_loop
async def test_an_old_copy_is_renewed_without_anybody_waiting() -> None:
    clock = SetClock()
    async with provider(clock=clock) as (peer, server):
        await server.discovery.metadata()
        document = metadata_document(peer.url, peer.url)
        peer.answers[CONFIGURATION] = http(200, {**document, "token_endpoint": f"{peer.url}/new"})
        clock.time += 3600
        assert (await server.discovery.metadata()).token_endpoint == f"{peer.url}/token"
        await renewed(server)
        assert (await server.discovery.metadata()).token_endpoint == f"{peer.url}/new"


@pytest.mark.rule("P-01")
@pytest.mark.rule("F-11")
@in_a_loop
async def test_a_copy_does_not_outlive_a_document_of_another_issuer() -> None:
    clock = SetClock()
    async with provider(clock=clock) as (peer, server):
        await server.discovery.metadata()
        other = metadata_document(peer.url, "https://evil.example")
        peer.answers[CONFIGURATION] = http(200, other)
        clock.time += 3600
        await server.discovery.metadata()
        await renewed(server)
        assert await refusal(server) is Reason.PROVIDER_UNAVAILABLE


@pytest.mark.rule("P-11")
@in_a_loop
async def test_a_caller_that_goes_away_does_not_take_the_fetch_along() -> None:
    async with provider() as (peer, server):
        arrived, release = asyncio.Event(), asyncio.Event()
        good = peer.answers[CONFIGURATION]
        assert isinstance(good, bytes)

        async def held(writer: asyncio.StreamWriter) -> None:
            arrived.set()
            await release.wait()
            writer.write(good)

        peer.answers[CONFIGURATION] = held
        first = asyncio.create_task(server.discovery.metadata())
        second = asyncio.create_task(server.discovery.metadata())
        await arrived.wait()
        first.cancel()
        release.set()
        assert (await second).issuer == peer.url
        assert peer.count(CONFIGURATION) == 1


@in_a_loop
async def test_closing_ends_a_fetch_that_is_under_way() -> None:
    async with provider() as (peer, server):
        arrived = asyncio.Event()

        async def held(writer: asyncio.StreamWriter) -> None:
            arrived.set()
            await stall(writer)

        peer.answers[CONFIGURATION] = held
        waiting = asyncio.create_task(server.discovery.metadata())
        await arrived.wait()
        await server.discovery.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting


@pytest.mark.rule("O-04")
@pytest.mark.parametrize(
    ("path", "where"),
    [
        pytest.param("", OAUTH, id="no path"),
        pytest.param("/o/", f"{OAUTH}/o", id="before the path, as RFC 8414 has it"),
        pytest.param("/o", f"/o{OAUTH}", id="after the path, as others have it"),
    ],
)
@in_a_loop
async def test_revocation_may_be_announced_in_the_other_document_alone(
    path: str, where: str
) -> None:
    async with provider(path=path) as (peer, server):
        issuer = peer.url + path
        document = metadata_document(peer.url, issuer)
        revoke = {"revocation_endpoint": document.pop("revocation_endpoint")}
        peer.answers[f"{path.rstrip('/')}{CONFIGURATION}"] = http(200, document)
        peer.answers[OAUTH + path.rstrip("/")] = http(200, {"issuer": issuer})
        peer.answers[where] = http(200, {"issuer": issuer, **revoke})
        metadata = await server.discovery.metadata()
        assert metadata.revocation_endpoint == f"{peer.url}/revoke"


@pytest.mark.rule("O-05")
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(404), id="is not there"),
        pytest.param(drop, id="is not answered"),
        pytest.param(stall, id="never ends"),
        pytest.param(http(200, {"issuer": "https://evil.example", **EVIL}), id="is another's"),
        pytest.param(http(200, {"revocation_endpoint": 7}), id="is nonsense"),
    ],
)
@in_a_loop
async def test_no_harm_is_done_if_the_other_document(answer: bytes | Script) -> None:
    async with provider(**patience(answer)) as (peer, server):
        document = metadata_document(peer.url, peer.url)
        del document["revocation_endpoint"]
        peer.answers[CONFIGURATION] = http(200, document)
        peer.answers[OAUTH] = answer
        metadata = await server.discovery.metadata()
        assert metadata.revocation_endpoint is None
        assert metadata.token_endpoint == f"{peer.url}/token"
