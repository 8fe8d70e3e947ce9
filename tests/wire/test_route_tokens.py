"""A person's token for one route's API (R-12): its own, asked for once, shown nowhere else."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest

from bff.config.load import Config
from tests.parts.answers import reason
from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.control import Control
from tests.parts.event_source import event_source
from tests.parts.raw import OK, Villain, raw
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site, serving
from tests.wire.test_client_tokens import LACKS, claims, shown, signed_in
from tests.wire.test_upstream_refusal import INVALID, grow_old

pytestmark = pytest.mark.rule("R-12")

REFRESH = "token:refresh_token"
EXCHANGE = "token:urn:ietf:params:oauth:grant-type:token-exchange"
OWN = "urn:simulator:tasks"
REPORTS = "https://reports.example.com/"
WAYS = ("refresh", "exchange")
ASKED = dict(zip(WAYS, (REFRESH, EXCHANGE), strict=True))


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def wanted_parts(
    control: Control, upstream: Villain, way: str, more: str = "", /, **parts: str
) -> dict[str, str]:
    own = f"""
[[routes]]
path = "/reports"
upstream = "{upstream.url}"
resource = "{REPORTS}"
{more or 'scopes = ["profile"]'}
"""
    provider = f'resource = ["{OWN}"]\nroute_tokens = "{way}"\n' + parts.pop("provider", "")
    routes = own + parts.pop("routes", "")
    where = {"issuer": control.simulator.issuer, "api": upstream.url}
    return {**where, "provider": provider, "routes": routes, **parts}


def wanted(
    control: Control, upstream: Villain, way: str, more: str = "", /, **parts: str
) -> Config:
    found = wanted_parts(control, upstream, way, more, **parts)
    found["provider"] = "connections = 1000\n" + found["provider"]
    return config(**found)


@pytest.fixture
def site(upstream: Villain, provider: Control, way: str) -> Iterator[Site]:
    upstream.script()
    with serving(wanted(provider, upstream, way)) as found:
        yield found


@pytest.fixture
def ada(site: Site) -> Iterator[Browser]:
    with signed_in(site) as browser:
        yield browser


def outcomes(provider: Control, count: int) -> list[str]:
    """Of the revocations, when so many have come."""
    return [entry["outcome"] for entry in provider.entries("revoke", count=count)]


def tokens(upstream: Villain) -> list[str]:
    return [shown(each) for each in upstream.received]


def test_the_route_gets_a_token_of_its_own_and_no_other_route_does(
    ada: Browser, upstream: Villain, provider: Control, way: str
) -> None:
    for path in ("/reports/1", "/api/1", "/reports/2"):
        assert ada.fetch("GET", path).status_code == 200
    own, session, again = tokens(upstream)
    assert own == again
    said = claims(own)
    assert (said["sub"], said["aud"], said["scope"]) == ("ada", [REPORTS], "profile")
    theirs = claims(session)
    assert (theirs["sub"], theirs["aud"]) == ("ada", [OWN])
    assert theirs["scope"] == "openid profile email offline_access"
    assert provider.count(ASKED[way]) == 1


@pytest.mark.parametrize(("way", "named"), [("refresh", [OWN, REPORTS]), ("exchange", [OWN])])
def test_a_login_names_each_api_of_which_the_refresh_token_is_to_bring_one(
    upstream: Villain, provider: Control, way: str, named: list[str]
) -> None:
    with serving(wanted(provider, upstream, way)) as site, browsing(site) as page:
        assert parse_qs(urlsplit(page.to_provider()).query)["resource"] == named


def test_the_refresh_token_that_came_with_it_is_kept(
    ada: Browser, site: Site, upstream: Villain
) -> None:
    """Rotation with no grace: whoever lost the new one would lose the session here."""
    assert ada.fetch("GET", "/reports").status_code == 200
    grow_old(site, 305)
    for path in ("/api/1", "/reports", "/api/2"):
        assert ada.fetch("GET", path).status_code == 200
    first, session, own, same = tokens(upstream)
    assert session == same
    assert len({first, session, own}) == 3
    assert claims(session)["scope"] == "openid profile email offline_access"
    assert claims(own)["aud"] == [REPORTS]


def test_many_at_once_ask_once(
    site: Site, ada: Browser, upstream: Villain, provider: Control, way: str
) -> None:
    provider.fault(ASKED[way], hold=True)

    def call(_: int) -> int:
        with browsing(site) as tab:
            tab.cookies = dict(ada.cookies)
            return tab.fetch("GET", "/reports").status_code

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(call, each) for each in range(8)]
        provider.held(ASKED[way])
        provider.release(ASKED[way])
        assert {each.result() for each in answers} == {200}
    assert provider.count(ASKED[way]) == 1
    assert len(set(tokens(upstream))) == 1


def test_processes_share_it_and_it_lies_sealed(
    upstream: Villain, provider: Control, redis: RedisProcess, way: str
) -> None:
    upstream.script()
    here = wanted(provider, upstream, way, store=redis.url)
    with serving(here) as one, serving(here) as other, signed_in(one) as page:
        provider.fault(ASKED[way], hold=True)

        def call(site: Site) -> int:
            with browsing(site) as tab:
                tab.cookies = dict(page.cookies)
                return tab.fetch("GET", "/reports").status_code

        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(call, one)
            provider.held(ASKED[way])
            second = pool.submit(call, other)
            provider.release(ASKED[way])
            assert {first.result(), second.result()} == {200}
    token, same = tokens(upstream)
    assert token == same
    assert provider.count(ASKED[way]) == 1
    assert token.encode() not in redis.dump()


def test_a_refresh_and_a_token_at_once_spend_each_refresh_token_once(
    upstream: Villain, provider: Control, redis: RedisProcess, way: str
) -> None:
    upstream.script()
    here = wanted(provider, upstream, way, store=redis.url)
    provider.switch(access_token_seconds=1)
    with serving(here) as one, serving(here) as other, signed_in(one) as page:
        provider.switch(access_token_seconds=300)
        time.sleep(1)  # in the store's own time, which nobody here can put forward

        def call(site: Site, path: str) -> int:
            with browsing(site) as tab:
                tab.cookies = dict(page.cookies)
                return tab.fetch("GET", path).status_code

        with ThreadPoolExecutor(12) as pool:
            answers = [
                pool.submit(call, site, path)
                for site in (one, other)
                for path in ("/reports", "/api/1") * 3
            ]
            assert {each.result() for each in answers} == {200}
        assert page.fetch("GET", "/bff/session").json()["authenticated"]
    assert {entry["status"] for entry in provider.entries(REFRESH)} == {200}
    of_each = {tuple(claims(token)["aud"]) for token in tokens(upstream)}
    assert of_each == {(OWN,), (REPORTS,)}
    assert len(set(tokens(upstream))) == 2


def test_in_the_last_part_of_its_life_it_is_renewed_behind_the_caller(
    ada: Browser, site: Site, upstream: Villain, provider: Control, way: str
) -> None:
    assert ada.fetch("GET", "/reports").status_code == 200
    grow_old(site, 280)  # of 300
    assert ada.fetch("GET", "/api/1").status_code == 200
    before = provider.count(ASKED[way])
    provider.fault(ASKED[way], hold=True)
    assert ada.fetch("GET", "/reports").status_code == 200  # nobody has answered yet
    first, _, same = tokens(upstream)
    assert first == same
    provider.held(ASKED[way])
    provider.release(ASKED[way])
    provider.entries(ASKED[way], count=before + 1)
    grow_old(site, 40)
    assert ada.fetch("GET", "/reports").status_code == 200
    assert tokens(upstream)[-1] != first


@pytest.mark.rule("R-08")
def test_an_upstreams_401_brings_one_new_token_and_one_repeat(
    ada: Browser, site: Site, upstream: Villain, provider: Control, way: str
) -> None:
    assert ada.fetch("GET", "/reports").status_code == 200
    grow_old(site)
    upstream.script(INVALID, OK, INVALID)
    assert ada.fetch("POST", "/reports", content=b"x").status_code == 200
    first, second = upstream.received
    assert first.body == second.body == b"x"
    assert shown(first) != shown(second)
    assert provider.count(ASKED[way]) == 2
    assert ada.fetch("GET", "/reports").status_code == 401  # of a token that is new
    assert (provider.count(ASKED[way]), len(upstream.received)) == (2, 3)


@pytest.mark.rule("A-05")
def test_what_the_api_says_the_token_lacks_a_sign_in_may_mend(
    ada: Browser, upstream: Villain
) -> None:
    upstream.script(LACKS)
    answer = ada.fetch("GET", "/reports")
    assert (answer.status_code, reason(answer)) == (403, "insufficient_scope")


def refused(page: Browser) -> None:
    answer = page.fetch("GET", "/reports/1")
    assert (answer.status_code, reason(answer)) == (403, "insufficient_scope")
    login = parse_qs(urlsplit(answer.json()["login_url"]).query)
    assert login["route"] == ["/reports"]


@pytest.mark.parametrize("error", ["invalid_target", "invalid_scope", "invalid_request", ""])
def test_what_is_not_to_be_had_refuses_this_route_alone(
    ada: Browser, site: Site, upstream: Villain, provider: Control, way: str, error: str
) -> None:
    provider.fault(ASKED[way], count=9, status=400, **({"error": error} if error else {}))
    for _ in range(3):
        refused(ada)
    assert provider.count(ASKED[way]) == 1  # and not on every request
    assert upstream.received == []
    assert ada.fetch("GET", "/api/1").status_code == 200
    provider.do("clear")
    # No mark is left of it: though our credentials have worked since, a 400 is a first one now.
    with signed_in(site, "grace") as other:
        grow_old(site, 305)
        assert other.fetch("GET", "/api/1").status_code == 200
    provider.fault(REFRESH, count=1, status=400)
    assert ada.fetch("GET", "/api/1").status_code == 503
    grow_old(site, 10)
    assert ada.fetch("GET", "/api/1").status_code == 200


def test_a_token_with_less_than_asked_is_not_shown(
    upstream: Villain, provider: Control, way: str
) -> None:
    upstream.script()
    text = wanted(provider, upstream, way, 'scopes = ["profile", "tasks:write"]')
    with serving(text) as site, signed_in(site) as page:
        refused(page)
        assert page.fetch("GET", "/api/1").status_code == 200
    assert len(upstream.received) == 1


def test_scopes_that_were_dropped_refuse_this_route_alone(
    upstream: Villain, provider: Control
) -> None:
    upstream.script()
    text = wanted(provider, upstream, "refresh", 'scopes = ["profile", "email"]')
    with serving(text) as site, signed_in(site) as page:
        provider.switch(drop_scopes=["profile"])
        refused(page)
        assert page.fetch("GET", "/api/1").status_code == 200
    assert claims(tokens(upstream)[0])["scope"] == "openid profile email offline_access"


@pytest.mark.parametrize("issues", [None, "urn:ietf:params:oauth:token-type:refresh_token"])
def test_an_exchange_that_does_not_say_that_it_issued_an_access_token_is_refused(
    upstream: Villain, provider: Control, issues: str | None
) -> None:
    upstream.script()
    provider.switch(exchange_issues=issues)
    with serving(wanted(provider, upstream, "exchange")) as site, signed_in(site) as page:
        refused(page)
    assert upstream.received == []


@pytest.mark.parametrize("way", ["exchange"])
def test_an_exchange_whose_token_is_for_no_call_is_refused(
    ada: Browser, upstream: Villain, provider: Control, way: str
) -> None:
    assert way == "exchange"
    provider.switch(token_type="N_A")
    refused(ada)
    assert upstream.received == []


@pytest.mark.rule("R-06")
def test_a_grant_refused_for_a_route_is_no_proof_that_it_is_dead(
    ada: Browser, site: Site, provider: Control, way: str
) -> None:
    """A provider says `invalid_grant` also where nobody has consented to one API."""
    grow_old(site)
    provider.fault(ASKED[way], count=1, status=400, error="invalid_grant")
    assert ada.fetch("GET", "/reports").status_code == 200  # the session's own were renewed first
    assert ada.fetch("GET", "/bff/session").json()["authenticated"]


def test_a_renewal_that_came_to_nothing_is_tried_again(
    ada: Browser, site: Site, provider: Control, way: str
) -> None:
    grow_old(site)
    provider.fault(ASKED[way], count=1, status=400, error="invalid_request")
    provider.fault(REFRESH, count=1, status=503, retry_after=1)
    answer = ada.fetch("GET", "/reports")
    assert (answer.status_code, reason(answer)) == (503, "provider_unavailable")
    grow_old(site, 10)
    provider.fault(ASKED[way], count=1, status=400, error="invalid_request")
    assert ada.fetch("GET", "/reports").status_code == 200


def test_what_renewing_the_session_did_not_help_is_believed(
    upstream: Villain, provider: Control
) -> None:
    upstream.script()
    with serving(wanted(provider, upstream, "exchange")) as site, signed_in(site) as page:
        grow_old(site)
        provider.fault(EXCHANGE, count=9, status=400, error="invalid_request")
        for _ in range(3):
            refused(page)
        assert (provider.count(EXCHANGE), provider.count(REFRESH)) == (2, 1)
        assert page.fetch("GET", "/api/1").status_code == 200


def test_it_is_no_refresh_that_a_page_is_told_of(
    ada: Browser, site: Site, provider: Control, way: str
) -> None:
    with event_source(ada) as source:
        assert source.event()[0] == "session"
        assert ada.fetch("GET", "/reports").status_code == 200
        time.sleep(0.3)  # so that the page would have been told of it by now
        site.settle()
        grow_old(site, 305)
        assert ada.fetch("GET", "/api/1").status_code == 200
        assert source.event()[0] == "refreshed"
        assert ada.fetch("POST", "/bff/logout").status_code == 200
        assert source.event()[0] == "ended"
    assert provider.count(ASKED[way]) >= 1


@pytest.mark.rule("R-06")
def test_a_grant_that_is_dead_ends_the_session(
    ada: Browser, site: Site, provider: Control, way: str
) -> None:
    grow_old(site)
    provider.do("revoke", {"sub": "ada"})
    answer = ada.fetch("GET", "/reports")
    assert (answer.status_code, reason(answer)) == (401, "refresh_rejected")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 500}, id="broken"),
        pytest.param({"status": 503}, id="away"),
        pytest.param({"drop": True}, id="silent"),
        pytest.param({"status": 401, "error": "invalid_client"}, id="not us"),
    ],
)
def test_a_provider_in_trouble_refuses_the_call_and_ends_nothing(
    ada: Browser, site: Site, provider: Control, way: str, fault: dict[str, object]
) -> None:
    provider.fault(ASKED[way], count=1, **fault)
    answer = ada.fetch("GET", "/reports")
    assert (answer.status_code, reason(answer)) == (503, "provider_unavailable")
    assert ada.fetch("GET", "/api/1").status_code == 200
    assert ada.fetch("GET", "/bff/session").json()["authenticated"]


def test_a_logout_ends_it_and_revokes_it(
    ada: Browser, upstream: Villain, provider: Control, way: str
) -> None:
    assert ada.fetch("GET", "/reports").status_code == 200
    cookies = dict(ada.cookies)
    assert ada.fetch("POST", "/bff/logout").status_code == 200
    ada.cookies = cookies
    answer = ada.fetch("GET", "/reports")
    assert (answer.status_code, reason(answer)) == (401, "session_ended")
    revoked = 2 if way == "exchange" else 1  # else it ends with the refresh token
    assert outcomes(provider, revoked) == ["ok"] * revoked
    assert len(upstream.received) == 1


def test_one_that_comes_after_the_logout_revives_nothing(
    site: Site, ada: Browser, upstream: Villain, provider: Control, way: str
) -> None:
    provider.fault(ASKED[way], at="after", hold=True)  # it has been given, and nobody knows
    cookies = dict(ada.cookies)
    with browsing(site) as tab, ThreadPoolExecutor(1) as pool:
        tab.cookies = dict(cookies)
        late = pool.submit(tab.fetch, "GET", "/reports")
        provider.held(ASKED[way])
        assert ada.fetch("POST", "/bff/logout").status_code == 200
        provider.release(ASKED[way])
        answer = late.result()
    assert (answer.status_code, reason(answer)) == (401, "session_ended")
    assert upstream.received == []
    assert outcomes(provider, 2) == ["ok", "ok"]  # the session's, and what came late


def test_a_browser_that_goes_away_does_not_end_the_asking(
    site: Site, ada: Browser, provider: Control, way: str
) -> None:
    provider.fault(ASKED[way], hold=True)
    with raw(site.port) as wire:
        cookie = "; ".join(f"{name}={each.value}" for name, each in ada.cookies.items())
        head = f"GET /reports HTTP/1.1\r\nHost: {site.host}\r\nCookie: {cookie}\r\n"
        wire.send(f"{head}X-CSRF: 1\r\n\r\n".encode())
        provider.held(ASKED[way])
    provider.release(ASKED[way])
    assert ada.fetch("GET", "/reports").status_code == 200
    assert provider.count(ASKED[way]) == 1


def test_it_is_bound_to_the_key_of_the_session(
    upstream: Villain, provider: Control, way: str
) -> None:
    upstream.script()
    text = wanted(provider, upstream, way, provider="dpop = true")
    with serving(text) as site, signed_in(site) as page:
        for path in ("/reports", "/api/1"):
            assert page.fetch("GET", path).status_code == 200
    own, session = upstream.received
    assert own.all(b"authorization")[0].startswith(b"DPoP ")
    assert claims(shown(own))["cnf"] == claims(shown(session))["cnf"]
    proof = claims(own.all(b"dpop")[0].decode())
    assert (proof["htm"], proof["htu"]) == ("GET", f"{upstream.url}/reports")


def test_a_route_that_is_open_gets_it_for_those_who_are_signed_in(
    upstream: Villain, provider: Control, way: str
) -> None:
    upstream.script()
    text = wanted(provider, upstream, way, 'auth = "optional"')
    with serving(text) as site:
        with browsing(site) as nobody:
            assert nobody.fetch("GET", "/reports").status_code == 200
        with signed_in(site) as page:
            assert page.fetch("GET", "/reports").status_code == 200
    anonymous, own = upstream.received
    assert anonymous.all(b"authorization") == []
    assert claims(shown(own))["aud"] == [REPORTS]


def test_its_scopes_may_hold_what_the_person_s_claims_say(
    upstream: Villain, provider: Control, way: str
) -> None:
    upstream.script()
    for claim, why in (("nickname", "forbidden"), ("email", "insufficient_scope")):
        text = wanted(provider, upstream, way, f'scopes = ["org:{{{claim}}}"]')
        with serving(text) as site, signed_in(site) as page:
            answer = page.fetch("GET", "/reports")
            assert (answer.status_code, reason(answer)) == (403, why)
            if claim == "email":
                assert answer.json()["scope"] == "org:ada@example.com"
    assert provider.count(ASKED[way]) == 1  # with the claim's value, which nobody was granted
    assert upstream.received == []


def test_two_routes_that_want_the_same_share_one(
    upstream: Villain, provider: Control, way: str
) -> None:
    upstream.script()
    same = f'[[routes]]\npath = "/same"\nupstream = "{upstream.url}"\nresource = "{REPORTS}"\n'
    text = wanted(provider, upstream, way, routes=same + 'scopes = ["profile"]\n')
    with serving(text) as site, signed_in(site) as page:
        for path in ("/reports", "/same"):
            assert page.fetch("GET", path).status_code == 200
    assert len(set(tokens(upstream))) == 1
    assert provider.count(ASKED[way]) == 1


def test_what_a_person_must_be_is_asked_before_the_token(
    upstream: Villain, provider: Control, way: str
) -> None:
    upstream.script()
    text = wanted(provider, upstream, way, 'require = { email = "grace@example.com" }')
    with serving(text) as site, signed_in(site) as page:
        answer = page.fetch("GET", "/reports")
        assert (answer.status_code, reason(answer)) == (403, "forbidden")
    assert provider.count(ASKED[way]) == 0
