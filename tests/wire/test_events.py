"""GET /bff/events over the wire: what a page is told of its session, by whoever changed it."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bff.app import Application
from bff.browser import events
from bff.journal.metrics import REQUESTS, snapshot
from bff.session.following import Following
from bff.session.memory import MemoryStore
from bff.session.store import Live, Store
from bff.simulator import Simulator
from tests.conftest import Sites, Told
from tests.parts.answers import reason
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.event_source import PATIENCE, EventSource, event_source, listening, request
from tests.parts.raw import raw
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import Replica, replicas
from tests.parts.site import Site

SHORT = 'idle = "3s"\nlifetime = "1h"'  # warned of after half of it
LONGER = 'idle = "8s"\nlifetime = "1h"'  # two processes may need more than three of them


def nobody_is_left(site: Site) -> bool:
    """Whether every place is given back, once everybody has gone."""
    site.run(asyncio.wait_for(site.application.site.users.gone(), PATIENCE))
    here = site.application.site.fronts["default"]
    streams, following = here.events.streams, here.front.sessions._following
    return not (streams.taken or streams._each or following._followers or here.events.held)


def refresh(page: Browser, provider: Control) -> None:
    """Use the API until the access token is another one."""
    before = provider.count("token:refresh_token")
    while provider.count("token:refresh_token") == before:
        page.fetch("GET", "/api/tasks", headers={"x-bff-background": "1"})


@pytest.fixture
def pair(
    tmp_path: Path, simulator: Simulator, provider: Control, redis: RedisProcess
) -> Iterator[tuple[Replica, Replica]]:
    """Two processes on one store."""
    parts = {"issuer": simulator.issuer, "api": simulator.api, "store": redis.url}
    with replicas(tmp_path, 2, **parts, session=LONGER) as (here, there):
        yield here, there


def counted(status: str) -> float:
    """How many requests for events have been answered in that class."""
    found = dict(snapshot(()).get(REQUESTS.name, ()))
    value = found.get(("default", "/bff/events", status), 0.0)
    assert isinstance(value, float)
    return value


def test_a_stream_and_a_refused_one_are_counted(browser: Browser) -> None:
    before = counted("2xx"), counted("4xx")
    with raw(browser.site.port) as wire:
        wire.send(request(browser))
        assert wire.head()[0] == 401
    browser.sign_in()
    with event_source(browser) as source:
        assert source.status == 200
    assert (counted("2xx"), counted("4xx")) == (before[0] + 1, before[1] + 1)


# --- before the stream


@pytest.mark.rule("W-08", "X-01", "X-03")
@pytest.mark.parametrize(
    ("fields", "status", "why"),
    [
        ({"sec-fetch-site": "same-origin"}, 401, "no_session"),
        ({"sec-fetch-site": "cross-site"}, 403, "cross_site"),
        ({"sec-fetch-site": "same-site"}, 403, "cross_site"),
        ({"sec-fetch-site": "none"}, 403, "not_same_origin"),
        ({"origin": "https://evil.example"}, 403, "cross_site"),
        ({}, 403, "not_same_origin"),
    ],
)
def test_a_stream_is_refused_as_every_fetch_is(
    browser: Browser, fields: dict[str, str], status: int, why: str
) -> None:
    answer = browser.request("GET", "/bff/events", site=None, headers=fields)
    assert (answer.status_code, reason(answer)) == (status, why)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().get("login_url") == ("/bff/login" if status == 401 else None)


@pytest.mark.rule("W-08", "S-06")
def test_a_session_that_is_over_is_told_before_a_stream_begins(browser: Browser) -> None:
    browser.sign_in()
    cookies = dict(browser.cookies)
    browser.fetch("POST", "/bff/logout")
    browser.cookies = cookies
    answer = browser.fetch("GET", "/bff/events")
    assert (answer.status_code, reason(answer)) == (401, "session_ended")
    assert nobody_is_left(browser.site)


@pytest.mark.rule("W-08", "S-07")
def test_a_store_that_cannot_say_is_503(
    sites: Sites, provider: Control, redis: RedisProcess
) -> None:
    with browsing(sites(store="redis")) as page:
        page.sign_in()
        redis.stop()
        answer = page.fetch("GET", "/bff/events")
        assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
        assert answer.headers["retry-after"]
        assert nobody_is_left(page.site)


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE"])
def test_events_are_only_for_get(browser: Browser, method: str) -> None:
    answer = browser.fetch(method, "/bff/events")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.rule("W-08", "Q-24")
def test_a_stream_has_its_place_among_streams_and_none_among_requests(
    sites: Sites, provider: Control
) -> None:
    more = "[limits]\nstreams_per_session = 2\nrequests_per_session = 1"
    with browsing(sites(more=more)) as page, browsing(page.site) as other:
        page.sign_in()
        other.sign_in("grace")
        with listening(page), listening(page):
            answer = page.fetch("GET", "/bff/events")
            assert (answer.status_code, reason(answer)) == (503, "overloaded")
            assert answer.headers["retry-after"]
            assert page.fetch("GET", "/api/tasks").status_code == 200
            with listening(other):
                pass
        assert nobody_is_left(page.site)


# --- what a page is told


@pytest.mark.rule("W-08", "S-15")
def test_the_present_state_comes_first_and_nothing_personal(
    sites: Sites, provider: Control, store: str
) -> None:
    with browsing(sites(store=store)) as page:
        page.sign_in()
        with event_source(page) as source:
            fields = dict(source.fields)
            assert fields["content-type"] == "text/event-stream"
            assert fields["cache-control"] == "no-store"
            assert fields["x-content-type-options"] == "nosniff"
            name, data = source.event()
        assert (name, set(data)) == ("session", {"seconds_left"})
        told = page.fetch("GET", "/bff/session").json()["seconds_left"]
        for what, left in data["seconds_left"].items():
            assert told[what] == pytest.approx(left, abs=30)
        assert nobody_is_left(page.site)


@pytest.mark.rule("W-08")
def test_a_renewed_token_is_told_to_every_page_of_the_session_and_to_no_other(
    sites: Sites, provider: Control, store: str
) -> None:
    with browsing(sites(store=store)) as page, browsing(page.site) as other:
        other.sign_in("grace")
        provider.switch(access_token_seconds=2)
        page.sign_in()
        with listening(page) as first, listening(page) as second, listening(other) as foreign:
            provider.switch(access_token_seconds=300)
            refresh(page, provider)
            for source in (first, second):
                name, data = source.event()
                assert (name, set(data)) == ("refreshed", {"seconds_left"})
                assert data["seconds_left"]["access_token"] > 200
            other.fetch("POST", "/bff/logout")
            assert foreign.event() == ("ended", {"reason": "session_ended"})


@pytest.mark.rule("W-08", "S-11")
def test_an_idle_session_is_announced_kept_alive_by_another_tab_and_ends_in_the_end(
    sites: Sites, provider: Control, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    monkeypatch.setattr("bff.session.following.LOOK_EVERY", 3600.0)  # the stream's own timer tells
    with browsing(sites(store=store, session=f'{SHORT}\nexpiring = "1h"')) as page:
        page.sign_in()
        with listening(page) as source:
            name, data = source.event()
            assert (name, data["cause"]) == ("expiring", "idle")
            assert data["seconds_left"]["idle"] <= 1
            assert page.fetch("POST", "/bff/session").status_code == 200  # "stay signed in"
            name, data = source.event()
            assert (name, set(data)) == ("session", {"seconds_left"})
            name, data = source.event()  # once for this approach as well
            assert (name, data["cause"]) == ("expiring", "idle")
            # Holding the stream kept nothing alive, and nobody announces that a record expires.
            assert source.event() == ("ended", {"reason": "session_expired"})
            assert source.ends()
        assert page.fetch("GET", "/bff/events").status_code == 401
        assert nobody_is_left(page.site)


@pytest.mark.rule("W-08")
def test_a_page_that_comes_late_is_warned_as_well(sites: Sites, provider: Control) -> None:
    with browsing(sites(session=SHORT)) as page:
        page.sign_in()
        with listening(page) as first:
            assert first.event()[0] == "expiring"
            with listening(page) as second:
                assert second.event()[0] == "expiring"


@pytest.mark.rule("W-08", "S-10")
def test_the_end_of_the_lifetime_is_announced_and_sliding_does_not_help(
    sites: Sites, provider: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bff.session.following.LOOK_EVERY", 3600.0)
    with browsing(sites(session='idle = "6s"\nlifetime = "6s"\nexpiring = "3s"')) as page:
        page.sign_in()
        with listening(page) as source:
            page.fetch("POST", "/bff/session")
            name, data = source.event()
            assert (name, data["cause"]) == ("expiring", "lifetime")
            page.fetch("POST", "/bff/session")
            assert source.event() == ("ended", {"reason": "session_expired"})


@pytest.mark.rule("W-08", "S-12")
def test_the_end_of_the_refresh_token_is_announced_and_a_refresh_takes_it_back(
    sites: Sites, provider: Control
) -> None:
    with browsing(sites(session='idle = "1h"')) as page:
        # Two seconds before its end at most: half of what it was given.
        provider.switch(refresh_expires_in=True, refresh_token_seconds=4, access_token_seconds=2)
        page.sign_in()
        with listening(page) as source:
            name, data = source.event()
            assert (name, data["cause"]) == ("expiring", "lifetime")
            provider.switch(refresh_token_seconds=3600, access_token_seconds=300)
            refresh(page, provider)
            name, data = source.event()
            assert name == "refreshed"
            assert data["seconds_left"]["lifetime"] > 1000


@pytest.mark.rule("W-08", "S-14")
def test_what_another_process_does_is_told_as_well(
    provider: Control, pair: tuple[Replica, Replica]
) -> None:
    here, there = pair
    provider.switch(access_token_seconds=2)
    with here.browsing() as page:
        page.sign_in()
        with there.browsing(page) as elsewhere, listening(page) as source:
            assert source.event()[0] == "expiring"
            assert elsewhere.fetch("POST", "/bff/session").status_code == 200
            assert source.event()[0] == "session"
            provider.switch(access_token_seconds=300)
            refresh(elsewhere, provider)
            names = [source.event()[0]]
            while names[-1] != "refreshed":
                names.append(source.event()[0])
            assert names in (["refreshed"], ["expiring", "refreshed"])  # it took its time
            assert elsewhere.fetch("POST", "/bff/logout").status_code == 200
            while (event := source.event())[0] == "expiring":
                pass
            assert event == ("ended", {"reason": "session_ended"})
            assert source.ends()


@pytest.mark.rule("W-08")
def test_an_end_that_nobody_announced_is_found_and_an_outage_ends_nothing(
    sites: Sites, provider: Control, redis: RedisProcess
) -> None:
    with browsing(sites(store="redis")) as page:
        page.sign_in()
        following = page.site.application.site.fronts["default"].front.sessions._following
        with listening(page) as source:
            redis.stop()
            page.site.run(following._look_at_all())
            redis.start()  # with nothing in it
            assert source.event() == ("ended", {"reason": "session_expired"})


@pytest.mark.rule("W-08", "E-05")
def test_a_follower_that_breaks_hides_no_news_from_the_others(
    sites: Sites, provider: Control, told: Told
) -> None:
    def breaks(_: object) -> None:
        raise ZeroDivisionError

    async def follow(following: Following, store: Store) -> None:
        (key,) = following._followers
        live = await store.peek(key)
        assert isinstance(live, Live)
        for _ in range(64):  # some of them hear it before the page
            following.follow(key, live, breaks, breaks, None)

    with browsing(sites()) as page:
        page.sign_in()
        sessions = page.site.application.site.fronts["default"].front.sessions
        with listening(page) as source:
            page.site.run(follow(sessions._following, sessions.store))
            page.site.run(sessions._following._look_at_all())
            page.fetch("POST", "/bff/logout")
            assert source.event() == ("ended", {"reason": "session_ended"})
        assert nobody_is_left(page.site)
    assert {line["error"] for line in told() if line["event"] == "crashed"} == {"ZeroDivisionError"}


# --- the stream as a stream


@pytest.mark.rule("W-08")
def test_a_silent_stream_has_a_comment_now_and_then(
    sites: Sites, provider: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bff.browser.events.COMMENT_EVERY", 0.05)
    with browsing(sites()) as page:
        page.sign_in()
        with listening(page) as source:
            assert [source.block() for _ in range(3)] == [b":"] * 3


@pytest.mark.rule("W-08")
def test_a_page_that_goes_away_is_forgotten(sites: Sites, provider: Control) -> None:
    with browsing(sites()) as page:
        page.sign_in()
        with listening(page), listening(page):
            pass
        assert nobody_is_left(page.site)


@pytest.mark.rule("W-08", "Q-15")
def test_a_page_that_does_not_read_is_dropped_and_takes_no_memory(
    sites: Sites, provider: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bff.browser.events.COMMENT_EVERY", 0.001)
    monkeypatch.setattr("bff.browser.events.COMMENT", b":" * 65536 + b"\n\n")
    with browsing(sites()) as page:
        page.sign_in()
        with listening(page):  # and no further
            assert nobody_is_left(page.site)


def enlarging(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let that event be more than a connection takes at once."""
    small = events._event

    def large(event: str, document: object) -> bytes:
        found = small(event, document)
        return b":" + b"." * 8 * 1024 * 1024 + b"\n" + found if event == name else found

    monkeypatch.setattr(events, "_event", large)


@pytest.mark.rule("W-08", "Q-24")
def test_the_last_event_may_be_more_than_the_connection_takes_at_once(
    sites: Sites, provider: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    enlarging(monkeypatch, "ended")
    with browsing(sites()) as page:
        page.sign_in()
        with listening(page) as first, listening(page) as second:
            page.fetch("POST", "/bff/logout")
            for source in (first, second):
                block = source.block()
                assert block is not None
                assert block.endswith(b'data: {"reason":"session_ended"}')
                assert source.ends()
        assert nobody_is_left(page.site)


@pytest.mark.rule("W-08", "Q-15")
def test_a_page_that_does_not_read_the_first_event_is_dropped(
    sites: Sites, provider: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    enlarging(monkeypatch, "session")
    with browsing(sites()) as page:
        page.sign_in()
        with event_source(page):  # its head, and no further
            assert nobody_is_left(page.site)


@pytest.mark.rule("D-08", "W-08")
def test_a_process_that_stops_ends_its_streams_whole(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    parts = {"issuer": simulator.issuer, "api": simulator.api, "store": redis.url}
    with replicas(tmp_path, 2, **parts) as (here, there), here.browsing() as page:
        page.sign_in()
        with listening(page) as source:
            here.served.process.signal(signal.SIGTERM)
            while (block := source.block()) is not None:
                assert b"ended" not in block  # the session lives
            assert source.ended
            assert here.served.process.ended() == 0
        with there.browsing(page) as again, listening(again):
            pass  # the present state, from another process


@pytest.mark.rule("W-08")
def test_another_configuration_ends_the_streams_of_the_former_which_goes_with_them(
    sites: Sites, provider: Control
) -> None:
    with browsing(sites(store="redis", session='idle = "23m"')) as page:
        page.sign_in()
        application = page.site.application
        with listening(page) as source:
            page.site.run(_swapped(application))
            assert source.ends()
        with listening(page):  # the session lives
            page.site.run(_left(application))


async def _swapped(application: Application) -> None:
    application.swap(application.config)


async def _left(application: Application) -> None:
    """Return when the former site is closed."""
    await asyncio.wait_for(asyncio.gather(*application._leaving), PATIENCE)


def test_a_stream_that_opens_while_the_process_stops_says_what_there_is_and_ends(
    sites: Sites, provider: Control
) -> None:
    site = sites(session='idle = "24m"')
    here = site.application.site.fronts["default"].events
    with browsing(site) as page:
        page.sign_in()
        store = here.front.sessions.store
        assert isinstance(store, MemoryStore)

        async def stop(operation: str, stage: str) -> None:
            if (operation, stage) == ("peek", "after"):
                here.end()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "_hook", stop)
            with event_source(page) as source:
                assert source.event()[0] == "session"
                assert source.ends()
        assert nobody_is_left(site)


def test_a_request_in_the_queue_of_a_stream_is_answered_never_and_harms_nobody(
    sites: Sites, provider: Control
) -> None:
    with browsing(sites()) as page:
        page.sign_in()
        with raw(page.site.port, timeout=PATIENCE) as wire:
            wire.send(request(page) + request(page))
            source = EventSource(wire)
            assert source.event()[0] == "session"
            page.fetch("POST", "/bff/logout")
            assert source.event()[0] == "ended"
            assert source.ends()
        assert nobody_is_left(page.site)


def test_http_1_0_gets_its_events_until_the_connection_closes(
    sites: Sites, provider: Control
) -> None:
    with browsing(sites()) as page:
        page.sign_in()
        with raw(page.site.port, timeout=PATIENCE) as wire:
            wire.send(request(page).replace(b"HTTP/1.1", b"HTTP/1.0"))
            status, fields = wire.head()
            assert (status, dict(fields).get("transfer-encoding")) == (200, None)
            page.fetch("POST", "/bff/logout")
            body = wire.rest()
            assert body.startswith(b"event: session\n")
            assert body.endswith(b'event: ended\ndata: {"reason":"session_ended"}\n\n')


# --- many


@pytest.mark.rule("W-08")
def test_the_streams_of_a_process_share_what_they_ask_of_redis(
    sites: Sites, provider: Control, redis: RedisProcess
) -> None:
    with browsing(sites(store="redis")) as page, contextlib.ExitStack() as stack:
        page.sign_in()
        stack.enter_context(listening(page))
        page.site.settle()
        before = redis.do("CLIENT", "LIST").count(b"\n")
        sources = [stack.enter_context(listening(page)) for _ in range(20)]
        assert redis.do("CLIENT", "LIST").count(b"\n") <= before + 1  # a line that was not needed
        page.fetch("POST", "/bff/logout")
        assert {source.event()[0] for source in sources} == {"ended"}


@pytest.mark.rule("W-08")
def test_a_thousand_streams_open_at_once_and_end_with_one_logout(
    sites: Sites, provider: Control
) -> None:
    count = 1000
    # A thousand openings may keep a busy machine, and its Redis, for more than a second.
    patient = {"session": 'store_deadline = "4s"'}
    site = sites(store="redis", **patient, more=f"[limits]\nstreams_per_session = {count}")
    with browsing(site) as page:
        page.sign_in()
        asked = request(page)
        open_ones = [0]

        async def one(all_open: asyncio.Event) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            with contextlib.closing(writer):
                writer.write(asked)
                text = await reader.readuntil(b"event: session\n")
                open_ones[0] += 1
                if open_ones[0] == count:
                    all_open.set()
                return text + await reader.read()

        async def all_of_them() -> list[bytes]:
            all_open = asyncio.Event()
            streams = [asyncio.create_task(one(all_open)) for _ in range(count)]
            await asyncio.wait_for(all_open.wait(), 3 * PATIENCE)
            out = await asyncio.to_thread(page.fetch, "POST", "/bff/logout")
            assert out.status_code == 200
            return await asyncio.wait_for(asyncio.gather(*streams), PATIENCE)

        texts = asyncio.run(all_of_them())
    last = b'event: ended\ndata: {"reason":"session_ended"}\n\n\r\n0\r\n\r\n'
    assert sum(text.endswith(last) for text in texts) == count
    assert nobody_is_left(site)
