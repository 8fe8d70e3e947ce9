"""A provider without OpenID Connect: the whole way, and whatever its own resource may say."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bff.config.load import Config, parse
from bff.simulator import Client, Person, Plan, Simulator, Switches, running
from tests.conftest import SECURE
from tests.parts.answers import query, reason
from tests.parts.browser import Browser, browsing
from tests.parts.checking import checked
from tests.parts.config import SECRET, config_text
from tests.parts.control import Control, client
from tests.parts.logout_token import minted, send
from tests.parts.redis_process import RedisProcess
from tests.parts.site import serving

ADA = str(zlib.crc32(b"ada"))


@dataclass(frozen=True)
class Place:
    page: Browser
    provider: Control


@pytest.fixture(scope="module")
def company() -> Iterator[Simulator]:
    application = Client(
        client_id="spa", client_secret=SECRET, redirect_uris=(f"{SECURE}/bff/callback",)
    )
    switches = Switches(access_token_seconds=300)
    with running(Plan(clients=(application,), openid=False, switches=switches)) as simulator:
        yield simulator


def settings(company: Simulator, store: str = "memory:") -> str:
    text = config_text(
        store=store,
        issuer=company.issuer,
        api=company.api,
        provider=f"""
connections = 1000
identity = "userinfo"
authorization_endpoint = "{company.issuer}/authorize"
token_endpoint = "{company.issuer}/token"
revocation_endpoint = "{company.issuer}/revoke"
identity_endpoint = "{company.issuer}/userinfo"
subject_claim = "id"
""",
        routes='[[routes]]\npath = "/api/w"\nupstream = "http://127.0.0.1:1"\nscopes = ["email"]',
    )
    return text.replace('scopes = ["openid", ', "scopes = [")


@pytest.fixture(scope="module")
def config(company: Simulator) -> Config:
    return parse(settings(company), dev=True)


@pytest.fixture
def place(company: Simulator, config: Config) -> Iterator[Place]:
    with client() as http, serving(config) as site, browsing(site) as page:
        control = Control(company, http)
        control.do("reset")
        yield Place(page, control)


def come_back(place: Place, sub: str = "ada", **asked: str) -> httpx.Response:
    with Person(sub) as person:
        return place.page.callback(person.visit(place.page.to_provider("/", **asked)))


@pytest.mark.rule("L-03", "L-04", "L-05")
def test_state_and_pkce_stay_where_there_is_no_nonce(place: Place) -> None:
    asked = query(place.page.to_provider("/"))
    assert asked.keys() >= {"state", "code_challenge", "redirect_uri"}
    assert asked["code_challenge_method"] == "S256"
    assert "nonce" not in asked
    assert asked["scope"] == "profile email offline_access"


@pytest.mark.rule("I-09")
def test_the_person_is_the_id_that_never_changes(place: Place) -> None:
    assert come_back(place).status_code == 200
    front = place.page.site.application.site.fronts["default"].front
    (listed,) = place.page.site.run(front.people.everyone())
    assert listed.entry.sub == ADA  # neither the name that may, nor a `sub` that means nothing
    state = place.page.fetch("GET", "/bff/session").json()
    assert state["claims"]["name"] == "Ada Lovelace"
    assert place.page.fetch("GET", "/api/tasks").status_code == 200
    assert place.provider.count("discovery") == 0


@pytest.mark.rule("P-09", "P-10")
def test_a_bound_token_is_shown_to_the_resource_with_a_proof(company: Simulator) -> None:
    bound = parse(settings(company).replace("connections", "dpop = true\nconnections"), dev=True)
    with client() as http, serving(bound) as site, browsing(site) as page:
        control = Control(company, http)
        control.do("reset")
        control.switch(dpop_nonces="demanded")
        page.sign_in()
        assert page.fetch("GET", "/api/tasks").status_code == 200
        assert [each["outcome"] for each in control.entries("userinfo")] == ["ok"]


@pytest.mark.rule("C-02", "C-05")
def test_a_foreign_state_and_a_code_of_another_attempt_are_refused(place: Place) -> None:
    with Person("ada") as person:
        back = httpx.URL(person.visit(place.page.to_provider("/")))
        other = httpx.URL(person.visit(place.page.to_provider("/")))
    swapped = back.copy_set_param("code", other.params["code"])
    answer = place.page.callback(str(swapped))
    assert (answer.status_code, reason(answer)) == (400, "code_rejected")  # PKCE
    unknown = other.copy_set_param("state", "x" * 43)
    answer = place.page.callback(str(unknown))
    assert (answer.status_code, reason(answer)) == (400, "transaction_missing")


@pytest.mark.parametrize(
    ("fault", "status", "why"),
    [
        pytest.param({"status": 500}, 503, "provider_unavailable", id="it does not work"),
        pytest.param({"status": 401}, 400, "provider_error", id="it does not know the token"),
        pytest.param({"departure": "not_json"}, 400, "provider_error", id="it says nothing"),
        pytest.param({"departure": "html"}, 400, "provider_error", id="it shows a page"),
        pytest.param({"drop": True}, 503, "provider_unavailable", id="it goes away"),
    ],
)
def test_without_an_answer_nobody_signs_in_and_the_tokens_are_revoked(
    place: Place, fault: dict[str, object], status: int, why: str
) -> None:
    place.provider.fault("userinfo", **fault)
    answer = come_back(place)
    assert (answer.status_code, reason(answer)) == (status, why)
    assert place.page.session_cookie is None
    assert place.provider.entries("revoke", 1)


@pytest.mark.rule("I-11")
@pytest.mark.parametrize("asked", [{"max_age": "60"}, {"acr_values": "2"}])
def test_what_it_cannot_say_is_not_taken_for_said(place: Place, asked: dict[str, str]) -> None:
    answer = come_back(place, **asked)
    assert (answer.status_code, reason(answer)) == (403, "step_up_required")


@pytest.mark.rule("R-01")
def test_its_tokens_are_renewed_and_its_lists_of_scopes_understood(place: Place) -> None:
    place.provider.switch(access_token_seconds=1)
    come_back(place)
    place.provider.switch(access_token_seconds=300)
    while place.provider.count("token:refresh_token") == 0:
        place.page.fetch("GET", "/api/tasks")
    assert place.page.fetch("GET", "/api/tasks").status_code == 200
    # "profile,email,offline_access" is three scopes: the rule lets it through, to nobody there.
    assert reason(place.page.fetch("GET", "/api/w")) == "upstream_unreachable"


@pytest.mark.rule("R-06")
@pytest.mark.parametrize(
    ("error", "found"),
    [("bad_refresh_token", (401, "refresh_rejected")), ("incorrect_client_credentials", (200, ""))],
)
def test_it_refuses_with_200_and_is_understood(
    place: Place, error: str, found: tuple[int, str]
) -> None:
    place.provider.switch(access_token_seconds=5)
    come_back(place)
    place.provider.fault("token:refresh_token", status=200, error=error)
    while place.provider.count("token:refresh_token") == 0:
        answer = place.page.fetch("GET", "/api/tasks")
    place.page.site.settle()
    answer = place.page.fetch("GET", "/api/tasks")
    assert (answer.status_code, reason(answer) if answer.status_code > 399 else "") == found


def test_signing_out_is_local_and_revokes(place: Place) -> None:
    come_back(place)
    answer = place.page.fetch("POST", "/bff/logout")
    assert answer.json() == {"logout_url": "/"}
    assert place.provider.entries("revoke", 1)


@pytest.mark.rule("B-02")
def test_no_logout_token_is_believed(place: Place) -> None:
    come_back(place)
    answer = send(place.page.site, minted(place.provider, sub="ada"))
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})
    assert place.provider.count("jwks") == 0
    assert place.page.fetch("GET", "/bff/session").json()["authenticated"]


def test_check_online_asks_what_there_is_to_ask(
    company: Simulator, redis: RedisProcess, tmp_path: Path
) -> None:
    found = checked(tmp_path, settings(company, redis.url))
    assert found.about("provider endpoints")[0] == "ok"
    assert found.about("client authentication")[0] == "ok"
    assert found.failed == []
