"""Logout tokens: what is minted, every departure from it, and which clients are told."""

import base64
import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from typing_extensions import override

from bff.simulator import Client, Person, Plan, SettingsError, Simulator, running
from bff.simulator.id_token import EVENT
from bff.simulator.logout_token import LOGOUT_TOKEN_DEPARTURES
from tests.unit.simulator_client import AFTER, CALLBACK, SECRET, Party


class _Listener(http.server.BaseHTTPRequestHandler):
    heard: list[str] = []  # noqa: RUF012 -- one listener, one list

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        self.heard.extend(form["logout_token"])
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *_: object) -> None:
        pass


@contextlib.contextmanager
def listening() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Listener) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/backchannel"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with listening() as uri:
        application = Client(
            client_id="spa",
            client_secret=SECRET,
            redirect_uris=(CALLBACK,),
            post_logout_redirect_uris=(AFTER,),
            backchannel_logout_uri=uri,
        )
        with running(Plan(clients=(application,))) as started:
            yield started


@pytest.fixture
def party(simulator: Simulator) -> Iterator[Party]:
    _Listener.heard.clear()
    with Party(simulator) as fresh:
        yield fresh


def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims = (
        json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]
    )
    return header, claims


def minted(party: Party, **who: str) -> str | None:
    token: str | None = party.control("logout-token", who)["logout_token"]
    return token


def test_a_right_one_has_what_a_client_wants(party: Party) -> None:
    token = minted(party, sub="ada", sid="s-1", jti="once")
    keys = jwt.PyJWKSet.from_dict(party.http.get(f"{party.issuer}/jwks").json())
    header, claims = read(token or "")
    jwt.decode(token or "", keys[header["kid"]], ["RS256"], audience="spa", issuer=party.issuer)
    assert header["typ"] == "logout+jwt"
    assert (claims["sub"], claims["sid"], claims["jti"]) == ("ada", "s-1", "once")
    assert claims["events"] == {EVENT: {}}
    assert claims["exp"] == claims["iat"] + 120
    assert token in party.ask("secrets")["logout_tokens"]


@pytest.mark.parametrize("departure", LOGOUT_TOKEN_DEPARTURES)
def test_each_departure_departs(party: Party, departure: str) -> None:
    right = read(minted(party, sub="ada", sid="s-1", jti="once") or "")
    party.control("faults", {"endpoint": "logout_token", "departure": departure, "count": 1})
    token = minted(party, sub="ada", sid="s-1", jti="once")
    if departure == "missing":
        assert token is None
    elif departure != "bad_signature":
        assert read(token or "") != right
    assert read(minted(party, sub="ada", sid="s-1", jti="once") or "")[1].keys() == right[1].keys()


def test_the_habits_of_providers(party: Party) -> None:
    party.control("switches", {"logout_token_typ": "JWT", "logout_token_exp": False})
    header, claims = read(minted(party, sub="ada") or "")
    assert (header["typ"], "exp" in claims, "sid" in claims) == ("JWT", False, False)


def test_at_end_session_the_clients_are_told_before_the_browser_leaves(party: Party) -> None:
    party.control("switches", {"logout_tokens": 2})
    with Person() as person:
        id_token = party.redeem(party.callback(person)["code"]).json()["id_token"]
        query = {"id_token_hint": id_token, "post_logout_redirect_uri": AFTER}
        left = person.http.get(f"{party.issuer}/end-session", params=query)
    assert left.status_code == 303
    first, second = (read(token)[1] for token in _Listener.heard)
    assert first["jti"] != second["jti"]
    assert (first["sub"], first["sid"]) == ("ada", read(id_token)[1]["sid"])


def test_a_test_can_have_the_clients_told(party: Party) -> None:
    assert party.control("backchannel-logout", {"sub": "grace"}) == {"told": {"spa": [200]}}
    assert read(_Listener.heard[-1])[1]["sub"] == "grace"


def test_a_client_that_is_gone_stops_nothing() -> None:
    with listening() as uri:
        pass
    gone = Client(
        client_id="spa",
        client_secret=SECRET,
        redirect_uris=(CALLBACK,),
        backchannel_logout_uri=uri,
    )
    with running(Plan(clients=(gone,))) as simulator, Party(simulator) as party:
        told = party.control("backchannel-logout", {"sub": "ada"})["told"]
        assert told == {"spa": ["ConnectError"]}


def test_clients_elsewhere_are_never_called() -> None:
    with pytest.raises(SettingsError, match="loopback"):
        Client(
            client_id="spa",
            client_secret="s",
            redirect_uris=(CALLBACK,),
            backchannel_logout_uri="https://app.example.com/bff/backchannel-logout",
        )
