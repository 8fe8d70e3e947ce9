"""The connections to the provider: kept, shared between logins and refreshes, and under TLS."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import structlog.testing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bff.config.provider_section import Provider
from bff.problem import Reason, Refused
from bff.provider.call import Fault, Reply, Share
from bff.provider.revocation import Revoked, revoke_once
from bff.provider.server import AuthorizationServer
from bff.provider.token import refresh
from bff.provider.token_answer import TokenAnswer
from tests.wire.test_provider_call import Peer, drop, http, in_a_loop, post, provider


@in_a_loop
async def test_a_kept_connection_dropped_under_the_second_request_is_unsure() -> None:
    async with provider() as (peer, server):
        peer.answers["/token"] = http(200, {})
        assert isinstance(await post(server.http, f"{peer.url}/token"), Reply)
        peer.answers["/token"] = drop
        assert await post(server.http, f"{peer.url}/token") is Fault.UNSURE
        assert (peer.connections, peer.count("/token")) == (1, 2)


@in_a_loop
async def test_a_kept_connection_closed_while_idle_is_replaced() -> None:
    async with provider() as (peer, server):

        async def last(writer: asyncio.StreamWriter) -> None:
            writer.write(http(200, {}))
            raise ConnectionError

        peer.answers["/token"] = last
        for _ in range(3):
            assert isinstance(await post(server.http, f"{peer.url}/token"), Reply)
            await peer.end()
        assert peer.connections == 3


@pytest.mark.rule("C-03")
@pytest.mark.rule("P-11")
@in_a_loop
async def test_logins_cannot_take_the_connections_of_refreshes() -> None:
    async with provider(connections=4) as (peer, server):
        arrived, release = asyncio.Semaphore(0), asyncio.Event()

        async def hold(writer: asyncio.StreamWriter) -> None:
            arrived.release()
            await release.wait()
            writer.write(http(200, {}))

        peer.answers["/token"] = hold
        url = f"{peer.url}/token"
        held = [asyncio.create_task(post(server.http, url, Share.LOGIN)) for _ in range(3)]
        for _ in held:
            await arrived.acquire()
        with pytest.raises(Refused) as refused:
            await post(server.http, url, Share.LOGIN)
        assert refused.value.reason is Reason.OVERLOADED
        peer.answers["/token"] = http(200, {})
        assert isinstance(await post(server.http, url), Reply)
        release.set()
        assert all(isinstance(each, Reply) for each in await asyncio.gather(*held))
        assert isinstance(await post(server.http, url, Share.LOGIN), Reply)


@pytest.mark.rule("C-03", "P-11")
@in_a_loop
async def test_revocations_that_hang_leave_connections_for_refreshes() -> None:
    async with provider(connections=8) as (peer, server):
        await server.discovery.metadata()
        arrived, release = asyncio.Semaphore(0), asyncio.Event()

        async def hold(writer: asyncio.StreamWriter) -> None:
            arrived.release()
            await release.wait()
            writer.write(http(200, {}))

        peer.answers["/revoke"] = hold
        peer.answers["/token"] = http(200, {"access_token": "canary-at", "token_type": "Bearer"})
        revoking = [
            asyncio.create_task(revoke_once(server, "canary-rt", hint="refresh_token"))
            for _ in range(12)
        ]
        await arrived.acquire()
        assert (await refresh(server, "canary-rt", patience=30.0)).answer is TokenAnswer.GRANTED
        assert peer.count("/revoke") == 1
        release.set()
        answers = await asyncio.gather(*revoking)
        assert {each.outcome for each in answers} == {Revoked.DONE}


@asynccontextmanager
async def both_connections_taken(peer: Peer, server: AuthorizationServer) -> AsyncIterator[None]:
    """Hold the only two connections with requests that have arrived."""
    arrived, release = asyncio.Semaphore(0), asyncio.Event()

    async def hold(writer: asyncio.StreamWriter) -> None:
        arrived.release()
        await release.wait()
        writer.write(http(200, {}))

    peer.answers["/held"] = hold
    until = asyncio.get_running_loop().time() + 60
    held = [
        asyncio.create_task(
            server.http.post_form(f"{peer.url}/held", {}, headers={}, kind="held", until=until)
        )
        for _ in range(2)
    ]
    for _ in held:
        await arrived.acquire()
    yield
    release.set()
    assert all(isinstance(each, Reply) for each in await asyncio.gather(*held))


@pytest.mark.rule("P-11")
@in_a_loop
async def test_who_waits_in_vain_for_a_connection_was_not_sent() -> None:
    async with provider(connections=2) as (peer, server):
        async with both_connections_taken(peer, server):
            until = asyncio.get_running_loop().time() + 0.1
            ended = await server.http.post_form(
                f"{peer.url}/token", {}, headers={}, kind="token", until=until
            )
        assert ended is Fault.NOT_SENT
        assert peer.count("/token") == 0


@pytest.mark.rule("R-07")
@in_a_loop
async def test_the_second_try_of_a_refresh_has_no_time_of_its_own() -> None:
    async with provider(connections=2, total_timeout=1.0) as (peer, server):
        await server.discovery.metadata()
        async with both_connections_taken(peer, server):
            with structlog.testing.capture_logs() as lines:
                outcome = await refresh(server, "canary-rt", patience=1.0)
        assert outcome.answer is TokenAnswer.PASSING
        assert [line["code"] for line in lines] == ["not_sent"]
        assert peer.count("/token") == 0


def granting_after(seconds: float) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    """A token endpoint that is slow."""

    async def slowly(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        writer.write(http(200, {"access_token": "canary-at", "token_type": "Bearer"}))

    return slowly


@pytest.mark.rule("R-07")
@in_a_loop
async def test_a_refresh_that_waited_for_its_connection_has_all_its_time() -> None:
    """Who hangs up on a provider that is merely slow has lost the refresh token."""
    async with provider(connections=2, total_timeout=6.0) as (peer, server):
        await server.discovery.metadata()
        peer.answers["/token"] = granting_after(3.5)
        async with both_connections_taken(peer, server):
            refreshing = asyncio.create_task(refresh(server, "canary-rt", patience=60.0))
            await asyncio.sleep(3.5)  # with the answer that is more than one exchange may take
            assert peer.count("/token") == 0
        assert (await refreshing).answer is TokenAnswer.GRANTED
        assert peer.count("/token") == 1


@pytest.mark.rule("R-07")
@in_a_loop
async def test_once_it_has_left_a_refresh_has_as_long_as_any() -> None:
    async with provider(connections=2, total_timeout=30.0) as (peer, server):
        await server.discovery.metadata()
        peer.answers["/token"] = granting_after(3.0)
        assert (await refresh(server, "canary-rt", patience=2.0)).answer is TokenAnswer.GRANTED


@pytest.mark.rule("R-07")
@in_a_loop
async def test_once_it_has_left_a_refresh_has_no_longer_than_any() -> None:
    async def never(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with provider(connections=2, total_timeout=1.0) as (peer, server):
        await server.discovery.metadata()
        peer.answers["/token"] = never
        async with asyncio.timeout(60):  # a bound for a test that hangs
            outcome = await refresh(server, "canary-rt", patience=300.0)
        assert outcome.answer is TokenAnswer.UNSURE


@pytest.mark.rule("R-07")
@in_a_loop
async def test_a_refresh_that_would_leave_too_late_does_not_leave() -> None:
    async with provider(connections=2, total_timeout=60.0) as (peer, server):
        await server.discovery.metadata()
        async with both_connections_taken(peer, server):
            outcome = await refresh(server, "canary-rt", patience=0.1)
        assert outcome.answer is TokenAnswer.PASSING
        assert peer.count("/token") == 0


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A TLS server for 127.0.0.1 that nobody but the file's reader trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "peer")])
    start = datetime.now(UTC) - timedelta(days=1)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "peer.pem"
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file


@pytest.mark.rule("P-03")
@pytest.mark.rule("E-09")
@pytest.mark.rule("F-24")
@pytest.mark.parametrize("trusted", [True, False])
@in_a_loop
async def test_a_certificate_counts_only_if_somebody_we_trust_signed_it(
    trusted: bool, tmp_path: Path
) -> None:
    tls, file = certificate(tmp_path)
    async with provider(tls=tls, ca_file=file if trusted else None) as (peer, server):
        peer.answers["/token"] = http(200, {})
        with structlog.testing.capture_logs() as lines:
            ended = await post(server.http, f"{peer.url}/token")
        assert isinstance(ended, Reply) is trusted
        if not trusted:
            assert ended is Fault.NOT_SENT
            assert lines[0]["error"] == "ConnectError: SSLCertVerificationError"
            assert peer.asked == []


@pytest.mark.rule("P-03")
@pytest.mark.rule("F-24")
@in_a_loop
async def test_tls_before_1_2_is_refused(tmp_path: Path) -> None:
    tls, file = certificate(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ssl warns of what is done here on purpose
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
        tls.set_ciphers("ALL:@SECLEVEL=0")
    async with provider(tls=tls, ca_file=file) as (peer, server):
        assert await post(server.http, f"{peer.url}/token") is Fault.NOT_SENT
        assert peer.asked == []


def test_there_is_no_setting_that_trusts_anybody() -> None:
    assert not [name for name in Provider.model_fields if "verif" in name or "insecure" in name]
