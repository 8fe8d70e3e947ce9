"""Client authentication: one way, the registered one, the right secret."""

import base64
from collections.abc import Iterator
from urllib.parse import quote_plus

import pytest

from bff.simulator import Simulator, running
from tests.unit.simulator_client import PLAN, SECRET, Party, seen


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(PLAN) as started:
        yield started


@pytest.fixture
def party(simulator: Simulator) -> Iterator[Party]:
    with Party(simulator) as fresh:
        yield fresh


def basic(client_id: str, client_secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


SPA = basic("spa", SECRET)
RAW = {"Authorization": "Basic " + base64.b64encode(f"spa:{SECRET}".encode()).decode()}
POST = {"client_id": "spa", "client_secret": SECRET}
OTHER_POST = {"client_id": "other", "client_secret": "other-secret"}


@pytest.mark.parametrize(
    ("headers", "form", "expected"),
    [
        pytest.param(SPA, {}, (400, "invalid_grant"), id="Basic"),
        pytest.param({}, POST, (400, "invalid_grant"), id="post"),
        pytest.param(SPA, {"client_id": "spa"}, (400, "invalid_grant"), id="Basic and its id"),
        pytest.param(SPA, POST, (400, "invalid_request"), id="both"),
        pytest.param(SPA, {"client_id": "other"}, (400, "invalid_request"), id="two ids"),
        pytest.param({}, {}, (401, "invalid_client"), id="none"),
        pytest.param({}, {"client_id": "spa"}, (401, "invalid_client"), id="only an id"),
        pytest.param(basic("spa", "x"), {}, (401, "invalid_client"), id="a wrong secret"),
        pytest.param(basic("x", SECRET), {}, (401, "invalid_client"), id="an unknown client"),
        pytest.param(RAW, {}, (401, "invalid_client"), id="a secret not form-encoded"),
        pytest.param({"Authorization": "Basic ###"}, {}, (401, "invalid_client"), id="not base64"),
        pytest.param(
            {"Authorization": "Basic eDp5/w=="}, {}, (401, "invalid_client"), id="not UTF-8"
        ),
        pytest.param({"Authorization": "Basic eA=="}, {}, (401, "invalid_client"), id="no colon"),
        pytest.param({"Authorization": "Bearer x"}, {}, (401, "invalid_client"), id="a bearer"),
        pytest.param({}, OTHER_POST, (401, "invalid_client"), id="a method not registered"),
    ],
)
def test_a_client_proves_itself_with(
    party: Party, headers: dict[str, str], form: dict[str, str], expected: tuple[int, str]
) -> None:
    data = {**form, "grant_type": "refresh_token", "refresh_token": "never-issued"}
    answer = party.http.post(f"{party.issuer}/token", data=data, headers=headers)
    assert seen(answer) == expected
    assert ("www-authenticate" in answer.headers) == (expected[0] == 401)
    assert party.last("token")["authenticated"] == (expected[1] == "invalid_grant")


def test_revocation_wants_the_client_too(party: Party) -> None:
    answer = party.http.post(f"{party.issuer}/revoke", data={"token": "x"})
    assert seen(answer) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("body", "content_type", "outcome"),
    [
        pytest.param(
            "a=1&a=2", "application/x-www-form-urlencoded", "parameter_repeated", id="twice"
        ),
        pytest.param("{}", "application/json", "not_a_form", id="JSON"),
        pytest.param("a=ü", "application/x-www-form-urlencoded", "not_a_form", id="raw UTF-8"),
        pytest.param(
            "a=" + "x" * 70_000, "application/x-www-form-urlencoded", "body_too_large", id="70 kB"
        ),
    ],
)
def test_a_body_is_refused_that_is(
    party: Party, body: str, content_type: str, outcome: str
) -> None:
    headers = {"Content-Type": content_type}
    answer = party.http.post(f"{party.issuer}/token", content=body.encode(), headers=headers)
    assert answer.json()["error"] == "invalid_request"
    assert party.last("token")["outcome"] == outcome
