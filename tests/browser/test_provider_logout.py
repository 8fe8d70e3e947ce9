"""Logout that begins at the provider, in a real engine: by its servers, and by a frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, expect

from bff.simulator import Client, Plan, Simulator, running
from tests.browser.demo import Demo
from tests.browser.person import here, sign_in
from tests.parts.config import SECRET, config
from tests.parts.site import bind, serving

AUTHENTICATED = "fetch('/bff/session', {headers: {'X-CSRF': '1'}}).then(r => r.json())"


@pytest.mark.rule("B-06")
def test_a_provider_that_calls_bff_dev_signs_the_page_out(page: Page, bff_dev: Demo) -> None:
    sign_in(page)
    assert page.evaluate(AUTHENTICATED)["authenticated"] is True
    bff_dev.control("backchannel-logout", {"sub": "grace"})
    assert page.evaluate(AUTHENTICATED)["authenticated"] is True
    bff_dev.control("backchannel-logout", {"sub": "ada"})
    found = page.evaluate(AUTHENTICATED)
    assert (found["authenticated"], found["reason"]) == (False, "session_ended")


@dataclass(frozen=True)
class Framing:
    """A BFF with front-channel logout, and a provider that uses it: two sites."""

    origin: str
    simulator: Simulator


@pytest.fixture
def framing(tmp_path: Path) -> Iterator[Framing]:
    (tmp_path / "index.html").write_text("<!doctype html><title>The application</title>")
    listening = bind()
    origin = f"http://localhost:{listening.getsockname()[1]}"
    application = Client(
        client_id="spa",
        client_secret=SECRET,
        redirect_uris=(f"{origin}/bff/callback",),
        frontchannel_logout_uri=f"{origin}/bff/frontchannel-logout",
    )
    with running(Plan(clients=(application,))) as simulator:
        wanted = config(
            issuer=simulator.issuer,
            api=simulator.api,
            origin=origin,
            routes=f'[[routes]]\npath = "/"\nstatic = "{tmp_path}"',
            more="[logout]\nfront_channel = true",
        )
        with serving(wanted, listening):
            yield Framing(origin, simulator)


@pytest.fixture
def visitor(chromium: Chromium, framing: Framing) -> Iterator[BrowserContext]:
    """Somebody who is signed in; `localhost` is the name of no tap here."""
    context = chromium.new_context()
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.goto(f"{framing.origin}/bff/login?return_to=/")
    page.get_by_role("button", name="Ada Lovelace").click()
    page.get_by_role("button", name="Allow").click()
    expect(page).to_have_title("The application")
    yield context
    context.close()


def signed_in(context: BrowserContext) -> bool:
    return bool(context.pages[0].evaluate(AUTHENTICATED)["authenticated"])


@pytest.mark.rule("B-11")
def test_the_frame_in_the_providers_page_signs_out(
    visitor: BrowserContext, framing: Framing
) -> None:
    assert signed_in(visitor)
    there = visitor.new_page()
    there.goto(f"{framing.simulator.issuer}/end-session")
    with there.expect_response(lambda answer: "frontchannel-logout" in answer.url) as shown:
        there.get_by_role("button", name="Sign out").click()
    assert shown.value.status == 200
    assert "cookie" not in shown.value.request.all_headers()  # none of ours goes abroad
    frame = there.frames[1]
    frame.wait_for_load_state()
    assert frame.title() == "Done"  # it was let in
    assert not signed_in(visitor)
    assert here(visitor.pages[0]) == f"{framing.origin}/"


@pytest.mark.rule("B-11")
def test_no_other_origin_may_show_the_frame(visitor: BrowserContext, framing: Framing) -> None:
    elsewhere = visitor.new_page()
    elsewhere.goto(f"{framing.simulator.api}/")  # the provider's site, and another origin
    address = f"{framing.origin}/bff/frontchannel-logout?iss={framing.simulator.issuer}&sid=x"
    elsewhere.evaluate(
        """address => new Promise(done => {
          const frame = document.createElement('iframe');
          frame.onload = () => done();
          frame.src = address;
          document.body.append(frame);
        })""",
        address,
    )
    assert len(elsewhere.frames) == 2
    assert not any("frontchannel-logout" in each.url for each in elsewhere.frames)
    assert signed_in(visitor)
