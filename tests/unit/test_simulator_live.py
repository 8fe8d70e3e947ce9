"""The small API's other habits: a feed, a round of people, uploads, and a fresh sign-in first."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from bff.simulator import Switches, running
from tests.parts.socket_server import SILENT
from tests.unit.simulator_client import PLAN, Party


@pytest.fixture
def party() -> Iterator[Party]:
    plan = replace(PLAN, switches=Switches(access_token_seconds=600))
    with running(plan) as simulator, Party(simulator) as found:
        yield found


def bearer(party: Party) -> dict[str, str]:
    return {"Authorization": f"Bearer {party.sign_in()['access_token']}"}


def call(party: Party, method: str, path: str, **more: object) -> httpx.Response:
    return party.http.request(method, party.simulator.api + path, **more)  # type: ignore[arg-type]


def test_a_follower_hears_of_each_task(party: Party) -> None:
    headers = bearer(party)
    with party.http.stream("GET", f"{party.simulator.api}/live", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == "event: hello"
        number = call(party, "POST", "/tasks", headers=headers, json={"title": "x"}).json()["id"]
        call(party, "PATCH", f"/tasks/{number}", headers=headers, json={"done": True})
        call(party, "DELETE", f"/tasks/{number}", headers=headers)
        call(party, "DELETE", "/tasks", headers=headers)
        told = (json.loads(line[5:]) for line in lines if line.startswith("data:"))
        next(told)  # of hello
        heard = [next(told) for _ in range(4)]
    assert [(each["what"], each["title"]) for each in heard] == [
        ("added", "x"), ("done", "x"), ("deleted", "x"), ("emptied", ""),
    ]  # fmt: skip


def test_a_follower_needs_a_token(party: Party) -> None:
    assert call(party, "GET", "/live").status_code == 401


def chatting(party: Party, headers: dict[str, str]) -> ClientConnection:
    url = party.simulator.api.replace("http", "ws") + "/chat"
    return connect(url, additional_headers=headers, proxy=None, logger=SILENT)


def test_what_one_says_all_hear(party: Party) -> None:
    headers = bearer(party)
    with chatting(party, headers) as one, chatting(party, headers) as two:
        one.send("hello")
        for each in (one, two):
            said = json.loads(each.recv(timeout=20))
            assert (said["sub"], said["text"]) == ("ada", "hello")
            assert re.fullmatch(r"20\d\d-.*T.*\+00:00", said["at"])
        two.close()
        one.send("still here?")
        assert json.loads(one.recv(timeout=20))["text"] == "still here?"


def test_octets_are_no_talk(party: Party) -> None:
    with chatting(party, bearer(party)) as one:
        one.send(b"\x00")
        with pytest.raises(ConnectionClosed):
            one.recv(timeout=20)
        assert one.close_code == 1003


def test_nobody_talks_without_a_token(party: Party) -> None:
    with pytest.raises(InvalidStatus) as refused:
        chatting(party, {})
    assert refused.value.response.status_code == 401


def test_an_upload_is_counted(party: Party) -> None:
    answer = call(party, "POST", "/uploads", headers=bearer(party), content=b"x" * 300_000)
    assert (answer.status_code, answer.json()) == (201, {"octets": 300_000})


def test_an_upload_that_is_cut_short_disturbs_nobody(party: Party) -> None:
    headers = bearer(party)
    gone = threading.Event()

    def body() -> Iterator[bytes]:
        yield b"x" * 1000
        gone.set()
        raise KeyError

    with pytest.raises(KeyError):
        call(
            party, "POST", "/uploads", headers={**headers, "content-length": "9999"}, content=body()
        )
    assert gone.is_set()
    assert call(party, "GET", "/tasks", headers=headers).status_code == 200


def test_all_tasks_go_only_after_a_fresh_sign_in(party: Party) -> None:
    headers = bearer(party)
    call(party, "POST", "/tasks", headers=headers, json={"title": "x"})
    party.control("clock", {"advance": -100})
    old = bearer(party)
    refused = call(party, "DELETE", "/tasks", headers=old)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == (
        'Bearer error="insufficient_user_authentication", max_age=60'
    )
    assert call(party, "GET", "/tasks", headers=old).json()["tasks"]
    assert call(party, "DELETE", "/tasks", headers=headers).status_code == 204
    assert call(party, "GET", "/tasks", headers=headers).json() == {"tasks": []}
