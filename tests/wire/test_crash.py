"""kill -9 at the worst moments, and trouble of the provider as several processes see it."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from bff.provider.restraint import PATIENCE, PAUSE
from bff.simulator import Person
from tests.parts.answers import query, reason
from tests.parts.browser import Browser
from tests.parts.config import config
from tests.parts.control import Control
from tests.parts.minted import mint, refresh_token
from tests.parts.race import Patience, patiently
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import ORIGIN, Replica, replicas
from tests.parts.site import serving
from tests.parts.volley import shot, volley
from tests.wire.serve_process import served

REFRESH = "token:refresh_token"
# A lease as short as it may be: two exchanges of a second, two waits for the store.
SHORT = {
    "provider": 'assume_expires_in = "1ms"\ntotal_timeout = "1s"',
    "session": 'store_deadline = "500ms"',
    "more": '[refresh]\nlease = "3s"',
}


@pytest.fixture
def where(provider: Control, redis: RedisProcess) -> dict[str, Any]:
    return {
        "issuer": provider.simulator.issuer,
        "api": provider.simulator.api,
        "store": redis.url,
        **SHORT,
    }


@pytest.fixture
def both(tmp_path: Path, where: dict[str, Any]) -> Iterator[list[Replica]]:
    with replicas(tmp_path, **where) as found:
        yield found


@pytest.fixture
def person() -> Iterator[Person]:
    with Person("ada") as person:
        yield person


def sign_in(browser: Browser, person: Person, provider: Control) -> None:
    """A session whose access token is over at once; the next one will live."""
    provider.switch(omit_expires_in=True)
    assert browser.callback(person.visit(browser.to_provider())).status_code == 200
    provider.switch(omit_expires_in=False)


@contextlib.contextmanager
def asking(browser: Browser) -> Iterator[None]:
    """A request under way, which its process may not live to answer."""

    def ask() -> None:
        with contextlib.suppress(httpx.HTTPError):
            browser.fetch("GET", "/api/token")

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        yield
        asked.result()


def answered(browser: Browser, patience: Patience) -> httpx.Response:
    """The first answer that is no "later"."""
    while (answer := browser.fetch("GET", "/api/token")).status_code == 503:
        assert patience.left()
    return answer


@pytest.mark.rule("R-05")
def test_killed_before_the_provider_has_seen_the_request_the_next_process_goes_on(
    both: list[Replica], person: Person, provider: Control
) -> None:
    here, there = both
    with here.browsing() as ada:
        sign_in(ada, person, provider)
        provider.fault(REFRESH, at="before", hold=True, drop=True, count=1)
        with asking(ada):
            provider.held(REFRESH)
            here.kill()
        provider.release(REFRESH)  # and the connection breaks, unprocessed
        with there.browsing(ada) as elsewhere:
            assert answered(elsewhere, patiently()).status_code == 200
    processed = [entry for entry in provider.entries(REFRESH) if entry["processed"]]
    assert [entry["outcome"] for entry in processed] == ["ok"]


@pytest.mark.rule("R-05")
def test_killed_before_the_request_has_left_the_next_process_goes_on(
    tmp_path: Path, both: list[Replica], where: dict[str, Any], person: Person,
    provider: Control, redis: RedisProcess,
) -> None:  # fmt: skip
    there = both[1]
    with there.browsing() as ada:
        sign_in(ada, person, provider)
        # A process that has just started, and waits for the provider's metadata.
        provider.fault("discovery", hold=True)
        folder = tmp_path / "another"
        folder.mkdir()
        with contextlib.ExitStack() as stack:
            from_start = stack.enter_context(_starting(folder, where))
            with from_start.browsing(ada) as tab, asking(tab):
                wait_for_a_lease(redis, patiently())
                from_start.kill()
        provider.do("clear", {"endpoint": "discovery"})
        assert answered(ada, patiently()).status_code == 200
    assert provider.count(REFRESH) == 1


@contextlib.contextmanager
def _starting(folder: Path, where: dict[str, Any]) -> Iterator[Replica]:
    """A process that listens, whatever it thinks of its provider."""
    with served(folder, **where) as process:
        yield Replica(process)


def wait_for_a_lease(redis: RedisProcess, patience: Patience) -> None:
    """Return when somebody holds the lease of the one session there is."""
    with contextlib.closing(redis.client()) as store:
        while patience.left():
            hashes = [name for name in store.scan_iter() if store.type(name) == b"hash"]
            if any(store.hexists(name, "lo") for name in hashes):
                return
            threading.Event().wait(0.01)


@pytest.mark.rule("R-05")
def test_killed_after_the_provider_has_rotated_the_sign_in_is_interrupted_and_silently_renewed(
    both: list[Replica], person: Person, provider: Control
) -> None:
    here, there = both
    with here.browsing() as ada:
        sign_in(ada, person, provider)
        provider.fault(REFRESH, at="after", hold=True, count=1)
        with asking(ada):
            provider.held(REFRESH)
            here.kill()
        provider.release(REFRESH)
        with there.browsing(ada) as elsewhere:
            answer = answered(elsewhere, patiently())
            assert (answer.status_code, reason(answer)) == (401, "refresh_interrupted")
            login = elsewhere.navigate(
                answer.json()["login_url"] + "&return_to=%2Forders", site="same-origin"
            )
            assert query(login.headers["location"])["prompt"] == "none"
            landed = elsewhere.callback(person.visit(login.headers["location"]))
            assert (landed.status_code, "url=/orders" in landed.text) == (200, True)
            assert elsewhere.fetch("GET", "/api/token").status_code == 200


@pytest.mark.rule("R-07")
def test_a_failing_provider_is_asked_once_in_a_back_off_whatever_process_is_asked(
    both: list[Replica], person: Person, provider: Control
) -> None:
    here, there = both
    with here.browsing() as ada, there.browsing() as elsewhere:
        sign_in(ada, person, provider)
        elsewhere.cookies = dict(ada.cookies)
        provider.fault(REFRESH, status=500)
        patience = patiently()
        while patience.left() and provider.count(REFRESH) < 3:
            for browser in (ada, elsewhere):
                assert browser.fetch("GET", "/api/token").status_code == 503
        times = [entry["received_at"] for entry in provider.entries(REFRESH)]
        assert min(later - sooner for sooner, later in pairwise(times)) > 1.9
        provider.do("clear")
        assert {answered(each, patiently()).status_code for each in (ada, elsewhere)} == {200}


@pytest.mark.rule("R-07")
def test_the_time_that_the_provider_names_holds_in_every_process(
    both: list[Replica], person: Person, provider: Control
) -> None:
    here, there = both
    with here.browsing() as ada, there.browsing() as elsewhere:
        sign_in(ada, person, provider)
        elsewhere.cookies = dict(ada.cookies)
        provider.fault(REFRESH, status=503, retry_after=600, count=1)
        for browser in (ada, elsewhere) * 5:
            answer = browser.fetch("GET", "/api/token")
            assert (answer.status_code, reason(answer)) == (503, "provider_unavailable")
            assert 1 < int(answer.headers["retry-after"]) <= 600
    assert provider.count(REFRESH) == 1


@pytest.mark.rule("R-05")
@pytest.mark.parametrize("shift", [-300, 300])
def test_a_process_whose_wall_clock_is_wrong_behaves_as_the_others_do(
    tmp_path: Path, provider: Control, redis: RedisProcess, monkeypatch: pytest.MonkeyPatch,
    shift: int,
) -> None:  # fmt: skip
    parts: dict[str, Any] = {
        "issuer": provider.simulator.issuer,
        "api": provider.simulator.api,
        "store": redis.url,
        "provider": 'assume_expires_in = "1ms"',
    }
    provider.switch(access_token_seconds=120)
    with contextlib.ExitStack() as stack:
        (right,) = stack.enter_context(replicas(tmp_path, 1, **parts))
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "parts" / "clock"))
        monkeypatch.setenv("BFF_TEST_CLOCK_SHIFT", str(shift))
        folder = tmp_path / "shifted"
        folder.mkdir()
        (wrong,) = stack.enter_context(replicas(folder, 1, **parts))
        here, there = (stack.enter_context(each.browsing()) for each in (wrong, right))
        # Begun on one, ended on the other: a login lives ten minutes, by whose clock?
        with Person("ada") as person:
            there.cookies = here.cookies
            back = person.visit(here.to_provider())
            assert there.callback(back).status_code == 200
            here.cookies = there.cookies
        states = [
            each.fetch("GET", "/bff/session").json()["seconds_left"] for each in (here, there)
        ]
        for left in states:
            assert 1780 < left["idle"] <= 1800
            assert 110 < left["access_token"] <= 120
        tokens = {each.fetch("GET", "/api/token").json()["fingerprint"] for each in (here, there)}
        assert (len(tokens), provider.count(REFRESH)) == (1, 0)
        provider.switch(omit_expires_in=True)
        here.sign_in()
        provider.switch(omit_expires_in=False)
        there.cookies = here.cookies
        tokens = {each.fetch("GET", "/api/token").json()["fingerprint"] for each in (here, there)}
        assert (len(tokens), provider.count(REFRESH)) == (1, 1)


@pytest.mark.rule("R-07")
def test_two_hundred_sessions_together_do_not_press_a_provider_that_fails(
    provider: Control,
) -> None:
    connections = 20
    provider.switch(id_token_at_refresh=False)
    text = config(
        issuer=provider.simulator.issuer,
        api=provider.simulator.api,
        provider=f"connections = {connections}",
    )
    with serving(text) as site:
        waiting = {
            minted.cookie
            for minted in (
                mint(site, life=-1, refresh_token=refresh_token(provider.simulator))
                for _ in range(200)
            )
        }
        host = ORIGIN.partition("://")[2]

        def ask() -> None:
            cookies = sorted(waiting)
            hits = volley([shot(site.port, host, cookie) for cookie in cookies])
            for cookie, hit in zip(cookies, hits, strict=True):
                assert hit.status in (200, 503), hit.body
                if hit.status == 200:
                    waiting.discard(cookie)

        provider.fault("token", status=503)
        began = site.run(_now())
        while (asked := site.run(_now()) - began) < 4:
            ask()
        sent = provider.count(REFRESH)
        assert PATIENCE <= sent <= connections + PATIENCE + asked / (PAUSE / 2) + 1
        assert len(waiting) == 200
        provider.do("clear")
        patience = patiently()
        while patience.left() and waiting:
            ask()
    assert provider.count(REFRESH) == sent + 200


async def _now() -> float:
    return asyncio.get_running_loop().time()
