"""The simulator's client credentials (RFC 6749 §4.4): a token of the client's own, and no more."""

from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from bff.simulator import Simulator, running
from tests.unit.simulator_client import PLAN, Party, seen

API = "https://reports.example.com/"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(PLAN) as started:
        yield started


@pytest.fixture
def party(simulator: Simulator) -> Iterator[Party]:
    with Party(simulator) as fresh:
        yield fresh


def said(answer: dict[str, Any]) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(answer["access_token"], options={"verify_signature": False})
    return claims


def test_it_is_for_the_api_that_was_named_and_brings_nothing_else(party: Party) -> None:
    answer = party.token(
        grant_type="client_credentials", resource=API, audience="reports", scope="tasks:read"
    ).json()
    assert {"refresh_token", "id_token"} & answer.keys() == set()
    assert (said(answer)["sub"], said(answer)["aud"]) == ("spa", [API, "reports"])
    assert answer["scope"] == "tasks:read"


def test_without_a_name_it_is_for_the_usual_one(party: Party) -> None:
    answer = party.token(grant_type="client_credentials").json()
    assert said(answer)["aud"] == PLAN.audience


@pytest.mark.parametrize(
    ("form", "error"),
    [
        pytest.param({"scope": "openid"}, "invalid_scope", id="who is nobody has no identity"),
        pytest.param({"scope": "offline_access"}, "invalid_scope", id="nor is ever away"),
        pytest.param({"scope": "unheard-of"}, "invalid_scope", id="an unknown scope"),
        pytest.param({"resource": "/reports"}, "invalid_target", id="no absolute URI"),
        pytest.param({"resource": API + "#x"}, "invalid_target", id="a fragment"),
    ],
)
def test_what_it_cannot_be_for_is_refused(party: Party, form: dict[str, str], error: str) -> None:
    assert seen(party.token(grant_type="client_credentials", **form)) == (400, error)
