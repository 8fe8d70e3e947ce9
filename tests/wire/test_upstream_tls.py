"""TLS towards an upstream: verified, from 1.2 on, with our own certificate where it wants one."""

import shutil
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bff.config.certificates import client_tls
from bff.simulator import Simulator
from tests.conftest import Sites, Told
from tests.parts.browser import browsing
from tests.parts.certificates import Authority, authority
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.parts.tls_villain import TlsVillain, tls_villain
from tests.wire.serve_process import served

OPEN = 'auth = "none"'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def own(folder: Path) -> Authority:
    """Who the upstream is."""
    return authority(folder / "upstream", "localhost")


@pytest.fixture(scope="module")
def ours(folder: Path) -> Authority:
    """Who we are to it: the leaf of this authority is our client certificate."""
    return authority(folder / "ours", "bff.internal")


@pytest.fixture(scope="module")
def strangers(folder: Path) -> Authority:
    return authority(folder / "strangers", "stranger.internal")


@pytest.fixture(scope="module")
def upstream(own: Authority, ours: Authority) -> Iterator[TlsVillain]:
    """An upstream that demands a certificate of our authority."""
    with tls_villain(own, ours.ca) as found:
        yield found


def route(ca: Authority | None, client: Authority | None = None) -> str:
    lines = [OPEN]
    if ca is not None:
        lines.append(f'ca_file = "{ca.ca}"')
    if client is not None:
        lines += [
            f'client_certificate = "{client.certificate}"',
            f'client_key = "{client.key}"',
        ]
    return "\n".join(lines)


def der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


@pytest.mark.rule("Q-23")
def test_an_upstream_that_wants_to_know_who_calls_sees_our_certificate(
    sites: Sites, provider: Control, upstream: TlsVillain, own: Authority, ours: Authority
) -> None:
    upstream.callers.clear()
    with browsing(sites(api=upstream.url, route=route(own, ours))) as browser:
        assert browser.fetch("GET", "/api/x").text == "ok"
    assert upstream.callers == [der(ours.certificate)]


@pytest.mark.rule("Q-23")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "whose", [pytest.param("strangers", id="another's"), pytest.param(None, id="none")]
)
def test_an_upstream_that_refuses_our_certificate_is_unreachable_and_nothing_is_said_of_it(
    sites: Sites,
    provider: Control,
    upstream: TlsVillain,
    own: Authority,
    told: Told,
    request: pytest.FixtureRequest,
    whose: str | None,
    method: str,
) -> None:
    client = None if whose is None else request.getfixturevalue(whose)
    upstream.script()
    with browsing(sites(api=upstream.url, route=route(own, client))) as browser:
        answer = browser.fetch(method, "/api/x")
    assert (answer.status_code, answer.json()["reason"]) == (502, "upstream_unreachable")
    assert upstream.received == []
    failures = [line["error"] for line in told() if line["event"] == "upstream_failed"]
    assert "SSLError" in failures
    for inner in ("ssl", "cert", "alert", "localhost", str(upstream.port), "Traceback"):
        assert inner.lower() not in answer.text.lower()
        assert inner.lower() not in str(told()).lower().replace("sslerror", "")


@pytest.mark.rule("Q-23", "E-09")
@pytest.mark.parametrize(
    "whose",
    [
        pytest.param("strangers", id="an authority that has not signed it"),
        pytest.param(None, id="nobody but the system's"),
    ],
)
def test_an_upstream_that_nobody_vouches_for_is_unreachable(
    sites: Sites,
    provider: Control,
    own: Authority,
    told: Told,
    request: pytest.FixtureRequest,
    whose: str | None,
) -> None:
    believed = None if whose is None else request.getfixturevalue(whose)
    with tls_villain(own) as found, browsing(sites(api=found.url, route=route(believed))) as it:
        answer = it.fetch("GET", "/api/x")
        assert found.received == []
    assert (answer.status_code, answer.json()["reason"]) == (502, "upstream_unreachable")
    assert [line["error"] for line in told() if line["event"] == "upstream_failed"] == [
        "SSLCertVerificationError"
    ]


@pytest.mark.rule("Q-23")
def test_the_name_in_the_certificate_counts(
    sites: Sites, provider: Control, own: Authority
) -> None:
    with tls_villain(own) as found:
        by_address = found.url.replace("localhost", "127.0.0.1")
        with browsing(sites(api=by_address, route=route(own))) as browser:
            assert browser.fetch("GET", "/api/x").status_code == 502
        with browsing(sites(api=found.url, route=route(own))) as browser:
            assert browser.fetch("GET", "/api/x").text == "ok"


# A ServerHello of TLS 1.1 with the cipher suite ECDHE-RSA-AES128-SHA (RFC 5246 §7.4.1.3).
_HELLO = b"\x03\x02" + bytes(32) + b"\0\xc0\x13\0"
_OLD = b"\x16\x03\x02\0\x2a\x02\0\0\x26" + _HELLO


@pytest.mark.rule("Q-23")
def test_an_upstream_that_speaks_tls_1_1_gets_no_request(
    sites: Sites, provider: Control, own: Authority
) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def speak() -> None:
            connection, _ = listening.accept()
            with connection:
                heard.append(connection.recv(4096))
                connection.sendall(_OLD)
                heard.append(connection.recv(4096))

        speaking = threading.Thread(target=speak)
        speaking.start()
        url = f"https://localhost:{listening.getsockname()[1]}"
        with browsing(sites(api=url, route=route(own))) as browser:
            answer = browser.fetch("GET", "/api/x")
        speaking.join(timeout=30)
    assert (answer.status_code, answer.json()["reason"]) == (502, "upstream_unreachable")
    hello, reply = heard
    assert b"\0\x2b\0\x05\x04\x03\x04\x03\x03" in hello  # it offers 1.3 and 1.2, nothing else
    assert reply == b"" or reply[0] == 0x15  # an alert, if anything


def test_the_context_allows_nothing_older_and_verifies(own: Authority, ours: Authority) -> None:
    context = client_tls(own.ca, ours.certificate, ours.key)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_renewed_files_are_taken_with_a_sighup(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess, own: Authority
) -> None:
    one, two = authority(tmp_path / "one", "bff"), authority(tmp_path / "two", "bff")
    mine = authority(tmp_path / "mine", "bff")  # its files are replaced

    def use(pair: Authority) -> None:
        shutil.copy(pair.certificate, mine.certificate)
        shutil.copy(pair.key, mine.key)

    use(one)
    with (
        tls_villain(own, one.ca, two.ca) as upstream,
        served(
            tmp_path,
            issuer=simulator.issuer,
            store=redis.url,
            api=upstream.url,
            route=route(own, mine),
        ) as site,
    ):

        def ask() -> int:
            answer = site.http.get(
                f"{site.public}/api/x", headers={"host": "app.example.com", "x-csrf": "1"}
            )
            return answer.status_code

        assert ask() == 200
        use(two)
        site.process.signal(signal.SIGHUP)
        for _ in ("the supervisor", "the worker"):
            site.process.event("reloaded")
        assert ask() == 200
        assert upstream.callers == [der(one.certificate), der(two.certificate)]
        mine.key.write_text("no key")
        site.process.signal(signal.SIGHUP)
        refused = site.process.event("reload_refused")
        assert refused["key"] == "routes.0.client_certificate"
        assert ask() == 200
        assert upstream.callers[-1] == der(two.certificate)
