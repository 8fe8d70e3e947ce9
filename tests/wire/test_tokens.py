"""Tokens where nobody should find them: the store, the keyring, opaque ones (rows T)."""

import os
import string
import time

import pytest

from bff.browser.front import Front
from bff.config.load import ConfigFaults, parse
from bff.keys import new_key, parse_key
from bff.session.seal import store_key
from bff.simulator import Account, Client, Person, Plan, running
from tests.canary import Record, Search
from tests.conftest import SECURE, Sites, Told
from tests.parts.answers import cookie_lines, reason
from tests.parts.browser import Browser, browsing
from tests.parts.config import SECRET, config, config_text
from tests.parts.control import Control
from tests.parts.raw_provider import raw_provider
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site, serving

pytestmark = pytest.mark.usefixtures("provider")

for name in ("BFF_TEST_KEY_2", "BFF_TEST_KEY_3"):
    os.environ.setdefault(name, new_key())
KIDS = {name: parse_key(os.environ[name]).kid for name in ("BFF_TEST_KEY", "BFF_TEST_KEY_2")}


def front(site: Site) -> Front:
    return site.application.site.fronts["default"].front


def session_id(browser: Browser) -> str:
    return (browser.session_cookie or "").split(".")[1]


def key_of(browser: Browser) -> str:
    return "bff:" + store_key("session", "default", session_id(browser))


@pytest.fixture
def talkative() -> tuple[Plan, list[str]]:
    """Somebody whose every claim is long enough to be found again."""
    names = ("sub", "name", "given_name", "family_name", "email")
    claims = [f"{name.replace('_', '-')}-canary-0123456789-abcdefghij" for name in names]
    person = Account(
        sub=claims[0],
        name=claims[1],
        given_name=claims[2],
        family_name=claims[3],
        email=claims[4],
    )
    client = Client(
        client_id="spa", client_secret=SECRET, redirect_uris=(f"{SECURE}/bff/callback",)
    )
    return Plan(clients=(client,), accounts=(person,)), claims


@pytest.mark.rule("T-02")
@pytest.mark.rule("T-06")
def test_a_dump_of_the_store_shows_nothing_of_anybody(
    talkative: tuple[Plan, list[str]], redis: RedisProcess
) -> None:
    plan, claims = talkative
    with (
        running(plan) as simulator,
        serving(config(issuer=simulator.issuer, api=simulator.api, store=redis.url)) as site,
        browsing(site) as browser,
    ):
        browser.sign_in(claims[0])
        assert browser.fetch("GET", "/bff/session").json()["claims"]["name"] == claims[1]
        secrets = simulator.realm.secrets.report()
        ids = [session_id(browser), browser.session_cookie or ""]
        search = Search({**secrets, "claims": claims, "session_ids": ids, "iss": [site.origin]})
        dump = Record("store", "redis", bytearray(redis.dump()))
        assert len(dump.data) > 1000
        assert search.leaks([dump]) == []
        for planted in (*claims, ids[0], secrets["refresh_tokens"][0][5:40]):
            spoiled = Record("store", "redis", dump.data + planted.encode())
            assert len(search.leaks([spoiled])) == 1
        with redis.client() as keys:
            names = {key.decode() for key in keys.scan_iter()}
        assert key_of(browser) in names
        assert all(name.startswith("bff:") for name in names)
        browser.fetch("POST", "/bff/logout")
        assert search.leaks([Record("store", "redis", bytearray(redis.dump()))]) == []


@pytest.mark.rule("T-06")
def test_no_key_outlives_the_lifetime_by_more_than_ten_minutes(
    sites: Sites, provider: Control, redis: RedisProcess
) -> None:
    with browsing(sites(store="redis", session='lifetime = "1h"')) as browser:

        def lives() -> dict[bytes, int]:
            with redis.client() as keys:
                return {key: keys.pttl(key) for key in keys.scan_iter()}

        provider.switch(access_token_seconds=0)
        browser.sign_in()
        after_login = lives()
        assert (
            len(after_login) >= 4
        )  # the claim, the session, the index by person and provider session
        provider.switch(access_token_seconds=300)
        assert browser.fetch("GET", "/api/tasks").status_code == 200
        browser.sign_in("grace")
        browser.fetch("POST", "/bff/logout")
        browser.sign_in()
        for found in (after_login, lives()):
            for key, ttl in found.items():
                assert 0 < ttl <= (3600 + 600) * 1000, key


def edited(keys: object, key: str, **fields: bytes) -> None:
    """Write into a record as somebody with Redis in hand would, under a new version."""
    keys.hset(key, mapping={"v": os.urandom(12).hex(), **fields})  # type: ignore[attr-defined]


@pytest.mark.rule("T-03")
def test_a_record_that_was_edited_in_one_bit_does_not_open(
    sites: Sites, redis: RedisProcess, told: Told
) -> None:
    with browsing(sites(store="redis")) as browser, redis.client() as keys:
        browser.sign_in()
        key = key_of(browser)
        sealed = keys.hget(key, "s")
        assert sealed is not None
        # The format octet, the nonce, the text and the tag; a changed key id is another matter.
        places = [
            0,
            *range(9, 40),
            *range(40, len(sealed), 61),
            *range(len(sealed) - 16, len(sealed)),
        ]
        for place in places:
            bent = bytearray(sealed)
            bent[place] ^= 1 << place % 8
            edited(keys, key, s=bytes(bent))
            answer = browser.fetch("GET", "/api/tasks")
            assert (place, answer.status_code, reason(answer)) == (place, 401, "session_ended")
            assert cookie_lines(answer) == []
        for cut in (b"", sealed[:8], sealed[:21], sealed[:-1], sealed + b"\0", sealed[1:]):
            edited(keys, key, s=cut)
            assert reason(browser.fetch("GET", "/api/tasks")) in ("session_ended", "key_unknown")
        audited = [line for line in told() if line["event"] == "record_refused"]
        assert len(audited) >= len(places)
        assert all(line["audit"] is True for line in audited)
        assert {(line["frontend"], line["peer"]) for line in audited} == {("default", "127.0.0.1")}
        assert len({line["request_id"] for line in audited} - {None}) >= len(places)
        edited(keys, key, s=sealed)
        assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("T-03", "S-11")
def test_deadlines_that_were_put_off_in_the_store_put_off_no_end(
    sites: Sites, redis: RedisProcess
) -> None:
    site = sites(store="redis", session='lifetime = "4s"\nidle = "4s"')
    with browsing(site) as browser, redis.client() as keys:
        browser.sign_in()
        key, far = key_of(browser), b"9" * 13
        keys.hset(key, mapping={"ia": far, "ab": far})
        keys.persist(key)
        assert browser.fetch("GET", "/api/token").status_code == 200
        time.sleep(4)  # in the store's own time
        for _ in range(2):
            answer = browser.fetch("GET", "/api/token")
            assert (answer.status_code, reason(answer)) == (401, "session_expired")
        assert keys.exists(key)


@pytest.mark.rule("T-03")
def test_a_record_moved_to_another_key_does_not_open(sites: Sites, redis: RedisProcess) -> None:
    """With Redis in hand, and yet nobody becomes somebody else."""
    site = sites(store="redis")
    with browsing(site) as ada, browsing(site) as grace, redis.client() as keys:
        ada.sign_in("ada")
        grace.sign_in("grace")
        own = keys.hget(key_of(grace), "s")
        stolen = keys.hget(key_of(ada), "s")
        assert own is not None
        assert stolen is not None
        edited(keys, key_of(grace), s=stolen)
        answer = grace.fetch("GET", "/api/token")
        assert (answer.status_code, reason(answer)) == (401, "session_ended")
        edited(keys, key_of(grace), s=own)
        assert grace.fetch("GET", "/api/token").json()["sub"] == "grace"
        # The whole hash under a key of the attacker's own choice: its tag betrays it.
        keys.copy(key_of(ada), key_of(grace), replace=True)
        refused = grace.fetch("GET", "/api/token")
        assert refused.status_code in (401, 503)
        assert ada.fetch("GET", "/api/token").json()["sub"] == "ada"


@pytest.mark.rule("T-03")
def test_no_nonce_is_used_twice(sites: Sites, provider: Control, redis: RedisProcess) -> None:
    with browsing(sites(store="redis")) as browser, redis.client() as keys:
        provider.switch(access_token_seconds=0)
        browser.sign_in()
        nonces = set()
        for _ in range(5):
            browser.fetch("GET", "/api/tasks")
            sealed = keys.hget(key_of(browser), "s")
            assert sealed is not None
            nonces.add(sealed[9:21])
        assert len(nonces) == 5


@pytest.mark.rule("T-04")
def test_a_rotation_of_the_keyring_signs_nobody_out(
    sites: Sites, provider: Control, redis: RedisProcess
) -> None:
    assert redis.process
    second = 'accepted = [{ env = "BFF_TEST_KEY_2" }]'
    first = 'accepted = [{ env = "BFF_TEST_KEY" }]'
    before = sites(store="redis")
    accepting = sites(store="redis", keys=second)
    rotated = sites(store="redis", key="BFF_TEST_KEY_2", keys=first)
    with browsing(before) as old, browsing(rotated) as new:
        provider.switch(access_token_seconds=0)
        old.sign_in("ada")
        provider.switch(access_token_seconds=300)
        new.cookies = dict(old.cookies)
        assert new.fetch("GET", "/api/token").json()["sub"] == "ada"  # and refreshed
        with redis.client() as keys:
            sealed = keys.hget(key_of(old), "s")
            assert sealed is not None
            assert sealed[1:9].decode() == KIDS["BFF_TEST_KEY_2"]  # the accepted one never seals
            assert keys.hget(key_of(old), "k") == KIDS["BFF_TEST_KEY"].encode()
        with browsing(accepting) as during:
            during.cookies = dict(old.cookies)
            assert during.fetch("GET", "/api/token").json()["sub"] == "ada"
            new.sign_in("grace")
            assert (new.session_cookie or "").startswith(KIDS["BFF_TEST_KEY_2"])
            during.cookies = dict(new.cookies)
            assert during.fetch("GET", "/api/token").json()["sub"] == "grace"
            during.cookies.clear()
            during.sign_in("alan")
            assert (during.session_cookie or "").startswith(KIDS["BFF_TEST_KEY"])


@pytest.mark.rule("T-04")
@pytest.mark.rule("L-06")
def test_a_login_that_began_before_the_rotation_ends_after_it(
    sites: Sites, redis: RedisProcess
) -> None:
    assert redis.process
    accepted = 'accepted = [{ env = "BFF_TEST_KEY" }]'
    with (
        browsing(sites(store="redis")) as before,
        browsing(sites(store="redis", key="BFF_TEST_KEY_2", keys=accepted)) as after,
        Person() as person,
    ):
        back = person.visit(before.to_provider())
        after.cookies = before.cookies
        assert after.callback(back).status_code == 200


@pytest.mark.rule("T-04")
@pytest.mark.rule("S-06")
def test_a_retired_key_ends_exactly_its_sessions_and_an_unknown_one_none(
    sites: Sites, redis: RedisProcess
) -> None:
    assert redis.process
    retired = f'retired = ["{KIDS["BFF_TEST_KEY"]}"]'
    with (
        browsing(sites(store="redis")) as ada,
        browsing(sites(store="redis", key="BFF_TEST_KEY_2")) as grace,
        browsing(sites(store="redis", key="BFF_TEST_KEY_2", keys=retired)) as after,
    ):
        ada.sign_in("ada")
        grace.sign_in("grace")
        after.cookies = dict(ada.cookies)
        answer = after.fetch("GET", "/api/tasks")
        assert (answer.status_code, reason(answer)) == (401, "session_ended")
        assert after.fetch("GET", "/bff/session").json()["reason"] == "session_ended"
        after.cookies = dict(grace.cookies)
        assert after.fetch("GET", "/api/tasks").status_code == 200
        grace.cookies = dict(ada.cookies)  # where the key is simply not known
        answer = grace.fetch("GET", "/api/tasks")
        assert (answer.status_code, reason(answer)) == (503, "key_unknown")
        assert ada.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("T-04")
@pytest.mark.rule("S-04")
def test_a_cookie_signed_with_a_key_of_ones_own_is_no_session(sites: Sites) -> None:
    """The attacker knows the source, the origin and the key id, and has a key."""
    with (
        browsing(sites()) as browser,
        browsing(sites(key="BFF_TEST_KEY_3")) as attacker,
    ):
        browser.sign_in()
        attacker.sign_in()
        forged = KIDS["BFF_TEST_KEY"] + (attacker.session_cookie or "")[8:]
        browser.cookies["__Host-Http-bff"].value = forged
        assert reason(browser.fetch("GET", "/api/tasks")) == "no_session"


@pytest.mark.rule("T-03")
@pytest.mark.rule("S-04")
def test_a_cookie_of_one_origin_is_no_session_at_another(sites: Sites) -> None:
    with browsing(sites()) as here, browsing(sites(origin="http://localhost:8080")) as there:
        here.sign_in()
        there.sign_in()
        there.cookies["bff"].value = here.session_cookie or ""
        assert reason(there.fetch("GET", "/api/tasks")) == "no_session"


@pytest.mark.rule("T-05")
def test_no_secret_stands_in_the_file_or_shows_in_the_configuration() -> None:
    literal = "correct-horse-battery-staple-0123"
    text = config_text(
        issuer="https://login.example.com", api="https://api.internal", store="redis://r"
    )
    for good, bad in (
        ('client_secret = { env = "BFF_TEST_SECRET" }', f'client_secret = "{literal}"'),
        ('current = { env = "BFF_TEST_KEY" }', f'current = "{literal}"'),
    ):
        assert good in text
        with pytest.raises(ConfigFaults) as refused:
            parse(text.replace(good, bad))
        assert literal not in str(refused.value)
        assert literal not in repr(refused.value.faults)
    shown = parse(text)
    for secret in (SECRET, os.environ["BFF_TEST_KEY"], os.environ["BFF_TEST_KEY"][5:]):
        assert secret not in f"{shown!r} {shown} {shown.keyring!r} {shown.frontends!r}"


OPAQUE = {
    "one character": "~",
    "all of VSCHAR": "".join(chr(code) for code in range(0x21, 0x7F)),
    "16 KiB of letters": "".join(string.ascii_letters[n % 52] for n in range(16 * 1024)),
    "16 KiB of everything": "".join(chr(0x21 + n * 7 % 94) for n in range(16 * 1024)),
    "what looks like a JWT": "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.",
    "dots": "." * 300,
    "percent signs": "%00%0d%0a%2e" * 100,
}


@pytest.mark.rule("T-07")
@pytest.mark.parametrize("token", OPAQUE.values(), ids=OPAQUE)
def test_access_and_refresh_tokens_of_any_shape_work(
    store: str, redis_url: str, token: str
) -> None:
    with raw_provider() as provider:
        provider.access_token = provider.refresh_token = token
        where = redis_url if store == "redis" else store
        settings = config(issuer=provider.url, api=provider.url, store=where)
        with serving(settings) as site, browsing(site) as browser:
            provider.now = int(front(site).clock.now())
            assert browser.callback(provider.callback(browser.to_provider())).status_code == 200
            assert browser.fetch("GET", "/api/x").status_code == 200
            assert browser.fetch("POST", "/bff/logout").status_code == 200
            site.settle(5)
        assert provider.bearers == [token]
        assert provider.forms["/revoke"] == [{"token": token, "token_type_hint": "refresh_token"}]
