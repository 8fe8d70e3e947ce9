"""GET /bff/login over the wire: how a login begins, and who may begin one (rows L)."""

import base64
import hashlib
import html
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode, urlsplit

import httpx
import pytest

from bff.config.load import ConfigFaults
from bff.simulator import Person
from tests.conftest import ORIGINS, SECURE, Sites
from tests.parts.answers import cookie_lines, query, reason
from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.payloads import OPEN_REDIRECTS, OWN_PATHS, WAYS_BACK

SIXTEEN = re.compile(r"__Host-Http-bff-login-[0-9a-f]{16}")


@pytest.fixture(params=ORIGINS)
def anywhere(sites: Sites, provider: Control, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A browser at an https origin, and one at a loopback http origin."""
    with browsing(sites(origin=request.param)) as browser:
        yield browser


def attempts(browser: Browser) -> list[str]:
    return [name for name in browser.cookies if "-login-" in name]


def sign_in_still_works(browser: Browser) -> None:
    browser.sign_in()
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("L-01")
@pytest.mark.rule("L-13")
@pytest.mark.rule("L-08")
@pytest.mark.rule("F-16")
@pytest.mark.rule("F-14")
@pytest.mark.rule("F-13")
def test_a_login_sends_the_browser_to_the_provider_with_all_that_binds_it(
    anywhere: Browser, provider: Control
) -> None:
    answer = anywhere.navigate("/bff/login", site="same-origin")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{provider.simulator.issuer}/authorize?")
    asked = query(answer.headers["location"])
    for name in ("state", "nonce", "code_challenge"):
        assert re.fullmatch(r"[\w-]{43}", asked.pop(name))
    assert asked == {
        "response_type": "code",
        "client_id": "spa",
        "redirect_uri": f"{anywhere.site.origin}/bff/callback",
        "scope": "openid profile email offline_access",
        "code_challenge_method": "S256",
    }
    sign_in_still_works(anywhere)


@pytest.mark.rule("L-01")
def test_the_endpoint_comes_from_the_metadata_and_keeps_its_own_query(
    sites: Sites, provider: Control
) -> None:
    elsewhere = f"{provider.simulator.issuer}/authorize?tenant=a%20b&state=theirs"
    provider.switch(discovery={"authorization_endpoint": elsewhere})
    with browsing(sites(more="# another endpoint")) as browser:
        asked = query(browser.to_provider())
    assert asked["tenant"] == "a b"
    assert asked["state"] != "theirs"


@pytest.mark.rule("L-02")
@pytest.mark.parametrize(
    ("provider", "key"),
    [
        ('response_type = "token"', "provider.response_type"),
        ('response_type = "id_token token"', "provider.response_type"),
        ('response_type = "code"', "provider.response_type"),
        ('response_mode = "fragment"', "provider.response_mode"),
        ('response_mode = "form_post"', "provider.response_mode"),
        ('grant_type = "password"', "provider.grant_type"),
        ('grant_types = ["implicit"]', "provider.grant_types"),
        ('flow = "hybrid"', "provider.flow"),
        ('parameters = { response_type = "code id_token" }', "provider.parameters"),
        ('parameters = { response_mode = "form_post" }', "provider.parameters"),
        ('parameters = { request = "eyJ" }', "provider.parameters"),
        ('parameters = { request_uri = "https://e.example" }', "provider.parameters"),
    ],
)
def test_no_other_flow_can_be_configured(provider: str, key: str) -> None:
    with pytest.raises(ConfigFaults) as refused:
        config(issuer="https://login.example.com", api="https://api.internal", provider=provider)
    assert [fault.key for fault in refused.value.faults] == [key]


@pytest.mark.rule("L-04")
@pytest.mark.parametrize(
    "provider",
    [
        'code_challenge_method = "plain"',
        "pkce = false",
        'parameters = { code_challenge_method = "plain" }',
        'parameters = { code_challenge = "x" }',
    ],
)
def test_pkce_can_be_neither_weakened_nor_turned_off(provider: str) -> None:
    with pytest.raises(ConfigFaults):
        config(issuer="https://login.example.com", api="https://api.internal", provider=provider)


@pytest.mark.rule("L-03")
@pytest.mark.rule("T-08")
@pytest.mark.rule("F-17")
@pytest.mark.rule("F-20")
def test_state_nonce_and_challenge_are_random_new_and_unrelated(browser: Browser) -> None:
    asked = [query(browser.to_provider("/secret-place")) for _ in range(40)]
    values = [each[name] for each in asked for name in ("state", "nonce", "code_challenge")]
    assert len(set(values)) == len(values)
    for value in values:
        octets = base64.urlsafe_b64decode(value + "=")
        assert (len(value), len(octets)) == (43, 32)
        assert b"secret-place" not in octets
    # 256 random bits: every bit of the state is set about half of the time, and in no step with
    # the nonce's.
    for kind in ("state", "nonce"):
        ones = sum(
            bin(int.from_bytes(base64.urlsafe_b64decode(each[kind] + "="))).count("1")
            for each in asked
        )
        assert 4_500 < ones < 5_740
    for each in asked:
        digest = hashlib.sha256(each["state"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).decode().rstrip("=") not in values


@pytest.mark.rule("L-04")
@pytest.mark.rule("C-09")
@pytest.mark.rule("F-17")
@pytest.mark.rule("F-16")
def test_the_verifier_is_43_characters_new_each_time_and_hashes_to_the_challenge(
    browser: Browser, provider: Control
) -> None:
    challenges, verifiers = [], []
    for _ in range(2):
        with Person() as person:
            url = browser.to_provider()
            challenges.append(query(url)["code_challenge"])
            browser.callback(person.visit(url))
        verifiers.append(provider.ask("secrets")["code_verifiers"][-1])
    assert len(set(verifiers)) == 2
    for verifier, challenge in zip(verifiers, challenges, strict=True):
        assert re.fullmatch(r"[\w-]{43}", verifier)
        digest = hashlib.sha256(verifier.encode()).digest()
        assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == challenge


@pytest.mark.rule("L-05")
@pytest.mark.parametrize("announced", [None, [], ["plain"]])
def test_pkce_is_sent_even_where_the_metadata_does_not_announce_it(
    sites: Sites, provider: Control, announced: object
) -> None:
    provider.switch(discovery={"code_challenge_methods_supported": announced})
    with browsing(sites(more=f"# announced: {announced}")) as browser:
        asked = query(browser.to_provider())
        assert asked["code_challenge_method"] == "S256"
        assert asked["state"]
        assert asked["nonce"]
        browser.sign_in()


@pytest.mark.rule("L-06")
@pytest.mark.rule("S-02")
@pytest.mark.rule("F-17")
def test_an_attempt_is_bound_by_one_sealed_lax_cookie_named_after_its_state(
    anywhere: Browser,
) -> None:
    answer = anywhere.navigate("/bff/login?return_to=/where-to", site="same-origin")
    (line,) = cookie_lines(answer)
    name, _, rest = line.partition("=")
    value, *attributes = rest.split("; ")
    state = query(answer.headers["location"])["state"]
    digest = hashlib.sha256(state.encode()).hexdigest()[:16]
    secure = anywhere.site.origin == SECURE
    assert name == f"{'__Host-Http-' if secure else ''}bff-login-{digest}"
    expected = {"Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=600"}
    assert sorted(attributes) == sorted(expected | ({"Secure"} if secure else set()))
    octets = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    for readable in (state, query(answer.headers["location"])["nonce"], "where-to", "127.0.0.1"):
        assert readable.encode() not in octets
        assert readable not in value


def forged(value: str) -> Iterator[tuple[str, str]]:
    """A sealed cookie's value, changed so that it is not what our own encoder wrote."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place, char in enumerate(value):
        flipped = alphabet[alphabet.index(char) ^ (1 << place % 6)]
        yield f"flipped at {place}", value[:place] + flipped + value[place + 1 :]
    slack = {2: 4, 3: 2}.get(len(value) % 4, 1)
    last = alphabet.index(value[-1])
    for bit in range(1, slack):
        yield f"slack {bit}", value[:-1] + alphabet[last ^ bit]
    yield "padded", value + "=" * (-len(value) % 4 or 4)
    yield "longer", value + "A"
    yield "shorter", value[:-1]
    yield "halved", value[: len(value) // 2]
    yield "doubled", value + value
    yield "empty", ""
    yield "quoted", f'"{value}"'
    yield "swapped case", value.swapcase()
    yield "the other alphabet", value.replace("-", "+").replace("_", "/") + "A"


@pytest.mark.rule("L-06")
@pytest.mark.rule("C-02")
def test_one_flipped_bit_makes_the_attempt_count_as_absent(
    browser: Browser, provider: Control
) -> None:
    with Person() as person:
        back = person.visit(browser.to_provider())
    (name,) = attempts(browser)
    cookie = browser.cookies[name]
    good = cookie.value
    for how, value in forged(good):
        cookie.value = value
        browser.cookies[name] = cookie
        answer = browser.callback(back)
        assert (how, answer.status_code, reason(answer)) == (how, 400, "transaction_missing")
        assert browser.session_cookie is None
    assert provider.count("token") == 0
    cookie.value = good
    browser.cookies[name] = cookie
    assert browser.callback(back).status_code == 200
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("L-06")
@pytest.mark.parametrize(
    "rename",
    [
        pytest.param(str.upper, id="another case"),
        pytest.param(lambda name: name.removeprefix("__Host-Http-"), id="without the prefix"),
        pytest.param(lambda name: name.replace("__Host-Http-", "__Host-"), id="the old prefix"),
        pytest.param(
            lambda name: name[:-1] + ("1" if name[-1] == "0" else "0"), id="another state"
        ),
        pytest.param(lambda name: name + "0", id="one more digit"),
    ],
)
def test_the_attempt_counts_only_under_its_exact_name(
    browser: Browser, provider: Control, rename: object
) -> None:
    with Person() as person:
        back = person.visit(browser.to_provider())
    (name,) = attempts(browser)
    cookie = browser.cookies.pop(name)
    browser.cookies[rename(name)] = cookie  # type: ignore[operator]
    assert reason(browser.callback(back)) == "transaction_missing"
    assert provider.count("token") == 0
    browser.cookies = {name: cookie}
    assert browser.callback(back).status_code == 200


@pytest.mark.rule("L-06")
def test_an_attempt_sent_twice_counts_as_absent(browser: Browser, provider: Control) -> None:
    with Person() as person:
        back = person.visit(browser.to_provider())
    (name,) = attempts(browser)
    pair = f"{name}={browser.cookies[name].value}"
    answer = browser.callback(back, headers={"cookie": f"{pair}; {pair}"})
    assert reason(answer) == "transaction_missing"
    assert provider.count("token") == 0


@pytest.mark.rule("L-06")
@pytest.mark.rule("T-03")
def test_an_attempt_of_one_origin_opens_nothing_at_another(sites: Sites, provider: Control) -> None:
    """Both sites have the same keyring; only the origin differs."""
    with browsing(sites()) as here, browsing(sites(origin=ORIGINS[1])) as there:
        with Person() as person:
            back = person.visit(here.to_provider())
        (name,) = attempts(here)
        there.cookies[name.removeprefix("__Host-Http-")] = here.cookies[name]
        assert reason(there.callback(back)) == "transaction_missing"
        assert provider.count("token") == 0
        sign_in_still_works(there)


@pytest.mark.rule("L-07")
def test_two_tabs_that_sign_in_at_once_both_finish(
    store: str, sites: Sites, provider: Control
) -> None:
    with browsing(sites(store=store)) as browser, Person() as person:
        first, second = browser.to_provider("/first"), browser.to_provider("/second")
        assert len(attempts(browser)) == 2
        answers = [browser.callback(person.visit(url)) for url in (second, first)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert ["/second" in answers[0].text, "/first" in answers[1].text] == [True, True]
        assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("L-07")
def test_the_sixth_open_attempt_evicts_the_oldest(browser: Browser) -> None:
    urls = [browser.to_provider(f"/{number}") for number in range(6)]
    assert len(attempts(browser)) == 5
    with Person() as person:
        backs = [person.visit(url) for url in urls]
        oldest = browser.callback(backs[0])
        assert reason(oldest) == "transaction_missing"
        assert 'href="/"' in oldest.text
        assert [browser.callback(back).status_code for back in backs[1:]] == [200] * 5
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("L-07")
def test_of_ten_attempts_at_once_at_least_five_finish(browser: Browser) -> None:
    def begin(number: int) -> httpx.Response:
        return browser.navigate(f"/bff/login?return_to=/{number}", site="same-origin")

    with ThreadPoolExecutor(10) as threads:
        urls = [answer.headers["location"] for answer in threads.map(begin, range(10))]
    with Person() as person:
        answers = [browser.callback(person.visit(url)) for url in urls]
    finished = [answer for answer in answers if answer.status_code == 200]
    assert len(finished) >= 5
    others = [answer for answer in answers if answer.status_code != 200]
    assert {reason(answer) for answer in others} <= {"transaction_missing"}
    assert browser.fetch("GET", "/api/tasks").status_code == 200


def abandon(sites: Sites, redis: RedisProcess, count: int) -> None:
    """So many logins without a callback leave nothing in the store."""
    # A prefix of its own: other sites of a module write into the same Redis.
    with browsing(sites(store="redis", session='prefix = "abandoned"')) as browser:
        for _ in range(count):
            browser.cookies.clear()
            browser.to_provider()
        with redis.client() as keys:
            assert keys.keys("abandoned*") == []
        sign_in_still_works(browser)


@pytest.mark.rule("L-07")
def test_logins_that_never_come_back_add_no_key_to_the_store(
    sites: Sites, provider: Control, redis: RedisProcess
) -> None:
    abandon(sites, redis, 300)


@pytest.mark.rule("L-07")
def test_junk_in_the_place_of_attempts_is_evicted_first(browser: Browser) -> None:
    with Person() as person:
        back = person.visit(browser.to_provider())
    junk = "; ".join(f"__Host-Http-bff-login-{number:016x}=junk" for number in range(7))
    (name,) = attempts(browser)
    pair = f"{name}={browser.cookies[name].value}"
    answer = browser.navigate(
        "/bff/login", site="same-origin", headers={"cookie": f"{junk}; {pair}"}
    )
    evicted = [line.partition("=")[0] for line in cookie_lines(answer) if "Max-Age=0" in line]
    assert len(evicted) == 4
    assert name not in evicted
    assert browser.callback(back).status_code == 200


FORWARDED = [
    {"x-forwarded-host": "evil.example"},
    {"x-forwarded-proto": "http"},
    {"x-forwarded-port": "8443"},
    {"forwarded": "for=1.2.3.4;host=evil.example;proto=http"},
    {"x-original-host": "evil.example", "x-host": "evil.example"},
    {"x-forwarded-prefix": "/evil", "x-forwarded-server": "evil.example"},
    {"x-original-url": "//evil.example/", "x-rewrite-url": "//evil.example/"},
    {"host": "app.example.com:443"},
    {"host": "APP.EXAMPLE.COM"},
]


@pytest.mark.rule("L-08")
@pytest.mark.parametrize("headers", FORWARDED, ids=lambda headers: " ".join(headers))
def test_the_redirect_uri_comes_from_configuration_whatever_the_request_says(
    browser: Browser, headers: dict[str, str]
) -> None:
    answer = browser.navigate("/bff/login", site="same-origin", headers=headers)
    url = answer.headers["location"]
    assert query(url)["redirect_uri"] == f"{SECURE}/bff/callback"
    with Person() as person:
        # The simulator refuses a token request whose redirect_uri is not the same, octet for octet.
        back = person.visit(url)
    assert browser.callback(back, headers=headers).status_code == 200


@pytest.mark.rule("L-08")
@pytest.mark.parametrize("host", ["evil.example", "app.example.com.evil.example", "localhost:8080"])
def test_another_host_is_no_origin_of_ours(browser: Browser, host: str) -> None:
    answer = browser.navigate("/bff/login", headers={"host": host})
    assert (answer.status_code, reason(answer)) == (421, "unknown_origin")
    assert cookie_lines(answer) == []
    sign_in_still_works(browser)


@pytest.mark.rule("L-09")
def test_no_way_back_leads_to_another_origin(browser: Browser, provider: Control) -> None:
    for raw in (*OPEN_REDIRECTS, *OWN_PATHS):
        if raw == "":
            continue  # a parameter without a value counts as absent
        path = f"/bff/login?return_to={quote(raw, safe='')}"
        answer = browser.navigate(path, site="same-origin")
        told = (raw, answer.status_code, reason(answer) if answer.status_code == 400 else None)
        assert told == (raw, 400, "bad_return_to")
        assert cookie_lines(answer) == []
        assert "evil" not in answer.text
    assert provider.count("authorize") == 0
    sign_in_still_works(browser)


@pytest.mark.rule("L-09")
@pytest.mark.parametrize("raw", ["//evil.example", "/bff/logout", "javascript:alert(1)"])
def test_the_click_page_is_held_to_the_same_way_back(browser: Browser, raw: str) -> None:
    answer = browser.navigate(f"/bff/login?return_to={quote(raw, safe='')}", site="cross-site")
    assert reason(answer) == "bad_return_to"


@pytest.mark.rule("L-09")
@pytest.mark.rule("C-15")
@pytest.mark.parametrize(("raw", "goes_to"), WAYS_BACK)
def test_a_path_on_our_own_origin_is_where_the_login_ends(
    browser: Browser, raw: str, goes_to: str
) -> None:
    landing = browser.sign_in(return_to=raw).text
    escaped = goes_to.replace("&", "&amp;").replace("'", "&#x27;")
    assert f'<meta http-equiv="refresh" content="0;url={escaped}">' in landing
    assert f'<a href="{escaped}">' in landing


@pytest.mark.rule("L-09")
@pytest.mark.parametrize("raw", ["", None])
def test_without_a_way_back_the_login_ends_at_the_root(browser: Browser, raw: str | None) -> None:
    path = "/bff/login" if raw is None else f"/bff/login?return_to={raw}"
    with Person() as person:
        back = person.visit(browser.navigate(path).headers["location"])
    assert 'content="0;url=/"' in browser.callback(back).text


NO_NAVIGATIONS = [
    *(
        ("GET", {"sec-fetch-mode": mode}, 403)
        for mode in ("cors", "no-cors", "same-origin", "websocket", "x", "")
    ),
    *(
        ("GET", {"sec-fetch-dest": dest}, 403)
        for dest in (
            *("empty", "iframe", "frame", "embed", "object", "image", "script", "style", "worker"),
            *("serviceworker", "manifest", "font", "video", "report", "webidentity", "fencedframe"),
        )
    ),
    *(
        ("GET", {"sec-purpose": purpose}, 403)
        for purpose in ("prefetch", "prefetch;prerender", "prefetch;a-proxy", "Prefetch")
    ),
    ("GET", {"purpose": "prefetch"}, 403),
    *(
        (method, {}, 405)
        for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY")
    ),
]  # fmt: skip


@pytest.mark.rule("L-10")
@pytest.mark.parametrize(("method", "headers", "status"), NO_NAVIGATIONS)
def test_what_is_no_navigation_begins_no_login(
    browser: Browser, provider: Control, method: str, headers: dict[str, str], status: int
) -> None:
    answer = browser.request(
        method, "/bff/login", mode="navigate", dest="document", headers=headers
    )
    assert answer.status_code == status
    assert cookie_lines(answer) == []
    assert "location" not in answer.headers
    if method != "HEAD":
        assert reason(answer) == {403: "forbidden", 405: "method_not_allowed"}[status]
    if status == 405:
        assert answer.headers["allow"] == "GET"
    sign_in_still_works(browser)


@pytest.mark.rule("L-10")
def test_a_refused_login_asks_nothing_of_the_provider(sites: Sites, provider: Control) -> None:
    with browsing(sites(more="# nothing is asked")) as browser:
        for method, headers, _ in NO_NAVIGATIONS:
            browser.request(method, "/bff/login", mode="navigate", dest="document", headers=headers)
        browser.navigate("/bff/login", site="cross-site")
        browser.navigate("/bff/login?return_to=//evil.example")
        assert provider.count("discovery") == 0
        sign_in_still_works(browser)


@pytest.mark.rule("L-11")
@pytest.mark.parametrize(
    ("comes_from", "status"),
    [
        ("cross-site", 200),
        ("same-site", 200),
        ("same-origin", 303),
        ("none", 303),
        (None, 303),
        ("a value that nobody knows", 303),
    ],
)
def test_another_site_may_start_a_login_only_after_a_click(
    browser: Browser, comes_from: str | None, status: int
) -> None:
    path = "/bff/login?return_to=/orders?a=1%26b=2&max_age=60&prompt=login&scope=evil"
    answer = browser.request("GET", path, site=comes_from, mode="navigate", dest="document")
    assert answer.status_code == status
    if status == 303:
        return
    assert cookie_lines(answer) == []
    match = re.search(r'<a href="([^"]*)">Continue</a>', answer.text)
    assert match is not None
    assert "http-equiv" not in answer.text
    clicked = browser.navigate(match[1].replace("&amp;", "&"), site="same-origin")
    asked = query(clicked.headers["location"])
    assert (asked["max_age"], asked["prompt"]) == ("60", "login")
    assert "evil" not in asked["scope"]
    with Person() as person:
        landing = browser.callback(person.visit(clicked.headers["location"])).text
    assert 'content="0;url=/orders?a=1&amp;b=2"' in landing


@pytest.mark.rule("L-09", "L-11")
@pytest.mark.parametrize(
    ("target", "back"),
    [("/orders?a=1&b=2#c", "/orders?a=1&amp;b=2#c"), ("", "/"), (None, "/")],
)
def test_a_third_party_may_start_a_login_that_a_person_then_wants(
    browser: Browser, provider: Control, target: str | None, back: str
) -> None:
    asked = {"iss": provider.simulator.issuer, "login_hint": 'ada <&> "x"'}
    if target is not None:
        asked["target_link_uri"] = SECURE + target
    answer = browser.navigate(f"/bff/login?{urlencode(asked)}", site="cross-site")
    assert answer.status_code == 200
    assert cookie_lines(answer) == []
    (link,) = re.findall(r'<a href="([^"]*)">Continue</a>', answer.text)
    assert answer.text.count("<a ") == 1
    assert not re.search("<script|<form|<img|http-equiv", answer.text)
    clicked = browser.navigate(html.unescape(link), site="same-origin")
    assert clicked.status_code == 303
    assert query(clicked.headers["location"])["login_hint"] == asked["login_hint"]
    with Person() as person:
        landing = browser.callback(person.visit(clicked.headers["location"])).text
    assert f'content="0;url={back}"' in landing


@pytest.mark.rule("L-09", "L-12")
@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"iss": "https://evil.example"}, "bad_request"),
        ({"iss": "ISSUER/"}, "bad_request"),
        ({"target_link_uri": f"{SECURE}/orders"}, "bad_request"),
        ({"iss": "ISSUER", "target_link_uri": SECURE, "return_to": "/"}, "bad_request"),
        ({"iss": "ISSUER", "target_link_uri": "https://evil.example/"}, "bad_return_to"),
        ({"iss": "ISSUER", "target_link_uri": f"{SECURE}.evil.example/"}, "bad_return_to"),
        ({"iss": "ISSUER", "target_link_uri": f"{SECURE}/bff/logout"}, "bad_return_to"),
        ({"iss": "ISSUER", "target_link_uri": "/orders"}, "bad_return_to"),
        ({"iss": "ISSUER", "target_link_uri": f"{SECURE}/" + "a" * 3000}, "bad_request"),
        ({"iss": "https://" + "a" * 600}, "bad_request"),
    ],
)
@pytest.mark.parametrize("comes_from", ["cross-site", "none"])
def test_a_third_party_that_means_another_provider_or_place_is_refused(
    browser: Browser, provider: Control, asked: dict[str, str], why: str, comes_from: str
) -> None:
    issuer = provider.simulator.issuer
    sent = {name: value.replace("ISSUER", issuer) for name, value in asked.items()}
    answer = browser.navigate(f"/bff/login?{urlencode(sent)}", site=comes_from)
    assert (answer.status_code, reason(answer)) == (400, why)
    assert cookie_lines(answer) == []
    assert "evil" not in answer.text


@pytest.mark.rule("L-12")
@pytest.mark.parametrize("name", ["iss", "target_link_uri"])
def test_what_a_third_party_says_twice_is_refused(
    browser: Browser, provider: Control, name: str
) -> None:
    value = {"iss": provider.simulator.issuer, "target_link_uri": SECURE}
    pairs = [*value.items(), (name, value[name])]
    answer = browser.navigate(f"/bff/login?{urlencode(pairs)}", site="cross-site")
    assert (answer.status_code, reason(answer)) == (400, "bad_request")


@pytest.mark.rule("L-12")
@pytest.mark.rule("L-13")
@pytest.mark.parametrize(
    "asked",
    [
        {"scope": "openid admin"},
        {"redirect_uri": "https://evil.example/"},
        {"response_mode": "form_post"},
        {"response_type": "token"},
        {"claims": '{"id_token": {}}'},
        {"request": "eyJ"},
        {"request_uri": "https://evil.example/"},
        {"client_id": "other"},
        {"state": "chosen", "nonce": "chosen"},
        {"code_challenge": "x", "code_challenge_method": "plain"},
        {"id_token_hint": "eyJ"},
        {"display": "popup"},
        {"resource": "https://api.example"},
        {"RETURN_TO": "//evil.example"},
    ],
    ids=lambda asked: " ".join(asked),
)
def test_other_parameters_have_no_effect(browser: Browser, asked: dict[str, str]) -> None:
    plain = query(browser.to_provider())
    sent = query(browser.to_provider(**asked))
    for changing in ("state", "nonce", "code_challenge"):
        del plain[changing]
        assert sent.pop(changing) not in asked.values()
    assert sent == plain


@pytest.mark.rule("L-12")
def test_what_may_be_asked_reaches_the_provider_as_it_was_asked(browser: Browser) -> None:
    asked = {
        "prompt": "login consent",
        "login_hint": "ada@example.com&x=1",
        "acr_values": "2 1",
        "max_age": "0",
        "ui_locales": "de-CH en",
    }
    sent = query(browser.to_provider(**asked))
    assert {name: sent[name] for name in asked} == asked


BAD_QUERIES = [
    *("max_age=" + value for value in (
        "-1", "%2B1", "1.5", "1e3", "abc", "1%20", "%201", "0x10", "%D9%A1", "1,2", "NaN", "1_0",
    )),
    *(f"{name}={'a' * 513}" for name in ("prompt", "login_hint", "acr_values", "ui_locales")),
    "return_to=/" + "a" * 2048,
    "return_to=/" + "%C3%A9" * 400,
    *(f"{name}=1&{name}=1" for name in ("return_to", "prompt", "login_hint", "max_age")),
    "prompt=login&%70rompt=none",
    "return_to=/a&return_to=/a",
    "return_to=/a&return%5Fto=//evil.example",
    "login_hint=%ff",
    "login_hint=a%0D%0Ab",
    "&".join(f"p{number}=1" for number in range(60)),
]  # fmt: skip


@pytest.mark.rule("L-12")
@pytest.mark.parametrize("asked", BAD_QUERIES, ids=lambda asked: asked[:40])
def test_a_parameter_twice_or_beyond_its_bounds_is_refused(browser: Browser, asked: str) -> None:
    answer = browser.navigate(f"/bff/login?{asked}", site="same-origin")
    assert (answer.status_code, reason(answer)) == (400, "bad_request")
    assert cookie_lines(answer) == []


@pytest.mark.rule("L-12")
@pytest.mark.parametrize(
    "asked", ["login_hint=" + "a" * 512, "max_age=0", "max_age=86400", "prompt="]
)
def test_a_parameter_within_its_bounds_passes(browser: Browser, asked: str) -> None:
    assert browser.navigate(f"/bff/login?{asked}", site="same-origin").status_code == 303


@pytest.mark.rule("L-16")
@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/bff/login", {}),
        ("GET", "/bff/login", {"sec-fetch-site": "cross-site"}),
        ("GET", "/bff/login?return_to=//evil.example", {}),
        ("GET", "/bff/login?return_to=//evil.example", {"sec-fetch-mode": "cors"}),
        ("GET", "/bff/login", {"sec-fetch-dest": "iframe"}),
        ("POST", "/bff/login", {}),
        ("GET", "/bff/callback", {}),
        ("GET", "/bff/callback?state=x&code=y", {}),
        ("GET", "/bff/callback?state=x&error=server_error", {"sec-fetch-mode": "cors"}),
        ("POST", "/bff/callback", {}),
        ("GET", "/bff/logout", {}),
        ("POST", "/bff/logout", {}),
        ("POST", "/bff/logout", {"x-csrf": "1", "sec-fetch-mode": "cors"}),
        ("POST", "/bff/logout", {"sec-fetch-site": "cross-site"}),
    ],
)
def test_no_answer_around_a_login_is_stored_or_named_to_others(
    browser: Browser, method: str, path: str, headers: dict[str, str]
) -> None:
    more = {"origin": SECURE} if method == "POST" else {}
    answer = browser.request(
        method, path, mode="navigate", dest="document", headers={**more, **headers}
    )
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.rule("L-17")
def test_a_browser_that_loses_its_session_again_and_again_is_stopped(browser: Browser) -> None:
    for _ in range(3):
        browser.sign_in()
        del browser.cookies["__Host-Http-bff"]
    stopped = browser.navigate("/bff/login", site="same-origin")
    assert (stopped.status_code, reason(stopped)) == (400, "login_loop")
    (line,) = [line for line in browser.cookies if "-loop" in line]
    assert browser.cookies[line].attributes.split("; ")[2:] == [
        "SameSite=Lax",
        "Max-Age=60",
        "Secure",
    ]
    assert browser.fetch("POST", "/bff/logout").status_code == 200  # deletes the count
    sign_in_still_works(browser)


@pytest.mark.rule("L-17")
def test_a_browser_that_keeps_its_session_may_sign_in_as_often_as_it_likes(
    browser: Browser,
) -> None:
    for _ in range(5):
        browser.sign_in()
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("L-17")
def test_a_forged_count_of_logins_stops_nobody(browser: Browser) -> None:
    browser.sign_in()
    name = next(name for name in browser.cookies if name.endswith("-loop"))
    for value in ("", "3", "A" * 80, browser.cookies[name].value[:-1] + "!"):
        browser.cookies[name].value = value
        browser.cookies.pop("__Host-Http-bff", None)
        assert browser.navigate("/bff/login", site="same-origin").status_code == 303


@pytest.mark.rule("X-10")
def test_a_second_login_changes_nothing_of_a_live_session_until_it_is_finished(
    browser: Browser,
) -> None:
    browser.sign_in()
    before = browser.session_cookie
    url = browser.to_provider()
    assert browser.session_cookie == before
    assert browser.fetch("GET", "/api/tasks").status_code == 200
    assert urlsplit(url).fragment == ""
    assert "none" not in urlencode(query(url))
