"""Sentinels and a cluster over TLS that is verified, and sentinels that demand a password.

Real servers that speak nothing but TLS, also among themselves, and announce the name that their
certificate holds.
"""

from collections.abc import Iterator

import pytest

from bff.simulator import Person
from tests.canary import RECORDER
from tests.conftest import Sites, Told
from tests.parts.answers import cookie_lines, reason
from tests.parts.browser import Browser, browsing
from tests.parts.certificates import Authority, authority
from tests.parts.config import config
from tests.parts.control import Control
from tests.parts.redis_group import ClusterOfThree, Watched, cluster_of_three, watched
from tests.parts.site import Site, serving
from tests.parts.waiting import until

PATIENT = 'store_deadline = "3s"'

pytestmark = pytest.mark.usefixtures("provider")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("ours"), "localhost")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("theirs"), "localhost")


@pytest.fixture(scope="module")
def group(ours: Authority) -> Iterator[Watched]:
    with watched(ours) as servers:
        yield servers


@pytest.fixture(scope="module")
def cluster(ours: Authority) -> Iterator[ClusterOfThree]:
    with cluster_of_three(ours) as servers:
        yield servers


def served(browser: Browser) -> bool:
    answer = browser.fetch("GET", "/api/tasks")
    assert cookie_lines(answer) == []
    if answer.status_code != 200:
        assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
    return answer.status_code == 200


def refused(site: Site, told: Told) -> set[object]:
    """What the log says of a login that finds no store."""
    with browsing(site) as browser, Person() as person:
        answer = browser.callback(person.visit(browser.to_provider()))
    assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
    lines = [line for line in told() if line["event"] == "store_failed"]
    assert {line["level"] for line in lines} == {"error"}
    return {line.get("error") for line in lines}


def test_sentinels_and_their_master_over_tls_through_a_failover(
    sites: Sites, ours: Authority, group: Watched
) -> None:
    with browsing(sites(store=group.url, session=f'ca_file = "{ours.ca}"\n{PATIENT}')) as browser:
        browser.sign_in()
        assert browser.fetch("POST", "/bff/session").status_code == 200
        group.can_fail_over()
        group.planned()
        until(lambda: served(browser))
        until(lambda: browser.fetch("POST", "/bff/logout").status_code == 200)


def test_a_cluster_over_tls(sites: Sites, ours: Authority, cluster: ClusterOfThree) -> None:
    session = f'ca_file = "{ours.ca}"\nwait_replicas = 0'
    site = sites(store=cluster.url, session=session)
    with browsing(site) as browser:
        for _ in range(4):  # records in several places, and not all on one server
            browser.sign_in()
            assert served(browser)
            assert browser.fetch("POST", "/bff/session").status_code == 200
        assert browser.fetch("POST", "/bff/logout").status_code == 200


@pytest.mark.rule("E-09")
@pytest.mark.parametrize("topology", ["group", "cluster"])
@pytest.mark.parametrize(
    "whose",
    [
        pytest.param("theirs", id="another authority"),
        pytest.param(None, id="an authority that the system does not know"),
    ],
)
def test_servers_that_cannot_prove_themselves_are_no_store(
    sites: Sites, request: pytest.FixtureRequest, told: Told, topology: str, whose: str | None
) -> None:
    servers: Watched | ClusterOfThree = request.getfixturevalue(topology)
    session = f'ca_file = "{request.getfixturevalue(whose).ca}"' if whose else ""
    errors = refused(sites(store=servers.url, session=session), told)
    assert "SSLCertVerificationError" in errors


@pytest.mark.rule("E-09")
def test_a_master_whose_certificate_lacks_its_announced_name_is_no_store(
    sites: Sites, ours: Authority, told: Told
) -> None:
    """The sentinel is believed, and names a server that cannot show that it is that one."""
    with watched(ours, announced="127.0.0.1") as servers:
        site = sites(store=servers.url, session=f'ca_file = "{ours.ca}"')
        assert "SSLCertVerificationError" in refused(site, told)


# --- sentinels that demand a password

RIGHT, WRONG = "open sesame, says the sentinel", "open barley, says somebody"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Watched]:
    for password in (RIGHT, WRONG):
        RECORDER.secret("sentinel_passwords", password)
    with watched(password=RIGHT) as servers:
        yield servers


def test_a_sentinel_is_told_its_password(sites: Sites, guarded: Watched) -> None:
    site = sites(store=guarded.url, session=f'sentinel_password = "{RIGHT}"\n{PATIENT}')
    with browsing(site) as browser:
        browser.sign_in()
        assert browser.fetch("GET", "/api/tasks").status_code == 200
        assert browser.fetch("POST", "/bff/logout").status_code == 200


@pytest.mark.rule("S-07")
@pytest.mark.parametrize(
    "session",
    [
        pytest.param(f'sentinel_password = "{WRONG}"', id="a wrong one"),
        pytest.param("", id="none"),
    ],
)
def test_without_the_right_password_there_is_no_store_and_the_log_says_why_and_not_what(
    provider: Control, guarded: Watched, told: Told, session: str
) -> None:
    where = {"issuer": provider.simulator.issuer, "api": provider.simulator.api}
    # By itself, as a site that found no store goes on asking and telling.
    with serving(config(store=guarded.url, session=session, **where)) as site:
        assert "AuthenticationError" in refused(site, told)
    assert WRONG not in str(told())
