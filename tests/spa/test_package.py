"""The client library as an npm package: packed, installed, imported and type-checked elsewhere."""

import json
import shutil
from pathlib import Path

import pytest

from tests.spa.folder import MODULES, SPA, node_program, run

EXPORTED = {
    "BffError", "api", "countdown", "login", "logout", "onEnded", "refusal", "secondsLeft",
    "session", "signIn",
}  # fmt: skip
CONSUMER = """
import {
  api, BffError, countdown, login, logout, onEnded, secondsLeft, session, signIn,
  type Session,
} from 'bff-client';
import { RequireSession, useSession } from 'bff-client/react';
import { useSession as useVueSession } from 'bff-client/vue';

const end: () => void = session.subscribe(() => {
  const now: Session = session.get();
  if (now.authenticated) {
    const left: number = now.seconds_left.idle;
    const name: string | undefined = now.claims.name;
    const person: string = now.person;
    console.log(left, name, person, now.expiring === 'idle');
  } else if (now.authenticated === false) login({ returnTo: '/', prompt: 'login', maxAge: 60 });
  // @ts-expect-error: nobody is known to be signed in here
  console.log(now.claims);
});
onEnded((reason) => { if (reason === 'signed_out') end(); });
// @ts-expect-error: no such reason
onEnded((reason) => reason === 'bored');
countdown((left) => console.log(left?.lifetime ?? secondsLeft()));

try {
  const answer: Response = await api('/api/tasks', { method: 'POST', json: {}, background: true });
  console.log(answer.status);
  // @ts-expect-error: credentials are the library's business
  await api('/api/tasks', { credentials: 'omit' });
} catch (error) {
  if (error instanceof BffError && error.signedOut && error.repeat) {
    await signIn({ loginUrl: error.login_url, acrValues: '2' });
    await error.repeat();
  }
}
await logout();

const text: string = useVueSession().value.authenticated ? 'in' : 'out';
export const shown = () => [
  useSession().at, RequireSession({ children: text, otherwise: (now) => now.reason }),
];
"""
RENDER = """
import { session } from 'bff-client';
import * as react from 'bff-client/react';
import * as vue from 'bff-client/vue';
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { createSSRApp, h } from 'vue';
import { renderToString as renderVue } from 'vue/server-renderer';

let subscribed = 0;
const { subscribe } = session;
session.subscribe = (listener) => { subscribed += 1; return subscribe(listener); };
const drawn = [
  renderToString(createElement(react.RequireSession, { waiting: 'waiting' }, 'in')),
  await renderVue(createSSRApp({ render: () => h(vue.RequireSession, null, {
    waiting: () => 'waiting', default: () => 'in',
  }) })),
];
console.log(JSON.stringify({ drawn, subscribed }));
"""
OPTIONS = {
    "strict": True,
    "exactOptionalPropertyTypes": True,
    "target": "ES2022",
    "module": "NodeNext",
    "lib": ["ES2022", "DOM"],
    "types": [],
    "noEmit": True,
}


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("package") / "spa"
    shutil.copytree(SPA, source, ignore=shutil.ignore_patterns("types", "node_modules"))
    (source / "node_modules").symlink_to(MODULES)
    told = json.loads(run("npm", "pack", "--json", "--loglevel=error", cwd=source))
    return source / str(told[0]["filename"])


@pytest.fixture(scope="module")
def consumer(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has installed it, and has React and Vue."""
    folder = tmp_path_factory.mktemp("consumer")
    (folder / "package.json").write_text('{"name": "consumer", "private": true, "type": "module"}')
    quiet = ("--offline", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
    run("npm", "install", *quiet, str(tarball), cwd=folder)
    return folder


def test_it_holds_what_is_needed_and_no_more(consumer: Path) -> None:
    root = consumer / "node_modules/bff-client"
    held = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    modules = {
        "bff-client", "bff-client/countdown", "bff-client/session", "bff-client/wire",
        "bindings/react", "bindings/vue",
    }  # fmt: skip
    code = {f"{name}.js" for name in modules} | {f"types/{name}.d.ts" for name in modules}
    assert held == code | {"package.json", "signed-in.html", "signed-in.js"}


def test_node_imports_it_and_nothing_happens(consumer: Path) -> None:
    script = """
      const library = await import('bff-client');
      library.session.subscribe(() => {})();
      const now = library.session.get();
      console.log(JSON.stringify({ names: Object.keys(library), now }));
    """
    told = json.loads(run("node", "--input-type=module", "--eval", script, cwd=consumer))
    assert set(told["names"]) == EXPORTED
    assert told["now"]["authenticated"] is None


@pytest.fixture(scope="module")
def with_frameworks(consumer: Path) -> Path:
    for name in ("react", "react-dom", "scheduler", "vue", "@vue", "@types", "csstype", "@babel"):
        (consumer / "node_modules" / name).symlink_to(MODULES / name)
    return consumer


def test_a_server_draws_what_waits_and_subscribes_to_nothing(with_frameworks: Path) -> None:
    """It would never end the subscription, and have one more for each page."""
    (with_frameworks / "render.mjs").write_text(RENDER)
    told = json.loads(run("node", "render.mjs", cwd=with_frameworks))
    assert told["drawn"][0] == "waiting"
    assert "waiting" in told["drawn"][1]
    assert told["subscribed"] == 0


def test_its_types_serve_a_project_in_typescript(with_frameworks: Path) -> None:
    consumer = with_frameworks
    (consumer / "page.ts").write_text(CONSUMER)
    written = json.dumps({"compilerOptions": OPTIONS, "files": ["page.ts"]})
    (consumer / "tsconfig.json").write_text(written)
    run(node_program("tsc"), "--pretty", "false", cwd=consumer)
