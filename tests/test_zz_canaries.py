"""The last of the run: no secret of it left the BFF, and the search that says so can say no."""

import base64
import gzip
import json
import re
import secrets as random
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from bff.problem import PROBLEMS, Reason
from bff.simulator import Person
from tests.canary import EXCEPTIONS, GRAM, RECORDER, STRIDE, Place, Record, Search
from tests.conftest import ORIGINS, Sites
from tests.parts.browser import browsing
from tests.parts.control import Control
from tests.parts.logout_token import minted, send
from tests.parts.redis_process import RedisProcess

EVERYWHERE = (
    *("client_secrets", "keys", "access_tokens", "refresh_tokens", "id_tokens", "codes"),
    *("code_verifiers", "session_ids", "states", "nonces", "code_challenges"),
    "logout_tokens",
)


@pytest.mark.rule("T-01")
@pytest.mark.rule("T-02")
@pytest.mark.rule("T-05")
@pytest.mark.rule("S-04")
@pytest.mark.rule("E-06")
def test_no_secret_of_the_whole_run_left_the_bff_but_by_the_two_exceptions(
    sites: Sites, provider: Control, redis: RedisProcess
) -> None:
    for origin in ORIGINS:  # so that both exceptions are needed, whatever else was run
        with browsing(sites(store="redis", origin=origin)) as browser:
            browser.sign_in()
            assert browser.fetch("GET", "/api/tasks").status_code == 200
            RECORDER.dumped(redis.dump())
            browser.fetch("POST", "/bff/logout")
            with Person() as person:
                person.visit(
                    browser.navigate("/bff/logout/provider", site="same-origin").headers["location"]
                )
            browser.sign_in()
            assert send(browser.site, minted(provider, sub="ada")).status_code == 200
    RECORDER.dumped(redis.dump())
    assert provider.count("end_session") == 2
    secrets = RECORDER.secrets()
    assert {kind for kind in EVERYWHERE if secrets.get(kind)} == set(EVERYWHERE)
    assert {record.place for record in RECORDER.records} == {"browser", "log", "store"}
    search = Search(secrets)
    assert search.leaks(RECORDER.records) == []
    assert search.exempted & set(EXCEPTIONS) == set(EXCEPTIONS)


def test_there_are_exactly_two_exceptions() -> None:
    assert list(EXCEPTIONS) == [
        "the session id in Set-Cookie of the session cookie",
        "the ID token in Location of GET /bff/logout/provider",
    ]


TOKEN = "eyJhbGciOiJSUzI1NiJ9." + base64.urlsafe_b64encode(
    json.dumps({"jti": random.token_hex(16), "sub": "somebody"}).encode()
).decode().rstrip("=")
JWT = f"{TOKEN}.{random.token_urlsafe(256)}"
OPAQUE = random.token_urlsafe(32)
SECRET = 'a s3cret with : % + & " <and> more'
PLANTED = {"access_tokens": [JWT], "codes": [OPAQUE], "client_secrets": [SECRET]}
KINDS = {JWT: "access_tokens", OPAQUE: "codes", SECRET: "client_secrets"}


def chunked(body: bytes) -> bytes:
    parts = [body[place : place + 7] for place in range(0, len(body), 7)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


DISGUISES: dict[str, Callable[[str], bytes]] = {
    "plain": lambda value: b"... " + value.encode() + b" ...",
    "the first half": lambda value: value.encode()[: len(value) // 2 + 6],
    "the second half": lambda value: value.encode()[len(value) // 2 - 6 :],
    "percent-encoded": lambda value: quote(value, safe="").encode(),
    "form-encoded": lambda value: quote_plus(value).encode(),
    "JSON": lambda value: json.dumps({"it": value}).encode(),
    "base64url, first place": lambda value: base64.urlsafe_b64encode(value.encode()),
    "base64url, second place": lambda value: base64.urlsafe_b64encode(b"x" + value.encode()),
    "base64url, third place": lambda value: base64.urlsafe_b64encode(b"xy" + value.encode() + b"z"),
    "base64": lambda value: base64.b64encode(b"user:" + value.encode()),
    "gzip": lambda value: b"head\r\n\r\n" + gzip.compress(b"{" + value.encode() + b"}") + b"tail",
    "chunks": lambda value: chunked(value.encode()),
    "gzip in chunks": lambda value: chunked(gzip.compress(value.encode() * 3)),
    "among octets": lambda value: random.token_bytes(40) + value.encode() + random.token_bytes(40),
}


@pytest.mark.parametrize("value", [JWT, OPAQUE, SECRET], ids=["token", "opaque", "secret"])
@pytest.mark.parametrize("place", ["browser", "log", "store"])
@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_the_search_finds_what_was_planted(
    value: str, place: Place, disguise: Callable[[str], bytes]
) -> None:
    record = Record(place, "GET /bff/session", bytearray(disguise(value)))
    clean = Record(place, "GET /bff/session", bytearray(b"nothing to be seen here " * 50))
    (leak,) = Search(PLANTED).leaks([clean, record, clean])
    assert (leak.kind, leak.place, leak.name) == (KINDS[value], place, "GET /bff/session")
    assert value not in repr(leak)


@pytest.mark.parametrize(
    "disguise", [bytes, lambda octets: octets.hex().encode(), base64.b64encode]
)
def test_the_search_finds_the_octets_behind_a_random_text(
    disguise: Callable[[bytes], bytes],
) -> None:
    octets = base64.urlsafe_b64decode(OPAQUE + "=")
    record = Record("store", "redis", bytearray(b"a" + disguise(octets) + b"b"))
    assert len(Search(PLANTED).leaks([record])) == 1


def test_a_fragment_is_found_wherever_it_begins() -> None:
    long = random.token_urlsafe(100)
    search, least = Search({"codes": [long]}), GRAM + STRIDE - 1
    for start in range(len(long) - least + 1):
        fragment = long[start : start + least].encode()
        assert search.leaks([Record("log", "log", bytearray(b"at " + fragment))])


def test_what_two_tokens_share_is_no_secret_and_what_is_their_own_is() -> None:
    """Issuer and times stand in an access token and in the ID token that may be a hint."""
    common = base64.urlsafe_b64encode(
        b'{"iss":"https://login.example.com","iat":1700000000}'
    ).decode()
    first, second = (f"eyJhbGciOiJSUzI1NiJ9.{common}.{random.token_urlsafe(256)}" for _ in range(2))
    search = Search({"access_tokens": [first], "id_tokens": [second]})
    assert search.leaks([Record("browser", "GET /", bytearray(common.encode()))]) == []
    for kind, token in (("access_tokens", first), ("id_tokens", second)):
        (leak,) = search.leaks([Record("browser", "GET /", bytearray(token.encode()))])
        assert leak.kind == kind


def _answer(name: str, field: str, value: str, body: str = "") -> Record:
    head = f"HTTP/1.1 200 OK\r\n{field}: {value}\r\ndate: today\r\n\r\n{body}"
    return Record("browser", name, bytearray(head.encode()))


COOKIE = f"__Host-Http-bff=00000000.{OPAQUE}.{OPAQUE}; Path=/"


@pytest.mark.parametrize(
    ("kind", "record", "leaks"),
    [
        pytest.param(
            "session_ids", _answer("GET /bff/callback", "set-cookie", COOKIE), 0, id="its cookie"
        ),
        pytest.param(
            "session_ids",
            _answer("GET /bff/callback/corp", "set-cookie", COOKIE),
            0,
            id="its cookie, from one of several providers",
        ),
        pytest.param(
            "session_ids",
            _answer("GET /bff/callback/corp/x", "set-cookie", COOKIE),
            1,
            id="below it",
        ),
        pytest.param(
            "session_ids", _answer("GET /bff/login", "set-cookie", COOKIE), 1, id="elsewhere"
        ),
        pytest.param(
            "session_ids", _answer("GET /api/x", "set-cookie", COOKIE), 1, id="at the API"
        ),
        pytest.param(
            "session_ids",
            _answer("GET /bff/callback", "set-cookie", f"other={OPAQUE}"),
            1,
            id="another cookie",
        ),
        pytest.param(
            "session_ids", _answer("GET /bff/callback", "x-id", OPAQUE), 1, id="another field"
        ),
        pytest.param(
            "session_ids",
            _answer("GET /bff/callback", "set-cookie", COOKIE, OPAQUE),
            1,
            id="the body",
        ),
        pytest.param(
            "refresh_tokens",
            _answer("GET /bff/callback", "set-cookie", COOKIE),
            1,
            id="another kind",
        ),
        pytest.param(
            "id_tokens",
            _answer("GET /bff/logout/provider", "location", f"/?h={JWT}"),
            0,
            id="the hint",
        ),
        pytest.param(
            "access_tokens",
            _answer("GET /bff/logout/provider", "location", f"/?h={JWT}"),
            1,
            id="another token as the hint",
        ),
        pytest.param(
            "id_tokens", _answer("GET /bff/login", "location", JWT), 1, id="another Location"
        ),
        pytest.param(
            "id_tokens",
            _answer("POST /bff/logout", "x", "y", JWT),
            1,
            id="the answer to a sign-out",
        ),
        pytest.param(
            "states", _answer("GET /bff/login", "location", f"/?s={OPAQUE}"), 0, id="a state"
        ),
        pytest.param(
            "states", _answer("GET /bff/callback", "location", OPAQUE), 1, id="a state back"
        ),
        pytest.param(
            "states", Record("log", "log", bytearray(OPAQUE.encode())), 1, id="a state told"
        ),
        pytest.param(
            "code_verifiers", _answer("GET /bff/login", "location", OPAQUE), 1, id="a verifier"
        ),
    ],
)
def test_each_exception_is_for_its_own_kind_in_its_own_place(
    kind: str, record: Record, leaks: int
) -> None:
    value = JWT if JWT.encode() in record.data else OPAQUE
    assert len(Search({kind: [value]}).leaks([record])) == leaks


@pytest.mark.rule("E-01")
def test_every_reason_of_the_whole_run_is_one_of_the_closed_set() -> None:
    assert set(PROBLEMS) == set(Reason)
    seen = set()
    for record in RECORDER.records:
        if record.place == "browser":
            seen |= set(re.findall(rb'"type":"tag:bff,2026:([^"]*)"', record.data))
            seen |= set(re.findall(rb"<p>Reason: (\S+) ", record.data))
    assert {reason.decode() for reason in seen} <= {reason.value for reason in Reason}


@pytest.mark.rule("X-08")
@pytest.mark.rule("E-03")
@pytest.mark.rule("S-02")
def test_some_things_no_answer_of_the_whole_run_has_said() -> None:
    for record in RECORDER.records:
        if record.place != "browser":
            continue
        head = bytes(record.data).partition(b"\r\n\r\n")[0].lower() + b"\r\n"
        assert b"\r\naccess-control-allow" not in head, record.name
        assert b"\r\nserver:" not in head, record.name
        for challenge in (b"basic", b"bearer", b"negotiate", b"dpop"):
            assert b"\r\nwww-authenticate: " + challenge not in head, record.name
        for line in re.findall(rb"\r\nset-cookie: ((?:__host-http-)?bff[^\r]*)", head):
            assert b"; httponly" in line, record.name
            assert b"; samesite=" in line, record.name
            assert b"domain" not in line, record.name
