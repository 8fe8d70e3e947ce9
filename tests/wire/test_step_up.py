"""A fresher or stronger sign-in over a session: it is raised, or all stays as it was (I-11)."""

import httpx
import pytest

from bff.simulator import Person
from tests.conftest import Sites, Told
from tests.parts.answers import cookie_lines, reason
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.event_source import listening

STRONGER = {"acr_values": "2 3"}
FRESHER = {"max_age": "60"}
SHORT = [
    pytest.param(STRONGER, "other_acr", id="not as strong"),
    pytest.param(FRESHER, "old_auth_time", id="not as fresh"),
    pytest.param(FRESHER, "auth_time_absent", id="nobody knows how fresh"),
    pytest.param({**STRONGER, **FRESHER}, "old_auth_time", id="strong, but not fresh"),
    pytest.param({**STRONGER, **FRESHER}, "other_acr", id="fresh, but not strong"),
]


def step_up(page: Browser, asked: dict[str, str], *, sub: str = "ada") -> httpx.Response:
    with Person(sub) as person:
        return page.callback(person.visit(page.to_provider("/orders", **asked)))


def served(page: Browser) -> bool:
    return page.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("I-11", "S-08", "S-14")
@pytest.mark.parametrize("asked", [STRONGER, FRESHER, {**STRONGER, **FRESHER}])
def test_a_stronger_sign_in_takes_the_place_of_the_session_at_once(
    sites: Sites, provider: Control, store: str, asked: dict[str, str]
) -> None:
    with browsing(sites(store=store)) as page, browsing(page.site) as former:
        page.sign_in()
        former.cookies = dict(page.cookies)
        with listening(former) as tab:
            answer = step_up(page, asked)
            assert answer.status_code == 200
            assert '<a href="/orders">' in answer.text
            assert page.session_cookie != former.session_cookie
            assert tab.event() == ("ended", {"reason": "session_ended"})
        assert served(page)
        answer = former.fetch("GET", "/api/tasks")
        assert (answer.status_code, reason(answer)) == (401, "session_ended")


@pytest.mark.rule("I-11", "S-08", "S-13")
@pytest.mark.parametrize(("asked", "departure"), SHORT)
def test_one_that_falls_short_raises_nothing_and_leaves_the_session_as_it_was(
    sites: Sites, provider: Control, told: Told, store: str, asked: dict[str, str], departure: str
) -> None:
    with browsing(sites(store=store)) as page:
        page.sign_in()
        before = page.session_cookie
        provider.fault("id_token", count=1, departure=departure)
        answer = step_up(page, asked)
        assert (answer.status_code, reason(answer)) == (403, "step_up_required")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "http-equiv" not in answer.text  # no loop
        assert '<a href="/">To the application</a>' in answer.text
        assert all("-login-" in line and "Max-Age=0" in line for line in cookie_lines(answer))
        assert page.session_cookie == before
        page.site.settle()
        assert provider.count("revoke") == 0  # the grant is the former session's as well
        assert served(page)
        assert page.fetch("GET", "/bff/session").json()["authenticated"]
        assert len(page.fetch("GET", "/bff/sessions").json()["sessions"]) >= 1
        assert [each["reason"] for each in told() if each["event"] == "login_failed"] == [
            "step_up_required"
        ]
        assert step_up(page, asked).status_code == 200  # another time it may do
        assert page.session_cookie != before


@pytest.mark.rule("I-11", "C-13")
@pytest.mark.parametrize("departure", ["other_acr", "old_auth_time"])
def test_the_former_session_can_still_be_renewed_after_one_that_fell_short(
    sites: Sites, provider: Control, departure: str
) -> None:
    with browsing(sites()) as page:
        provider.switch(access_token_seconds=1)
        page.sign_in()
        provider.fault("id_token", count=1, departure=departure)
        assert step_up(page, {**STRONGER, **FRESHER}).status_code == 403
        provider.switch(access_token_seconds=300)
        while provider.count("token:refresh_token") == 0:
            page.fetch("GET", "/api/tasks")
        assert served(page)


@pytest.mark.rule("I-11")
@pytest.mark.parametrize("former", [None, "grace"])
def test_tokens_of_one_that_fell_short_are_revoked_where_that_harms_nobody(
    sites: Sites, provider: Control, former: str | None
) -> None:
    with browsing(sites()) as page:
        if former is not None:
            page.sign_in(former)
        provider.fault("id_token", count=1, departure="other_acr")
        assert step_up(page, STRONGER, sub="ada").status_code == 403
        assert provider.entries("revoke", 1)
        assert (page.session_cookie is not None) == (former is not None)
        assert former is None or served(page)


@pytest.mark.rule("I-11", "C-07")
def test_a_provider_that_says_that_it_cannot_is_believed(sites: Sites, provider: Control) -> None:
    with browsing(sites()) as page:
        page.sign_in()
        for asked, status, why in (
            (STRONGER, 403, "step_up_required"),
            ({}, 400, "provider_error"),
        ):
            params = httpx.URL(page.to_provider(**asked)).params
            back = httpx.QueryParams(
                {
                    "error": "unmet_authentication_requirements",
                    "state": params["state"],
                    "iss": provider.simulator.issuer,
                }
            )
            answer = page.callback(f"{params['redirect_uri']}?{back}")
            assert (answer.status_code, reason(answer)) == (status, why)
        assert served(page)


@pytest.mark.rule("L-12", "L-06")
def test_the_longest_login_that_is_allowed_fits_into_a_cookie(
    sites: Sites, provider: Control
) -> None:
    with browsing(sites()) as page:
        page.sign_in()
        query = {"return_to": "/" + "a" * 2047, "acr_values": "a" * 512, "max_age": "9" * 9}
        answer = page.navigate(f"/bff/login?{httpx.QueryParams(query)}", site="same-origin")
        assert answer.status_code == 303
        (line,) = cookie_lines(answer)
        assert len(line.partition(";")[0]) <= 4096
