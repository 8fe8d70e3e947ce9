"""What a person does with the example app and at the provider."""

from playwright.sync_api import BrowserContext, Cookie, Page, expect


def choose(page: Page, name: str = "Ada Lovelace") -> None:
    """At the provider: choose an account, and allow everything, if that was not done before."""
    page.get_by_role("button", name=name).click()
    allow = page.get_by_role("button", name="Allow")
    expect(allow.or_(page.get_by_test_id("signed-in"))).to_be_visible()
    if allow.is_visible():
        allow.click()


def sign_in(page: Page, name: str = "Ada Lovelace") -> None:
    """From the signed-out page to the signed-in one."""
    page.goto("/")
    page.get_by_test_id("sign-in").click()
    choose(page, name)
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    expect(page.get_by_test_id("name")).to_have_text(name)


def session_cookie(context: BrowserContext) -> Cookie | None:
    """The BFF's cookie as the browser keeps it."""
    return next((cookie for cookie in context.cookies() if cookie.get("name") == "bff"), None)


def here(page: Page) -> str:
    """The address as the page itself knows it; Playwright's own runs behind."""
    address: str = page.evaluate("location.href")
    return address
