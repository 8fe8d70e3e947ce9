"""All views on a phone and on a desk, light and dark, as pictures in `screenshots/`.

Somebody has to look at them; what a program can tell is asserted: nothing scrolls sideways, nothing
jumps, and axe-core finds nothing that would keep a person out.
"""

import re
from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from tests.browser.demo import Demo
from tests.browser.tap import Tap
from tests.spa.folder import MODULES

FOLDER: Final = Path(__file__).parents[2] / "screenshots"


AXE: Final = MODULES / "axe-core/axe.min.js"
AUDIT: Final = """() => axe.run(document, { resultTypes: ['violations'] }).then((found) =>
  found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => [id, ...nodes.map(({ target }) => target.join(' '))].join(' ')))"""
WATCH: Final = """
  window.blocked = [];
  document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
    window.blocked.push([violatedDirective, blockedURI]);
  });
  window.shifted = [];
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      if (!hadRecentInput) window.shifted.push([value, ...sources.map(({ node }) => node?.id)]);
    }
  }).observe({ type: 'layout-shift', buffered: true });
"""


def taken(page: Page, name: str) -> None:
    page.screenshot(path=FOLDER / f"{name}.png", full_page=True, animations="disabled")
    too_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not too_wide, f"{name} scrolls sideways"


def judged(page: Page, name: str) -> None:
    """A picture of our own page, and all that can be said of it without looking."""
    taken(page, name)
    assert page.evaluate("window.blocked") == [], f"{name} breaks its own policy"
    # What ends while axe looks would be judged half way: a fading notice has no contrast.
    page.evaluate("document.getAnimations().forEach((each) => each.finish())")
    page.evaluate(f"{AXE.read_text()};0")
    assert page.evaluate(AUDIT) == [], f"{name} keeps people out"
    shifts = page.evaluate("window.shifted")
    assert sum(value for value, *_ in shifts) < 0.01, f"{name} jumps: {shifts}"


def views_judged(page: Page, prefix: str) -> None:
    for number, name in enumerate(("Live", "Files", "Devices"), start=6):
        page.get_by_role("navigation").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_be_focused()
        if name == "Devices":
            expect(page.get_by_test_id("devices").get_by_role("listitem").first).to_be_visible()
        judged(page, f"{prefix}-{number}-{name.lower()}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 780), (1280, 800)])
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
    fault = {"endpoint": "id_token:authorization_code", "departure": "old_auth_time", "count": 1}
    bff_dev.control("faults", fault)
    with chromium.new_context(
        base_url=bff_dev.origin,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        device_scale_factor=2 if width < 500 else 1,
    ) as context:
        context.add_init_script(WATCH)
        page = context.new_page()
        page.goto("/")
        expect(page.get_by_test_id("signed-out")).to_be_visible()
        judged(page, f"{width}-{scheme}-1-signed-out")
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
        judged(page, f"{width}-{scheme}-5-signed-in")
        views_judged(page, f"{width}-{scheme}")
        page.get_by_test_id("end-all").click()
        expect(page.get_by_test_id("again")).to_be_visible()
        judged(page, f"{width}-{scheme}-9-is-it-you")
