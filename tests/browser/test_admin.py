"""The operator's page in Chromium: numbers, a person, an end; how it looks, and who may read it."""

import os
import re
from collections.abc import Iterator
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from bff.simulator import Simulator
from tests.browser.test_looks import FOLDER, WATCH, judged
from tests.parts.browser import Browser
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import Replica, replicas

PASSWORD: Final = "an admin password: of the tests"
os.environ.setdefault("BFF_TEST_ADMIN", PASSWORD)
ON: Final = 'admin_password = { env = "BFF_TEST_ADMIN" }'


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, redis_server: RedisProcess
) -> Iterator[Replica]:
    parts = {"issuer": simulator.issuer, "api": simulator.api, "store": redis_server.url}
    folder = tmp_path_factory.mktemp("admin")
    session = "addresses = true"
    with replicas(folder, 1, workers=2, more=ON, session=session, **parts) as (here,):
        yield here


@pytest.fixture
def ada(served: Replica, provider: Control, redis: RedisProcess) -> Iterator[Browser]:
    """Signed in, one refused request of a stranger later."""
    with served.browsing() as ada, served.browsing() as stranger:
        ada.sign_in("ada")
        assert stranger.fetch("GET", "/api/tasks").status_code == 401
        yield ada


def operator(
    chromium: Chromium,
    served: Replica,
    *,
    script: bool = True,
    scheme: Literal["light", "dark"] = "light",
    width: int = 1280,
    height: int = 800,
) -> Page:
    context = chromium.new_context(
        base_url=served.served.operations,
        http_credentials={"username": "operator", "password": PASSWORD},
        java_script_enabled=script,
        color_scheme=scheme,
        viewport={"width": width, "height": height},
        device_scale_factor=2 if width < 500 else 1,
    )
    context.set_default_timeout(20_000)
    context.add_init_script(WATCH)
    return context.new_page()


def counted(page: Page) -> None:
    """Look at the overview until each worker has reported what it saw, once a second."""
    begun = page.get_by_role("img", name=re.compile(r"Sessions begun and ended: .*begun \d"))
    refused = page.get_by_test_id("refusals").get_by_text("no_session")
    for _ in range(200):
        page.goto("/admin")
        if refused.is_visible() and begun.is_visible():
            return
    raise AssertionError(page.content())


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_an_operator_sees_numbers_finds_a_person_and_ends_a_session(
    chromium: Chromium, served: Replica, ada: Browser, script: bool
) -> None:
    page = operator(chromium, served, script=script)
    counted(page)
    expect(page.get_by_test_id("state")).to_have_text("Ready")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="People").click()
    page.get_by_label("Subject").fill("ada")
    page.get_by_label("Subject").press("Enter")
    sessions = page.get_by_test_id("sessions").get_by_role("listitem")
    expect(sessions).to_have_count(1)
    assert ada.fetch("GET", "/api/tasks").status_code == 200
    end = sessions.get_by_role("button", name="End this session")
    expect(end).to_be_hidden()  # it asks first
    sessions.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(end).to_be_visible()
    page.keyboard.press("Tab")
    expect(end).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("notice")).to_have_text("1 session ended.")
    expect(sessions).to_have_count(0)
    assert ada.fetch("GET", "/api/tasks").status_code == 401
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 780), (1280, 800)])
def test_it_fits(
    chromium: Chromium,
    served: Replica,
    ada: Browser,
    width: int,
    height: int,
    scheme: Literal["light", "dark"],
) -> None:
    FOLDER.mkdir(exist_ok=True)
    with served.browsing() as other, served.browsing() as stranger:
        other.sign_in("ada")
        for _ in range(4):
            other.fetch("GET", "/api/tasks")
            stranger.fetch("GET", "/nowhere")
        page = operator(chromium, served, scheme=scheme, width=width, height=height)
        counted(page)
        judged(page, f"{width}-{scheme}-admin-1-overview")
        page.goto("/admin/people?subject=")
        judged(page, f"{width}-{scheme}-admin-2-everybody")
        page.goto("/admin/people?subject=ada")
        page.get_by_text("End…").last.click()
        expect(page.get_by_role("button", name="End this session")).to_be_visible()
        judged(page, f"{width}-{scheme}-admin-3-person")
        page.context.close()
