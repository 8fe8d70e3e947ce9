"""Refresh on real parts: unseen, once per session, and never a reason to be signed out."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conftest import Sites
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.event_source import listening
from tests.parts.raw import raw
from tests.parts.site import Site
from tests.parts.waiting import until

# Tokens whose life the provider does not say count as over at once; switch `omit_expires_in` off
# and the next one lives.
OVER = 'assume_expires_in = "1ms"\ntotal_timeout = "2s"'
REFRESH = "token:refresh_token"


@pytest.fixture
def site(sites: Sites, provider: Control, store: str) -> Site:
    return sites(store=store, provider=OVER)


@pytest.fixture
def ada(site: Site, provider: Control) -> Iterator[Browser]:
    """Ada, signed in, her access token over; the next one will live."""
    provider.switch(omit_expires_in=True)
    with browsing(site) as browser:
        browser.sign_in()
        provider.switch(omit_expires_in=False)
        yield browser


def fingerprint(browser: Browser) -> str:
    answer = browser.fetch("GET", "/api/token")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["fingerprint"])


def refused(answer: httpx.Response) -> tuple[int, str]:
    assert "set-cookie" not in answer.headers
    return answer.status_code, answer.json()["reason"]


@pytest.mark.rule("R-02", "R-01")
def test_an_expired_token_is_renewed_unseen_and_once(ada: Browser, provider: Control) -> None:
    first, second = fingerprint(ada), fingerprint(ada)
    assert first == second
    assert provider.count(REFRESH) == 1
    (entry,) = provider.entries(REFRESH)
    assert entry["authenticated"]


@pytest.mark.rule("R-03")
def test_the_new_refresh_token_is_used_next_and_the_old_one_never_again(
    ada: Browser, provider: Control
) -> None:
    provider.switch(omit_expires_in=True)  # every token is over at once: each call renews
    for _ in range(4):
        fingerprint(ada)
    outcomes = {entry["outcome"] for entry in provider.entries(REFRESH)}
    assert (provider.count(REFRESH), len(outcomes)) == (4, 1)


@pytest.mark.rule("R-04")
def test_parallel_requests_on_an_expired_token_cause_one_token_request(
    ada: Browser, site: Site, provider: Control
) -> None:
    barrier = threading.Barrier(40)

    def call(_: int) -> int:
        with browsing(site) as tab:
            tab.cookies = dict(ada.cookies)
            barrier.wait()
            return tab.fetch("GET", "/api/token").status_code

    with ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(call, range(40)))
    assert statuses == [200] * 40
    assert provider.count(REFRESH) == 1


@pytest.mark.rule("R-04")
def test_two_processes_cause_one_token_request(sites: Sites, provider: Control, redis: Any) -> None:
    here = sites(store="redis", provider=OVER)
    there = sites(store="redis", provider=OVER, session='idle = "31m"')  # another process
    provider.switch(omit_expires_in=True)
    with browsing(here) as ada:
        ada.sign_in()
        provider.switch(omit_expires_in=False)
        barrier = threading.Barrier(20)

        def call(number: int) -> tuple[int, str]:
            with browsing(here if number % 2 else there) as tab:
                tab.cookies = dict(ada.cookies)
                barrier.wait()
                answer = tab.fetch("GET", "/api/token")
                return answer.status_code, answer.json().get("fingerprint", answer.text)

        with ThreadPoolExecutor(20) as pool:
            answers = set(pool.map(call, range(20)))
    assert [status for status, _ in answers] == [200]
    assert provider.count(REFRESH) == 1


@pytest.mark.rule("R-05")
def test_a_browser_that_goes_away_does_not_cancel_a_refresh(
    ada: Browser, site: Site, provider: Control
) -> None:
    provider.fault(REFRESH, hold=True)
    with raw(site.port) as wire:
        cookie = "; ".join(f"{name}={each.value}" for name, each in ada.cookies.items())
        head = f"GET /api/token HTTP/1.1\r\nHost: {site.host}\r\nCookie: {cookie}\r\n"
        wire.send(f"{head}X-CSRF: 1\r\n\r\n".encode())
        provider.held(REFRESH)
    provider.release(REFRESH)
    provider.entries(REFRESH, 1)
    fingerprint(ada)
    assert provider.count(REFRESH) == 1


PASSING = [
    pytest.param({"status": 500}, id="500"),
    pytest.param({"status": 503}, id="503"),
    pytest.param({"status": 503, "retry_after": 7}, id="503 that names a time"),
    pytest.param({"status": 429, "retry_after": 7}, id="429"),
    pytest.param({"status": 401, "error": "invalid_client"}, id="a wrong client secret"),
    pytest.param({"status": 400, "error": "invalid_client"}, id="a wrong client secret, as 400"),
    pytest.param({"status": 400, "error": "invalid_request"}, id="a definite 400"),
    pytest.param({"status": 400, "body": ""}, id="an empty 400"),
    pytest.param({"at": "before", "drop": True}, id="a connection dropped before"),
    pytest.param({"at": "after", "drop": True}, id="a connection dropped after"),
    pytest.param({"status": 200, "body": "hello"}, id="200 that is no JSON"),
    pytest.param({"hold": True}, id="no answer in time"),
    pytest.param({"status": 302}, id="a redirect"),
]


@pytest.mark.rule("R-07")
@pytest.mark.parametrize("fault", PASSING)
def test_trouble_of_the_provider_is_not_the_persons_fault(
    ada: Browser, provider: Control, fault: dict[str, object]
) -> None:
    provider.fault(REFRESH, count=1, **fault)
    answer = ada.fetch("GET", "/api/token")
    assert refused(answer) == (503, "provider_unavailable")
    wait = int(answer.headers["retry-after"])
    assert wait == fault.get("retry_after", wait)
    assert 1 <= wait <= 7
    # While the provider is left alone nobody asks it, and the session lives.
    assert refused(ada.fetch("GET", "/api/token")) == (503, "provider_unavailable")
    assert ada.fetch("GET", "/bff/session").json()["authenticated"]
    assert len([each for each in provider.entries(REFRESH) if each["status"] == 200]) <= 1
    assert provider.count(REFRESH) <= 1


@pytest.mark.rule("R-07")
def test_after_the_back_off_the_session_goes_on(ada: Browser, provider: Control) -> None:
    provider.fault(REFRESH, count=1, status=500)
    assert ada.fetch("GET", "/api/token").status_code == 503
    while (answer := ada.fetch("GET", "/api/token")).status_code == 503:
        assert answer.json()["reason"] == "provider_unavailable"
    assert answer.status_code == 200
    assert provider.count(REFRESH) == 2


@pytest.mark.rule("R-06")
def test_invalid_grant_ends_the_session_and_says_where_to_sign_in(
    ada: Browser, provider: Control
) -> None:
    provider.do("revoke", {"sub": "ada"})
    for _ in range(2):
        answer = ada.fetch("GET", "/api/token")
        assert refused(answer) == (401, "refresh_rejected")
        assert answer.json()["login_url"] == "/bff/login"
    assert provider.count(REFRESH) == 1
    assert ada.fetch("GET", "/bff/session").json()["reason"] == "refresh_rejected"
    ada.sign_in()
    fingerprint(ada)


@pytest.mark.rule("E-08")
def test_a_rejected_refresh_is_told_to_the_auditor_with_the_request_that_met_it(
    ada: Browser, provider: Control, told: Callable[[], list[dict[str, Any]]]
) -> None:
    provider.do("revoke", {"sub": "ada"})
    answer = ada.fetch("GET", "/api/token")
    (line,) = [line for line in told() if line["event"] == "refresh_rejected"]
    assert line["audit"]
    assert line["request_id"] == answer.json()["request_id"]
    assert (line["peer"], line["frontend"]) == ("127.0.0.1", "default")


@pytest.mark.rule("R-09")
def test_without_a_refresh_token_an_expired_one_is_the_end_and_the_api_is_not_asked(
    site: Site, provider: Control
) -> None:
    provider.switch(omit_expires_in=True, drop_scopes=["offline_access"])
    with browsing(site) as ada:
        ada.sign_in()
        assert refused(ada.fetch("GET", "/api/token")) == (401, "session_expired")
    assert provider.count(REFRESH) == 0


@pytest.mark.rule("R-09", "S-15", "W-08")
def test_without_a_refresh_token_the_session_ends_with_the_access_token(
    sites: Sites, provider: Control, store: str
) -> None:
    provider.switch(access_token_seconds=3, drop_scopes=["offline_access"])
    with browsing(sites(store=store)) as ada:
        ada.sign_in()
        with listening(ada) as page:
            seen = [page.event()]
            while seen[-1][0] != "ended":
                seen.append(page.event())
            assert seen[-1] == ("ended", {"reason": "session_expired"})
        for method in ("GET", "POST"):
            assert not ada.fetch(method, "/bff/session").json()["authenticated"]
        assert refused(ada.fetch("GET", "/bff/sessions")) == (401, "session_expired")


@pytest.mark.rule("R-03")
def test_without_a_new_refresh_token_the_old_one_stays(ada: Browser, provider: Control) -> None:
    provider.switch(rotate=False, send_refresh_token_again=False, omit_expires_in=True)
    seen = {fingerprint(ada) for _ in range(3)}
    assert (len(seen), provider.count(REFRESH)) == (3, 3)


@pytest.mark.rule("I-13")
@pytest.mark.parametrize("departure", ["other_sub", "wrong_iss", "wrong_aud"])
def test_an_answer_that_names_another_ends_the_session_and_its_tokens_are_revoked(
    ada: Browser, provider: Control, departure: str
) -> None:
    provider.switch(id_token_at_refresh=True)
    provider.fault("id_token:refresh_token", departure=departure, count=1)
    assert refused(ada.fetch("GET", "/api/token")) == (401, "refresh_rejected")
    assert len(provider.entries("revoke", 1)) == 1
    assert refused(ada.fetch("GET", "/api/token")) == (401, "refresh_rejected")


@pytest.mark.rule("I-13", "R-07")
@pytest.mark.parametrize("departure", ["bad_signature", "alg_none", "expired"])
def test_an_answer_that_is_not_to_be_believed_proves_nothing_against_anybody(
    ada: Browser, provider: Control, departure: str
) -> None:
    """A clock that is wrong and a key that is not announced yet look like this."""
    provider.switch(id_token_at_refresh=True)
    provider.fault("id_token:refresh_token", departure=departure, count=1)
    answer = ada.fetch("GET", "/api/token")
    assert refused(answer) == (503, "provider_unavailable")
    assert "retry-after" in answer.headers
    provider.switch(id_token_at_refresh=False)
    until(lambda: ada.fetch("GET", "/api/token").status_code == 200)
    assert provider.count(REFRESH) == 2  # with the new refresh token: the old one was spent
    assert provider.count("revoke") == 0


@pytest.mark.rule("I-13")
def test_a_good_id_token_of_a_refresh_replaces_the_old_one(ada: Browser, provider: Control) -> None:
    provider.switch(id_token_at_refresh=True, omit_expires_in=True)
    for _ in range(3):
        fingerprint(ada)
    assert provider.count(REFRESH) == 3


@pytest.mark.rule("R-11", "S-14")
def test_a_logout_during_a_refresh_wins_and_what_the_refresh_got_is_revoked(
    ada: Browser, site: Site, provider: Control
) -> None:
    provider.fault(REFRESH, at="after", hold=True)
    with browsing(site) as tab, ThreadPoolExecutor(1) as pool:
        tab.cookies = dict(ada.cookies)
        call = pool.submit(tab.fetch, "GET", "/api/token")
        provider.held(REFRESH)
        assert ada.fetch("POST", "/bff/logout").status_code == 200
        provider.release(REFRESH)
        assert refused(call.result()) == (401, "session_ended")
        assert refused(tab.fetch("GET", "/api/token")) == (401, "session_ended")
    # One by the logout, for the token it knew; one for the token that came too late.
    assert len(provider.entries("revoke", 2)) == 2


@pytest.fixture
def ahead(sites: Sites, provider: Control, store: str) -> Iterator[Browser]:
    """Ada, whose token is in its last part from the beginning, and good for seconds."""
    provider.switch(access_token_seconds=60)
    site = sites(store=store, more="[refresh]\nahead = 0.9\njitter = 0.0\n", provider="")
    with browsing(site) as browser:
        provider.switch(access_token_seconds=5)
        browser.sign_in()
        provider.switch(access_token_seconds=600)
        yield browser


@pytest.mark.rule("R-02")
def test_in_its_last_part_a_token_is_renewed_behind_a_request_that_is_not_delayed(
    ahead: Browser, provider: Control
) -> None:
    provider.fault(REFRESH, hold=True)
    first = fingerprint(ahead)
    provider.held(REFRESH)
    assert fingerprint(ahead) == first
    provider.release(REFRESH)
    while fingerprint(ahead) == first:
        pass
    assert provider.count(REFRESH) == 1


@pytest.mark.rule("R-07")
def test_while_the_old_token_is_good_trouble_of_the_provider_is_not_seen(
    ahead: Browser, provider: Control
) -> None:
    provider.fault(REFRESH, status=500)
    first = fingerprint(ahead)
    provider.entries(REFRESH, 1)
    assert {fingerprint(ahead) for _ in range(5)} == {first}
    assert provider.count(REFRESH) == 1


@pytest.mark.rule("R-10")
def test_a_refresh_neither_slides_nor_lengthens_the_session(
    ada: Browser, provider: Control
) -> None:
    before = ada.fetch("GET", "/bff/session").json()["seconds_left"]
    ada.fetch("GET", "/api/token", headers={"x-bff-background": "1"})
    after = ada.fetch("GET", "/bff/session").json()["seconds_left"]
    assert provider.count(REFRESH) == 1
    assert after["idle"] <= before["idle"]
    assert after["lifetime"] <= before["lifetime"]
    assert after["access_token"] > before["access_token"]


@pytest.mark.rule("S-12")
def test_the_session_does_not_outlive_the_newest_refresh_token(
    ada: Browser, provider: Control
) -> None:
    provider.switch(refresh_expires_in=True, refresh_token_seconds=900, omit_expires_in=True)
    fingerprint(ada)
    assert 880 <= ada.fetch("GET", "/bff/session").json()["seconds_left"]["lifetime"] <= 900
    provider.switch(refresh_token_seconds=1800)
    fingerprint(ada)
    assert 1780 <= ada.fetch("GET", "/bff/session").json()["seconds_left"]["lifetime"] <= 1800
