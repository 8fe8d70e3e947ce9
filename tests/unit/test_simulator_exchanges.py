"""The last exchanges: what is kept of them, who is told, and that no token is."""

import asyncio
import base64
import json
from collections.abc import Iterator

import pytest
from starlette.responses import JSONResponse, Response

from bff.simulator import Simulator, running
from bff.simulator.exchanges import KEPT, Exchange, Exchanges, claims_in
from bff.simulator.panel import LASTING, ONCE
from tests.unit.simulator_client import PLAN, Party


def exchange(what: str = "GET /") -> Exchange:
    return Exchange(source="browser", target="bff", what=what, status=200, at=1.0, seconds=0.1)


def a_token(claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


def test_whoever_listens_is_told_what_was_and_what_comes_until_the_end() -> None:
    async def scenario() -> list[str]:
        exchanges, heard = Exchanges(), []
        exchanges.add(exchange("first"))

        async def listen() -> None:
            async for each in exchanges.follow():
                heard.append(f"{each.number} {each.what}")

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        exchanges.add(exchange("second"))
        exchanges.close()
        await listening
        exchanges.add(exchange("nobody listens"))
        return heard

    assert asyncio.run(scenario()) == ["1 first", "2 second"]


def test_the_oldest_are_forgotten() -> None:
    exchanges = Exchanges()
    for number in range(KEPT + 3):
        exchanges.add(exchange(str(number)))
    assert [each.number for each in exchanges.report()] == list(range(4, KEPT + 4))


def test_of_a_token_only_its_claims_are_kept() -> None:
    token = a_token({"sub": "ada"})
    answer = JSONResponse(
        {"id_token": token, "access_token": "opaque", "refresh_token": a_token({"sub": "ada"})}
    )
    assert claims_in(answer) == {"id_token": {"sub": "ada"}}
    for body in (b"", b"[]", b"\xff", b'{"id_token": "a.!.c"}', b'{"id_token": 7}'):
        assert claims_in(Response(body)) == {}
    assert claims_in(JSONResponse({"id_token": a_token(["no", "claims"])})) == {}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(PLAN) as started:
        yield started


def test_the_provider_writes_what_it_is_asked_and_shows_no_token(simulator: Simulator) -> None:
    with Party(simulator) as party:
        tokens = party.sign_in()
        told = party.http.get(simulator.control + "/exchanges")
        what = [(each["source"], each["what"], each["status"]) for each in told.json()]
        assert ("browser", "GET authorize", 200) in what
        assert ("bff", "POST token (authorization_code)", 200) in what
        (said,) = [each["claims"] for each in told.json() if each["claims"]]
        assert said["id_token"]["sub"] == "ada"
        for name in ("access_token", "refresh_token", "id_token"):
            assert tokens[name] not in told.text


def test_the_stream_begins_with_what_was_and_is_not_for_other_sites(simulator: Simulator) -> None:
    with Party(simulator) as party:
        party.sign_in()
        with party.http.stream("GET", simulator.control + "/exchanges/stream") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            first = next(line for line in stream.iter_lines() if line)
            assert json.loads(first.removeprefix("data: "))["target"] == "provider"
        foreign = {"sec-fetch-site": "cross-site"}
        refused = party.http.get(simulator.control + "/exchanges/stream", headers=foreign)
        assert refused.status_code == 403


def test_access_tokens_that_were_expired_are_refused_and_new_ones_are_not(
    simulator: Simulator,
) -> None:
    with Party(simulator) as party:
        tokens = party.sign_in()
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        assert party.http.get(simulator.api + "/tasks", headers=headers).status_code == 200
        assert party.control("expire", {"sub": "grace"}) == {"expired": 0}
        assert party.control("expire") == {"expired": 1}
        assert party.http.get(simulator.api + "/tasks", headers=headers).status_code == 401
        again = party.refresh(tokens["refresh_token"]).json()
        headers = {"authorization": f"Bearer {again['access_token']}"}
        assert party.http.get(simulator.api + "/tasks", headers=headers).status_code == 200
        assert party.control("revoke-all") == {"revoked": 1}
        assert party.refresh(again["refresh_token"]).json()["error"] == "invalid_grant"


def test_the_panel_is_framed_by_nobody_and_runs_only_its_own_script(simulator: Simulator) -> None:
    with Party(simulator) as party:
        origin = simulator.control.removesuffix("/control")
        page = party.http.get(origin + "/panel")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self'" in policy
        for button in (*ONCE, *LASTING):  # each is a call that is taken
            assert party.http.post(
                f"{simulator.control}/{button.call}", json=button.body
            ).is_success, button
        for name in ("panel.js", "panel.css"):
            assert party.http.get(f"{origin}/{name}").status_code == 200
