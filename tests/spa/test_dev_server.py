"""Vite's dev server as a front end with pages of its own, behind the BFF: docs/spa.md."""

import base64
import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect, sync_playwright

from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.raw import raw
from tests.parts.site import Site, bind, serving

HERE = Path(__file__).parent
RECIPE = 'auth = "none"\nnavigation = true\ndocuments = true\nwebsocket = true\n'
APP = {
    "index.html": '<!doctype html><title>dev</title><main id="app"></main>'
    '<script type="module" src="/src/main.ts"></script>',
    "src/main.ts": """
import './style.css'
import { hello } from './greeting.ts'
import tiny from 'tiny'
import text from './a b.txt?raw'
import logo from './logo.svg?url'
import { id } from './[id].ts'
const app = document.querySelector<HTMLElement>('#app')!
const show = (said: string) => { app.textContent = [said, tiny(), text.trim(), logo].join(' ') }
show(hello('you'))
import('./later.ts').then(({ late }) => { app.dataset.late = `${late} ${id}` })
import.meta.hot?.accept('./greeting.ts', (fresh) => show(fresh!.hello('you')))
""",
    "src/greeting.ts": "export const hello = (who: string): string => `hello ${who}`\n",
    "src/later.ts": "export const late: string = 'yes'\n",
    "src/[id].ts": "export const id: number = 5\n",
    "src/style.css": "main { color: rgb(1, 2, 3) }\n",
    "src/logo.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "src/a b.txt": "raw\n",
    "node_modules/tiny/package.json": '{"name": "tiny", "version": "1.0.0", "main": "index.js"}',
    "node_modules/tiny/index.js": "module.exports = () => 'tiny'\n",
    "package.json": '{"name": "app", "private": true, "type": "module"}',
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("app")
    for name, text in APP.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture(scope="module")
def vite(app: Path) -> Iterator[str]:
    node = shutil.which("node")
    assert node, "node is missing: run `make test` as root, or install it"
    assert (HERE / "node_modules/vite").is_dir(), "vite is missing: run `make npm`"
    command = [node, str(HERE / "vite.mjs"), str(app)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        yield json.loads(line)["url"]
        process.communicate("")


@contextlib.contextmanager
def serving_vite(vite: str, host: str = "localhost", recipe: str = RECIPE) -> Iterator[Site]:
    listening = bind()
    port = listening.getsockname()[1]
    origin = f"http://{host}:{port}" if host == "localhost" else f"https://{host}"
    routes = f'[[routes]]\npath = "/"\nupstream = "{vite}"\n{recipe}'
    dead = "http://127.0.0.1:1"
    with serving(config(issuer=dead, api=dead, origin=origin, routes=routes), listening) as site:
        yield site


@pytest.fixture(scope="module")
def site(vite: str) -> Iterator[Site]:
    with serving_vite(vite) as found:
        yield found


@pytest.fixture
def browser(site: Site) -> Iterator[Browser]:
    with browsing(site) as found:
        yield found


@pytest.mark.parametrize("path", ["/", "/index.html", "/orders/5?page=2"])
def test_its_pages_open_and_run(browser: Browser, path: str) -> None:
    page = browser.navigate(path)
    assert page.status_code == 200
    assert '<script type="module" src="/@vite/client">' in page.text
    assert "content-security-policy" not in page.headers  # no sandbox: it is to run here
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/@vite/client", "/src/main.ts", "/src/main.ts?t=1700000000000", "/src/style.css",
        "/src/style.css?direct", "/src/logo.svg?import&url", "/src/a%20b.txt?import&raw",
        "/src/later.ts", "/src/[id].ts", "/src/%5Bid%5D.ts",
        "/node_modules/tiny/index.js", "/@id/tiny", "/@fs{app}/src/greeting.ts",
    ],
)  # fmt: skip
def test_every_path_of_a_dev_server_goes_through(browser: Browser, app: Path, path: str) -> None:
    answer = browser.request("GET", path.format(app=app), dest="script")
    assert answer.status_code == 200
    kind = "text/css" if path.endswith("direct") else "text/javascript"
    assert answer.headers["content-type"].startswith(kind)


def test_a_script_brings_its_source_map(browser: Browser) -> None:
    script = browser.request("GET", "/src/greeting.ts", dest="script").text
    found = re.search(r"sourceMappingURL=data:application/json;base64,([\w+/=]+)", script)
    assert found
    source_map = json.loads(base64.b64decode(found[1]))
    assert source_map["sourcesContent"] == [APP["src/greeting.ts"]]


def test_what_has_not_changed_is_not_sent_again(browser: Browser) -> None:
    tag = browser.request("GET", "/src/later.ts", dest="script").headers["etag"]
    again = browser.request("GET", "/src/later.ts", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_it_keeps_to_its_own_folder(browser: Browser) -> None:
    for path in ("/@fs/etc/passwd", "/@fs/etc/passwd?raw", "/@fs/etc/passwd?import&raw"):
        answer = browser.request("GET", path, dest="script")
        assert (answer.status_code, "root:" in answer.text) == (403, False)


@pytest.mark.rule("Q-03")
@pytest.mark.parametrize(
    "path", ["/@fs/../etc/passwd", "/src/%2e%2e/x", "/@fs//etc/passwd", "/src/a%2fb", "/src/x%23y"]
)
def test_a_path_with_two_readings_is_refused_here_too(site: Site, path: str) -> None:
    with raw(site.port) as wire:
        wire.send(f"GET {path} HTTP/1.1\r\nhost: {site.host}\r\nx-csrf: 1\r\n\r\n".encode())
        assert wire.answer().status == 400


@pytest.mark.rule("X-01", "X-04")
def test_a_page_may_be_opened_from_anywhere_and_nothing_else(browser: Browser) -> None:
    """The way back from the provider's logout is one that began on another site."""
    for site in ("cross-site", "same-site", "none", "same-origin"):
        assert browser.navigate("/", site=site).status_code == 200
    framed = browser.request("GET", "/", site="cross-site", mode="navigate", dest="iframe")
    script = browser.request("GET", "/src/main.ts", site="cross-site", dest="script")
    posted = browser.request("POST", "/", site="cross-site", mode="navigate", dest="document")
    for refused in (framed, script, posted):
        assert (refused.status_code, refused.json()["reason"]) == (403, "cross_site")


@pytest.mark.rule("X-04")
@pytest.mark.parametrize(
    ("host", "recipe"),
    [
        pytest.param("app.example.com", RECIPE, id="on a public origin"),
        pytest.param("localhost", RECIPE.replace('"none"', '"optional"'), id="with rights"),
        pytest.param("localhost", RECIPE + 'request_cookies = ["a"]\n', id="with cookies"),
        pytest.param(
            "localhost", RECIPE.replace("documents = true", ""), id="without pages of its own"
        ),
    ],
)
def test_a_route_that_is_no_dev_server_opens_for_our_own_page_only(
    vite: str, host: str, recipe: str
) -> None:
    with serving_vite(vite, host, recipe) as site, browsing(site) as browser:
        refused = browser.navigate("/", site="cross-site")
        assert refused.status_code == 403
        assert "Reason: cross_site" in refused.text  # a page: a person came there


@pytest.mark.rule("Q-06", "Q-07")
def test_it_sees_nothing_of_a_session(browser: Browser, vite: str) -> None:
    """And it is asked by its own name: Vite refuses hosts that it does not know."""
    cookies = {"cookie": "bff=canary; other=1", "authorization": "Bearer canary"}
    seen = browser.request("GET", "/__seen", headers=cookies).json()
    assert seen["host"] == vite.partition("://")[2]
    assert {"cookie", "authorization", "x-csrf"}.isdisjoint(seen)
    assert "canary" not in json.dumps(seen)


# --- in a real browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    program = shutil.which("chromium")
    assert program, "chromium is missing: run `make test` as root, or install it"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=program,
            chromium_sandbox=False,
            args=["--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        yield found
        found.close()


@pytest.fixture
def page(chromium: Chromium, site: Site) -> Iterator[Page]:
    with chromium.new_context(base_url=site.origin) as context:
        context.set_default_timeout(20_000)
        yield context.new_page()


def test_the_application_runs_as_it_does_without_us(page: Page) -> None:
    page.goto("/orders/5")
    shown = page.locator("#app")
    expect(shown).to_contain_text("hello you tiny raw data:image/svg+xml", timeout=20_000)
    expect(shown).to_have_attribute("data-late", "yes 5", timeout=20_000)
    expect(shown).to_have_css("color", "rgb(1, 2, 3)", timeout=20_000)


@pytest.fixture
def edited(page: Page, app: Path) -> Iterator[list[str]]:
    """What WebSockets a page has opened that showed an edit without being loaded anew."""
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.goto("/")
    shown = page.locator("#app")
    expect(shown).to_contain_text("hello you", timeout=20_000)
    page.evaluate("window.stays = true")
    greeting = app / "src/greeting.ts"
    greeting.write_text(APP["src/greeting.ts"].replace("hello $", "good evening $"))
    expect(shown).to_contain_text("good evening you", timeout=20_000)
    assert page.evaluate("window.stays") is True
    yield sockets
    greeting.write_text(APP["src/greeting.ts"])


@pytest.mark.rule("W-01")
def test_an_edit_shows_through_our_websocket_without_loading_the_page_anew(
    edited: list[str], site: Site
) -> None:
    """Vite's client would try its own port as well, if ours were refused."""
    assert edited
    assert [url for url in edited if not url.startswith(site.origin.replace("http:", "ws:"))] == []
