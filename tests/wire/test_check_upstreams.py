"""`bff check --online` shakes hands with https upstreams and tells how long certificates last."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.certificates import Authority, authority
from tests.parts.checking import checked
from tests.parts.config import config_text
from tests.parts.raw_provider import RawProvider, raw_provider
from tests.parts.redis_process import RedisProcess
from tests.parts.tls_villain import tls_villain

MONTH = 24 * 30


@pytest.fixture(scope="module")
def provider() -> Iterator[RawProvider]:
    with raw_provider() as found:
        yield found


@pytest.fixture
def own(tmp_path: Path) -> Authority:
    return authority(tmp_path / "own", "localhost", hours=MONTH)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return authority(tmp_path / "ours", "bff.internal", hours=MONTH)


def check(
    folder: Path,
    provider: RawProvider,
    redis: RedisProcess,
    api: str,
    ca: Authority | None,
    client: Authority | None = None,
) -> tuple[int, list[str]]:
    """The exit status, and the lines about upstreams."""
    route = f'ca_file = "{ca.ca}"\n' if ca else ""
    if client is not None:
        route += f'client_certificate = "{client.certificate}"\nclient_key = "{client.key}"\n'
    file = folder / "bff.toml"
    file.write_text(config_text(issuer=provider.url, api=api, store=redis.url, route=route))
    found = checked(folder, file.read_text())
    told = {name: said for name, said in found.found.items() if name.endswith(" of /api")}
    return found.code, [f"{state} {name}: {said}" for name, (state, said) in told.items()]


def test_an_upstream_in_order_is_said_to_be(
    tmp_path: Path, provider: RawProvider, redis: RedisProcess, own: Authority, ours: Authority
) -> None:
    with tls_villain(own, ours.ca) as upstream:
        code, lines = check(tmp_path, provider, redis, upstream.url, own, ours)
        assert upstream.received == []  # nobody has asked it for anything
    assert (code, lines) == (
        0,
        [
            "ok client certificate of /api: is good for 29 days",
            "ok upstream of /api: verified; its certificate is good for 29 days",
        ],
    )


def test_a_certificate_that_ends_within_a_fortnight_is_told_in_time(
    tmp_path: Path, provider: RawProvider, redis: RedisProcess, ours: Authority
) -> None:
    short = authority(tmp_path / "short", "localhost", hours=24 * 14)
    with tls_villain(short, ours.ca, short.ca) as upstream:
        code, lines = check(tmp_path, provider, redis, upstream.url, short, short)
    assert code == 0
    assert [line[:4] for line in lines] == ["warn", "warn"]
    assert all(line.endswith("is good for 13 days") for line in lines)


def test_an_upstream_that_wants_another_certificate_of_ours_is_told(
    tmp_path: Path, provider: RawProvider, redis: RedisProcess, own: Authority, ours: Authority
) -> None:
    stranger = authority(tmp_path / "stranger", "stranger.internal", hours=MONTH)
    with tls_villain(own, ours.ca) as upstream:
        refused = check(tmp_path, provider, redis, upstream.url, own, stranger)
        anonymous = check(tmp_path, provider, redis, upstream.url, own)
    said = "fail upstream of /api: reached, and ended by it: it was shown {}"
    assert refused[1][-1].startswith(said.format("ours"))
    assert anonymous[1][-1].startswith(said.format("none of ours"))
    assert (refused[0], anonymous[0]) == (1, 1)


def test_an_upstream_that_nobody_vouches_for_or_that_is_another_is_told(
    tmp_path: Path, provider: RawProvider, redis: RedisProcess, own: Authority
) -> None:
    expired = authority(tmp_path / "expired", "localhost", hours=0)
    with tls_villain(own) as upstream:
        by_address = upstream.url.replace("localhost", "127.0.0.1")
        unknown = check(tmp_path, provider, redis, upstream.url, None)
        misnamed = check(tmp_path, provider, redis, by_address, own)
    with tls_villain(expired) as upstream:
        over = check(tmp_path, provider, redis, upstream.url, expired)
    about = "fail upstream of /api: its certificate"
    assert unknown == (1, [f"{about} is not vouched for"])
    assert misnamed == (1, [f"{about} is for another address"])
    assert over == (1, [f"{about} has expired"])


def test_what_is_not_there_or_speaks_no_tls_is_told(
    tmp_path: Path, provider: RawProvider, redis: RedisProcess, own: Authority
) -> None:
    def babble() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 \x1b[31mcanary\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"https://localhost:{listening.getsockname()[1]}"
        speaking = threading.Thread(target=babble)
        speaking.start()
        plain = check(tmp_path, provider, redis, url, own)
        speaking.join(timeout=30)
    gone = check(tmp_path, provider, redis, url, own)
    assert plain == (1, ["fail upstream of /api: TLS cannot be agreed upon"])
    assert gone == (1, ["fail upstream of /api: cannot be reached"])
