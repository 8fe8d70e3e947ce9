"""Several front ends in one process: chosen by the host, and strangers to each other."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from bff.config.load import Config, parse
from bff.journal.metrics import snapshot
from bff.simulator import Client, Person, Plan, Simulator, Switches, running
from tests.conftest import Told
from tests.parts.answers import query, reason
from tests.parts.browser import Browser, browsing
from tests.parts.config import SECRET
from tests.parts.control import Control, client
from tests.parts.event_source import listening
from tests.parts.frontends import frontend_text, several_text
from tests.parts.logout_token import ended, minted, send
from tests.parts.raw import raw, villain
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site, serving
from tests.wire.serve_process import PATIENCE, Served, run, served

SHOP, DESK = "https://shop.example.com", "https://desk.example.com"


@dataclass(frozen=True)
class Place:
    site: Site
    provider: Control

    def at(self, frontend: str) -> Site:
        return replace(self.site, frontend=frontend)


def settings(simulator: Simulator, *frontends: str, store: str = "memory:") -> Config:
    text = several_text(
        *frontends, issuer=simulator.issuer, store=store, provider="connections = 1000"
    )
    return parse(text, dev=True)


def shop(simulator: Simulator, **more: str) -> str:
    return frontend_text("shop", origin=SHOP, api=simulator.api, **more)


def desk(simulator: Simulator, **more: str) -> str:
    return frontend_text("desk", origin=DESK, api=simulator.api, **more)


@pytest.fixture(scope="module")
def company() -> Iterator[Simulator]:
    application = Client(
        client_id="spa",
        client_secret=SECRET,
        redirect_uris=tuple(f"{origin}/bff/callback" for origin in (SHOP, DESK)),
        post_logout_redirect_uris=tuple(f"{origin}/" for origin in (SHOP, DESK)),
    )
    with running(
        Plan(clients=(application,), switches=Switches(access_token_seconds=300))
    ) as simulator:
        yield simulator


@pytest.fixture
def place(company: Simulator) -> Iterator[Place]:
    with client() as http, serving(settings(company, shop(company), desk(company))) as site:
        provider = Control(company, http)
        provider.do("reset")
        yield Place(site, provider)


def test_each_host_has_its_own_sign_in_and_its_own_callback(place: Place) -> None:
    for name, origin in (("shop", SHOP), ("desk", DESK)):
        with browsing(place.at(name)) as page:
            asked = page.to_provider("/")
            assert query(asked)["redirect_uri"] == f"{origin}/bff/callback"
            page.sign_in()
            assert page.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("Q-12")
@pytest.mark.parametrize(
    "host", ["app.example.com", "example.com", "shop.example.com.evil.example", "127.0.0.1"]
)
def test_a_host_of_no_front_end_gets_421(place: Place, host: str) -> None:
    with browsing(place.at("shop")) as page:
        answer = page.fetch("GET", "/bff/session", headers={"host": host})
        assert (answer.status_code, reason(answer)) == (421, "unknown_origin")


@pytest.mark.rule("S-15")
def test_a_person_has_another_name_at_each(place: Place) -> None:
    names = set()
    for name in ("shop", "desk"):
        with browsing(place.at(name)) as page:
            page.sign_in()
            names.add(page.fetch("GET", "/bff/session").json()["person"])
    assert len(names) == 2


@pytest.mark.rule("S-18")
def test_a_cookie_of_one_means_nothing_at_the_other(place: Place, told: Told) -> None:
    with browsing(place.at("shop")) as page, browsing(place.at("desk")) as other:
        page.sign_in()
        other.cookies = dict(page.cookies)
        answer = other.fetch("GET", "/api/tasks")
        assert (answer.status_code, reason(answer)) == (401, "no_session")
        state = other.fetch("GET", "/bff/session").json()
        assert (state["authenticated"], state["reason"]) == (False, "no_session")
        assert other.fetch("POST", "/bff/logout").status_code == 200
        assert page.fetch("GET", "/api/tasks").status_code == 200
    forged = [each for each in told() if each["event"] == "cookie_forged"]
    assert {each["frontend"] for each in forged} == {"desk"}


@pytest.mark.rule("S-18", "C-02")
def test_a_callback_at_the_wrong_host_finds_no_sign_in(place: Place) -> None:
    with browsing(place.at("shop")) as page, browsing(place.at("desk")) as other:
        with Person("ada") as person:
            back = person.visit(page.to_provider("/"))
        other.cookies = dict(page.cookies)
        answer = other.callback(back)
        assert (answer.status_code, reason(answer)) == (400, "transaction_missing")
        assert place.provider.count("token:authorization_code") == 0
        assert page.callback(back).status_code == 200


@pytest.mark.rule("X-04", "X-05")
def test_the_page_of_one_is_another_site_to_the_other(place: Place) -> None:
    with browsing(place.at("shop")) as page:
        page.sign_in()
        answer = page.request(
            "POST", "/api/tasks", site=None, headers={"origin": DESK, "x-csrf": "1"}, json={}
        )
        assert answer.status_code == 403


def test_the_sessions_of_one_are_listed_and_ended_there_alone(place: Place) -> None:
    with browsing(place.at("shop")) as page, browsing(place.at("desk")) as other:
        page.sign_in()
        other.sign_in()
        assert len(page.fetch("GET", "/bff/sessions").json()["sessions"]) == 1
        assert page.fetch("DELETE", "/bff/sessions").status_code == 204
        assert page.fetch("GET", "/api/tasks").status_code == 401
        assert other.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("B-01")
def test_a_logout_token_ends_the_sessions_of_the_host_it_comes_to(place: Place, told: Told) -> None:
    with browsing(place.at("shop")) as page, browsing(place.at("desk")) as other:
        page.sign_in()
        other.sign_in()
        with listening(page) as tab:
            assert send(other.site, minted(place.provider, sub="ada")).status_code == 200
            assert ended(other)
            assert page.fetch("GET", "/api/tasks").status_code == 200
            assert send(page.site, minted(place.provider, sub="ada")).status_code == 200
            assert tab.event() == ("ended", {"reason": "session_ended"})
    found = [each["frontend"] for each in told() if each["event"] == "provider_logout"]
    assert found == ["desk", "shop"]


def test_requests_are_counted_by_front_end(place: Place) -> None:
    def counted() -> dict[tuple[str, ...], object]:
        return dict(snapshot([])["bff_requests_total"])

    before = counted()
    for name in ("shop", "desk"):
        with browsing(place.at(name)) as page:
            page.fetch("GET", "/bff/session")
    added = {labels for labels, value in counted().items() if value != before.get(labels)}
    assert {labels[0] for labels in added} == {"shop", "desk"}


def swapped(site: Site, config: Config) -> None:
    async def swap() -> None:
        site.application.swap(config)

    site.run(swap())


def get(host: str, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-CSRF: 1\r\n\r\n".encode()


def test_front_ends_come_and_go_and_no_connection_notices(company: Simulator) -> None:
    with villain() as upstream:
        held: list[Any] = []
        upstream.script(lambda connection, _: held.append(connection))
        route = 'auth = "none"'
        slow = frontend_text("desk", origin=DESK, api=upstream.url, route=route)
        with (
            serving(settings(company, shop(company), slow)) as site,
            raw(site.port) as busy,
            raw(site.port) as idle,
        ):
            idle.send(get("desk.example.com", "/bff/session"))
            assert idle.answer().status == 200
            busy.send(get("desk.example.com", "/api/x"))
            assert upstream.arrived.acquire(timeout=PATIENCE)
            # Waits for its turn behind the first, and there is nobody left then to answer it.
            busy.send(get("desk.example.com", "/bff/session"))
            swapped(site, settings(company, shop(company)))
            idle.send(get("shop.example.com", "/bff/session"))
            assert idle.answer().status == 200  # the connection is the same
            held[0].sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate")
            assert busy.answer().body == b"late"
            assert busy.answer().status == 421
            idle.send(get("desk.example.com", "/api/x"))
            assert idle.answer().status == 421
            swapped(site, settings(company, shop(company), slow))
            with raw(site.port) as late:
                late.send(get("desk.example.com", "/api/x"))
                assert late.answer().status == 200


def test_a_session_outlives_the_coming_of_another_front_end(
    company: Simulator, tmp_path: Path, redis: RedisProcess
) -> None:
    """A real process, a real signal: the only front end becomes one of two, and is one again."""
    parts: Any = {"issuer": company.issuer, "store": redis.url, "origin": SHOP}
    with served(tmp_path, api=company.api, **parts) as process, client() as http:
        process.ready()
        file = tmp_path / "bff.toml"
        alone = file.read_text()
        former = frontend_text("default", origin=SHOP, api=company.api)
        operate = "[operate]" + alone.partition("[operate]")[2]
        page = Browser(cast("Site", _Seen(process, SHOP)), http)
        other = Browser(cast("Site", _Seen(process, DESK)), http)
        page.sign_in()
        assert other.fetch("GET", "/bff/session").status_code == 421
        file.write_text(several_text(former, desk(company), more=operate, **parts))
        reloaded(process)
        assert page.fetch("GET", "/api/tasks").status_code == 200
        other.sign_in()
        assert other.fetch("GET", "/api/tasks").status_code == 200
        only_where_they_are_named(file)
        other_origin = DESK.replace("desk", "till")
        file.write_text(file.read_text().replace(DESK, other_origin))
        process.process.signal(signal.SIGHUP)
        told = process.process.event("reload_refused")
        assert told["key"] == "frontends.desk.origin"
        file.write_text(alone)
        reloaded(process)
        assert page.fetch("GET", "/api/tasks").status_code == 200
        assert other.fetch("GET", "/api/tasks").status_code == 421


def only_where_they_are_named(file: Path) -> None:
    listed = run("sessions", "list", "--all", "--config", str(file))
    assert listed.returncode == 2
    assert "name one with --frontend: default, desk" in listed.stderr
    for name in ("default", "desk"):
        shown = run("sessions", "list", "--all", "--frontend", name, "--config", str(file))
        assert shown.stdout.count("ada") == 1


@dataclass(frozen=True)
class _Seen:
    """A process, as far as a browser that comes to that origin looks at it."""

    served: Served
    origin: str

    @property
    def host(self) -> str:
        return self.origin.partition("://")[2]

    @property
    def port(self) -> int:
        return int(self.served.public.rpartition(":")[2])


def reloaded(process: Served) -> None:
    process.process.signal(signal.SIGHUP)
    for _ in range(2):  # the supervisor, and the worker
        process.process.event("reloaded")
