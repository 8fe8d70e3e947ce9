"""What a worker keeps to be quick is let go of: unused, ended, too large or out of date."""

import pytest

from bff.door.known import known as known_heads
from bff.relay.exchange import SHARED_OCTETS, _alike
from bff.relay.known import known as known_answers
from bff.serve.running import Running
from bff.session.opened import UNUSED_SECONDS
from tests.conftest import Sites
from tests.parts.browser import browsing
from tests.parts.raw import raw, villain


def test_opened_records_are_let_go_with_all_that_leads_to_them(sites: Sites) -> None:
    site = sites(store="redis")
    opened = site.application.site.fronts["default"].front.sessions._opened
    with browsing(site) as ada, browsing(site) as grace:
        for browser, sub in ((ada, "ada"), (grace, "grace")):
            browser.sign_in(sub)
            assert browser.fetch("GET", "/api/tasks").status_code == 200
        assert set(opened._keys.values()) == set(opened._kept)
        assert len(opened._kept) == 2
        ada.fetch("POST", "/bff/logout")
        assert list(opened._keys.values()) == list(opened._kept)
        assert len(opened._kept) == 1
        opened.drop_unused()
        assert len(opened._kept) == 1
        for kept in opened._kept.values():
            kept.used_at -= UNUSED_SECONDS + 1
        opened.drop_unused()
        assert (len(opened._kept), len(opened._keys)) == (0, 0)
        assert grace.fetch("GET", "/api/tasks").status_code == 200


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
