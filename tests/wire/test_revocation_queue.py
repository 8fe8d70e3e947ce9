"""A revocation that fails is queued, sealed, and tried again by any process (O-04, O-05)."""

import dataclasses
import threading
from collections.abc import Iterator

import pytest

from bff.keys import Keyring, new_key, parse_key
from bff.provider.revocation import RevocationAnswer, Revoked
from bff.session import revocations as room
from bff.session.revocations import LONGEST_PAUSE, SECONDS, pause_after
from tests.canary import RECORDER
from tests.conftest import Sites, Told
from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.control import Control
from tests.parts.race import patiently
from tests.parts.redis_process import RedisProcess
from tests.parts.revocations import queued, revocations, wait_until_queued, wait_until_revoked
from tests.parts.site import Site, serving
from tests.wire.test_outage import hung

pytestmark = [pytest.mark.usefixtures("provider"), pytest.mark.rule("O-05")]

PREFIX = 'prefix = "queue"'


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is looked at every tenth of a second, so that nobody waits for it."""
    monkeypatch.setattr(room, "POLL", 0.1)
    monkeypatch.setattr(room, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(room, "LONGEST_PAUSE", 0.2)


@pytest.fixture
def site(sites: Sites, redis: RedisProcess) -> Site:
    return sites(store="redis", session=PREFIX)


@pytest.fixture
def browser(site: Site) -> Iterator[Browser]:
    with browsing(site) as browser:
        yield browser


def sign_in_and_out(browser: Browser) -> None:
    browser.sign_in()
    assert browser.fetch("POST", "/bff/logout").status_code == 200


def outcomes(provider: Control) -> list[str]:
    return [entry["outcome"] for entry in provider.entries("revoke")]


@pytest.mark.rule("O-04")
@pytest.mark.parametrize(
    "trouble",
    [
        *({"status": 503}, {"status": 503, "retry_after": 0}, {"status": 429}, {"status": 502}),
        *({"status": 504}, {"drop": True}, {"drop": True, "at": "after"}),
    ],
    ids=str,
)
def test_a_revocation_that_fails_is_made_when_the_provider_is_back(
    browser: Browser, provider: Control, trouble: dict[str, object]
) -> None:
    provider.fault("revoke", **trouble)
    sign_in_and_out(browser)
    assert len(provider.entries("revoke", 2)) >= 2
    assert queued(browser.site) == 1
    provider.do("clear")
    wait_until_revoked(browser.site)
    assert outcomes(provider)[-1] == "ok"
    count = provider.count("revoke")
    browser.site.run(revocations(browser.site)._look())
    assert provider.count("revoke") == count  # once it is done it is done


def test_no_metadata_is_a_failure_as_well(browser: Browser, provider: Control) -> None:
    browser.sign_in()
    front = browser.site.application.site.fronts["default"].front
    front.server.discovery._cached.forget()
    provider.fault("discovery", status=503)
    assert browser.fetch("POST", "/bff/logout").status_code == 200
    wait_until_queued(browser.site)
    assert provider.count("revoke") == 0
    provider.do("clear")
    wait_until_revoked(browser.site)
    assert outcomes(provider) == ["ok"]


@pytest.mark.parametrize("trouble", [{"status": 400}, {"status": 401}, {"status": 500}], ids=str)
def test_a_definite_refusal_is_the_end(
    browser: Browser, provider: Control, trouble: dict[str, object], told: Told
) -> None:
    provider.fault("revoke", error="unsupported_token_type", **trouble)
    sign_in_and_out(browser)
    provider.entries("revoke", 1)
    browser.site.settle(30)
    assert queued(browser.site) == 0
    browser.site.run(revocations(browser.site)._look())
    assert provider.count("revoke") == 1
    assert [line for line in told() if line["event"] == "revocation_failed"]


def test_what_is_queued_and_then_refused_is_not_repeated(
    browser: Browser, provider: Control
) -> None:
    provider.fault("revoke", status=503, count=1)
    provider.fault("revoke", status=400)
    sign_in_and_out(browser)
    assert len(provider.entries("revoke", 2)) == 2
    wait_until_revoked(browser.site)
    assert provider.count("revoke") == 2


def test_what_is_queued_outlasts_a_secret_that_is_not_right_yet(
    browser: Browser, provider: Control
) -> None:
    """While a new one is rolled out, a replica with the other may come to it first."""
    provider.fault("revoke", status=503, count=1)
    provider.fault("revoke", status=401, error="invalid_client", count=2)
    sign_in_and_out(browser)
    wait_until_revoked(browser.site)
    assert provider.entries("revoke", 4)[-1]["outcome"] == "ok"


def test_another_process_finishes_what_one_has_left(site: Site, provider: Control) -> None:
    provider.fault("revoke", status=503)
    parts = {"issuer": provider.simulator.issuer, "api": provider.simulator.api}
    store = site.application.config.frontends[0].session.store.get_secret_value()
    with (
        serving(config(**parts, store=store, session=PREFIX)) as doomed,
        browsing(doomed) as browser,
    ):
        sign_in_and_out(browser)
        wait_until_queued(doomed)
    provider.do("clear")
    wait_until_queued(site, 0)  # whose own queue it never was
    assert outcomes(provider)[-1] == "ok"


def test_two_processes_are_not_both_at_it(site: Site, sites: Sites, provider: Control) -> None:
    other = sites(store="redis", session=PREFIX, more="# the other")
    provider.fault("revoke", status=503, count=1)
    provider.fault("revoke", hold=True)
    with browsing(site) as browser:
        sign_in_and_out(browser)
        provider.held("revoke")
        for each in (site, other):
            each.run(revocations(each)._look())  # the one that is held leaves nothing to do
        assert provider.ask("held", endpoint="revoke", count=1) == {"held": 1}
        provider.do("clear")
        wait_until_queued(site, 0)
    assert provider.count("revoke") == 2


def test_the_provider_is_left_alone_until_it_said(site: Site, provider: Control) -> None:
    provider.fault("revoke", status=503, retry_after=3000)
    with browsing(site) as browser:
        sign_in_and_out(browser)
        wait_until_queued(site)
        provider.entries("revoke", 2)  # the second says it again, to the queue
        site.run(revocations(site)._look())
        assert provider.count("revoke") == 2
        front = site.application.site.fronts["default"].front
        ((key, version),) = site.run(front.sessions.store.index_members([_list(site)]))
        lease = site.run(
            front.sessions.store.lease(key, version.decode(), owner="another", seconds=5)
        )
        assert lease.until is not None
        assert 2900 < lease.until - front.clock.now() <= 3000
        site.run(front.sessions.store.index_remove(_list(site), key))


def _list(site: Site) -> str:
    return revocations(site)._list


@pytest.mark.rule("T-02")
def test_it_waits_sealed_and_for_an_hour_at_most(
    browser: Browser, provider: Control, redis: RedisProcess
) -> None:
    provider.fault("revoke", status=503)
    sign_in_and_out(browser)
    wait_until_queued(browser.site)
    with redis.client() as keys:
        (member,) = keys.zrange(f"queue:{_list(browser.site)}", 0, -1)
        life = keys.pttl(b"queue:" + member.partition(b":")[0])  # its key, then its version
        held = redis.dump()
    assert 0 < life <= SECONDS * 1000
    token = provider.ask("secrets")["refresh_tokens"][-1]
    assert token.encode() not in held
    RECORDER.dumped(held)
    provider.do("clear")
    wait_until_revoked(browser.site)


def test_the_queue_is_bounded_and_the_rest_is_tried_here(
    browser: Browser, provider: Control, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    monkeypatch.setattr(room, "MOST", 0)
    provider.fault("revoke", status=503, retry_after=0)
    sign_in_and_out(browser)
    assert len(provider.entries("revoke", 4)) == 4  # once, and a few times more in this process
    browser.site.settle(30)
    assert queued(browser.site) == 0
    (line,) = [line for line in told() if line["event"] == "revocation_failed"]
    assert line["status"] == 503


def test_when_the_hour_is_over_it_is_given_up(
    browser: Browser, provider: Control, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    monkeypatch.setattr(room, "SECONDS", 2.0)
    provider.fault("revoke", status=503, retry_after=1)
    sign_in_and_out(browser)
    provider.entries("revoke", 3)
    wait_until_queued(browser.site, 0)
    assert "too_late" in [line.get("reason") for line in told()]


def test_a_key_that_is_not_here_leaves_it_to_those_who_have_it(
    browser: Browser, provider: Control
) -> None:
    provider.fault("revoke", status=503)
    sign_in_and_out(browser)
    wait_until_queued(browser.site)
    queue = revocations(browser.site)
    known = queue._sealer
    queue._sealer = dataclasses.replace(known, keyring=Keyring(current=parse_key(new_key())))
    count = -1
    while count != (count := provider.count("revoke")):  # a try that had begun before is over
        threading.Event().wait(0.3)
    provider.do("clear")
    browser.site.run(queue._look())
    assert (queued(browser.site), provider.count("revoke")) == (1, count)
    queue._sealer = known
    wait_until_revoked(browser.site)
    assert outcomes(provider)[-1] == "ok"


@pytest.mark.parametrize("spoiled", ["garbled", "gone"])
def test_what_cannot_be_read_is_struck_off(
    browser: Browser, provider: Control, redis: RedisProcess, told: Told, spoiled: str
) -> None:
    provider.fault("revoke", status=503)
    sign_in_and_out(browser)
    wait_until_queued(browser.site)
    with redis.client() as keys:
        ((member, _),) = keys.zrange(f"queue:{_list(browser.site)}", 0, -1, withscores=True)
        record = b"queue:" + member.partition(b":")[0]
        if spoiled == "gone":
            keys.delete(record)
        else:
            sealed = keys.hget(record, "s") or b""
            keys.hset(record, "s", sealed[:-1] + bytes([sealed[-1] ^ 1]))
    wait_until_queued(browser.site, 0)
    assert "ok" not in outcomes(provider)
    refused = [line for line in told() if line["event"] == "record_refused"]
    assert len(refused) == (1 if spoiled == "garbled" else 0)


def test_a_store_that_is_down_meanwhile_loses_none(
    browser: Browser, provider: Control, redis: RedisProcess, told: Told
) -> None:
    provider.fault("revoke", status=503)
    sign_in_and_out(browser)
    wait_until_queued(browser.site)
    with hung(redis):
        patience = patiently()
        while not failed_at(told, "revocation") and patience.left():
            threading.Event().wait(0.05)
        provider.do("clear")
    wait_until_revoked(browser.site)
    assert outcomes(provider)[-1] == "ok"


def failed_at(told: Told, operation: str) -> bool:
    return operation in [line.get("operation") for line in told()]


def test_a_store_that_is_down_leaves_the_few_tries_of_this_process(
    browser: Browser, provider: Control, redis: RedisProcess
) -> None:
    browser.sign_in()
    provider.fault("revoke", hold=True, status=503, retry_after=0, count=1)
    assert browser.fetch("POST", "/bff/logout").status_code == 200
    provider.held("revoke")
    with hung(redis):
        provider.release("revoke")
        assert [entry["outcome"] for entry in provider.entries("revoke", 2)] == ["", "ok"]


@pytest.mark.parametrize(
    ("named", "waited", "least", "most"),
    [
        pytest.param(30, 0.0, 30, 30, id="as long as the provider says"),
        pytest.param(0, 0.0, 0, 0, id="at once, if it says so"),
        pytest.param(None, 60.0, 60.0, 90.0, id="as long again as it has waited"),
        pytest.param(None, 3000.0, 120.0, 180.0, id="but not for ever"),
    ],
)
def test_how_long_it_is_put_off(
    named: int | None, waited: float, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LONGEST_PAUSE", LONGEST_PAUSE)
    answer = RevocationAnswer(outcome=Revoked.LATER, retry_after=named)
    assert least <= pause_after(answer, waited) <= most
