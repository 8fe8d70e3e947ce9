"""Trouble on demand: each fault does what its name says, so many times, and no longer."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from bff.simulator import Person, Simulator, running
from bff.simulator.callback import CALLBACK_DEPARTURES
from bff.simulator.departures import ANSWER_DEPARTURES
from tests.unit.simulator_client import PLAN, Party, seen


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(PLAN) as started:
        yield started


@pytest.fixture
def party(simulator: Simulator) -> Iterator[Party]:
    with Party(simulator) as fresh:
        yield fresh


@pytest.mark.parametrize(
    ("fault", "status", "headers", "body"),
    [
        pytest.param({"status": 500}, 500, {}, "", id="500 and nothing"),
        pytest.param({"status": 503, "body": "<p>x"}, 503, {}, "<p>x", id="503 and a body"),
        pytest.param(
            {"status": 429, "retry_after": 7}, 429, {"retry-after": "7"}, "", id="429 Retry-After"
        ),
        pytest.param(
            {"status": 400, "error": "slow_down"}, 400, {}, '{"error":"slow_down"}', id="an error"
        ),
        pytest.param({"status": 400}, 400, {}, "", id="400 and nothing"),
        pytest.param(
            {"status": 200, "body": "x", "content_type": "text/html"},
            200,
            {"content-type": "text/html; charset=utf-8"},
            "x",
            id="another content type",
        ),
    ],
)
def test_an_answer_is_replaced(
    party: Party, fault: dict[str, Any], status: int, headers: dict[str, str], body: str
) -> None:
    token = party.sign_in()["refresh_token"]
    set_ = party.control("faults", {"endpoint": "token:refresh_token", "count": 1} | fault)
    answer = party.refresh(token)
    assert (answer.status_code, answer.text) == (status, body)
    assert headers.items() <= dict(answer.headers).items()
    entry = party.last("token")
    assert (entry["processed"], entry["status"], [entry["fault"]]) == (
        False,
        status,
        set_["faults"],
    )
    assert party.refresh(token).status_code == 200  # it was not processed, and the count is spent


def test_faults_queue_up(party: Party) -> None:
    party.control(
        "faults",
        [
            {"endpoint": "jwks", "status": 503, "count": 2},
            {"endpoint": "jwks", "status": 500, "count": 1},
        ],
    )
    statuses = [party.http.get(f"{party.issuer}/jwks").status_code for _ in range(4)]
    assert statuses == [503, 503, 500, 200]


def test_a_fault_without_count_stays_until_cleared(party: Party) -> None:
    party.control("faults", {"endpoint": "discovery", "status": 503})
    url = f"{party.issuer}/.well-known/openid-configuration"
    assert [party.http.get(url).status_code for _ in range(3)] == [503] * 3
    party.control("clear", {"endpoint": "discovery"})
    assert party.http.get(url).status_code == 200


@pytest.mark.parametrize(
    ("at", "spent"),
    [
        pytest.param("before", False, id="before: the token is not spent"),
        pytest.param("after", True, id="after: the answer is lost and the token spent"),
    ],
)
@pytest.mark.parametrize("trouble", [{"drop": True}, {"status": 500}])
def test_a_request_is_lost(party: Party, at: str, *, spent: bool, trouble: dict[str, Any]) -> None:
    token = party.sign_in()["refresh_token"]
    party.control("faults", {"endpoint": "token", "at": at, "count": 1} | trouble)
    if "drop" in trouble:
        with pytest.raises(httpx.RemoteProtocolError):
            party.refresh(token)
    else:
        assert party.refresh(token).status_code == 500
    party.ask("ledger", endpoint="token:refresh_token", count=1)
    assert party.last("token")["processed"] is spent
    assert (party.refresh(token).status_code == 400) is spent


def test_a_held_request_waits_for_its_release(party: Party) -> None:
    token = party.sign_in()["refresh_token"]
    party.control("faults", {"endpoint": "token", "hold": True, "count": 1})
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(party.refresh, token)
        assert party.ask("held", endpoint="token:refresh_token") == {"held": 1}
        assert not answer.done()
        assert party.control("release", {"endpoint": "token"}) == {"released": 1}
        assert answer.result().status_code == 200


def test_an_answer_is_held_after_the_token_was_spent(party: Party) -> None:
    token = party.sign_in()["refresh_token"]
    party.control("faults", {"endpoint": "token", "hold": True, "at": "after", "count": 1})
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(party.refresh, token)
        party.ask("held", endpoint="token")
        assert seen(party.refresh(token)) == (400, "invalid_grant")
        party.control("release")
        assert answer.result().status_code == 200


def test_a_delayed_request_takes_its_time(party: Party) -> None:
    party.control("faults", {"endpoint": "jwks", "delay": 0.05, "count": 1})
    assert party.http.get(f"{party.issuer}/jwks").status_code == 200
    assert 0.05 <= party.last("jwks")["seconds"] < 5


def test_waiting_for_what_does_not_happen_ends(party: Party) -> None:
    for name in ("held", "ledger"):
        url = f"{party.simulator.control}/{name}?endpoint=token&count=9&timeout=0.01"
        assert party.http.get(url).status_code == 504


@pytest.mark.parametrize("name", ANSWER_DEPARTURES)
def test_an_answer_departs_from_the_standard(party: Party, name: str) -> None:
    tokens = party.sign_in()
    endpoint = "userinfo" if name.endswith("_sub") else "token:refresh_token"
    party.control("faults", {"endpoint": endpoint, "departure": name, "count": 1})

    def answer(tokens: dict[str, Any]) -> httpx.Response:
        if endpoint == "userinfo":
            return party.userinfo(tokens["access_token"])
        return party.refresh(tokens["refresh_token"])

    departed, right = answer(tokens), answer(party.sign_in())
    assert (departed.status_code, right.status_code) == (200, 200)
    assert _shape(departed) != _shape(right)


def _shape(answer: httpx.Response) -> object:
    """What stays the same from one right answer to the next."""
    try:
        document = answer.json()
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return type(document)
    fixed = [document.get(name) for name in ("token_type", "scope", "expires_in", "sub", "issuer")]
    kind = type(document.get("access_token"))
    return answer.headers["content-type"], sorted(document), fixed, kind


@pytest.mark.parametrize("name", CALLBACK_DEPARTURES)
def test_a_callback_departs_from_the_standard(party: Party, name: str) -> None:
    with Person() as ada:
        right = ada.visit(party.url()).partition("?")[2]
        party.control("faults", {"endpoint": "callback", "departure": name, "count": 1})
        departed = ada.visit(party.url()).partition("?")[2]
        again = ada.visit(party.url()).partition("?")[2]
    assert _names(departed) != _names(right)
    assert _names(again) == _names(right)


def _names(query: str) -> list[str]:
    """The parameters without the code, which differs each time unless it is the invented one."""
    return [
        pair if not pair.startswith("code=") or pair == "code=never-issued" else "code"
        for pair in query.split("&")
    ]


def test_the_callback_brings_any_error(party: Party) -> None:
    fault = {"endpoint": "callback", "error": "temporarily_unavailable", "count": 1}
    party.control("faults", fault)
    with Person() as ada:
        back = party.callback(ada)
    assert back["error"] == "temporarily_unavailable"
    assert "code" not in back


@pytest.mark.parametrize(
    ("name", "body"),
    [
        pytest.param("faults", '{"endpoint": "tokens"}', id="an unknown endpoint"),
        pytest.param("faults", '{"endpoint": "token", "staus": 500}', id="a misspelt member"),
        pytest.param("faults", '{"endpoint": "token", "departure": "x"}', id="no such departure"),
        pytest.param("faults", '{"endpoint": "callback", "drop": true}', id="nothing to drop"),
        pytest.param("switches", '{"rotation": true}', id="an unknown switch"),
        pytest.param("switches", '{"rotate": 1}', id="a switch of another type"),
        pytest.param("revoke", "{}", id="revoke nobody"),
        pytest.param("clock", "not JSON", id="not JSON"),
    ],
)
def test_control_refuses(party: Party, name: str, body: str) -> None:
    answer = party.http.post(f"{party.simulator.control}/{name}", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"Host": "evil.example"}, 421, id="another name for 127.0.0.1"),
        pytest.param({"Host": "[::1"}, 421, id="a broken Host"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, 403, id="a page of another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, 403, id="a page on another port"),
        pytest.param({"Sec-Fetch-Site": "none"}, 200, id="typed by hand"),
    ],
)
def test_secrets_are_not_for_other_sites(
    party: Party, headers: dict[str, str], status: int
) -> None:
    url = f"{party.simulator.control}/secrets"
    assert party.http.get(url, headers=headers).status_code == status
    post = party.http.post(f"{party.simulator.control}/reset", json={}, headers=headers)
    assert post.status_code == status


@pytest.mark.parametrize("query", ["", "?endpoint=token&count=many"])
def test_a_question_needs_its_parameters(party: Party, query: str) -> None:
    assert party.http.get(f"{party.simulator.control}/held{query}").status_code == 400
