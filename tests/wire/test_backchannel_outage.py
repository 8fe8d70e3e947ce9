"""Back-channel logout while the store is down: kept, and carried out when it is back (B-09)."""

import contextlib
import threading
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest

from bff.provider.logout_token import LogoutToken
from bff.session.kept import MOST, KeptLogout, KeptLogouts
from bff.session.provider_logout import ProviderLogouts
from bff.session.store import Ended, StoreUnavailable
from tests.conftest import Sites, Told
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.logout_token import UNAVAILABLE, ended, minted, said, send, sid_of
from tests.parts.race import patiently
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site
from tests.wire.test_outage import hung

QUICK = 'store_deadline = "400ms"'

pytestmark = [pytest.mark.usefixtures("provider"), pytest.mark.rule("B-09")]


@pytest.fixture
def browser(sites: Sites, redis: RedisProcess) -> Iterator[Browser]:
    with browsing(sites(store="redis", session=QUICK)) as browser:
        browser.sign_in()
        yield browser


def kept(site: Site) -> KeptLogouts:
    return site.application.site.fronts["default"].front.sessions.kept


def wait_until_carried_out(site: Site) -> None:
    patience = patiently()
    while kept(site) and patience.left():
        threading.Event().wait(0.05)


def tombstone(browser: Browser) -> Ended:
    """What the store says, asked past everything that this process knows."""
    front = browser.site.application.site.fronts["default"].front
    session_id = (browser.session_cookie or "").split(".")[1]
    there = browser.site.run(front.sessions.store.peek(front.sessions._opened.key(session_id)))
    assert isinstance(there, Ended)
    return there


def test_the_next_request_after_the_outage_is_refused(
    browser: Browser, provider: Control, redis: RedisProcess
) -> None:
    assert browser.fetch("GET", "/api/tasks").status_code == 200  # at hand, opened
    with hung(redis):
        answer = send(browser.site, minted(provider, sid=sid_of(provider)))
        assert said(answer) == UNAVAILABLE
        assert answer.headers["cache-control"] == "no-store"
    assert ended(browser)


def test_it_is_carried_out_by_itself_and_told_on_whose_behalf(
    browser: Browser, provider: Control, redis: RedisProcess, told: Told
) -> None:
    with hung(redis):
        assert said(send(browser.site, minted(provider, sub="ada"))) == UNAVAILABLE
    wait_until_carried_out(browser.site)
    assert tombstone(browser).reason == "session_ended"
    (line,) = [each for each in told() if each["event"] == "provider_logout"]
    assert (line["peer"], bool(line["request_id"])) == ("127.0.0.1", True)


def test_the_provider_may_repeat_it_and_hears_that_it_is_done(
    browser: Browser, provider: Control, redis: RedisProcess
) -> None:
    token = minted(provider, sub="ada")
    with hung(redis):
        for _ in range(3):
            assert said(send(browser.site, token)) == UNAVAILABLE
    assert send(browser.site, token).status_code in (200, 400)  # 400: we were faster
    wait_until_carried_out(browser.site)
    assert ended(browser)


def test_another_configuration_forgets_none(
    browser: Browser, provider: Control, redis: RedisProcess
) -> None:
    application = browser.site.application

    async def swap() -> None:
        application.swap(application.config)

    with hung(redis):
        assert said(send(browser.site, minted(provider, sub="ada"))) == UNAVAILABLE
        browser.site.run(swap())
    assert ended(browser)
    wait_until_carried_out(browser.site)
    assert tombstone(browser).reason == "session_ended"


def test_others_are_served_and_a_later_login_is_spared(
    browser: Browser, provider: Control, redis: RedisProcess
) -> None:
    with browsing(browser.site) as grace:
        grace.sign_in("grace")
        front = browser.site.application.site.fronts["default"].front
        logouts = front.provider_logouts
        token = LogoutToken(
            iss=front.frontend.provider.issuer,
            sub="ada",
            sid=None,
            jti="kept",
            iat=front.clock.now(),
        )

        async def down(*_: object) -> bool:
            raise StoreUnavailable

        async def hear() -> None:
            with pytest.raises(StoreUnavailable):
                await logouts.carry_out(token)

        with pytest.MonkeyPatch.context() as patch:  # the outage is theirs alone, and lasts
            patch.setattr(type(logouts), "_carry_out", down)
            browser.site.run(hear())
            assert grace.fetch("GET", "/api/tasks").status_code == 200
            assert ended(browser)
            browser.cookies.clear()
            browser.sign_in()
            assert browser.fetch("GET", "/api/tasks").status_code == 200
        wait_until_carried_out(browser.site)
        assert browser.fetch("GET", "/api/tasks").status_code == 200
        assert grace.fetch("GET", "/api/tasks").status_code == 200


def test_one_that_breaks_does_not_keep_the_others(
    browser: Browser, provider: Control, redis: RedisProcess, told: Told
) -> None:
    logouts = browser.site.application.site.fronts["default"].front.provider_logouts
    usual, broken = type(logouts)._carry_out, minted(provider, sub="alan")

    async def breaks_at_alan(self: ProviderLogouts, token: LogoutToken, *more: Any) -> bool:
        if token.sub == "alan":
            raise ZeroDivisionError
        return await usual(self, token, *more)

    with hung(redis):
        for token in (broken, minted(provider, sub="ada")):
            assert said(send(browser.site, token)) == UNAVAILABLE
        patch = pytest.MonkeyPatch()
        patch.setattr(type(logouts), "_carry_out", breaks_at_alan)
    with contextlib.ExitStack() as undo:
        undo.callback(patch.undo)
        patience = patiently()
        while len(kept(browser.site)._kept) > 1 and patience.left():
            threading.Event().wait(0.05)
        assert tombstone(browser).reason == "session_ended"
    assert "crashed" in [line["event"] for line in told()]
    wait_until_carried_out(browser.site)


def test_a_thousand_are_kept_and_the_same_one_once() -> None:
    def one(number: int) -> KeptLogout:
        token = LogoutToken(iss="i", sub=str(number), sid=None, jti=str(number), iat=1.0)
        return KeptLogout(token=token, heard_at=1.0, until=2.0, context=copy_context())

    all_kept = KeptLogouts()
    assert all(all_kept.keep(one(number)) for number in range(MOST))
    assert not all_kept.keep(one(MOST))
    assert all_kept.keep(one(0))
    all_kept.drop(one(0))
    assert all_kept.keep(one(MOST))


def test_what_names_no_session_any_more_is_not_tried_for_ever(
    browser: Browser, redis: RedisProcess
) -> None:
    token = LogoutToken(iss="i", sub="nobody", sid=None, jti="old", iat=1.0)
    now = browser.site.application.site.fronts["default"].front.clock.now()
    old = KeptLogout(token=token, heard_at=now - 100, until=now - 1, context=copy_context())

    async def keep_it() -> None:
        assert kept(browser.site).keep(old)

    with hung(redis):
        browser.site.run(keep_it())
        wait_until_carried_out(browser.site)
