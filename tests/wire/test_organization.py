"""A person must come of an organisation that the file knows: at sign-in and at each refresh."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from bff.config.load import parse
from bff.simulator import ACCOUNTS, Account, Client, Person, Plan, Simulator, Switches, running
from bff.simulator.settings import SCOPES
from tests.conftest import SECURE, Told
from tests.parts.answers import query, reason
from tests.parts.browser import Browser, browsing
from tests.parts.config import SECRET, config_text
from tests.parts.control import Control, client
from tests.parts.site import serving

BY_PARAMETER = """
connections = 1000
organization = { claim = "org_id", parameter = "organization", allowed = ["org_acme", "org_umbra"] }
"""
BY_SCOPE = """
connections = 1000
organization = { claim = "org_id", scope = "organization:{organization}", value = "org_acme" }
"""


def member(sub: str, **claims: object) -> Account:
    return Account(
        sub=sub,
        name=sub,
        given_name=sub,
        family_name=sub,
        email=f"{sub}@example.com",
        claims=claims,
    )


@dataclass(frozen=True)
class Place:
    page: Browser
    provider: Control


@pytest.fixture(scope="module")
def company() -> Iterator[Simulator]:
    application = Client(
        client_id="spa",
        client_secret=SECRET,
        redirect_uris=(f"{SECURE}/bff/callback",),
        scopes=(*SCOPES, "organization:org_acme"),
    )
    people = (
        member("ada", org_id="org_acme"),
        member("una", org_id="org_umbra"),
        member("eve", org_id="org_other"),
        member("two", org_id=["org_acme", "org_umbra"]),
        *(each for each in ACCOUNTS if each.sub == "grace"),  # of none
    )
    plan = Plan(
        clients=(application,), accounts=people, switches=Switches(access_token_seconds=300)
    )
    with running(plan) as simulator:
        yield simulator


def visiting(company: Simulator, provider: str) -> Iterator[Place]:
    text = config_text(issuer=company.issuer, api=company.api, provider=provider)
    with client() as http, serving(parse(text, dev=True)) as site, browsing(site) as page:
        control = Control(company, http)
        control.do("reset")
        yield Place(page, control)


@pytest.fixture
def place(company: Simulator) -> Iterator[Place]:
    yield from visiting(company, BY_PARAMETER)


@pytest.fixture
def by_scope(company: Simulator) -> Iterator[Place]:
    yield from visiting(company, BY_SCOPE)


def signs_in(place: Place, sub: str, **asked: str) -> httpx.Response:
    with Person(sub) as person:
        return place.page.callback(person.visit(place.page.to_provider("/", **asked)))


@pytest.mark.parametrize(("sub", "name"), [("ada", "org_acme"), ("una", "org_umbra")])
def test_the_one_that_was_asked_for_signs_in(place: Place, sub: str, name: str) -> None:
    assert query(place.page.to_provider("/", organization=name))["organization"] == name
    assert signs_in(place, sub, organization=name).status_code == 200
    assert signs_in(place, sub).status_code == 200  # nobody asked, and it is known


@pytest.mark.rule("C-12")
@pytest.mark.parametrize(
    ("sub", "asked"),
    [
        pytest.param("una", {"organization": "org_acme"}, id="of another than was asked for"),
        pytest.param("eve", {}, id="of one that the file does not know"),
        pytest.param("two", {}, id="of two: nobody knows which"),
        pytest.param("grace", {}, id="of none"),
    ],
)
def test_nobody_else_does(place: Place, told: Told, sub: str, asked: dict[str, str]) -> None:
    answer = signs_in(place, sub, **asked)
    assert (answer.status_code, reason(answer)) == (400, "id_token_invalid")
    assert place.page.session_cookie is None
    assert place.provider.entries("revoke", 1)  # what came is worthless again
    codes = [each["code"] for each in told() if each["event"] == "provider_failed"]
    assert codes == ["organization"]


@pytest.mark.rule("L-12")
@pytest.mark.parametrize("name", ["org_other", "org_acme ", "ORG_ACME", "org_acme org_umbra"])
def test_what_the_file_does_not_know_cannot_be_asked_for(place: Place, name: str) -> None:
    asked = httpx.QueryParams({"organization": name})
    answer = place.page.navigate(f"/bff/login?{asked}", site="same-origin")
    assert (answer.status_code, reason(answer)) == (400, "bad_request")


@pytest.mark.rule("L-12")
def test_a_file_that_asks_for_none_takes_none(browser: Browser) -> None:
    answer = browser.navigate("/bff/login?organization=org_acme", site="same-origin")
    assert (answer.status_code, reason(answer)) == (400, "bad_request")


@pytest.mark.rule("L-11")
def test_another_site_gets_a_page_that_keeps_it(place: Place) -> None:
    answer = place.page.navigate("/bff/login?organization=org_umbra", site="cross-site")
    assert "organization=org_umbra" in answer.text


@pytest.mark.rule("L-13")
def test_it_may_be_a_scope_and_always_the_same(by_scope: Place) -> None:
    asked = query(by_scope.page.to_provider("/"))
    assert asked["scope"] == "openid profile email offline_access organization:org_acme"
    assert "organization" not in asked
    assert signs_in(by_scope, "ada").status_code == 200
    assert signs_in(by_scope, "una").status_code == 400


@pytest.mark.rule("S-08", "C-13")
def test_another_one_is_another_sign_in(place: Place) -> None:
    signs_in(place, "ada", organization="org_acme")
    former = place.page.session_cookie
    # A step-up stays where the session is …
    assert query(place.page.to_provider("/", max_age="0"))["organization"] == "org_acme"
    # … and whoever asks for another signs in anew: the former session is over.
    assert signs_in(place, "una", organization="org_umbra", prompt="login").status_code == 200
    assert place.page.session_cookie != former
    assert query(place.page.to_provider("/", max_age="0"))["organization"] == "org_umbra"


@pytest.mark.rule("I-13")
@pytest.mark.parametrize(("departure", "status"), [("other_organization", 401), (None, 200)])
def test_a_refresh_that_names_another_ends_the_session(
    place: Place, departure: str | None, status: int
) -> None:
    place.provider.switch(access_token_seconds=1)
    signs_in(place, "ada")
    if departure is not None:
        place.provider.fault("id_token", departure=departure)
    place.provider.switch(access_token_seconds=300)
    while place.provider.count("token:refresh_token") == 0:
        place.page.fetch("GET", "/api/tasks")
    answer = place.page.fetch("GET", "/api/tasks")
    assert answer.status_code == status
    assert status == 200 or reason(answer) == "refresh_rejected"
