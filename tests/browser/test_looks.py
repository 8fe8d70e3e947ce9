"""Both views on a phone and on a desk, light and dark, as pictures in `screenshots/`.

Somebody has to look at them; what a program can tell about looks is asserted.
"""

import re
from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from tests.browser.demo import Demo
from tests.browser.tap import Tap

FOLDER: Final = Path(__file__).parents[2] / "screenshots"


def taken(page: Page, name: str) -> None:
    page.screenshot(path=FOLDER / f"{name}.png", full_page=True, animations="disabled")
    too_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not too_wide, f"{name} scrolls sideways"


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
        base_url=bff_dev.origin,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        device_scale_factor=2 if width < 500 else 1,
    ) as context:
        page = context.new_page()
        page.goto("/")
        expect(page.get_by_test_id("signed-out")).to_be_visible()
        taken(page, f"{width}-{scheme}-1-signed-out")
        page.get_by_test_id("sign-in").click()
        expect(page.get_by_role("button", name="Alan Turing")).to_be_visible()
        taken(page, f"{width}-{scheme}-2-chooser")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("cancelled")).to_be_visible()
        taken(page, f"{width}-{scheme}-3-cancelled")
        page.get_by_role("link", name="Sign in").click()
        page.get_by_role("button", name="Alan Turing").click()
        expect(page.get_by_role("button", name="Allow")).to_be_visible()
        taken(page, f"{width}-{scheme}-4-consent")
        page.get_by_role("button", name="Allow").click()
        expect(page.get_by_test_id("tasks").get_by_role("listitem")).to_have_count(3)
        expect(page.get_by_test_id("left-access-token")).to_have_text(re.compile(r"^\d+ s$"))
        taken(page, f"{width}-{scheme}-5-signed-in")
