"""Several providers of one front end: a choice, a callback for each, and no mix-up (C-05)."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

import httpx
import pytest

from bff.config.load import parse
from bff.simulator import Client, Person, Plan, Simulator, Switches, running
from tests.conftest import SECURE, Told
from tests.parts.answers import query, reason
from tests.parts.browser import Browser, browsing
from tests.parts.config import SECRET, config_text
from tests.parts.control import Control, client
from tests.parts.logout_token import ended, minted, send
from tests.parts.providers import provider_text, several_text
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site, serving

NAMES = ("corp", "guests")
TITLE = 'title = "Example <Corp>"\nconnections = 1000'
WIDER = """
[[routes]]
path = "/api/w"
upstream = "http://127.0.0.1:1"
scopes = ["tasks:write"]
"""


@dataclass(frozen=True)
class Place:
    site: Site
    by_name: dict[str, Control]

    def other(self, name: str) -> Control:
        return self.by_name[NAMES[1 - NAMES.index(name)]]


@pytest.fixture(scope="module")
def both() -> Iterator[dict[str, Simulator]]:
    with contextlib.ExitStack() as stack:
        found = {}
        for name in NAMES:
            application = Client(
                client_id="spa",
                client_secret=SECRET,
                redirect_uris=(f"{SECURE}/bff/callback/{name}",),
                post_logout_redirect_uris=(f"{SECURE}/",),
            )
            plan = Plan(clients=(application,), switches=Switches(access_token_seconds=300))
            found[name] = stack.enter_context(running(plan))
        yield found


@contextlib.contextmanager
def placed(both: dict[str, Simulator], text: str) -> Iterator[Place]:
    with client() as http, serving(parse(text, dev=True)) as site:
        controls = {name: Control(each, http) for name, each in both.items()}
        for control in controls.values():
            control.do("reset")
        yield Place(site, controls)


@pytest.fixture(scope="module")
def place_of_all(both: dict[str, Simulator]) -> Iterator[Place]:
    corp = provider_text("corp", both["corp"].issuer, TITLE)
    text = several_text(
        corp,
        provider_text("guests", both["guests"].issuer),
        api=both["corp"].api,
        more="[logout]\nfront_channel = true",
        routes=WIDER,
    )
    with placed(both, text) as place:
        yield place


@pytest.fixture
def place(place_of_all: Place) -> Place:
    for control in place_of_all.by_name.values():
        control.do("reset")
    return place_of_all


@pytest.fixture
def page(place: Place) -> Iterator[Browser]:
    with browsing(place.site) as page:
        yield page


def sign_in(page: Browser, name: str, sub: str = "ada", **more: str) -> httpx.Response:
    with Person(sub) as person:
        answer = page.callback(person.visit(page.to_provider("/", provider=name, **more)))
    assert answer.status_code == 200, answer.text
    return answer


def links(answer: httpx.Response) -> dict[str, str]:
    found = re.findall(r'<a href="([^"]*)">([^<]*)</a>', answer.text)
    return {unescape(text): unescape(url) for url, text in found}


# --- the choice


def test_who_names_none_chooses_on_a_page_without_script(page: Browser) -> None:
    answer = page.navigate("/bff/login?return_to=/orders&ui_locales=de&max_age=60")
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert "<script" not in answer.text
    choices = links(answer)
    assert list(choices) == ["Example <Corp>", "guests"]  # escaped: `<` in it was no tag
    for name, url in zip(NAMES, choices.values(), strict=True):
        asked = page.navigate(url, site="same-origin")
        assert asked.status_code == 303
        assert query(url) == {
            "provider": name,
            "return_to": "/orders",
            "ui_locales": "de",
            "max_age": "60",
        }
        assert query(asked.headers["location"])["redirect_uri"] == f"{SECURE}/bff/callback/{name}"


def test_the_default_is_not_asked_for(both: dict[str, Simulator]) -> None:
    text = several_text(
        provider_text("corp", both["corp"].issuer),
        provider_text("guests", both["guests"].issuer, "default = true"),
        api=both["corp"].api,
    )
    with placed(both, text) as place, browsing(place.site) as page:
        assert page.to_provider("/").startswith(both["guests"].issuer)
        assert page.to_provider("/", provider="corp").startswith(both["corp"].issuer)


@pytest.mark.rule("L-12")
@pytest.mark.parametrize("name", ["Corp", "corp ", "nobody", "../corp", "https://evil.example"])
def test_a_name_that_there_is_not_is_refused(page: Browser, name: str) -> None:
    answer = page.navigate(f"/bff/login?{httpx.QueryParams({'provider': name})}")
    assert (answer.status_code, reason(answer)) == (400, "bad_request")
    answer = page.navigate("/bff/login?provider=corp&provider=guests")
    assert (answer.status_code, reason(answer)) == (400, "bad_request")


@pytest.mark.rule("L-09")
def test_a_third_party_means_the_provider_that_it_names(page: Browser, place: Place) -> None:
    for name in NAMES:
        issuer = place.by_name[name].simulator.issuer
        asked = page.to_provider("/", iss=issuer)
        assert asked.startswith(issuer)
        other = httpx.QueryParams({"iss": place.other(name).simulator.issuer, "provider": name})
        assert page.navigate(f"/bff/login?{other}").status_code == 400
    unknown = httpx.QueryParams({"iss": "https://evil.example"})
    assert page.navigate(f"/bff/login?{unknown}").status_code == 400


def test_another_site_gets_a_page_that_keeps_the_choice(page: Browser) -> None:
    answer = page.navigate("/bff/login?provider=guests", site="cross-site")
    assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)
    assert query(links(answer)["Continue"])["provider"] == "guests"
    assert list(links(page.navigate("/bff/login", site="cross-site"))) == [
        "Example <Corp>",
        "guests",
    ]


def test_who_must_not_be_asked_is_not_asked_to_choose(page: Browser) -> None:
    answer = page.navigate("/bff/login?prompt=none&return_to=/orders", site="same-origin")
    assert (answer.status_code, answer.headers["location"]) == (303, "/orders")


def test_a_step_up_stays_with_the_provider_of_the_session(page: Browser, place: Place) -> None:
    sign_in(page, "guests")
    issuer = place.by_name["guests"].simulator.issuer
    for asked in ({"acr_values": "2"}, {"max_age": "0"}, {"prompt": "login"}, {"route": "/api/w"}):
        assert page.to_provider("/", **asked).startswith(issuer)
    assert page.navigate("/bff/login", site="same-origin").status_code == 200  # a choice again


# --- no mix-up


@pytest.mark.rule("C-05")
@pytest.mark.parametrize("name", NAMES)
def test_an_answer_of_one_at_the_callback_of_the_other_is_refused(
    page: Browser, place: Place, told: Told, name: str
) -> None:
    with Person("ada") as person:
        back = person.visit(page.to_provider("/orders", provider=name))
    other = NAMES[1 - NAMES.index(name)]
    answer = page.callback(back.replace(f"/callback/{name}?", f"/callback/{other}?"))
    assert (answer.status_code, reason(answer)) == (400, "issuer_mismatch")
    assert links(answer) == {"Sign in": f"/bff/login?return_to=%2Forders&provider={name}"}
    for control in place.by_name.values():
        assert control.count("token:authorization_code") == 0
    assert page.session_cookie is None
    assert [each["reason"] for each in told() if each["event"] == "login_failed"] == [
        "issuer_mismatch"
    ]
    again = page.callback(back)  # the attempt is over
    assert (again.status_code, reason(again)) == (400, "transaction_missing")


@pytest.mark.rule("C-04", "C-05")
def test_an_answer_that_names_the_other_issuer_is_refused(page: Browser, place: Place) -> None:
    with Person("ada") as person:
        back = person.visit(page.to_provider("/", provider="corp"))
    url = httpx.URL(back)
    mixed = url.copy_set_param("iss", place.by_name["guests"].simulator.issuer)
    answer = page.callback(str(mixed))
    assert (answer.status_code, reason(answer)) == (400, "issuer_mismatch")
    assert place.by_name["corp"].count("token:authorization_code") == 0
    assert place.by_name["guests"].count("token:authorization_code") == 0


@pytest.mark.rule("C-05")
@pytest.mark.parametrize("name", NAMES)
def test_the_code_goes_to_the_one_that_gave_it(page: Browser, place: Place, name: str) -> None:
    sign_in(page, name)
    assert place.by_name[name].count("token:authorization_code") == 1
    assert place.other(name).count("token:authorization_code") == 0


@pytest.mark.rule("C-05")
@pytest.mark.parametrize(
    "path", ["/bff/callback", "/bff/callback/", "/bff/callback/nobody", "/bff/callback/corp/x"]
)
def test_there_is_a_callback_for_each_and_no_other(page: Browser, path: str) -> None:
    with Person("ada") as person:
        back = person.visit(page.to_provider("/", provider="corp"))
    answer = page.callback(back.replace("/bff/callback/corp", path))
    assert (answer.status_code, reason(answer)) == (404, "no_route")
    assert page.request("POST", "/bff/callback/corp").status_code == 405
    assert page.callback(back).status_code == 200  # nothing was used up


def test_the_only_one_has_the_plain_callback(both: dict[str, Simulator]) -> None:
    text = config_text(issuer=both["corp"].issuer, api=both["corp"].api)
    with placed(both, text) as place, browsing(place.site) as page:
        for path in ("/bff/callback/corp", "/bff/callback/"):
            answer = page.navigate(f"{path}?code=x&state=y", site="cross-site")
            assert (answer.status_code, reason(answer)) == (404, "no_route")
        answer = page.navigate("/bff/login?provider=corp", site="same-origin")
        assert (answer.status_code, reason(answer)) == (400, "bad_request")


# --- each session with its own


@pytest.mark.rule("C-05", "R-01")
@pytest.mark.parametrize("name", NAMES)
def test_a_session_is_renewed_where_it_began(page: Browser, place: Place, name: str) -> None:
    its, other = place.by_name[name], place.other(name)
    its.switch(access_token_seconds=1)
    sign_in(page, name)
    its.switch(access_token_seconds=300)
    while its.count("token:refresh_token") == 0:
        page.fetch("GET", "/api/tasks")
    assert other.count("token:refresh_token") == 0
    assert page.fetch("GET", "/bff/session").json()["authenticated"]


@pytest.mark.rule("C-05")
@pytest.mark.parametrize("name", NAMES)
def test_a_session_is_revoked_and_signed_out_where_it_began(
    page: Browser, place: Place, name: str
) -> None:
    its, other = place.by_name[name], place.other(name)
    sign_in(page, name)
    answer = page.fetch("POST", "/bff/logout")
    way = page.navigate(answer.json()["logout_url"], site="same-origin")
    assert way.headers["location"].startswith(its.simulator.issuer)
    assert its.entries("revoke", 1)
    assert other.count("revoke") == 0


@pytest.mark.rule("B-01", "B-03")
def test_a_logout_token_ends_the_sessions_of_its_issuer(page: Browser, place: Place) -> None:
    """The same `sub` at both is two people (I-09)."""
    with browsing(place.site) as guest:
        sign_in(page, "corp")
        sign_in(guest, "guests")
        assert send(place.site, minted(place.by_name["guests"], sub="ada")).status_code == 200
        assert ended(guest)
        assert page.fetch("GET", "/bff/session").json()["authenticated"]
        assert send(place.site, minted(place.by_name["corp"], sub="ada")).status_code == 200
        assert not page.fetch("GET", "/bff/session").json()["authenticated"]


@pytest.mark.rule("B-11")
def test_a_frame_of_either_may_sign_out(page: Browser, place: Place) -> None:
    answer = page.navigate("/bff/frontchannel-logout?iss=https://evil.example&sid=x")
    policy = answer.headers["content-security-policy"]
    origins = {each.simulator.issuer for each in place.by_name.values()}
    assert set(policy.partition("frame-ancestors ")[2].split()) == origins


@pytest.mark.rule("I-09", "S-16")
def test_the_same_sub_at_two_providers_is_two_people(page: Browser, place: Place) -> None:
    with browsing(place.site) as guest:
        sign_in(page, "corp")
        sign_in(guest, "guests")
        names = {each.fetch("GET", "/bff/session").json()["person"] for each in (page, guest)}
        assert len(names) == 2
        assert len(page.fetch("GET", "/bff/sessions").json()["sessions"]) == 1
        assert page.fetch("DELETE", "/bff/sessions").status_code == 204
        assert guest.fetch("GET", "/bff/session").json()["authenticated"]


def test_a_provider_that_the_file_names_no_longer_takes_its_sessions_along(
    both: dict[str, Simulator], redis: RedisProcess
) -> None:
    corp, guests = (provider_text(name, both[name].issuer) for name in NAMES)
    text = several_text(corp, guests, api=both["corp"].api, store=redis.url)
    with placed(both, text) as place, browsing(place.site) as page, browsing(place.site) as guest:
        sign_in(page, "corp")
        sign_in(guest, "guests")

        async def swap() -> None:
            alone = several_text(corp, api=both["corp"].api, store=redis.url)
            place.site.application.swap(parse(alone, dev=True))

        place.site.run(swap())
        assert page.fetch("GET", "/bff/session").json()["authenticated"]
        state = guest.fetch("GET", "/bff/session").json()
        assert (state["authenticated"], state["reason"]) == (False, "session_ended")


def test_one_that_is_down_hinders_nobody_at_the_other(both: dict[str, Simulator]) -> None:
    down = both["guests"].issuer
    text = several_text(
        provider_text("corp", both["corp"].issuer),
        provider_text("guests", both["guests"].issuer).replace(down, "http://127.0.0.1:9"),
        api=both["corp"].api,
    )
    with placed(both, text) as place, browsing(place.site) as page:
        answer = page.navigate("/bff/login?provider=guests", site="same-origin")
        assert (answer.status_code, reason(answer)) == (503, "provider_unavailable")
        sign_in(page, "corp")
        assert place.site.run(place.site.application.troubles()) == []
