"""The small API: what it demands of an access token, and what it does with a right one."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from bff.simulator import Simulator, running
from bff.simulator.keys import compact
from tests.unit.simulator_client import PLAN, Party


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(replace(PLAN, api_write_scope="tasks:write")) as started:
        yield started


@pytest.fixture
def party(simulator: Simulator) -> Iterator[Party]:
    with Party(simulator) as fresh:
        yield fresh


@pytest.fixture
def api(party: Party) -> "Api":
    return Api(party, party.sign_in(scope="openid tasks:read tasks:write")["access_token"])


class Api:
    def __init__(self, party: Party, access_token: str) -> None:
        self.party = party
        self.access_token = access_token

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.access_token}"} | more.pop("headers", {})
        url = self.party.simulator.api + path
        return self.party.http.request(method, url, headers=headers, **more)


def test_tasks_are_listed_added_ticked_and_deleted(api: Api) -> None:
    samples = api("GET", "/tasks").json()["tasks"]
    assert len(samples) == 3
    added = api("POST", "/tasks", json={"title": "Ship it"})
    assert (added.status_code, added.json()["title"], added.json()["done"]) == (
        201,
        "Ship it",
        False,
    )
    number = added.json()["id"]
    assert api("PATCH", f"/tasks/{number}", json={"done": True}).json()["done"] is True
    assert api("DELETE", f"/tasks/{number}").status_code == 204
    assert api("DELETE", f"/tasks/{number}").status_code == 404
    assert api("GET", "/tasks").json()["tasks"] == samples


@pytest.mark.parametrize("body", ["", "[]", '{"name": "x"}', '{"title": 1}'])
def test_a_task_needs_a_title(api: Api, body: str) -> None:
    assert api("POST", "/tasks", content=body).status_code == 400


def test_the_token_is_described_and_not_shown(api: Api) -> None:
    token = api("GET", "/token").json()
    assert (token["sub"], token["scope"]) == ("ada", "openid tasks:read tasks:write")
    assert 0 < token["seconds_left"] <= 30
    headers = dict(api("GET", "/headers", headers={"X-One": "1"}).json())
    assert headers["authorization"] == f"Bearer {token['fingerprint']}"
    assert headers["x-one"] == "1"


def test_a_body_is_echoed(api: Api) -> None:
    body = b"\x00\xff" * 100_000
    answer = api("POST", "/echo", content=body, headers={"Content-Type": "application/x-odd"})
    assert (answer.content, answer.headers["content-type"]) == (body, "application/x-odd")


def test_what_is_open_is_open(party: Party) -> None:
    assert party.http.get(party.simulator.api).json() == {"api": "tasks"}
    assert party.http.get(f"{party.simulator.api}/headers").status_code == 200


def test_writing_needs_its_scope(party: Party) -> None:
    reader = Api(party, party.sign_in(scope="openid tasks:read")["access_token"])
    assert reader("GET", "/tasks").status_code == 200
    answer = reader("POST", "/tasks", json={"title": "x"})
    assert answer.status_code == 403
    expected = 'Bearer error="insufficient_scope", scope="tasks:write"'
    assert answer.headers["www-authenticate"] == expected


def test_keys_are_fetched_again_after_a_rotation(party: Party, api: Api) -> None:
    assert api("GET", "/tasks").status_code == 200
    party.control("rotate-keys", {"keep": False})
    api.access_token = party.sign_in()["access_token"]
    assert api("GET", "/tasks").status_code == 200


def test_a_revoked_token_is_refused(party: Party, api: Api) -> None:
    party.control("revoke", {"sub": "ada"})
    answer = api("GET", "/tasks")
    assert answer.status_code == 401
    assert 'error_description="revoked"' in answer.headers["www-authenticate"]


def test_keys_that_cannot_be_fetched_are_a_401(party: Party) -> None:
    party.control("rotate-keys", {"keep": False})
    fresh = Api(party, party.sign_in()["access_token"])
    party.control("faults", {"endpoint": "jwks", "drop": True, "count": 1})
    assert fresh("GET", "/tasks").status_code == 401
    assert fresh("GET", "/tasks").status_code == 200


@pytest.mark.parametrize("sent", [None, "", "Basic eDp5", "Bearer", "bearer x.y.z"])
def test_no_token_is_challenged(party: Party, sent: str | None) -> None:
    headers = {} if sent is None else {"Authorization": sent}
    answer = party.http.get(f"{party.simulator.api}/tasks", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(
    ("header", "claims", "status"),
    [
        pytest.param({}, {}, 200, id="a right one"),
        pytest.param({"typ": "application/at+jwt"}, {}, 200, id="the long type"),
        pytest.param({"typ": "JWT"}, {}, 401, id="not typed as an access token"),
        pytest.param({"alg": "none"}, {}, 401, id="alg none"),
        pytest.param({"alg": "HS256"}, {}, 401, id="alg HS256"),
        pytest.param({"alg": "ES256"}, {}, 401, id="an algorithm that is not the key's"),
        pytest.param({"kid": "unknown"}, {}, 401, id="an unknown key"),
        pytest.param({}, {"iss": "https://evil.example"}, 401, id="another issuer"),
        pytest.param({}, {"aud": "another-api"}, 401, id="another audience"),
        pytest.param({}, {"exp": 1}, 401, id="expired"),
        pytest.param({}, {"exp": None}, 401, id="without end"),
        pytest.param({}, {"jti": None}, 401, id="without jti"),
        pytest.param({}, {"client_id": None}, 401, id="without client_id"),
    ],
)
def test_an_access_token_is(
    party: Party, header: dict[str, str], claims: dict[str, Any], status: int
) -> None:
    key = party.simulator.realm.keys.signing("RS256")
    right = {
        "iss": party.issuer,
        "sub": "ada",
        "aud": PLAN.audience,
        "client_id": "spa",
        "iat": 1_700_000_000,
        "exp": 4_000_000_000,
        "jti": "one",
    }
    made = {name: value for name, value in (right | claims).items() if value is not None}
    head = {"alg": "RS256", "kid": key.kid, "typ": "at+jwt"} | header
    assert Api(party, compact(head, made, key.sign))("GET", "/tasks").status_code == status


def test_an_id_token_is_no_access_token(party: Party) -> None:
    assert Api(party, party.sign_in()["id_token"])("GET", "/tasks").status_code == 401


def test_two_authorization_headers_are_refused(party: Party, api: Api) -> None:
    headers = [("Authorization", f"Bearer {api.access_token}")] * 2
    answer = party.http.get(f"{party.simulator.api}/tasks", headers=headers)
    assert answer.status_code == 401
