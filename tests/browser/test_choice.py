"""A person chooses among providers on a page without script, and signs in there."""

import contextlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from bff.config.load import parse
from bff.simulator import Client, Plan, Simulator, running
from tests.parts.config import SECRET
from tests.parts.providers import provider_text, several_text
from tests.parts.site import bind, serving

NAMES = {"corp": "Example Corp", "guests": "Guests & partners"}


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[str, dict[str, Simulator]]]:
    listening = bind()
    origin = f"http://localhost:{listening.getsockname()[1]}"
    with contextlib.ExitStack() as stack:
        providers = {}
        for name in NAMES:
            application = Client(
                client_id="spa",
                client_secret=SECRET,
                redirect_uris=(f"{origin}/bff/callback/{name}",),
            )
            providers[name] = stack.enter_context(running(Plan(clients=(application,))))
        texts = (
            provider_text(name, providers[name].issuer, f'title = "{title}"')
            for name, title in NAMES.items()
        )
        text = several_text(*texts, api=providers["corp"].api, origin=origin)
        stack.enter_context(serving(parse(text, dev=True), listening))
        yield origin, providers


@pytest.mark.parametrize(("name", "width"), [("corp", 360), ("guests", 1280)])
def test_a_person_chooses_and_signs_in_there(
    chromium: Chromium, place: tuple[str, dict[str, Simulator]], name: str, width: int
) -> None:
    origin, providers = place
    with chromium.new_context(
        base_url=origin, java_script_enabled=False, viewport={"width": width, "height": 780}
    ) as context:
        page = context.new_page()
        page.goto("/bff/login?return_to=/orders")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        expect(page.get_by_role("link")).to_have_text(list(NAMES.values()))
        page.get_by_role("link", name=NAMES[name]).click()
        assert page.url.startswith(providers[name].issuer)
        page.get_by_role("button", name="Ada Lovelace").click()
        page.get_by_role("button", name="Allow").click()
        page.wait_for_url(f"{origin}/**")
        names = {each["name"] for each in context.cookies(origin)}
        assert "bff" in names
