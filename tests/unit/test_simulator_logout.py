"""RP-initiated logout: who is signed out, where the browser goes, and what is refused."""

from collections.abc import Iterator

import httpx
import jwt
import pytest

from bff.simulator import Person, Simulator, running
from tests.unit.simulator_client import AFTER, PLAN, Party


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(PLAN) as started:
        yield started


@pytest.fixture
def party(simulator: Simulator) -> Iterator[Party]:
    with Party(simulator) as fresh:
        yield fresh


@pytest.fixture
def ada(party: Party) -> Iterator[Person]:
    with Person() as person:
        assert "code" in party.callback(person)
        yield person


def end(party: Party, person: Person, method: str = "GET", **sent: str) -> httpx.Response:
    url = f"{party.issuer}/end-session"
    if method == "POST":
        return person.http.post(url, data=sent)
    return person.http.get(url, params=sent)


def hint(party: Party, person: Person) -> str:
    return str(party.redeem(party.callback(person)["code"]).json()["id_token"])


def signed_in(party: Party, person: Person) -> bool:
    return "code" in party.callback(person, prompt="none")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_hint_signs_out_at_once_and_goes_back(party: Party, ada: Person, method: str) -> None:
    sent = {"id_token_hint": hint(party, ada), "post_logout_redirect_uri": AFTER, "state": "a&b"}
    answer = end(party, ada, method, **sent)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{AFTER}?state=a%26b")
    assert not signed_in(party, ada)


def test_a_hint_alone_shows_a_page(party: Party, ada: Person) -> None:
    answer = end(party, ada, id_token_hint=hint(party, ada), client_id="spa")
    assert (answer.status_code, "Signed out" in answer.text) == (200, True)
    assert not signed_in(party, ada)


def test_an_expired_hint_is_still_good(party: Party, ada: Person) -> None:
    old = hint(party, ada)
    party.control("clock", {"advance": 100_000})
    assert end(party, ada, id_token_hint=old, post_logout_redirect_uri=AFTER).status_code == 303


def test_a_hint_of_a_key_no_longer_published_is_still_good(party: Party, ada: Person) -> None:
    old = hint(party, ada)
    party.control("rotate-keys", {"keep": False})
    assert end(party, ada, id_token_hint=old, post_logout_redirect_uri=AFTER).status_code == 303


@pytest.mark.parametrize("sent", [{}, {"client_id": "spa", "post_logout_redirect_uri": AFTER}])
def test_without_a_hint_the_person_is_asked(
    party: Party, ada: Person, sent: dict[str, str]
) -> None:
    page = end(party, ada, **sent)
    assert (page.status_code, 'action="/end-session/confirm"' in page.text) == (200, True)
    assert signed_in(party, ada)
    ticket = page.text.split('name="ticket" value="')[1].split('"')[0]
    form = {"ticket": ticket, "decision": "sign_out"}
    answer = ada.http.post(f"{party.issuer}/end-session/confirm", data=form)
    assert answer.headers.get("location") == sent.get("post_logout_redirect_uri")
    assert not signed_in(party, ada)
    again = ada.http.post(f"{party.issuer}/end-session/confirm", data=form)
    assert again.status_code == 400


def test_a_person_may_stay(party: Party, ada: Person) -> None:
    ticket = end(party, ada).text.split('name="ticket" value="')[1].split('"')[0]
    form = {"ticket": ticket, "decision": "stay"}
    assert ada.http.post(f"{party.issuer}/end-session/confirm", data=form).status_code == 200
    assert signed_in(party, ada)


def test_the_hint_of_somebody_else_does_not_sign_out(party: Party, ada: Person) -> None:
    with Person("grace") as grace:
        party.callback(grace)
        foreign = hint(party, grace)
    assert 'action="/end-session/confirm"' in end(party, ada, id_token_hint=foreign).text
    assert signed_in(party, ada)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        pytest.param({"id_token_hint": "x.y.z"}, "id_token_hint", id="a hint that is none"),
        pytest.param({"client_id": "other"}, "client_of_another_hint", id="another client"),
        pytest.param(
            {"post_logout_redirect_uri": AFTER + "/"}, "post_logout_redirect_uri", id="a slash more"
        ),
        pytest.param(
            {"post_logout_redirect_uri": "https://evil.example"},
            "post_logout_redirect_uri",
            id="an open redirect",
        ),
    ],
)
def test_nobody_is_redirected_with(
    party: Party, ada: Person, changes: dict[str, str], outcome: str
) -> None:
    sent = {"id_token_hint": hint(party, ada), "post_logout_redirect_uri": AFTER} | changes
    answer = end(party, ada, **sent)
    assert (answer.status_code, answer.headers.get("location")) == (400, None)
    assert party.last("end_session")["outcome"] == outcome
    assert signed_in(party, ada)


def test_an_id_token_of_another_provider_is_no_hint(party: Party, ada: Person) -> None:
    with running(PLAN) as elsewhere, Party(elsewhere) as foreign:
        id_token = foreign.sign_in()["id_token"]
    assert end(party, ada, id_token_hint=id_token).status_code == 400


def test_an_access_token_is_no_hint(party: Party, ada: Person) -> None:
    access_token = party.redeem(party.callback(ada)["code"]).json()["access_token"]
    assert end(party, ada, id_token_hint=access_token).status_code == 400


@pytest.mark.parametrize(
    ("revokes", "status"),
    [
        pytest.param(False, 200, id="live on, until revoked"),
        pytest.param(True, 400, id="die, where switched so"),
    ],
)
def test_after_end_session_refresh_tokens(
    party: Party, ada: Person, *, revokes: bool, status: int
) -> None:
    party.control("switches", {"end_session_revokes": revokes})
    tokens = party.redeem(party.callback(ada)["code"]).json()
    end(party, ada, id_token_hint=tokens["id_token"])
    assert party.refresh(tokens["refresh_token"]).status_code == status


def test_a_test_can_sign_people_out(party: Party, ada: Person) -> None:
    assert party.control("sign-out", {"sub": "grace"}) == {"signed_out": 0}
    assert party.control("sign-out") == {"signed_out": 1}
    assert not signed_in(party, ada)


def test_a_step_up_keeps_the_sid_and_another_person_does_not(party: Party, ada: Person) -> None:
    def sid(**changes: str) -> tuple[str, str]:
        code = party.callback(ada, **changes)["code"]
        claims = party.redeem(code).json()["id_token"]
        decoded = jwt.decode(claims, options={"verify_signature": False})
        return decoded["sid"], decoded["acr"]

    first, acr = sid()
    assert acr == "1"
    assert sid(acr_values="2") == (first, "2")
    ada.sub = "grace"
    assert sid(prompt="login")[0] != first


@pytest.mark.parametrize(
    ("habit", "sent", "returns"),
    [
        pytest.param("with_client_id", {}, False, id="only if client_id came"),
        pytest.param("with_client_id", {"client_id": "spa"}, True, id="and it came"),
        pytest.param("with_state", {}, False, id="only if state came"),
        pytest.param("with_state", {"state": "s"}, True, id="and that came"),
        pytest.param("never", {"client_id": "spa", "state": "s"}, False, id="never"),
    ],
)
def test_where_the_way_back_is_forgotten_a_page_is_the_end(
    party: Party, ada: Person, habit: str, sent: dict[str, str], *, returns: bool
) -> None:
    party.control("switches", {"end_session_returns": habit})
    id_token = hint(party, ada)
    answer = end(party, ada, id_token_hint=id_token, post_logout_redirect_uri=AFTER, **sent)
    assert answer.status_code == (303 if returns else 200)
    assert not signed_in(party, ada)


def test_a_page_may_come_in_between(party: Party, ada: Person) -> None:
    party.control("switches", {"end_session_asks": True})
    id_token = hint(party, ada)
    page = end(party, ada, id_token_hint=id_token, post_logout_redirect_uri=AFTER)
    assert 'action="/end-session/confirm"' in page.text
    assert signed_in(party, ada)
