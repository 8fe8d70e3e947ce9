"""What only a browser can tell, in each of three: what it keeps, sends and shows (BROWSERS.md)."""

import pytest

from tests.engines.conftest import Place
from tests.engines.engine import Engine, Kept, arrive, run, until

COOKIE = "__Host-Http-bff"
SESSION = "return await (await fetch('/bff/session', {headers: {'X-CSRF': '1'}})).json()"
LOGOUT = (
    "const answer = await fetch('/bff/logout', {method: 'POST', headers: {'X-CSRF': '1'}});"
    "return await answer.json();"
)
SUBMIT = (
    "const form = document.createElement('form');"
    "form.method = 'post'; form.action = '/bff/logout'; document.body.append(form);"
    "setTimeout(() => form.submit(), 0); return true;"
)


def press(engine: Engine, selector: str) -> None:
    """Press a button of the provider's page, once it is there."""
    script = (
        f"const found = document.querySelector({selector!r});"
        "if (found) setTimeout(() => found.click(), 0); return Boolean(found);"
    )
    until(engine, script)


def sign_in(engine: Engine, place: Place, query: str = "") -> None:
    engine.go(f"{place.origin}/bff/login?return_to=/home{query}")
    press(engine, 'button[value="ada"]')
    agree(engine, place)


def agree(engine: Engine, place: Place) -> None:
    """Consent, where it has not been given before, and land."""
    script = (
        "const found = document.querySelector('button[value=allow]');"
        "if (found) setTimeout(() => found.click(), 0);"
        "return document.readyState === 'complete' ? location.href : '';"
    )
    until(engine, script, lambda at: at == f"{place.origin}/home")


def session_cookie(engine: Engine) -> Kept:
    (found,) = [each for each in engine.cookies() if each.name == COOKIE]
    return found


@pytest.mark.rule("C-15", "S-01", "S-02", "S-03", "S-09")
def test_the_landing_page_arrives_with_a_cookie_that_no_script_sees(
    engine: Engine, place: Place
) -> None:
    sign_in(engine, place)
    session = run(engine, SESSION)
    assert session["authenticated"] is True
    assert session["claims"]["name"] == "Ada Lovelace"
    cookie = session_cookie(engine)
    assert (cookie.http_only, cookie.secure, cookie.same_site) == (True, True, "strict")
    assert (cookie.path, cookie.session) == ("/", True)
    seen = run(engine, "return [document.cookie, localStorage.length, sessionStorage.length]")
    assert seen == ["", 0, 0]
    assert not [each for each in engine.cookies() if "login" in each.name]


@pytest.mark.rule("X-03", "X-09", "O-06")
def test_a_form_signs_out_and_comes_back_over_the_provider(engine: Engine, place: Place) -> None:
    sign_in(engine, place)
    run(engine, SUBMIT)
    arrive(engine, f"{place.origin}/")
    assert run(engine, SESSION)["authenticated"] is False
    assert not [each for each in engine.cookies() if each.name == COOKIE]


@pytest.mark.rule("O-06", "O-08")
def test_a_fetch_signs_out_and_back_shows_nothing_protected(engine: Engine, place: Place) -> None:
    sign_in(engine, place)
    said = run(engine, LOGOUT)
    engine.go(place.origin + said["logout_url"])
    arrive(engine, f"{place.origin}/")
    engine.back()
    until(engine, "return location.origin", lambda at: at == place.origin)
    assert run(engine, SESSION)["authenticated"] is False
    call = "return (await fetch('/api/tasks', {headers: {'X-CSRF': '1'}})).status"
    assert run(engine, call) == 401


@pytest.mark.rule("S-08", "I-11")
def test_a_step_up_changes_the_cookie(engine: Engine, place: Place) -> None:
    sign_in(engine, place)
    before = session_cookie(engine)
    sign_in(engine, place, "&max_age=0")
    after = session_cookie(engine)
    assert after.value != before.value
    assert run(engine, SESSION)["authenticated"] is True


@pytest.mark.rule("W-08")
def test_an_event_stream_tells_what_becomes_of_the_session(engine: Engine, place: Place) -> None:
    sign_in(engine, place)
    listen = (
        "window.heard = []; const source = new EventSource('/bff/events');"
        "for (const name of ['session', 'ended']) source.addEventListener(name, (event) => {"
        "  window.heard.push([name, JSON.parse(event.data)]);"
        "  if (name === 'ended') source.close();"
        "});"
    )
    run(engine, listen)
    heard = until(engine, "return window.heard")
    assert heard[0][0] == "session"
    assert heard[0][1]["seconds_left"]["idle"] > 0
    run(engine, LOGOUT)
    heard = until(engine, "return window.heard", lambda all_: all_[-1][0] == "ended")
    assert heard[-1][1] == {"reason": "session_ended"}


@pytest.mark.rule("W-01", "W-02", "W-05")
def test_a_websocket_opens_by_its_origin_and_closes_with_the_session(
    engine: Engine, place: Place
) -> None:
    sign_in(engine, place)
    chat = (
        "window.over = null; window.heard = [];"
        "const socket = new WebSocket(`wss://${location.host}/socket/chat`);"
        "socket.onopen = () => socket.send('hello');"
        "socket.onmessage = (event) => window.heard.push(event.data);"
        "socket.onclose = (event) => { window.over = [event.code, event.reason]; };"
    )
    run(engine, chat)
    assert until(engine, "return window.heard") == ["hello"]
    run(engine, LOGOUT)
    assert until(engine, "return window.over") == [1008, "session_ended"]


@pytest.mark.rule("X-04", "L-10")
def test_the_providers_page_gets_nothing_from_the_application(engine: Engine, place: Place) -> None:
    sign_in(engine, place)
    engine.go(f"{place.issuer}/.well-known/openid-configuration")
    until(engine, "return location.origin", lambda at: at == place.issuer)
    ask = (
        f"const url = {place.origin!r} + '/api/tasks';"
        "try { return (await fetch(url, {credentials: 'include'})).status; }"
        "catch (error) { return error.name; }"
    )
    assert run(engine, ask) == "TypeError"
