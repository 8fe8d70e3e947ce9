"""The authorization endpoint: what it refuses, whom it asks, what it remembers."""

from collections.abc import Iterator

import httpx
import pytest

from bff.simulator import Person, Simulator, running
from bff.simulator.person import Stuck
from tests.unit.simulator_client import CALLBACK, PLAN, SCOPE, Party


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(PLAN) as started:
        yield started


@pytest.fixture
def party(simulator: Simulator) -> Iterator[Party]:
    with Party(simulator) as fresh:
        yield fresh


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        pytest.param({"client_id": "nobody"}, "client_unknown", id="an unknown client"),
        pytest.param({"client_id": None}, "client_unknown", id="no client"),
        pytest.param({"redirect_uri": None}, "redirect_uri_unregistered", id="no redirect_uri"),
        pytest.param(
            {"redirect_uri": CALLBACK + "/"}, "redirect_uri_unregistered", id="a slash more"
        ),
        pytest.param(
            {"redirect_uri": CALLBACK.replace("localhost", "LOCALHOST")},
            "redirect_uri_unregistered",
            id="another case",
        ),
    ],
)
def test_an_own_page_and_no_redirect_for(
    party: Party, changes: dict[str, str | None], outcome: str
) -> None:
    answer = party.http.get(party.url(**changes))
    assert (answer.status_code, answer.headers.get("location")) == (400, None)
    assert party.last("authorize")["outcome"] == outcome


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"response_type": "token"}, "unsupported_response_type", id="implicit"),
        pytest.param({"response_type": None}, "unsupported_response_type", id="no response_type"),
        pytest.param({"response_mode": "fragment"}, "invalid_request", id="a fragment"),
        pytest.param({"code_challenge": None}, "invalid_request", id="no PKCE"),
        pytest.param({"code_challenge": "short"}, "invalid_request", id="a short challenge"),
        pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain PKCE"),
        pytest.param({"code_challenge_method": None}, "invalid_request", id="PKCE without method"),
        pytest.param({"scope": "profile"}, "invalid_scope", id="no openid"),
        pytest.param({"scope": None}, "invalid_scope", id="no scope"),
        pytest.param({"scope": "openid admin"}, "invalid_scope", id="a scope not registered"),
        pytest.param({"prompt": "none login"}, "invalid_request", id="none and login"),
        pytest.param({"prompt": "please"}, "invalid_request", id="an unknown prompt"),
        pytest.param({"prompt": "none"}, "login_required", id="nobody is signed in"),
        pytest.param({"max_age": "soon"}, "invalid_request", id="max_age is no number"),
        pytest.param({"request": "x.y.z"}, "request_not_supported", id="a request object"),
        pytest.param({"request_uri": "urn:x"}, "request_uri_not_supported", id="a request_uri"),
        pytest.param({"id_token_hint": "x.y.z"}, "invalid_request", id="a hint not ours"),
    ],
)
def test_the_client_is_told(party: Party, changes: dict[str, str | None], error: str) -> None:
    with Person() as ada:
        back = party.callback(ada, **changes)
    assert (back["error"], back["state"], back["iss"]) == (error, "the-state", party.issuer)


def test_a_parameter_sent_twice_is_refused(party: Party) -> None:
    with Person() as ada:
        assert "error=invalid_request" in ada.visit(party.url() + "&display=page&display=popup")


def test_a_person_may_say_no(party: Party) -> None:
    with Person(allows=False) as ada:
        assert party.callback(ada)["error"] == "access_denied"


def test_a_person_may_cancel_the_choice(party: Party) -> None:
    page = party.http.get(party.url())
    ticket = page.text.split('name="ticket" value="')[1].split('"')[0]
    answer = party.http.post(
        f"{party.issuer}/choose", data={"ticket": ticket, "decision": "cancel"}
    )
    assert "error=access_denied" in answer.headers["location"]


@pytest.fixture
def ada(party: Party) -> Iterator[Person]:
    """Signed in at the provider, consent given."""
    with Person() as person:
        assert "code" in party.callback(person)
        yield person


@pytest.mark.parametrize(
    ("changes", "page"),
    [
        pytest.param({}, None, id="nothing: single sign-on"),
        pytest.param({"prompt": "none"}, None, id="nothing, silently"),
        pytest.param({"max_age": "600"}, None, id="nothing, the sign-in is recent"),
        pytest.param({"login_hint": "ada@example.com"}, None, id="nothing, the hint is right"),
        pytest.param({"acr_values": "1"}, None, id="nothing, the level is reached"),
        pytest.param({"acr_values": "unheard-of"}, None, id="nothing, the level is not ours"),
        pytest.param({"prompt": "login"}, "/choose", id="prompt=login"),
        pytest.param({"prompt": "select_account"}, "/choose", id="prompt=select_account"),
        pytest.param({"max_age": "0"}, "/choose", id="max_age=0"),
        pytest.param({"login_hint": "grace"}, "/choose", id="a hint at somebody else"),
        pytest.param({"acr_values": "2"}, "/choose", id="a higher level"),
        pytest.param({"prompt": "consent"}, "/consent", id="prompt=consent"),
        pytest.param({"scope": SCOPE + " tasks:write"}, "/consent", id="more scope"),
    ],
)
def test_someone_who_is_signed_in_is_asked(
    party: Party, ada: Person, changes: dict[str, str], page: str | None
) -> None:
    answer = ada.http.get(party.url(**changes))
    asked = 'action="/choose"' in answer.text, 'action="/consent"' in answer.text
    assert asked == (page == "/choose", page == "/consent")
    assert ("code=" in answer.headers.get("location", "")) == (page is None)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"login_hint": "grace"}, "login_required", id="somebody else is meant"),
        pytest.param({"max_age": "0"}, "login_required", id="the sign-in is too old"),
        pytest.param({"scope": SCOPE + " tasks:write"}, "consent_required", id="more scope"),
    ],
)
def test_silently_nobody_is_asked(
    party: Party, ada: Person, changes: dict[str, str], error: str
) -> None:
    assert party.callback(ada, prompt="none", **changes)["error"] == error


def test_a_sign_in_that_is_too_old_is_asked_for_again(party: Party, ada: Person) -> None:
    party.control("clock", {"advance": 700})
    assert 'action="/choose"' in ada.http.get(party.url(max_age="600")).text


def test_a_hint_token_of_the_person_signs_in_silently(party: Party, ada: Person) -> None:
    id_token = party.redeem(party.callback(ada)["code"]).json()["id_token"]
    assert "code" in party.callback(ada, prompt="none", id_token_hint=id_token)
    ada.sub = "grace"
    party.callback(ada, prompt="login")
    back = party.callback(ada, prompt="none", id_token_hint=id_token)
    assert back["error"] == "login_required"


def test_the_pages_are_plain_and_locked_down(party: Party) -> None:
    page = party.http.get(party.url())
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://localhost:8080;" in policy
    assert "<script" not in page.text
    assert page.text.count('name="account"') == 3
    cookie = party.http.post(
        f"{party.issuer}/choose",
        data={
            "ticket": page.text.split('name="ticket" value="')[1].split('"')[0],
            "account": "ada",
        },
    ).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def _post(party: Party, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
    return party.http.post(f"{party.issuer}{path}", data=form, headers=headers)


def test_a_ticket_is_good_once_and_only_for_its_own_page(party: Party) -> None:
    page = party.http.get(party.url()).text
    ticket = page.split('name="ticket" value="')[1].split('"')[0]
    assert _post(party, "/consent", {"ticket": ticket, "decision": "allow"}).status_code == 400
    assert _post(party, "/choose", {"ticket": ticket, "account": "ada"}).status_code == 200
    assert _post(party, "/choose", {"ticket": ticket, "account": "ada"}).status_code == 400


def test_a_form_of_another_site_is_refused(party: Party) -> None:
    page = party.http.get(party.url()).text
    ticket = page.split('name="ticket" value="')[1].split('"')[0]
    form = {"ticket": ticket, "account": "ada"}
    for origin in ("http://evil.example", "null"):
        assert _post(party, "/choose", form, Origin=origin).status_code == 403
    assert _post(party, "/choose", form, Origin=party.issuer).status_code == 200


def test_a_consent_is_not_given_by_somebody_else(party: Party) -> None:
    chosen = {"account": "ada"}
    page = party.http.get(party.url()).text
    ticket = page.split('name="ticket" value="')[1].split('"')[0]
    consent = _post(party, "/choose", {"ticket": ticket, **chosen}).text
    waiting = consent.split('name="ticket" value="')[1].split('"')[0]
    party.http.cookies.clear()
    assert _post(party, "/consent", {"ticket": waiting, "decision": "allow"}).status_code == 400
    assert party.last("consent")["outcome"] == "person_changed"


def test_an_unknown_account_cannot_be_chosen(party: Party) -> None:
    with Person("nobody") as nobody, pytest.raises(Stuck, match="400"):
        nobody.visit(party.url())
    assert party.last("choose")["outcome"] == "account_unknown"


def test_the_style_sheet_is_ours(party: Party) -> None:
    answer = party.http.get(f"{party.issuer}/simulator.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in answer.text
