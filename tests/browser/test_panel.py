"""The panel of `bff dev`: a team sees the protocol, and makes trouble at the press of a button."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.demo import Demo
from tests.browser.tap import Tap
from tests.browser.test_looks import FOLDER, taken

CALL = "async () => (await fetch('/api/tasks', {headers: {'X-CSRF': '1'}})).status"


def sign_in(page: Page) -> None:
    page.goto("/bff/login")
    page.get_by_role("button", name="Ada Lovelace").click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(re.compile(r"localhost:\d+/$"))


def row(panel: Page, said: str) -> Locator:
    return panel.get_by_role("listitem", name=said, exact=True).first


def press(panel: Page, label: str) -> None:
    panel.get_by_role("button", name=label).click()
    expect(panel.get_by_role("status")).to_contain_text(f"{label}: done")


def test_the_panel_shows_who_asked_whom_and_tokens_only_as_their_claims(
    context: BrowserContext, bff_dev: Demo
) -> None:
    panel, page = context.new_page(), context.new_page()
    panel.goto(f"{bff_dev.provider}/panel")
    expect(panel.get_by_text("Nothing yet")).to_be_visible()
    sign_in(page)
    assert page.evaluate(CALL) == 200
    for said in (
        "Browser to BFF: GET /bff/login, 303",
        "Browser to Provider: GET authorize, 200",
        "BFF to Provider: POST token (authorization_code), 200",
        "Browser to BFF: GET /bff/callback, 200",
        "BFF to API: GET /api/tasks, 200",
        "Browser to BFF: GET /api/tasks, 200",
    ):
        expect(row(panel, said)).to_be_visible()
    tokens = row(panel, "BFF to Provider: POST token (authorization_code), 200")
    tokens.get_by_text("what the id token says").click()
    expect(tokens.get_by_text('"sub": "ada"').first).to_be_visible()
    shown = panel.content()
    for kind, values in bff_dev.secrets().items():
        # The claims of an ID token hold the nonce; it is spent, and it is what one looks for.
        assert kind == "nonces" or not any(value in shown for value in values), kind


def test_trouble_at_the_press_of_a_button(context: BrowserContext, bff_dev: Demo) -> None:
    panel, page = context.new_page(), context.new_page()
    panel.goto(f"{bff_dev.provider}/panel")
    press(panel, "Short tokens")
    sign_in(page)
    press(panel, "Expire the access tokens")
    until(page, 200)
    expect(row(panel, "BFF to Provider: POST token (refresh_token), 200")).to_be_visible()

    press(panel, "Be down")
    until(page, 503)  # when the token has truly expired, and not before
    expect(row(panel, "BFF to Provider: POST token (refresh_token), 503")).to_be_visible()
    press(panel, "All well again")
    expect(panel.get_by_role("status")).to_contain_text("POST /control/switches/reset")
    until(page, 200)

    press(panel, "Refuse one refresh")
    until(page, 401)
    expect(row(panel, "BFF to Provider: POST token (refresh_token), 400")).to_be_visible()


def test_signing_out_by_back_channel_is_told_and_drawn(
    context: BrowserContext, bff_dev: Demo
) -> None:
    panel, page = context.new_page(), context.new_page()
    panel.goto(f"{bff_dev.provider}/panel")
    sign_in(page)
    ada = panel.get_by_role("listitem").filter(has_text="Ada Lovelace")
    ada.get_by_role("button", name="Sign out").click()
    expect(row(panel, "Provider to BFF: POST /bff/backchannel-logout, 200")).to_be_visible()
    until(page, 401)


def until(page: Page, status: int) -> None:
    """Call the API now and then, until it answers so."""
    page.wait_for_function(f"async () => await ({CALL})() === {status}", polling=500)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800)])
def test_it_fits(
    chromium: Chromium,
    bff_dev: Demo,
    tap: Tap,
    width: int,
    height: int,
    scheme: Literal["light", "dark"],
) -> None:
    FOLDER.mkdir(exist_ok=True)
    bff_dev.control("reset", {})
    with chromium.new_context(
        base_url=bff_dev.origin, viewport={"width": width, "height": height}, color_scheme=scheme
    ) as context:
        panel, page = context.new_page(), context.new_page()
        panel.goto(f"{bff_dev.provider}/panel")
        sign_in(page)
        assert page.evaluate(CALL) == 200
        expect(row(panel, "Browser to BFF: GET /api/tasks, 200")).to_be_visible()
        press(panel, "Be slow")
        taken(panel, f"{width}-{scheme}-panel")
    bff_dev.control("reset", {})
