"""Answers of the store that get lost, at each step of a login and a logout (C-03, C-14, O-11).

The store did what it was asked, and nobody heard of it: once, which a repetition mends, or for
good, after which nothing may be claimed that is not sure.
"""

import contextlib
from collections.abc import Iterator

import pytest

from bff.browser.front import Front
from bff.browser.logout import ticket_key
from bff.session.deadline import ConnectionLost
from bff.session.redis import RedisStore
from bff.session.seal import store_key
from bff.simulator import Person
from tests.conftest import Sites
from tests.parts.answers import cookie_lines, reason
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site
from tests.parts.waiting import until

SESSION, TICKET = "__Host-Http-bff", "__Host-Http-bff-logout"

pytestmark = pytest.mark.usefixtures("provider", "redis")


def front(site: Site) -> Front:
    return site.application.site.fronts["default"].front


@contextlib.contextmanager
def losing(site: Site, operation: str, *numbers: int) -> Iterator[None]:
    """The answers to these calls of the operation are lost; without numbers, all of them."""
    store = front(site).sessions.store
    assert isinstance(store, RedisStore)
    calls = 0

    async def hook(name: str, moment: str) -> None:
        nonlocal calls
        if (name, moment) == (operation, "after"):
            calls += 1
            if not numbers or calls in numbers:
                raise ConnectionLost

    store._hook = hook
    try:
        yield
    finally:
        store._hook = None


@pytest.fixture
def browser(sites: Sites) -> Iterator[Browser]:
    with browsing(sites(store="redis")) as browser:
        yield browser


def come_back(browser: Browser, sub: str = "ada") -> str:
    with Person(sub) as person:
        return person.visit(browser.to_provider())


@pytest.mark.rule("C-03")
def test_a_claim_whose_outcome_stays_unknown_ends_the_attempt(
    browser: Browser, provider: Control
) -> None:
    back = come_back(browser)
    (name,) = browser.cookies
    with losing(browser.site, "create"):
        answer = browser.callback(back)
    assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
    assert [line.partition(";")[0] for line in cookie_lines(answer)] == [f"{name}="]
    assert provider.count("token") == 0
    browser.sign_in()


@pytest.mark.rule("C-03")
@pytest.mark.rule("C-14")
@pytest.mark.parametrize(
    ("operation", "number"), [("create", 1), ("create", 2), ("index_add", 1), ("index_add", 2)]
)
def test_one_lost_answer_on_the_way_to_a_session_is_asked_for_again(
    browser: Browser, provider: Control, operation: str, number: int
) -> None:
    back = come_back(browser)
    with losing(browser.site, operation, number):
        assert browser.callback(back).status_code == 200
    assert provider.count("token") == 1
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("C-14")
@pytest.mark.parametrize("operation", ["create", "index_add"])
def test_a_record_that_may_have_been_written_gives_no_cookie_and_is_undone(
    browser: Browser, provider: Control, redis: RedisProcess, operation: str
) -> None:
    back = come_back(browser)
    calls = {"create": (2, 3), "index_add": (1, 2)}[operation]  # the first `create` is the claim
    with losing(browser.site, operation, *calls):
        answer = browser.callback(back)
    assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
    assert browser.session_cookie is None
    assert [entry["outcome"] for entry in provider.entries("revoke", 1)] == ["ok"]
    browser.site.settle()
    with redis.client() as keys:
        records = [keys.hgetall(key) for key in keys.scan_iter() if keys.type(key) == b"hash"]
    living = [record for record in records if record.get(b"k")]
    assert living == []  # no session that nobody has the id of
    browser.sign_in()


@pytest.mark.rule("C-13")
@pytest.mark.rule("S-07")
def test_a_former_session_that_may_not_have_ended_stops_the_login(
    browser: Browser, provider: Control
) -> None:
    browser.sign_in()
    before = browser.session_cookie
    back = come_back(browser, "grace")
    with losing(browser.site, "end"):
        answer = browser.callback(back)
    assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
    assert browser.session_cookie == before
    assert len(provider.entries("revoke", 1)) == 1  # what the new login had brought
    browser.sign_in()


@pytest.mark.rule("C-14", "R-07")
@pytest.mark.parametrize("trouble", ["userinfo", "index_add", "create"])
@pytest.mark.parametrize("sub", ["ada", "grace"])
def test_a_sign_in_that_fails_leaves_the_grant_of_the_same_person_s_live_session(
    sites: Sites, provider: Control, redis: RedisProcess, sub: str, trouble: str
) -> None:
    """Most providers hang all of one person's tokens on one grant: revoking one would end it."""
    with browsing(sites(store="redis", provider="userinfo = true")) as browser:
        browser.sign_in("ada")
        before = browser.session_cookie
        back = come_back(browser, sub)
        calls = (2, 3) if trouble == "create" else ()
        with losing(browser.site, trouble, *calls):
            if trouble == "userinfo":
                provider.fault("userinfo", status=503, count=1)
            assert browser.callback(back).status_code == 503
        assert browser.session_cookie == before
        if sub != "ada":
            assert provider.entries("revoke", 1)
        for _ in range(2):  # what is found out, and what follows from it
            browser.site.settle()
        assert provider.count("revoke") == (0 if sub == "ada" else 1)


@pytest.mark.rule("R-02", "S-07")
def test_a_lease_whose_answer_is_lost_is_given_back(
    sites: Sites, provider: Control, redis: RedisProcess
) -> None:
    """Nothing was presented under it: nobody is to wait for its end."""
    provider.switch(omit_expires_in=True)
    with browsing(sites(store="redis", provider='assume_expires_in = "1ms"')) as browser:
        browser.sign_in()
        provider.switch(omit_expires_in=False)
        with losing(browser.site, "lease"):
            answer = browser.fetch("GET", "/api/tasks")
            assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
            key = store_key("session", "default", (browser.session_cookie or "").split(".")[1])
            with redis.client() as keys:
                until(lambda: not keys.hexists(f"bff:{key}", "lo"))
        assert browser.fetch("GET", "/api/tasks").status_code == 200
    assert provider.count("token:refresh_token") == 1


@pytest.mark.rule("S-11")
def test_a_slide_that_fails_refuses_nothing(sites: Sites, redis: RedisProcess) -> None:
    with (
        browsing(sites(store="redis")) as browser,
        losing(browser.site, "touch"),
    ):
        browser.sign_in()
        key = "bff:" + store_key("session", "default", (browser.session_cookie or "").split(".")[1])
        with redis.client() as keys:  # seen long ago, and yet alive
            keys.hset(key, "se", 0)
        assert browser.fetch("GET", "/api/tasks").status_code == 200
        browser.site.settle()
        answer = browser.fetch("POST", "/bff/session")  # here the person asked for just that
        assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
        assert cookie_lines(answer) == []


@pytest.mark.rule("O-11")
def test_an_end_that_may_not_have_come_claims_nothing(browser: Browser, provider: Control) -> None:
    browser.sign_in()
    with losing(browser.site, "end"):
        answer = browser.fetch("POST", "/bff/logout")
    assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
    assert cookie_lines(answer) == []
    assert provider.count("revoke") == 0
    again = browser.fetch("POST", "/bff/logout")
    assert again.json() == {"logout_url": "/bff/logout/provider"}
    assert [entry["outcome"] for entry in provider.entries("revoke", 1)] == ["ok"]
    assert browser.session_cookie is None


@pytest.mark.rule("O-02")
@pytest.mark.rule("O-04")
def test_one_lost_answer_at_sign_out_still_revokes(browser: Browser, provider: Control) -> None:
    browser.sign_in()
    with losing(browser.site, "end", 1):
        answer = browser.fetch("POST", "/bff/logout")
    assert answer.json() == {"logout_url": "/bff/logout/provider"}
    assert [entry["outcome"] for entry in provider.entries("revoke", 1)] == ["ok"]


@pytest.mark.rule("O-08")
def test_a_ticket_that_could_not_be_kept_makes_the_sign_out_local(browser: Browser) -> None:
    browser.sign_in()
    with losing(browser.site, "create"):
        answer = browser.fetch("POST", "/bff/logout")
    assert answer.json() == {"logout_url": "/"}
    assert browser.session_cookie is None
    assert TICKET not in browser.cookies


@pytest.mark.rule("O-08")
@pytest.mark.rule("T-03")
def test_a_ticket_that_was_edited_in_the_store_leads_home(
    browser: Browser, redis: RedisProcess
) -> None:
    browser.sign_in()
    browser.fetch("POST", "/bff/logout")
    key = "bff:" + ticket_key(front(browser.site), browser.cookies[TICKET].value)
    with redis.client() as keys:
        sealed = keys.hget(key, "s")
        assert sealed is not None
        keys.hset(key, "s", sealed[:-1] + bytes([sealed[-1] ^ 1]))
    answer = browser.navigate("/bff/logout/provider", site="same-origin")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.rule("L-17")
@pytest.mark.rule("S-07")
def test_nobody_is_said_to_loop_while_the_store_cannot_say_who_is_signed_in(
    browser: Browser, redis: RedisProcess
) -> None:
    for _ in range(3):
        browser.sign_in()
    redis.stop()
    assert browser.navigate("/bff/login", site="same-origin").status_code == 303
    redis.start()  # with nothing in it: the cookie names no session any more
    stopped = browser.navigate("/bff/login", site="same-origin")
    assert (stopped.status_code, reason(stopped)) == (400, "login_loop")
