"""Chromium in front of `bff dev`, with a tap between.

All of package scope: Playwright keeps an event loop running in this thread, and tests elsewhere
start their own.
"""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.browser.demo import Demo, demo
from tests.browser.tap import Tap, tapping

FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="package")
def bff_dev() -> Iterator[Demo]:
    with demo() as running:
        yield running


@pytest.fixture(scope="package")
def _tapped(bff_dev: Demo) -> Iterator[tuple[Tap, int]]:
    with tapping(bff_dev.port) as tapped:
        yield tapped


@pytest.fixture
def tap(_tapped: tuple[Tap, int]) -> Tap:
    """The tap with nothing in it yet."""
    found = _tapped[0]
    found.exchanges.clear()
    return found


@pytest.fixture(scope="package")
def chromium(bff_dev: Demo, _tapped: tuple[Tap, int]) -> Iterator[Chromium]:
    program = shutil.which("chromium")
    assert program, "chromium is missing: run `make test` as root, or install it"
    rule = f"--host-resolver-rules=MAP localhost:{bff_dev.port} 127.0.0.1:{_tapped[1]}"
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, chromium_sandbox=False, args=[*FLAGS, rule]
        )
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Chromium, bff_dev: Demo, tap: Tap) -> Iterator[BrowserContext]:
    """A browser as on the first day, for one test. Errors in our pages fail it."""
    bff_dev.control("reset", {})
    context = chromium.new_context(base_url=bff_dev.origin)
    context.set_default_timeout(20_000)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    context.close()
    assert not errors


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
