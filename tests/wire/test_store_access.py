"""How we come to Redis: over TLS that is verified, as a user with no right too many."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bff.simulator import Person
from tests.conftest import Sites, Told
from tests.parts.answers import reason
from tests.parts.browser import browsing
from tests.parts.certificates import Authority, authority
from tests.parts.redis_process import RedisProcess, free_port, redis_process

DOCS = Path(__file__).parents[2] / "docs" / "redis.md"

pytestmark = pytest.mark.usefixtures("provider")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("ours"), "localhost")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("theirs"), "localhost")


@pytest.fixture(scope="module")
def tls_port(ours: Authority) -> Iterator[int]:
    port = free_port()
    with redis_process(
        *("--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(ours.certificate), "--tls-key-file", str(ours.key)),
        *("--tls-ca-cert-file", str(ours.ca)),
    ):
        yield port


def test_a_store_over_tls_under_a_ca_of_the_house(
    sites: Sites, ours: Authority, tls_port: int
) -> None:
    site = sites(store=f"rediss://localhost:{tls_port}/0", session=f'ca_file = "{ours.ca}"')
    with browsing(site) as browser:
        browser.sign_in()
        assert browser.fetch("GET", "/api/tasks").status_code == 200
        assert browser.fetch("POST", "/bff/session").status_code == 200


@pytest.mark.rule("E-09")
@pytest.mark.parametrize(
    ("host", "whose"),
    [
        pytest.param("localhost", "theirs", id="another authority"),
        pytest.param("localhost", None, id="an authority that the system does not know"),
        pytest.param("127.0.0.1", "ours", id="a name that the certificate does not hold"),
    ],
)
def test_a_store_that_cannot_prove_itself_is_no_store(
    sites: Sites,
    request: pytest.FixtureRequest,
    told: Told,
    tls_port: int,
    host: str,
    whose: str | None,
) -> None:
    session = f'ca_file = "{request.getfixturevalue(whose).ca}"' if whose else ""
    site = sites(store=f"rediss://{host}:{tls_port}/0", session=session)
    with browsing(site) as browser, Person() as person:
        answer = browser.callback(person.visit(browser.to_provider()))
    assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
    lines = [line for line in told() if line["event"] == "store_failed"]
    assert "SSLCertVerificationError" in {line.get("error") for line in lines}
    assert {line["level"] for line in lines} == {"error"}


@contextlib.contextmanager
def user_of_the_docs(redis: RedisProcess) -> Iterator[str]:
    """The URL of a user with the rights that docs/redis.md names."""
    match = re.search(r"^ACL SETUSER (.*)$", DOCS.read_text(), re.MULTILINE)
    assert match is not None
    line = match[1].replace("PASSWORD", "s3cret").replace("PREFIX", "bff")
    redis.do("ACL", "SETUSER", *line.split())
    redis.do("ACL", "LOG", "RESET")
    try:
        yield f"redis://bff:s3cret@127.0.0.1:{redis.port}/0"
    finally:
        redis.do("ACL", "DELUSER", "bff")


def refusals(redis: RedisProcess) -> list[list[Any]]:
    """What Redis has refused to users, as flat lists of names and values."""
    found: list[list[Any]] = redis.do("ACL", "LOG")
    return found


def test_the_user_of_the_docs_may_do_all_that_is_needed(
    sites: Sites, redis: RedisProcess, told: Told
) -> None:
    with user_of_the_docs(redis) as url:
        site = sites(store=url)
        with browsing(site) as browser:
            browser.sign_in()
            assert browser.fetch("GET", "/api/tasks").status_code == 200
            assert browser.fetch("POST", "/bff/session").status_code == 200
            browser.sign_in("grace")
            assert browser.fetch("POST", "/bff/logout").status_code == 200
            site.settle()
            entries = [dict(zip(each[::2], each[1::2], strict=True)) for each in refusals(redis)]
            refused = [entry for entry in entries if entry[b"username"] == b"bff"]
            # redis-py says its own name when it connects, and does not mind a refusal.
            assert {entry[b"object"] for entry in refused} <= {b"client|setinfo"}
            lines = [line for line in told() if line["event"] == "store_failed"]
            failed = [line["error"] for line in lines if "error" in line]
            # The sites of this module that must not believe their store go on trying.
            assert set(failed) <= {"SSLCertVerificationError"}
