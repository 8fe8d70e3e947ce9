"""The bindings under the real React and the real Vue, bundled, under the strict default policy."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from tests.browser.own_site import own_site
from tests.browser.person import choose
from tests.parts.site import Site
from tests.spa.folder import MODULES, SPA, minified

PAGE = """<!doctype html><html lang="en"><title>{name}</title><div id="app"></div>
<a href="/bff/login?return_to=%2F{name}.html">Sign in</a>
<script type="module" src="/{name}.js"></script>"""
REACT = """
import { createElement as h, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { RequireSession, useSession } from '%(spa)s/bindings/react.js';

function Name() {
  const now = useSession();
  return h('b', { 'data-testid': 'signed-in' }, now.authenticated ? now.claims.name : '');
}

createRoot(document.getElementById('app')).render(h(StrictMode, null, h(RequireSession, {
  waiting: h('i', null, 'waiting'),
  otherwise: ({ reason }) => h('b', { 'data-testid': 'signed-out' }, reason),
}, h(Name), h('input', { 'aria-label': 'Words' }))));
"""
VUE = """
import { createApp, h } from 'vue';
import { RequireSession, useSession } from '%(spa)s/bindings/vue.js';

const Name = { setup() {
  const now = useSession();
  return () => h('b', { 'data-testid': 'signed-in' }, now.value.claims?.name);
} };

createApp({ render: () => h(RequireSession, null, {
  waiting: () => h('i', 'waiting'),
  otherwise: ({ session }) => h('b', { 'data-testid': 'signed-out' }, session.reason),
  default: () => [h(Name), h('input', { 'aria-label': 'Words' })],
}) }).mount('#app');
"""
# Hydrated late, when somebody else on the page has found out already who is there.
HYDRATED = """
import { createElement as h } from 'react';
import { hydrateRoot } from 'react-dom/client';
import { RequireSession } from '%(spa)s/bindings/react.js';
import { session } from '%(spa)s/bff-client.js';

const app = document.getElementById('app');
app.innerHTML = '<i>waiting</i>';
window.mismatches = [];
const end = session.subscribe(() => {
  if (!session.get().authenticated) return;
  end();
  hydrateRoot(app, h(RequireSession, { waiting: h('i', null, 'waiting') },
    h('b', { 'data-testid': 'signed-in' }, session.get().claims.name)),
  { onRecoverableError: (error) => window.mismatches.push(error.message) });
});
"""
BOTH = {"react": REACT, "vue": VUE}
SOURCES = {**BOTH, "hydrated": HYDRATED}
DEFINED = ('--define:process.env.NODE_ENV="production"', "--define:__VUE_OPTIONS_API__=false")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("frameworks")
    (folder / "index.html").write_text("<!doctype html><title>empty</title>")
    for name, source in SOURCES.items():
        entry = folder / f"{name}.src.js"
        entry.write_text(source % {"spa": SPA})
        (folder / f"{name}.js").write_bytes(_bundled(entry))
        (folder / f"{name}.html").write_text(PAGE.format(name=name))
    with own_site(folder=folder) as found:
        yield found


def _bundled(entry: Path) -> bytes:
    aliases = [f"--alias:{name}={MODULES / name}" for name in ("react", "react-dom", "vue")]
    try:
        return minified(entry, *DEFINED, *aliases)
    except subprocess.CalledProcessError as error:
        pytest.fail(error.stderr.decode())


@pytest.fixture
def page(chromium: Chromium, site: Site) -> Iterator[Page]:
    errors: list[str] = []
    with chromium.new_context(base_url=site.origin) as context:
        context.set_default_timeout(20_000)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        yield context.new_page()
    assert not errors


@pytest.mark.parametrize("name", list(BOTH))
def test_a_component_follows_the_session(page: Page, name: str) -> None:
    page.goto(f"/{name}.html")
    expect(page.get_by_test_id("signed-out")).to_have_text("no_session")
    page.get_by_role("link", name="Sign in").click()
    choose(page)
    expect(page.get_by_test_id("signed-in")).to_have_text("Ada Lovelace")
    other = page.context.new_page()
    other.goto(f"/{name}.html")
    expect(other.get_by_test_id("signed-in")).to_have_text("Ada Lovelace")
    signed_out = other.evaluate(
        "fetch('/bff/logout', {method: 'POST', headers: {'X-CSRF': '1'}}).then(({ok}) => ok)"
    )
    assert signed_out
    for tab in (page, other):
        expect(tab.get_by_test_id("signed-out")).to_have_text("session_ended")


@pytest.mark.parametrize("name", list(BOTH))
def test_what_one_person_typed_is_gone_when_another_has_signed_in(page: Page, name: str) -> None:
    page.goto(f"/bff/login?return_to=%2F{name}.html")
    choose(page)
    page.get_by_label("Words").fill("Ada's words")
    other = page.context.new_page()
    other.goto(f"/bff/login?prompt=login&return_to=%2F{name}.html")
    choose(other, "Grace Hopper")
    expect(page.get_by_test_id("signed-in")).to_have_text("Grace Hopper")
    expect(page.get_by_label("Words")).to_have_value("")


def test_what_a_server_drew_is_taken_over_without_a_mismatch(page: Page) -> None:
    page.goto("/bff/login?return_to=%2Fhydrated.html")
    choose(page)
    expect(page.get_by_test_id("signed-in")).to_have_text("Ada Lovelace")
    assert page.evaluate("mismatches") == []
