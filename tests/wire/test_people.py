"""The sessions of one person over the wire: listed, ended from elsewhere, bounded (S-16, S-17)."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest

from bff.browser.front import Front
from bff.session.deadline import ConnectionLost
from bff.session.memory import MemoryStore
from bff.simulator import Person
from tests.conftest import Sites, Told
from tests.parts.answers import reason
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.event_source import listening
from tests.parts.minted import mint
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"

OVER = ("logout", "session_killed")

pytestmark = pytest.mark.usefixtures("provider")


def front(site: Site) -> Front:
    return site.application.site.fronts["default"].front


def sessions(page: Browser) -> list[dict[str, Any]]:
    answer = page.fetch("GET", "/bff/sessions")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    listed: list[dict[str, Any]] = answer.json()["sessions"]
    return listed


def own(page: Browser) -> str:
    (handle,) = [each["handle"] for each in sessions(page) if each["current"]]
    assert isinstance(handle, str)
    return handle


def signed_in(page: Browser) -> bool:
    answer = page.fetch("GET", "/bff/session")
    assert answer.status_code == 200
    return bool(answer.json()["authenticated"])


def later(site: Site, seconds: float) -> None:
    """In the memory of this process it is that much later from now on."""
    clock = front(site).clock
    clock.observe(clock.now() + seconds, time.monotonic())  # type: ignore[attr-defined]


def empty_memory(site: Site) -> None:
    """Nobody is signed in; a Redis is emptied before each test anyway."""
    store = front(site).sessions.store
    if isinstance(store, MemoryStore):
        store._entries.clear()
        store._index.clear()


@contextmanager
def several(site: Site, *subs: str) -> Iterator[list[Browser]]:
    """A browser for each of these people, signed in one after the other, and nobody else."""
    empty_memory(site)
    with ExitStack() as stack:
        pages = [stack.enter_context(browsing(site)) for _ in subs]
        for page, sub in zip(pages, subs, strict=True):
            page.sign_in(sub)
        yield pages


# --- the list


@pytest.mark.rule("S-16")
def test_a_person_sees_their_own_sessions_the_newest_first(sites: Sites, store: str) -> None:
    site = sites(store=store)
    with several(site, "ada", "grace") as (first, grace), browsing(site) as second:
        second.http.headers["user-agent"] = FIREFOX
        second.sign_in("ada")
        listed = sessions(second)
        assert [each["current"] for each in listed] == [True, False]
        assert [each["device"] for each in listed] == ["Firefox on Linux", "Unknown device"]
        assert {frozenset(each) for each in listed} == {
            frozenset({"handle", "device", "created_at", "last_seen_at", "current"})
        }
        for each in listed:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", each["created_at"])
            created, seen = (
                datetime.fromisoformat(each[name]) for name in ("created_at", "last_seen_at")
            )
            assert created <= seen
        assert [each["handle"] for each in sessions(first)] == [each["handle"] for each in listed]
        assert [each["current"] for each in sessions(first)] == [False, True]
        assert len(sessions(grace)) == 1


@pytest.mark.rule("S-16", "S-04")
def test_a_handle_is_no_session_id(sites: Sites) -> None:
    site = sites()
    with several(site, "ada") as (page,):
        value = page.session_cookie
        assert value is not None
        name = next(iter(page.cookies))
        handle = own(page)
        assert handle not in value
        page.cookies[name].value = value.replace(value.split(".")[1], handle)
        assert not signed_in(page)


@pytest.mark.rule("S-16")
def test_last_seen_is_when_the_session_was_used(sites: Sites) -> None:
    site = sites(session='idle = "20m"')
    with several(site, "ada") as (page,):
        (before,) = sessions(page)
        later(site, 600)
        (unused,) = sessions(page)
        assert unused["last_seen_at"] == before["last_seen_at"]  # looking is no use of it
        page.fetch("POST", "/bff/session")
        (after,) = sessions(page)
        assert after["last_seen_at"] > before["last_seen_at"]
        assert after["created_at"] == before["created_at"]


@pytest.mark.rule("S-16")
@pytest.mark.parametrize(("configured", "shown"), [("true", "203.0.113.9"), ("false", None)])
def test_an_address_is_kept_and_shown_only_where_configured(
    sites: Sites, redis: RedisProcess, configured: str, shown: str | None
) -> None:
    more = '[operate]\ntrusted_proxies = ["127.0.0.0/8"]'
    site = sites(store="redis", session=f"addresses = {configured}", more=more)
    with browsing(site) as page:
        page.http.headers["x-forwarded-for"] = "203.0.113.9"
        page.sign_in()
        (listed,) = sessions(page)
        assert listed.get("address") == shown
        assert b"203.0.113.9" not in redis.dump()  # sealed, where it is


@pytest.mark.rule("S-16", "X-01", "X-02")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/bff/sessions"),
        ("DELETE", "/bff/sessions"),
        ("DELETE", "/bff/sessions?except=current"),
        ("DELETE", "/bff/sessions/x"),
    ],
)
def test_only_our_own_page_may_ask(sites: Sites, method: str, path: str) -> None:
    with several(sites(), "ada") as (page,):
        refusals = [
            page.request(method, path, site="cross-site", strict=True),
            page.request(method, path, site="none"),
        ]
        if method == "DELETE":
            refusals.append(page.request(method, path))  # without the header
        assert {answer.status_code for answer in refusals} == {403}
        assert signed_in(page)
        page.cookies.clear()
        answer = page.fetch(method, path)
        assert (answer.status_code, reason(answer)) == (401, "no_session")


@pytest.mark.rule("S-16")
def test_sessions_that_are_over_are_not_listed_and_their_entries_go(
    sites: Sites, store: str
) -> None:
    site = sites(store=store)
    with several(site, "ada", "ada", "ada") as (page, out, idle):
        out.fetch("POST", "/bff/logout")
        sessions_of = front(site).sessions
        name = idle.session_cookie
        assert name is not None
        key = sessions_of._opened.key(name.split(".")[1])
        site.run(sessions_of.end_listed(key))  # without its entry, as if it had expired
        assert len(sessions(page)) == 1
        site.settle()
        identity = site.run(sessions_of.find(_session_id(page))).session.identity
        members = site.run(sessions_of.index.members("sub", identity.iss, identity.sub))
        assert key in members  # it might be one that is just beginning
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bff.session.people.SETTLED", -1.0)
            assert len(sessions(page)) == 1
            site.settle()
        members = site.run(sessions_of.index.members("sub", identity.iss, identity.sub))
        assert list(members) == [sessions_of._opened.key(_session_id(page))]


def _session_id(page: Browser) -> str:
    value = page.session_cookie
    assert value is not None
    return value.split(".")[1]


@pytest.mark.rule("S-16", "S-07")
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_store_that_cannot_say_is_503(sites: Sites, redis: RedisProcess, method: str) -> None:
    site = sites(store="redis")
    with several(site, "ada") as (page,):
        redis.stop()
        answer = page.fetch(method, "/bff/sessions")
        assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
        assert answer.headers["retry-after"]
        assert "set-cookie" not in answer.headers


# --- ending them


def empty(answer: httpx.Response) -> bool:
    """Whether it is a 204 as it must be. The cookie is not ours to touch here (S-13)."""
    fields = {"content-length", "transfer-encoding", "set-cookie"} & set(answer.headers)
    return (answer.status_code, answer.content, fields) == (204, b"", set())


@pytest.mark.rule("S-16", "S-13", "S-14", "W-05")
def test_one_is_ended_at_once_with_its_tabs_and_nothing_else(
    sites: Sites, provider: Control, told: Told, store: str
) -> None:
    site = sites(store=store)
    with several(site, "ada", "ada", "ada") as (page, meant, other):
        handle = own(meant)
        with listening(meant) as tab, listening(page):
            assert empty(page.fetch("DELETE", f"/bff/sessions/{handle}"))
            assert tab.event() == ("ended", {"reason": "session_ended"})
        answer = meant.fetch("GET", "/api/tasks")
        assert (answer.status_code, reason(answer)) == (401, "session_ended")
        assert signed_in(page)
        assert signed_in(other)
        assert len(sessions(page)) == 2
        assert empty(page.fetch("DELETE", f"/bff/sessions/{handle}"))  # idempotent
        site.settle()
        assert provider.count("revoke") == 0  # its tokens went with the record
    (line,) = [each for each in told() if each["event"] == "session_killed"]
    assert line["audit"]
    assert (line["frontend"], line["peer"]) == ("default", "127.0.0.1")
    assert line["request_id"]
    assert line["reason"] == "by_the_person"
    logins = [each for each in told() if each["event"] == "login"]
    assert (line["session"], line["person"]) == (logins[1]["session"], logins[1]["person"])


@pytest.mark.rule("S-16")
def test_another_persons_handle_and_an_unknown_one_end_nothing(sites: Sites, store: str) -> None:
    with several(sites(store=store), "ada", "grace") as (ada, grace):
        for handle in (own(grace), "A" * 16, "x"):
            assert empty(ada.fetch("DELETE", f"/bff/sessions/{handle}"))
        assert signed_in(grace)
        assert len(sessions(ada)) == 1


@pytest.mark.rule("S-16")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/bff/sessions/", 404),
        ("/bff/sessions/a/b", 404),
        ("/bff/sessions/a%20b", 404),
        ("/bff/sessions?except=curent", 400),
        ("/bff/sessions?except=current&x=1", 400),
        ("/bff/sessions?all", 400),
        ("/bff/sessions/abc?except=current", 400),
    ],
)
def test_what_is_not_understood_ends_nothing(sites: Sites, path: str, status: int) -> None:
    with several(sites(), "ada", "ada") as (page, other):
        assert page.fetch("DELETE", path).status_code == status
        assert signed_in(page)
        assert signed_in(other)


@pytest.mark.rule("S-16")
def test_all_others_end_and_the_one_that_asks_goes_on(sites: Sites, store: str) -> None:
    with several(sites(store=store), "ada", "grace", "ada", "ada") as (page, grace, *others):
        assert empty(page.fetch("DELETE", "/bff/sessions?except=current"))
        assert [signed_in(each) for each in (page, grace, *others)] == [True, True, False, False]
        assert len(sessions(page)) == 1


@pytest.mark.rule("S-16", "S-13")
def test_all_of_them_end_the_own_one_included(
    sites: Sites, provider: Control, told: Told, store: str
) -> None:
    with several(sites(store=store), "ada", "grace", "ada") as (page, grace, other):
        with listening(page) as tab:
            assert empty(page.fetch("DELETE", "/bff/sessions"))
            assert tab.event() == ("ended", {"reason": "session_ended"})
        assert page.session_cookie is not None
        assert [signed_in(each) for each in (page, grace, other)] == [False, True, False]
        assert provider.entries("revoke", 1)  # of the own one, whose cookie was at hand
        answer = page.fetch("DELETE", "/bff/sessions")
        assert (answer.status_code, reason(answer)) == (401, "session_ended")
    logins = [each["session"] for each in told() if each["event"] == "login"]
    audited = {each["session"]: each["event"] for each in told() if each["event"] in OVER}
    assert audited == {logins[0]: "logout", logins[2]: "session_killed"}


@pytest.mark.rule("S-16")
@pytest.mark.parametrize(
    "path", ["/bff/sessions", "/bff/sessions?except=current", "/bff/sessions/HANDLE"]
)
def test_ending_needs_a_recent_sign_in_and_the_way_to_one_is_named(
    sites: Sites, provider: Control, path: str
) -> None:
    site = sites()
    with browsing(site) as page:
        provider.fault("id_token", count=1, departure="old_auth_time")
        page.sign_in()
        path = path.replace("HANDLE", own(page))
        answer = page.fetch("DELETE", path)
        assert (answer.status_code, reason(answer)) == (403, "step_up_required")
        assert answer.json()["login_url"] == "/bff/login?max_age=300"
        assert signed_in(page)
        with Person("ada") as person:
            url = page.navigate(answer.json()["login_url"], site="same-origin").headers["location"]
            assert page.callback(person.visit(url)).status_code == 200
        path = f"/bff/sessions/{own(page)}" if "sessions/" in path else path
        assert empty(page.fetch("DELETE", path))


@pytest.mark.rule("S-16")
@pytest.mark.parametrize(
    ("departure", "lifetime"), [("auth_time_absent", "11h"), ("auth_time_zero", "13h")]
)
def test_a_provider_that_does_not_say_when_is_told_to_ask_the_person(
    sites: Sites, provider: Control, departure: str, lifetime: str
) -> None:
    site = sites(session=f'lifetime = "{lifetime}"')  # one whose clock nobody else puts forward
    with browsing(site) as page:
        provider.fault("id_token", count=2, departure=departure)
        page.sign_in()
        answer = page.fetch("DELETE", "/bff/sessions?except=current")
        assert (answer.status_code, reason(answer)) == (403, "step_up_required")
        assert answer.json()["login_url"] == "/bff/login?prompt=login"
        with Person("ada") as person:
            url = page.navigate(answer.json()["login_url"], site="same-origin").headers["location"]
            assert httpx.URL(url).params["prompt"] == "login"
            assert page.callback(person.visit(url)).status_code == 200
        assert empty(page.fetch("DELETE", "/bff/sessions?except=current"))
        later(site, 301 + 30)  # with the skew that clocks are forgiven
        answer = page.fetch("DELETE", "/bff/sessions?except=current")
        assert (answer.status_code, reason(answer)) == (403, "step_up_required")


# --- how many


@pytest.mark.rule("S-17")
def test_beyond_the_bound_the_oldest_session_of_that_person_ends(
    sites: Sites, provider: Control, told: Told, store: str
) -> None:
    site = sites(store=store, session="max_per_user = 2")
    with several(site, "ada", "grace", "ada", "ada") as (oldest, grace, second, newest):
        assert [signed_in(each) for each in (oldest, grace, second, newest)] == [
            False, True, True, True,
        ]  # fmt: skip
        answer = oldest.fetch("GET", "/api/tasks")
        assert (answer.status_code, reason(answer)) == (401, "session_ended")
        newest.sign_in("ada")  # once more in the same browser: its own former one does not count
        assert [signed_in(each) for each in (second, newest)] == [True, True]
    (line,) = [each for each in told() if each["event"] == "session_killed"]
    assert (line["audit"], line["reason"]) == (True, "max_per_user")


@pytest.mark.rule("S-17")
def test_of_many_logins_at_once_no_more_remain_than_the_bound(sites: Sites, store: str) -> None:
    site = sites(store=store, session="max_per_user = 3")
    empty_memory(site)
    people = front(site).people

    def login(_: int) -> None:
        mint(site)
        site.run(people.bound("ada"))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(login, range(32)))
    assert len(site.run(people.listed("ada"))) == 3


@pytest.mark.rule("S-17")
def test_reading_everybody_can_be_bounded_in_number_and_in_time(sites: Sites, store: str) -> None:
    site = sites(store=store)
    empty_memory(site)
    people = front(site).people
    for _ in range(3):
        mint(site)
    all_of_them, cut = site.run(people.some(most=3, seconds=20.0))
    assert (len(all_of_them), cut) == (3, False)
    assert all_of_them == site.run(people.everyone())
    few, cut = site.run(people.some(most=2, seconds=20.0))
    assert (len(few), cut) == (2, True)
    assert site.run(people.some(most=3, seconds=0.0))[1]


@pytest.mark.rule("S-17", "S-07")
def test_where_the_bound_cannot_be_held_nobody_is_signed_in(
    sites: Sites, provider: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = sites(store="memory:", session="max_per_user = 4")
    empty_memory(site)
    with browsing(site) as page:
        back = page.to_provider()
        store = front(site).sessions.store

        async def lost(operation: str, stage: str) -> None:
            if operation == "index_members" and stage == "before":
                raise ConnectionLost

        monkeypatch.setattr(store, "_hook", lost)
        with Person("ada") as person:
            answer = page.callback(person.visit(back))
        assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
        assert page.session_cookie is None
        site.settle()
        assert provider.entries("revoke", 1)
        monkeypatch.undo()
        page.sign_in()
        assert len(sessions(page)) == 1
