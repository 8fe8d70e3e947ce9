"""Pushed authorization requests (RFC 9126), and what else a login asks for behind the browser."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest

from bff.simulator import Person
from tests.conftest import Told
from tests.parts.answers import cookie_lines, query, reason
from tests.parts.browser import Browser, browsing
from tests.parts.checking import checked
from tests.parts.config import config, config_text
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.parts.site import serving
from tests.parts.waiting import until

OFF = "pushed_authorization_requests = false"
OURS = "urn:simulator:tasks"  # what the API wants
HERE, THERE = "https://api.example.com/", "urn:example:orders"


@contextlib.contextmanager
def at(provider: Control, lines: str = "") -> Iterator[Browser]:
    """A browser at a site of its own, which has not read the metadata yet."""
    parts = {"issuer": provider.simulator.issuer, "api": provider.simulator.api}
    with serving(config(**parts, provider=lines)) as site, browsing(site) as browser:
        yield browser


@pytest.mark.rule("L-14")
@pytest.mark.rule("F-19")
@pytest.mark.parametrize(
    ("par", "lines"),
    [
        pytest.param("offered", "", id="offered"),
        pytest.param("required", "", id="required"),
        pytest.param("required", OFF, id="required, and switched off here"),
    ],
)
def test_the_browser_carries_nothing_but_a_reference(
    provider: Control, par: str, lines: str
) -> None:
    provider.switch(par=par)
    with at(provider, lines) as browser:
        asked = query(browser.to_provider())
        assert set(asked) == {"client_id", "request_uri"}
        (entry,) = provider.entries("par")
        assert (entry["authenticated"], entry["outcome"]) == (True, "ok")
        browser.sign_in()
        assert browser.fetch("GET", "/api/tasks").status_code == 200
    assert provider.count("par") == 2


@pytest.mark.rule("L-14")
def test_what_is_merely_offered_can_be_switched_off(provider: Control) -> None:
    provider.switch(par="offered")
    with at(provider, OFF) as browser:
        assert "state" in query(browser.to_provider())
        browser.sign_in()
    assert provider.count("par") == 0


@pytest.mark.rule("L-14")
def test_everything_is_pushed_that_a_login_asks_for(provider: Control) -> None:
    provider.switch(par="required")
    with at(provider, 'parameters = { prompt = "login" }') as browser:
        url = browser.to_provider(max_age="0", acr_values="2", login_hint="grace")
        assert provider.http.get(url).text.count('value="grace"') >= 1  # whom the page offers first
        assert browser.callback(browser.from_provider(acr_values="2")).status_code == 200


@pytest.mark.rule("L-15")
@pytest.mark.rule("F-15")
@pytest.mark.parametrize(
    ("fault", "status", "why"),
    [
        pytest.param({"status": 400, "error": "invalid_request"}, 400, "provider_error", id="400"),
        pytest.param({"status": 401, "error": "invalid_client"}, 400, "provider_error", id="401"),
        pytest.param({"status": 403}, 400, "provider_error", id="403"),
        pytest.param({"status": 413}, 400, "provider_error", id="413"),
        pytest.param({"status": 429}, 400, "provider_error", id="429"),
        pytest.param({"status": 500}, 503, "provider_unavailable", id="500"),
        pytest.param({"status": 503}, 503, "provider_unavailable", id="503"),
        pytest.param({"status": 302}, 503, "provider_unavailable", id="a redirect"),
        pytest.param({"drop": True}, 503, "provider_unavailable", id="no answer"),
        pytest.param(
            {"drop": True, "at": "after"}, 503, "provider_unavailable", id="an answer that got lost"
        ),
        pytest.param({"hold": True}, 503, "provider_unavailable", id="no end"),
        pytest.param(
            {"status": 200, "body": '{"request_uri": "urn:x"}'},
            503,
            "provider_unavailable",
            id="200 with a reference",
        ),
        pytest.param({"departure": "empty"}, 503, "provider_unavailable", id="201 and nothing"),
        pytest.param({"departure": "not_json"}, 503, "provider_unavailable", id="201, no JSON"),
        pytest.param(
            {"status": 201, "body": '{"request_uri": 17}'},
            503,
            "provider_unavailable",
            id="201 with a number",
        ),
        pytest.param(
            {"status": 201, "body": '{"request_uri": ""}'},
            503,
            "provider_unavailable",
            id="201 with no text",
        ),
    ],
)
@pytest.mark.parametrize("par", ["offered", "required"])
def test_nothing_falls_back_to_a_plain_request(
    provider: Control, told: Told, fault: dict[str, object], status: int, why: str, par: str
) -> None:
    provider.switch(par=par)
    with at(provider, 'total_timeout = "1s"') as browser:
        provider.fault("par", count=1, **fault)
        answer = browser.navigate("/bff/login", site="same-origin")
        assert (answer.status_code, reason(answer)) == (status, why)
        assert answer.headers["content-type"].startswith("text/html")
        assert "location" not in answer.headers
        assert cookie_lines(answer) == []
        provider.release("par")
        assert provider.count("authorize") == 0
        (line,) = (each for each in told() if each["event"] == "provider_failed")
        assert line["endpoint"] == "pushed_authorization_request_endpoint"
        browser.sign_in()  # and the next one is as it should be
    assert provider.count("par") == 2


@pytest.mark.rule("L-15")
def test_requests_that_must_be_pushed_and_cannot_be_are_not_made(
    provider: Control, told: Told
) -> None:
    provider.switch(discovery={"require_pushed_authorization_requests": True})
    with at(provider) as browser:
        answer = browser.navigate("/bff/login", site="same-origin")
        assert (answer.status_code, reason(answer)) == (503, "provider_unavailable")
        assert cookie_lines(answer) == []
    assert [each["code"] for each in told() if each["event"] == "provider_failed"] == [
        "endpoint_missing"
    ]


@pytest.mark.rule("L-15")
def test_each_login_has_a_reference_of_its_own(provider: Control) -> None:
    provider.switch(par="required")
    with at(provider) as browser, Person() as person:
        first, second = browser.to_provider(), browser.to_provider()
        assert query(first)["request_uri"] != query(second)["request_uri"]
        assert browser.callback(person.visit(first)).status_code == 200
        again = provider.http.get(first)
        assert again.status_code == 400
        assert provider.entries("authorize")[-1]["outcome"] == "request_uri_unknown"
        assert browser.callback(person.visit(second)).status_code == 200


@pytest.mark.rule("L-10")
@pytest.mark.rule("L-11")
@pytest.mark.rule("F-12")
def test_who_only_looks_makes_no_call_to_the_provider(provider: Control) -> None:
    provider.switch(par="required")
    with at(provider) as browser:
        browser.navigate("/bff/login", site="same-origin", headers={"sec-purpose": "prefetch"})
        browser.fetch("GET", "/bff/login")
        browser.navigate("/bff/login", site="cross-site")
    assert provider.count("par") == 0


@pytest.mark.rule("C-03")
def test_strangers_cannot_make_us_push_without_end(provider: Control) -> None:
    provider.switch(par="required")
    with at(provider, "connections = 2") as browser:
        statuses = [browser.navigate("/bff/login", site="none").status_code for _ in range(30)]
        refused = browser.navigate("/bff/login", site="none")
    assert reason(refused) == "overloaded"
    # A window of ten seconds may end meanwhile, and another one begin.
    assert 10 <= statuses.count(303) <= 20
    assert provider.count("par") == statuses.count(303)


@pytest.mark.rule("C-03")
@pytest.mark.parametrize(("connections", "status"), [(8, 200), (2, 503)])
def test_however_many_begin_a_code_is_redeemed_or_asked_for_again(
    provider: Control, connections: int, status: int
) -> None:
    """With two connections there is one place for logins: whoever begins may have it."""
    provider.switch(par="required")
    trusting = '[operate]\ntrusted_proxies = ["127.0.0.1/32"]'
    parts = {"issuer": provider.simulator.issuer, "api": provider.simulator.api, "more": trusting}

    def begin(number: int) -> int:
        with browsing(site) as stranger:
            sender = {"x-forwarded-for": f"198.51.100.{number // 2}"}
            return stranger.navigate("/bff/login", site="none", headers=sender).status_code

    with (
        serving(config(**parts, provider=f"connections = {connections}")) as site,
        browsing(site) as browser,
        ThreadPoolExecutor(8) as strangers,
    ):
        back = browser.from_provider()
        cookies = dict(browser.cookies)
        provider.fault("par", hold=True)
        begun = [strangers.submit(begin, number) for number in range(8)]
        held = min(4, connections // 2)
        provider.held("par", held)
        until(lambda: sum(each.done() for each in begun) == 8 - held)  # the others are refused
        answer = browser.callback(back)
        assert answer.status_code == status
        if status == 503:
            assert (reason(answer), browser.cookies) == ("overloaded", cookies)
        provider.do("clear")
        assert sorted(each.result() for each in begun) == [303] * held + [503] * (8 - held)
        if status == 503:
            assert browser.callback(back).status_code == 200
        assert browser.fetch("GET", "/api/tasks").status_code == 200
    assert provider.count("token") == 1


@pytest.mark.parametrize("par", ["absent", "required"])
def test_the_apis_that_tokens_are_for_are_named_in_every_request(
    provider: Control, par: str
) -> None:
    provider.switch(par=par, access_token_seconds=1)
    with at(provider, f'resource = ["{OURS}", "{HERE}", "{THERE}"]') as browser:
        browser.sign_in()
        provider.switch(access_token_seconds=300)
        while provider.count("token:refresh_token") == 0:
            browser.fetch("GET", "/api/tasks")
        assert browser.fetch("GET", "/api/tasks").status_code == 200
    tokens = provider.ask("secrets")["access_tokens"][-2:]
    for token in tokens:
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["aud"] == [OURS, HERE, THERE]
    assert {each["outcome"] for each in provider.entries("token")} == {"ok"}


@pytest.mark.rule("L-12")
@pytest.mark.parametrize(
    ("asked", "status"),
    [
        pytest.param("1", 303, id="one of them"),
        pytest.param("2 1", 303, id="both"),
        pytest.param("3", 400, id="another"),
        pytest.param("1 3", 400, id="one of them and another"),
        pytest.param("1,2", 400, id="both in another way"),
    ],
)
def test_only_listed_acr_values_may_be_asked_for(
    provider: Control, asked: str, status: int
) -> None:
    with at(provider, 'acr_values = ["1", "2"]') as browser:
        answer = browser.navigate(
            f"/bff/login?acr_values={asked.replace(' ', '%20')}", site="same-origin"
        )
        assert answer.status_code == status
        if status == 303:
            assert query(answer.headers["location"])["acr_values"] == asked
        else:
            assert reason(answer) == "bad_request"


@pytest.mark.rule("L-14")
@pytest.mark.parametrize(
    ("switches", "lines", "expected"),
    [
        pytest.param({"par": "required"}, "", ("ok", "required, and used"), id="required"),
        pytest.param({"par": "offered"}, "", ("ok", "offered, and used"), id="offered"),
        pytest.param({"par": "offered"}, OFF, ("warn", "offered, and switched off"), id="off"),
        pytest.param({}, "", ("ok", "not offered: the browser carries the request"), id="none"),
        pytest.param(
            {"discovery": {"require_pushed_authorization_requests": True}},
            "",
            ("fail", "required, and no endpoint for them: nobody can sign in"),
            id="required and nowhere",
        ),
    ],
)
def test_check_online_says_how_requests_go(
    tmp_path: Path,
    redis: RedisProcess,
    provider: Control,
    switches: dict[str, object],
    lines: str,
    expected: tuple[str, str],
) -> None:
    provider.switch(**switches)
    where = {"issuer": provider.simulator.issuer, "api": provider.simulator.api}
    found = checked(tmp_path, config_text(**where, store=redis.url, provider=lines))
    assert found.about("pushed requests") == expected
