"""Chromium, by Playwright."""

import contextlib
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.conftest import FLAGS
from tests.engines.engine import PATIENCE, Engine, Kept


class Window:
    """One context of Chromium with one page."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self._context = context
        self._page = page

    def go(self, url: str) -> None:
        self._page.goto(url, wait_until="commit")

    def back(self) -> None:
        self._page.go_back(wait_until="commit")

    def cookies(self) -> list[Kept]:
        return [
            Kept(
                name=each["name"],
                value=each["value"],
                path=each["path"],
                secure=each["secure"],
                http_only=each["httpOnly"],
                same_site=each["sameSite"].lower(),
                session=each["expires"] == -1,
            )
            for each in self._context.cookies()
        ]

    def evaluate(self, function: str) -> str:
        return str(self._page.evaluate(function))


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "chromium is missing: run `make test` as root, or install it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, chromium_sandbox=False, args=FLAGS
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def window(browser: Browser) -> Iterator[Engine]:
    with browser.new_context(ignore_https_errors=True) as context:
        context.set_default_timeout(PATIENCE * 1000)
        yield Window(context, context.new_page())
