"""After a crash in the midst of a refresh, in Chromium: back where one was, and nobody asked.

Two processes on one Redis. The one that the browser speaks to is killed between the provider's
rotation and the store's write; the next request of the page finds the other.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Frame, Page, expect

from bff.cli.dev import SPA
from tests.browser.conftest import FLAGS
from tests.browser.person import choose, here, sign_in
from tests.browser.tap import Tap, tapping
from tests.conftest import LOOPBACK
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import Replica, replicas

REFRESH = "token:refresh_token"
HERE = "/?list=mine"
# A lease as short as it may be: two exchanges of a second, two waits for the store.
PARTS: dict[str, Any] = {
    "origin": LOOPBACK,
    "provider": 'total_timeout = "1s"',
    "session": 'store_deadline = "500ms"',
    "more": '[refresh]\nlease = "3s"',
    "routes": f'[[routes]]\npath = "/"\nstatic = "{SPA}"',
}


@dataclass
class Balanced:
    """Two processes behind one address, as a load balancer has them."""

    both: list[Replica]
    tap: Tap
    page: Page
    shown: list[str]  # every address that the page has shown since

    def interrupt(self, provider: Control) -> None:
        """Kill the process that has the browser, when the provider has answered its refresh."""
        provider.held(REFRESH)
        here, there = self.both
        here.kill()
        self.tap.port = there.port
        provider.release(REFRESH)
        expect(self.page.get_by_test_id("signed-out")).to_be_visible(timeout=40_000)
        expect(self.page.get_by_test_id("message")).to_contain_text("cut short")
        self.shown.clear()
        self.tap.exchanges.clear()


@pytest.fixture
def context(chromium: Chromium, tmp_path: Path, provider: Control, redis: RedisProcess) -> Iterator[
    tuple[list[Replica], Tap, BrowserContext]
]:  # fmt: skip
    where: dict[str, Any] = {
        "issuer": provider.simulator.issuer,
        "api": provider.simulator.api,
        "store": redis.url,
    }
    with replicas(tmp_path, **where, **PARTS) as both, tapping(both[0].port) as (tap, port):
        rule = f"--host-resolver-rules=MAP {LOOPBACK.partition('://')[2]} 127.0.0.1:{port}"
        browser = chromium.browser_type.launch(
            executable_path=shutil.which("chromium"), chromium_sandbox=False, args=[*FLAGS, rule]
        )
        found = browser.new_context(base_url=LOOPBACK)
        found.set_default_timeout(20_000)
        yield both, tap, found
        browser.close()


@pytest.fixture
def balanced(context: tuple[list[Replica], Tap, BrowserContext], provider: Control) -> Balanced:
    """Ada, signed in, with a refresh under way that the provider has answered and holds."""
    both, tap, browser = context
    page = browser.new_page()
    shown: list[str] = []

    def note(frame: Frame) -> None:
        shown.append(frame.url)

    page.on("framenavigated", note)
    provider.switch(access_token_seconds=3)
    provider.fault(REFRESH, at="after", hold=True, count=1)
    sign_in(page)
    page.goto(HERE)
    return Balanced(both, tap, page, shown)


def asked_for(tap: Tap) -> list[str]:
    """The logins that the page has begun: what each asked the provider for."""
    there = [dict(each.answer)["location"] for each in tap.to("/bff/login")]
    return ["prompt=none" if "prompt=none" in each else "as usual" for each in there]


@pytest.mark.rule("R-05")
@pytest.mark.rule("C-07")
def test_after_a_crash_in_a_refresh_the_person_sees_a_flash_and_is_back(
    balanced: Balanced, provider: Control
) -> None:
    balanced.interrupt(provider)
    page = balanced.page
    page.get_by_test_id("sign-in").click()
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    expect(page.get_by_test_id("name")).to_have_text("Ada Lovelace")
    assert here(page) == LOOPBACK + HERE
    assert asked_for(balanced.tap) == ["prompt=none"]
    # No page of the provider came up on the way: only our landing page, and then our own.
    paths = [url.removeprefix(LOOPBACK).partition("?")[0] for url in balanced.shown]
    assert paths == ["/bff/callback", "/"]


@pytest.mark.rule("R-05")
@pytest.mark.rule("C-07")
def test_whom_the_provider_has_forgotten_meanwhile_is_asked_as_usual(
    balanced: Balanced, provider: Control
) -> None:
    balanced.interrupt(provider)
    page = balanced.page
    page.context.clear_cookies(domain="127.0.0.1")  # the provider's own session
    page.get_by_test_id("sign-in").click()
    expect(page.get_by_role("button", name="Ada Lovelace")).to_be_visible()
    assert re.match(re.escape(provider.simulator.issuer), here(page))
    assert asked_for(balanced.tap) == ["prompt=none", "as usual"]
    choose(page)
    expect(page.get_by_test_id("name")).to_have_text("Ada Lovelace")
    assert here(page) == LOOPBACK + HERE
