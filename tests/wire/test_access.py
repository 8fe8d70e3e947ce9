"""Access rules on the wire: refused before the API is asked, and the login that asks for more."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from bff.simulator import Account, Client, Person, Plan, Switches, running
from bff.simulator.settings import SCOPES
from tests.conftest import SECURE, Told
from tests.parts.answers import query, reason
from tests.parts.browser import Browser, browsing
from tests.parts.config import SECRET, config
from tests.parts.control import Control, client
from tests.parts.redis_process import free_port
from tests.parts.site import Site, serving

ORG = "read:organization:acme"
ACCOUNTS = (
    Account(
        sub="ada",
        name="Ada",
        given_name="Ada",
        family_name="L",
        email="ada@example.com",
        claims={
            "org_id": "acme",
            "groups": ["staff", "admin"],
            "realm_access": {"roles": ["admin"]},
        },
    ),
    Account(
        sub="grace",
        name="Grace",
        given_name="Grace",
        family_name="H",
        email="grace@example.com",
        claims={"org_id": "acme openid", "groups": "administrators", "realm_access": "admin"},
    ),
    Account(
        sub="alan",
        name="Alan",
        given_name="Alan",
        family_name="T",
        email="alan@example.com",
        email_verified=False,
        claims={"groups": ["admin", 1], "realm_access": {"roles": [["admin"]]}},
    ),
)


@dataclass(frozen=True)
class Place:
    site: Site
    provider: Control


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    application = Client(
        client_id="spa",
        client_secret=SECRET,
        redirect_uris=(f"{SECURE}/bff/callback",),
        scopes=(*SCOPES, ORG),
    )
    plan = Plan(
        clients=(application,), accounts=ACCOUNTS, switches=Switches(access_token_seconds=300)
    )
    with running(plan) as simulator, client() as http:
        unreachable = f"http://127.0.0.1:{free_port()}"
        routes = f"""
[[routes]]
path = "/api/tasks"
upstream = "{simulator.api}/tasks"
strip = true
scopes = ["tasks:write"]

[[routes]]
path = "/api/org"
upstream = "{simulator.api}/token"
strip = true
scopes = ["{ORG.replace("acme", "{org_id}")}"]

[[routes]]
path = "/api/admin"
upstream = "{simulator.api}/tasks"
strip = true
require = {{ groups = ["admin"], email_verified = true }}

[[routes]]
path = "/api/realm"
upstream = "{simulator.api}/tasks"
strip = true
require = {{ "/realm_access/roles" = ["admin"] }}

[[routes]]
path = "/api/strong"
upstream = "{simulator.api}/tasks"
strip = true
require = {{ acr = "2" }}

[[routes]]
path = "/api/both"
upstream = "{simulator.api}/tasks"
strip = true
scopes = ["tasks:write"]
require = {{ acr = "2" }}

[[routes]]
path = "/nowhere/scopes"
upstream = "{unreachable}"
scopes = ["tasks:read"]
websocket = true

[[routes]]
path = "/nowhere/claims"
upstream = "{unreachable}"
require = {{ email_verified = false }}

[[routes]]
path = "/nowhere"
upstream = "{unreachable}"
"""
        settings = config(
            issuer=simulator.issuer,
            api=simulator.api,
            routes=routes,
            provider="connections = 1000",
        )
        with serving(settings) as site:
            yield Place(site, Control(simulator, http))


@pytest.fixture
def page(place: Place) -> Iterator[Browser]:
    place.provider.do("reset")
    with browsing(place.site) as page:
        yield page


def signs_in_again(page: Browser, login_url: str, sub: str = "ada") -> dict[str, str]:
    """Follow a login URL to the end; what the provider was asked for."""
    answer = page.navigate(login_url, site="same-origin")
    assert answer.status_code == 303, answer.text
    asked = answer.headers["location"]
    with Person(sub) as person:
        assert page.callback(person.visit(asked)).status_code == 200
    return query(asked)


def refused(answer: httpx.Response) -> dict[str, object]:
    found: dict[str, object] = answer.json()
    assert (answer.status_code, found["reason"]) == (403, reason(answer))
    return found


@pytest.mark.rule("L-13", "A-05")
def test_a_scope_that_is_missing_is_asked_for_by_the_login_url(page: Browser, told: Told) -> None:
    page.sign_in()
    answer = refused(page.fetch("POST", "/api/tasks", json={"title": "A task"}))
    assert answer["reason"] == "insufficient_scope"
    assert answer["scope"] == "tasks:write"
    assert answer["login_url"] == "/bff/login?route=/api/tasks"
    (line,) = [each for each in told() if each["event"] == "access_refused"]
    assert (line["audit"], line["reason"]) == (True, "insufficient_scope")
    asked = signs_in_again(page, str(answer["login_url"]))
    assert asked["scope"] == "openid profile email offline_access tasks:write"
    assert page.fetch("POST", "/api/tasks", json={"title": "A task"}).status_code == 201


@pytest.mark.rule("L-13")
def test_what_one_route_was_granted_is_asked_for_again_for_another(page: Browser) -> None:
    page.sign_in()
    signs_in_again(page, "/bff/login?route=/api/tasks")
    asked = signs_in_again(page, "/bff/login?route=/api/org")
    assert asked["scope"] == f"openid profile email offline_access tasks:write {ORG}"
    assert page.fetch("GET", "/api/tasks").status_code == 200
    assert ORG in page.fetch("GET", "/api/org").json()["scope"]


def test_a_scope_is_made_with_the_claim_of_the_person(page: Browser) -> None:
    page.sign_in()
    answer = refused(page.fetch("GET", "/api/org"))
    assert (answer["reason"], answer["scope"]) == ("insufficient_scope", ORG)
    signs_in_again(page, str(answer["login_url"]))
    assert page.fetch("GET", "/api/org").status_code == 200


@pytest.mark.parametrize(
    "sub",
    [
        pytest.param("grace", id="a space would make two scopes of one"),
        pytest.param("alan", id="no such claim"),
    ],
)
def test_a_claim_that_no_scope_can_hold_is_not_asked_for(page: Browser, sub: str) -> None:
    page.sign_in(sub)
    assert refused(page.fetch("GET", "/api/org"))["reason"] == "forbidden"
    asked = signs_in_again(page, "/bff/login?route=/api/org", sub)
    assert asked["scope"] == "openid profile email offline_access"
    assert refused(page.fetch("GET", "/api/org"))["reason"] == "forbidden"


@pytest.mark.rule("L-12", "L-13")
@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"route": "/api"}, id="a route without scopes"),
        pytest.param({"route": "/api/admin"}, id="a route with other rules"),
        pytest.param({"route": "/api/tasks/"}, id="not quite a route"),
        pytest.param({"route": "tasks:write"}, id="a scope"),
    ],
)
def test_only_a_route_with_scopes_can_be_named(page: Browser, asked: dict[str, str]) -> None:
    answer = page.navigate(f"/bff/login?{httpx.QueryParams(asked)}", site="same-origin")
    assert (answer.status_code, reason(answer)) == (400, "bad_request")


@pytest.mark.rule("L-12", "L-13")
def test_no_scope_comes_from_the_browser(page: Browser) -> None:
    page.sign_in()
    asked = page.to_provider("/", scope="tasks:write", scopes="tasks:write")
    assert query(asked)["scope"] == "openid profile email offline_access"


@pytest.mark.rule("L-11")
def test_another_site_gets_a_page_that_keeps_the_route(page: Browser) -> None:
    answer = page.navigate("/bff/login?route=/api/tasks", site="cross-site")
    assert answer.status_code == 200
    assert "route=%2Fapi%2Ftasks" in answer.text


@pytest.mark.parametrize(
    ("sub", "status"),
    [
        pytest.param("ada", 200, id="in the group"),
        pytest.param("grace", 403, id="in another whose name begins alike"),
        pytest.param("alan", 403, id="in the group, but the address is not verified"),
    ],
)
def test_claims_decide_though_no_page_sees_them(page: Browser, sub: str, status: int) -> None:
    page.sign_in(sub)
    answer = page.fetch("GET", "/api/admin")
    assert answer.status_code == status
    if status == 403:
        found = refused(answer)
        assert found["reason"] == "forbidden"
        assert "login_url" not in found
    shown = page.fetch("GET", "/bff/session").json()["claims"]
    assert shown.keys() <= {"name", "email", "picture"}


@pytest.mark.parametrize(
    ("sub", "status"),
    [
        pytest.param("ada", 200, id="in the list inside of the claim"),
        pytest.param("grace", 403, id="the claim is no object"),
        pytest.param("alan", 403, id="in a list inside of the list"),
    ],
)
def test_a_claim_inside_of_another_decides_too(page: Browser, sub: str, status: int) -> None:
    page.sign_in(sub)
    assert page.fetch("GET", "/api/realm").status_code == status


@pytest.mark.rule("I-11")
def test_where_only_a_stronger_sign_in_is_missing_a_login_helps(page: Browser) -> None:
    page.sign_in()
    answer = refused(page.fetch("GET", "/api/strong"))
    assert (answer["reason"], answer["login_url"]) == ("forbidden", "/bff/login?acr_values=2")
    signs_in_again(page, str(answer["login_url"]))
    assert page.fetch("GET", "/api/strong").status_code == 200


@pytest.mark.rule("L-13", "A-05")
@pytest.mark.parametrize("query", ["acr_values=2", "max_age=60", "prompt=login"])
def test_who_raises_a_session_keeps_the_rights_that_it_has(page: Browser, query: str) -> None:
    page.sign_in()
    signs_in_again(page, "/bff/login?route=/api/tasks")
    asked = signs_in_again(page, f"/bff/login?{query}")
    assert asked["scope"] == "openid profile email offline_access tasks:write"
    assert page.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("L-13", "A-05")
@pytest.mark.parametrize("before", ["/bff/login?acr_values=2", "/bff/login?route=/api/tasks", ""])
def test_one_login_brings_all_that_a_route_wants(page: Browser, before: str) -> None:
    page.sign_in()
    if before:  # half of it is there
        signs_in_again(page, before)
    answer = refused(page.fetch("GET", "/api/both"))
    assert answer["login_url"] == "/bff/login?acr_values=2&route=/api/both"
    signs_in_again(page, str(answer["login_url"]))
    assert page.fetch("GET", "/api/both").status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "why"),
    [
        pytest.param("/nowhere/plain", 502, "upstream_unreachable", id="no rule: it is called"),
        pytest.param("/nowhere/scopes/x", 403, "insufficient_scope", id="a scope is missing"),
        pytest.param("/nowhere/claims/x", 403, "forbidden", id="a claim is another"),
    ],
)
def test_the_api_is_not_troubled(page: Browser, path: str, status: int, why: str) -> None:
    page.sign_in()
    for _ in range(2):  # found in the store, and then at hand
        answer = page.fetch("GET", path)
        assert (answer.status_code, reason(answer)) == (status, why)
    nobody = Browser(page.site, page.http)
    assert reason(nobody.fetch("GET", path)) == "no_session"


def test_a_websocket_is_held_to_the_rule_too(page: Browser) -> None:
    page.sign_in()
    upgrade = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "origin": page.site.origin,
    }
    answer = page.request(
        "GET", "/nowhere/scopes", mode="websocket", dest="websocket", headers=upgrade
    )
    assert (answer.status_code, reason(answer)) == (403, "insufficient_scope")


def test_a_scope_that_a_refresh_takes_away_is_gone(page: Browser, place: Place) -> None:
    provider = place.provider
    provider.switch(access_token_seconds=1)
    page.sign_in()
    signs_in_again(page, "/bff/login?route=/api/tasks")
    provider.fault("token:refresh_token", departure="scope_narrowed")
    provider.switch(access_token_seconds=300)
    while provider.count("token:refresh_token") == 0:
        page.fetch("GET", "/api/tasks")
    assert refused(page.fetch("GET", "/api/tasks"))["reason"] == "insufficient_scope"


def test_a_refresh_brings_the_claims_up_to_date(page: Browser, place: Place) -> None:
    provider = place.provider
    page.sign_in()
    provider.switch(access_token_seconds=1)
    signs_in_again(page, "/bff/login?acr_values=2")
    provider.fault("id_token", departure="other_acr")
    provider.switch(access_token_seconds=300)
    while provider.count("token:refresh_token") == 0:
        page.fetch("GET", "/api/tasks")
    assert refused(page.fetch("GET", "/api/strong"))["reason"] == "forbidden"


def test_a_provider_that_grants_less_than_asked_opens_nothing(page: Browser, place: Place) -> None:
    place.provider.switch(drop_scopes=["tasks:write"])
    page.sign_in()
    signs_in_again(page, "/bff/login?route=/api/tasks")
    assert refused(page.fetch("GET", "/api/tasks"))["reason"] == "insufficient_scope"


def test_a_provider_that_does_not_say_what_it_granted_granted_what_was_asked(
    page: Browser, place: Place
) -> None:
    place.provider.switch(omit_scope=True)
    page.sign_in()
    assert refused(page.fetch("GET", "/api/tasks"))["reason"] == "insufficient_scope"
    signs_in_again(page, "/bff/login?route=/api/tasks")
    assert page.fetch("GET", "/api/tasks").status_code == 200
