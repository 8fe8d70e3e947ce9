"""The simulator takes a pushed request once, of who pushed it, and nothing beside it."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from bff.simulator import Person, Simulator, running
from tests.unit.simulator_client import CALLBACK, PLAN, SECRET, Party, seen


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(PLAN) as started:
        yield started


@pytest.fixture
def party(simulator: Simulator) -> Iterator[Party]:
    with Party(simulator) as fresh:
        fresh.control("switches", {"par": "offered"})
        yield fresh


def pushed(party: Party, **changes: str | None) -> httpx.Response:
    asked = dict(parse_qsl(urlsplit(party.url(**changes)).query))
    form = {"client_secret": SECRET, **asked}
    return party.http.post(f"{party.issuer}/par", data=form)


def reference(party: Party) -> str:
    answer = pushed(party)
    assert answer.status_code == 201
    assert answer.json()["expires_in"] == 60
    return str(answer.json()["request_uri"])


def brought(party: Party, **query: str) -> httpx.Response:
    asked = {"client_id": "spa", **query}
    return party.http.get(f"{party.issuer}/authorize?{urlencode(asked)}")


def test_a_reference_is_good_once(party: Party) -> None:
    uri = reference(party)
    asked = urlencode({"client_id": "spa", "request_uri": uri})
    with Person() as person:
        back = person.visit(f"{party.issuer}/authorize?{asked}")
    assert back.startswith(CALLBACK)
    assert "code=" in back
    assert brought(party, request_uri=uri).status_code == 400
    assert party.last("authorize")["outcome"] == "request_uri_unknown"


@pytest.mark.parametrize(
    ("query", "outcome"),
    [
        pytest.param({"client_id": "other"}, "request_uri_of_another", id="another client"),
        pytest.param({"client_id": "nobody"}, "client_unknown", id="no client"),
        pytest.param({"scope": "openid"}, "request_uri_not_alone", id="one more parameter"),
        pytest.param({"request_uri": "urn:x"}, "request_uri_unknown", id="another reference"),
    ],
)
def test_a_reference_is_refused_with(party: Party, query: dict[str, str], outcome: str) -> None:
    uri = reference(party)
    assert brought(party, **{"request_uri": uri, **query}).status_code == 400
    assert party.last("authorize")["outcome"] == outcome
    # And whoever else tried it has not used it up.
    assert brought(party, request_uri=uri).status_code == 200


def test_a_reference_is_over_after_a_minute(party: Party) -> None:
    uri = reference(party)
    party.control("clock", {"advance": 61})
    assert brought(party, request_uri=uri).status_code == 400
    assert party.last("authorize")["outcome"] == "request_uri_expired"


def test_a_plain_request_is_refused_where_it_must_be_pushed(party: Party) -> None:
    assert party.http.get(party.url()).status_code == 200
    party.control("switches", {"par": "required"})
    assert party.http.get(party.url()).status_code == 400
    assert party.last("authorize")["outcome"] == "push_required"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"redirect_uri": "https://evil.example/"}, "invalid_request", id="way back"),
        pytest.param({"code_challenge": None}, "invalid_request", id="no PKCE"),
        pytest.param({"scope": "profile"}, "invalid_scope", id="no openid"),
        pytest.param({"request_uri": "urn:x"}, "request_uri_not_supported", id="a reference"),
        pytest.param({"resource": "no-uri"}, "invalid_target", id="a resource that is no URI"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_pushed(
    party: Party, changes: dict[str, Any], expected: str
) -> None:
    assert seen(pushed(party, **changes)) == (400, expected)


def test_nobody_pushes_without_proof_or_for_another(party: Party) -> None:
    assert seen(pushed(party, client_id="other")) == (401, "invalid_client")
    answer = party.http.post(f"{party.issuer}/par", data={"client_id": "spa"})
    assert seen(answer) == (401, "invalid_client")
    wrong = httpx.BasicAuth("other", "other-secret")
    form = dict(parse_qsl(urlsplit(party.url()).query))
    answer = party.http.post(f"{party.issuer}/par", data=form, auth=wrong)
    assert seen(answer) == (400, "invalid_request")  # two client ids


def test_a_token_is_for_no_other_api_than_those_named_at_first(party: Party) -> None:
    code = party.code(resource="https://api.example.com/")
    answer = party.redeem(code, resource="https://other.example/")
    assert seen(answer) == (400, "invalid_target")
