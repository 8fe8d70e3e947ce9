"""POST /bff/backchannel-logout on the wire: what is believed, what ends, what is said (rows B)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import jwt
import pytest

from bff.simulator import Person
from tests.conftest import Sites, Told
from tests.parts.answers import reason
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.logout_token import REFUSED, UNAVAILABLE, URL, ended, minted, said, send, sid_of
from tests.parts.raw import raw
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site
from tests.parts.steps import overhearing

pytestmark = pytest.mark.usefixtures("provider")


@pytest.fixture
def ada(site: Site) -> Iterator[Browser]:
    with browsing(site) as browser:
        browser.sign_in()
        yield browser


@pytest.fixture
def asked(site: Site) -> Iterator[list[str]]:
    """What is asked of the store."""
    with overhearing(site) as found:
        yield found


@pytest.mark.rule("B-01")
@pytest.mark.rule("B-07")
def test_a_logout_token_alone_signs_out(store: str, sites: Sites, provider: Control) -> None:
    with browsing(sites(store=store)) as browser:
        browser.sign_in()
        answer = send(browser.site, minted(provider, sub="ada", sid=sid_of(provider)))
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["cache-control"] == "no-store"
        assert ended(browser)


@pytest.mark.rule("B-01")
def test_other_fields_and_the_query_are_nobodys_business(ada: Browser, provider: Control) -> None:
    token = minted(provider, sid=sid_of(provider))
    form = {"logout_token": token, "state": "x", "more": ["1", "2"]}
    kind = "Application/X-WWW-Form-URLencoded; charset=utf-8"
    with browsing(ada.site) as caller:
        answer = caller.request(
            "POST",
            f"{URL}?logout_token=another",
            site="cross-site",
            data=form,
            headers={"content-type": kind, "origin": "https://evil.example"},
        )
    assert answer.status_code == 200
    assert ended(ada)


@pytest.mark.rule("B-01")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_405(site: Site, method: str) -> None:
    with browsing(site) as caller:
        answer = caller.request(method, URL, site=None)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.rule("B-01")
@pytest.mark.rule("B-07")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({"data": {}}, id="nothing"),
        pytest.param({"data": {"logout_token": ""}}, id="an empty one"),
        pytest.param({"data": {"token": "TOKEN"}}, id="under another name"),
        pytest.param({"data": {"logout_token": ["TOKEN", "TOKEN"]}}, id="twice"),
        pytest.param({"json": {"logout_token": "TOKEN"}}, id="JSON"),
        pytest.param({"files": {"logout_token": (None, "TOKEN")}}, id="multipart"),
        pytest.param({"content": b"logout_token=TOKEN"}, id="without a type"),
        pytest.param(
            {"data": {"logout_token": "TOKEN", "padding": "x" * 65_536}}, id="beyond 64 KiB"
        ),
        pytest.param({"data": dict.fromkeys(map(str, range(200)), "TOKEN")}, id="many fields"),
        pytest.param(
            {
                "content": b"logout_token=\xff\xfe",
                "headers": {"content-type": "application/x-www-form-urlencoded"},
            },
            id="no text",
        ),
    ],
)
def test_what_is_not_one_form_with_one_token_is_400(
    ada: Browser, provider: Control, asked: list[str], sent: dict[str, Any]
) -> None:
    token = minted(provider, sid=sid_of(provider))

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(filled(each) for each in value)
        if isinstance(value, bytes):
            return value.replace(b"TOKEN", token.encode())
        return token if value == "TOKEN" else value

    with browsing(ada.site) as caller:
        answer = caller.request("POST", URL, site=None, **filled(sent))
    assert said(answer) == REFUSED
    assert answer.headers["cache-control"] == "no-store"
    assert asked == []
    assert not ended(ada)


RULES: Final = {
    "B-02": (
        *("alg_none", "hs256_public_key", "other_alg", "unknown_kid", "bad_signature"),
        *("kid_of_another_key", "crit", "oversized"),
    ),
    "B-03": (
        *("wrong_iss", "wrong_aud", "missing_iss", "missing_aud", "missing_iat", "missing_exp"),
        *("expired", "future_iat", "old_iat", "eleven_minutes_old", "missing_jti"),
    ),
    "B-04": (
        *("nonce", "missing_events", "other_event", "event_not_an_object", "events_a_list"),
        *("nobody", "sub_not_a_string", "typ_at_jwt"),
    ),
}


@pytest.mark.parametrize(
    "departure",
    [
        pytest.param(departure, marks=pytest.mark.rule(rule))
        for rule, departures in RULES.items()
        for departure in departures
    ],
)
def test_a_wrong_token_is_400_and_reaches_no_store(
    ada: Browser, provider: Control, asked: list[str], told: Told, departure: str
) -> None:
    token = minted(provider, departure, sub="ada", sid=sid_of(provider))
    answer = send(ada.site, token)
    assert said(answer) == REFUSED
    assert asked == []
    assert not ended(ada)
    if departure != "oversized":  # which is no form of ours
        (line,) = [each for each in told() if each["event"] == "provider_logout_refused"]
        assert line["audit"] is True
        assert (line["frontend"], line["peer"]) == ("default", "127.0.0.1")
        assert line["request_id"]
        assert line["code"]


@pytest.mark.rule("B-02")
def test_a_token_of_another_provider_is_400_and_reaches_no_store(
    ada: Browser, provider: Control, asked: list[str]
) -> None:
    claims = jwt.decode(minted(provider, sub="ada"), options={"verify_signature": False})
    forged = jwt.encode(claims, "a secret of the forger's, long enough", "HS256")
    assert said(send(ada.site, forged)) == REFUSED
    assert asked == []


@pytest.mark.rule("B-04")
def test_an_id_token_posted_here_does_nothing(
    ada: Browser, provider: Control, asked: list[str]
) -> None:
    assert said(send(ada.site, provider.ask("secrets")["id_tokens"][-1])) == REFUSED
    assert asked == []
    assert not ended(ada)


@pytest.mark.rule("B-04")
@pytest.mark.parametrize("departure", ["typ_jwt", "typ_absent", "more_claims", "aud_list"])
def test_what_providers_do_differently_is_right_enough(
    ada: Browser, provider: Control, departure: str
) -> None:
    token = minted(provider, departure, sub="ada", sid=sid_of(provider))
    assert send(ada.site, token).status_code == 200
    assert ended(ada)


@pytest.mark.rule("B-04")
@pytest.mark.parametrize(
    ("typ", "status"), [("logout+jwt", 200), ("LOGOUT+JWT", 200), ("JWT", 400)]
)
def test_only_its_own_type_is_believed_where_that_is_configured(
    sites: Sites, provider: Control, typ: str, status: int
) -> None:
    provider.switch(logout_token_typ=typ)
    with browsing(sites(provider="strict_logout_typ = true")) as browser:
        browser.sign_in()
        assert send(browser.site, minted(provider, sid=sid_of(provider))).status_code == status
        assert ended(browser) == (status == 200)


@pytest.mark.rule("B-03")
def test_a_provider_without_exp_is_one_line_of_configuration(
    sites: Sites, provider: Control
) -> None:
    provider.switch(logout_token_exp=False)
    with browsing(sites(provider="logout_exp_required = false")) as browser:
        browser.sign_in()
        sid = sid_of(provider)
        assert said(send(browser.site, minted(provider, "old_iat", sid=sid))) == REFUSED
        assert not ended(browser)
        assert send(browser.site, minted(provider, sid=sid)).status_code == 200
        assert ended(browser)


@pytest.mark.rule("B-05")
def test_a_token_counts_once_on_whichever_process_it_lands(
    store: str, sites: Sites, provider: Control
) -> None:
    here = sites(store=store)
    there = sites(store=store, more="# another process") if store == "redis" else here
    with browsing(here) as browser:
        browser.sign_in()
        token = minted(provider, sub="ada")
        assert send(here, token).status_code == 200
        assert ended(browser)
        browser.cookies.clear()
        browser.sign_in()
        assert said(send(there, token)) == REFUSED
        assert not ended(browser)


@pytest.mark.rule("B-05")
def test_several_tokens_for_one_logout_are_all_200(ada: Browser, provider: Control) -> None:
    sid = sid_of(provider)
    tokens = [minted(provider, sub="ada", sid=sid) for _ in range(3)]
    assert [send(ada.site, token).status_code for token in tokens] == [200, 200, 200]
    assert ended(ada)


@pytest.mark.rule("B-06")
@pytest.mark.parametrize(
    ("who", "over"),
    [
        pytest.param({"sid": "FIRST"}, {"ada's first"}, id="the provider session"),
        pytest.param({"sub": "ada"}, {"ada's first", "ada's second"}, id="all of the person"),
        pytest.param({"sub": "ada", "sid": "SECOND"}, {"ada's second"}, id="both"),
        pytest.param({"sub": "grace", "sid": "FIRST"}, set(), id="both, and no session is"),
        pytest.param({"sid": "nobody's"}, set(), id="nobody"),
    ],
)
def test_the_sessions_that_the_token_names_and_no_others_end(
    store: str, sites: Sites, provider: Control, who: dict[str, str], over: set[str]
) -> None:
    site = sites(store=store)
    with browsing(site) as first, browsing(site) as second, browsing(site) as grace:
        sids = {}
        people = {"ada's first": first, "ada's second": second, "grace's": grace}
        for name, browser in people.items():
            browser.sign_in(name.partition("'")[0])
            sids[name] = sid_of(provider)
        names = {"FIRST": sids["ada's first"], "SECOND": sids["ada's second"]}
        token = minted(provider, **{name: names.get(value, value) for name, value in who.items()})
        assert send(site, token).status_code == 200
        assert {name for name, browser in people.items() if ended(browser)} == over


@pytest.mark.rule("B-06")
def test_a_session_whose_entry_nobody_can_read_ends_too(
    sites: Sites, provider: Control, redis: RedisProcess, told: Told
) -> None:
    """Nobody can say whose it is: of the two mistakes this one costs a sign-in."""
    site = sites(store="redis", session='prefix = "unread"')
    with browsing(site) as browser, redis.client() as keys:
        browser.sign_in()
        for name in [key for key in keys.scan_iter("unread:*") if keys.type(key) == b"zset"]:
            ((member, until),) = keys.zrange(name, 0, -1, withscores=True)
            keys.zrem(name, member)
            keys.zadd(name, {member.partition(b":")[0] + b":spoiled": until})
        assert send(site, minted(provider, sub="ada", sid=sid_of(provider))).status_code == 200
        assert ended(browser)
    assert {"record_refused", "provider_logout"} <= {line["event"] for line in told()}


@pytest.mark.rule("B-08")
def test_the_tokens_go_with_the_record_and_nothing_is_revoked(
    sites: Sites, provider: Control, redis: RedisProcess
) -> None:
    site = sites(store="redis", session='prefix = "destroyed"')
    with browsing(site) as browser, redis.client() as keys:
        browser.sign_in()
        assert [key for key in keys.scan_iter("destroyed:*") if has(keys, key, "s")]
        assert send(site, minted(provider, sub="ada")).status_code == 200
        site.settle()
        assert not [key for key in keys.scan_iter("destroyed:*") if has(keys, key, "s", "k", "v")]
        assert not [key for key in keys.scan_iter("destroyed:*") if keys.type(key) == b"zset"]
        # What the tombstone keeps for whoever ended it goes within a minute (test_store_contract).
        assert provider.count("revoke") == 0
        assert ended(browser)


def has(keys: Any, key: bytes, *fields: str) -> bool:
    """Whether that is a session's record with one of these fields: no claim, no marker."""
    record = keys.hgetall(key) if keys.type(key) == b"hash" else {}
    return bool(record.get(b"s")) and any(field.encode() in record for field in fields)


@pytest.mark.rule("B-01")
def test_a_caller_that_goes_away_in_the_midst_disturbs_nobody(
    ada: Browser, provider: Control, told: Told
) -> None:
    token = minted(provider, sub="ada")
    head = (
        f"POST {URL} HTTP/1.1\r\nhost: {ada.site.host}\r\ncontent-length: 5000\r\n"
        "content-type: application/x-www-form-urlencoded\r\n\r\n"
    )
    with raw(ada.site.port) as wire:
        wire.send((head + f"logout_token={token}").encode())
    assert not ended(ada)
    assert send(ada.site, token).status_code == 200
    assert ended(ada)
    assert "crashed" not in [line["event"] for line in told()]


@pytest.mark.rule("B-02")
def test_a_process_that_has_no_keys_yet_fetches_them(
    sites: Sites, provider: Control, redis_server: object
) -> None:
    with browsing(sites(store="redis")) as browser:
        browser.sign_in()
        token = minted(provider, sub="ada", sid=sid_of(provider))
        fresh = sites(store="redis", more="# a fresh process")
        assert fresh.application.site.fronts["default"].front.server.keys._cached.held is None
        assert send(fresh, token).status_code == 200
        assert ended(browser)


@pytest.mark.rule("B-07")
def test_without_the_providers_keys_it_is_400_too(sites: Sites, provider: Control) -> None:
    token = minted(provider, sub="ada")
    fresh = sites(more="# no keys to be had")
    provider.fault("jwks", status=503)
    assert said(send(fresh, token)) == UNAVAILABLE


@pytest.mark.rule("B-02")
def test_what_strangers_send_costs_the_provider_one_fetch_and_keeps_nobody_out(
    sites: Sites, provider: Control
) -> None:
    with browsing(sites(more="# strangers")) as browser:
        browser.sign_in()
        before = provider.count("jwks")
        for _ in range(30):
            assert said(send(browser.site, minted(provider, "unknown_kid", sub="x"))) == REFUSED
        assert provider.count("jwks") == before + 1
        # New keys sign, and the login does not wait until strangers may cause a fetch again.
        for _ in range(2):  # the next one is published before it signs
            provider.do("rotate-keys", {"keep": False})
        browser.cookies.clear()
        browser.sign_in()


@pytest.mark.rule("E-08")
def test_the_auditor_learns_whose_sessions_ended(
    ada: Browser, provider: Control, told: Told
) -> None:
    assert send(ada.site, minted(provider, sub="ada")).status_code == 200
    assert send(ada.site, minted(provider, sub="alan")).status_code == 200
    ended_one, nobody = [line for line in told() if line["event"] == "provider_logout"]
    for line in (ended_one, nobody):
        assert line["audit"] is True
        assert line["peer"] == "127.0.0.1"
        assert line["request_id"]
        assert line["frontend"] == "default"
    assert len(ended_one["session"]) == len(ended_one["person"]) == 16
    assert nobody["count"] == 0


@pytest.mark.rule("B-10")
def test_a_later_login_with_the_same_sid_succeeds(
    store: str, sites: Sites, provider: Control
) -> None:
    with browsing(sites(store=store)) as browser, Person() as person:
        browser.callback(person.visit(browser.to_provider()))
        sid = sid_of(provider)
        assert send(browser.site, minted(provider, sid=sid)).status_code == 200
        assert ended(browser)
        provider.do("clock", {"advance": 2})
        assert browser.callback(person.visit(browser.to_provider())).status_code == 200
        assert sid_of(provider) == sid
        # The API's clock is not the provider's, and it takes no token from the future.
        assert browser.fetch("GET", "/bff/session").json()["authenticated"] is True


@pytest.mark.rule("B-10")
@pytest.mark.rule("R-11")
def test_a_refresh_that_is_under_way_does_not_bring_the_session_back(
    store: str, sites: Sites, provider: Control
) -> None:
    site = sites(store=store)
    with browsing(site) as browser:
        provider.switch(access_token_seconds=0)
        browser.sign_in()
        provider.fault("token:refresh_token", at="after", hold=True, count=1)
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(browser.fetch, "GET", "/api/tasks")
            provider.held("token:refresh_token")
            assert send(site, minted(provider, sub="ada")).status_code == 200
            provider.release("token:refresh_token")
            answer = waiting.result()
        assert (answer.status_code, reason(answer)) == (401, "session_ended")
        assert [entry["outcome"] for entry in provider.entries("revoke", 1)] == ["ok"]
        assert ended(browser)
