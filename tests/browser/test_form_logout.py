"""A plain form signs out under `form-action 'self'`, as the manual says it does."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.demo import Demo
from tests.browser.person import here, sign_in
from tests.ship.fenced import BLOCKS

ADD = "form => { document.body.insertAdjacentHTML('beforeend', form); }"
STOPPED = """() => new Promise(done => {
  addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
  document.forms[document.forms.length - 1].submit();
})"""


def form() -> str:
    """The manual's."""
    (found,) = (each.text for each in BLOCKS if "<form" in each.text)
    return found


@pytest.mark.rule("D-12", "O-06")
def test_a_form_leads_to_the_provider_and_back(page: Page, bff_dev: Demo) -> None:
    sign_in(page)
    policy = page.request.get("/").headers["content-security-policy"]
    assert re.search(r"form-action 'self'$", policy)
    page.evaluate(ADD, form())
    page.locator("form").last.get_by_role("button").click()
    expect(page.get_by_test_id("sign-in")).to_be_visible()
    assert here(page).startswith(f"{bff_dev.origin}/?state=")  # which the provider brings back
    assert bff_dev.count("end_session") == 1


@pytest.mark.rule("D-12")
def test_one_that_goes_to_the_provider_directly_is_stopped(page: Page, bff_dev: Demo) -> None:
    sign_in(page)
    page.evaluate(ADD, form().replace("/bff/logout", f"{bff_dev.provider}/end-session"))
    assert page.evaluate(STOPPED) == "form-action"
