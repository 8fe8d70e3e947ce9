"""What a worker keeps to be quick is let go of: unused, ended, too large or out of date."""

import asyncio
import time
from typing import Any, TypeVar

import pytest

from bff.again import Recent
from bff.app import Application
from bff.door.head import sections
from bff.door.known import known as known_heads
from bff.relay.exchange import SHARED_OCTETS, _alike
from bff.relay.known import known as known_answers
from bff.relay.way import Inferred
from bff.serve.running import Running
from bff.session.opened import AtHand
from tests.conftest import Sites
from tests.parts.browser import browsing
from tests.parts.race import patiently
from tests.parts.raw import raw, villain
from tests.parts.site import bind

Value = TypeVar("Value")


def at_hand() -> set[AtHand]:
    """The opened records that sections lead to."""
    kept = (each for section in all_of(sections) for each in section.kept.values())
    found = (each.at_hand for each in kept if isinstance(each, Inferred))
    return {each for each in found if each is not None}


def all_of(recent: Recent[Any, Value]) -> list[Value]:
    return [*recent._young.values(), *recent._old.values()]


def test_opened_records_are_let_go_with_all_that_leads_to_them(sites: Sites) -> None:
    sections.forget()  # those of other sites
    site = sites(store="redis")
    opened = site.application.site.fronts["default"].front.sessions._opened
    with browsing(site) as ada, browsing(site) as grace:
        for browser, sub in ((ada, "ada"), (grace, "grace")):
            browser.sign_in(sub)
            for _ in range(3):
                assert browser.fetch("GET", "/api/tasks").status_code == 200
        assert len(opened._kept) == 2
        held = at_hand()  # by the sections of their requests
        assert held == set(opened._kept.values())
        ada.fetch("POST", "/bff/logout")
        assert len(opened._kept) == 1
        assert {each for each in held if each.found} == set(opened._kept.values())
        opened.drop_unused()
        assert len(opened._kept) == 1
        assert grace.fetch("GET", "/api/tasks").status_code == 200
        opened.drop_unused()
        assert len(opened._kept) == 1
        opened.drop_unused()
        assert len(opened._kept) == 0
        assert not any(each.found for each in held)
        assert grace.fetch("GET", "/api/tasks").status_code == 200


def test_of_too_many_opened_records_the_oldest_is_let_go_of(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bff.session.opened.CAPACITY", 1)
    site = sites(store="redis")
    opened = site.application.site.fronts["default"].front.sessions._opened
    with browsing(site) as ada, browsing(site) as grace:
        ada.sign_in("ada")
        assert ada.fetch("GET", "/api/tasks").status_code == 200
        (former,) = opened._kept.values()
        grace.sign_in("grace")
        assert grace.fetch("GET", "/api/tasks").status_code == 200
        assert len(opened._kept) == 1
        assert former.found is None
        assert ada.fetch("GET", "/api/tasks").status_code == 200
        assert len(opened._kept) == 1


@pytest.mark.rule("Q-20")
def test_what_is_large_is_not_shared_and_a_reload_lets_go_of_everything(sites: Sites) -> None:
    with villain() as upstream:
        site = sites(api=upstream.url, route='auth = "none"')
        request = f"GET /api/x HTTP/1.1\r\nHost: {site.host}\r\nSec-Fetch-Site: same-origin\r\n"
        _alike.cache_clear()
        with raw(site.port) as wire:
            large = f"Via: 1.0 {'x' * SHARED_OCTETS}\r\n\r\n"
            wire.send((request + large).encode())
            assert wire.answer().status == 200
            assert _alike.cache_info().currsize == 0
            for _ in range(3):
                wire.send((request + "\r\n").encode())
                assert wire.answer().status == 200
        assert min(len(known_heads), len(known_answers), _alike.cache_info().currsize) > 0
        application = site.application
        site.run(Running(application.config, application).swap(application.config))
        assert (len(known_heads), len(known_answers)) == (0, 0)
        assert _alike.cache_info().currsize == 0


def test_what_is_not_used_goes_by_itself(sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bff.serve.running.AGE_EVERY", 0.05)
    with villain() as upstream:
        site = sites(api=upstream.url, route='auth = "none"')
        request = f"GET /api/x HTTP/1.1\r\nHost: {site.host}\r\nSec-Fetch-Site: same-origin\r\n\r\n"
        with raw(site.port) as wire:
            for _ in range(3):
                wire.send(request.encode())
                assert wire.answer().status == 200
        assert min(len(known_heads), len(known_answers), len(sections)) > 0
        application = site.application
        running = Running(application.config, application)
        site.loop.call_soon_threadsafe(running._age)
        patience = patiently()
        while len(known_heads) + len(known_answers) + len(sections):
            assert patience.left()
            time.sleep(0.02)

        def cancel() -> None:
            assert running._ageing is not None
            running._ageing.cancel()

        site.loop.call_soon_threadsafe(cancel)


def test_it_goes_from_the_start_of_a_process_until_it_stops(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = sites().application.config
    monkeypatch.setattr("bff.serve.running.AGE_EVERY", 0.01)

    async def main() -> None:
        known = Aging()
        monkeypatch.setattr("bff.serve.running._KEPT", (known,))
        running = Running(config, Application(config))
        await running.start([bind()])
        async with asyncio.timeout(20):
            for _ in range(3):
                await known.aged.wait()
                known.aged.clear()
        await running.stop()
        known.aged.clear()
        await asyncio.sleep(0.1)
        assert not known.aged.is_set()

    asyncio.run(main())


class Aging:
    def __init__(self) -> None:
        self.aged = asyncio.Event()

    def age(self) -> None:
        self.aged.set()
