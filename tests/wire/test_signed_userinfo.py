"""UserInfo as a JWT over the wire: every way to get it wrong, seen from the browser (row I-14)."""

import pytest

from bff.config.load import ConfigFaults
from bff.simulator import Person
from bff.simulator.userinfo import USERINFO_DEPARTURES
from tests.conftest import Sites
from tests.parts.answers import reason
from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.control import Control

ASKED = "userinfo = true"
AGREED = f"{ASKED}\nuserinfo_signed = true"
ACCEPTED = ("extra_aud", "aud_list", "no_kid")
REFUSED = sorted(set(USERINFO_DEPARTURES) - set(ACCEPTED))


def come_back(browser: Browser) -> str:
    with Person("grace") as person:
        return person.visit(browser.to_provider())


def name_of(browser: Browser) -> object:
    return browser.fetch("GET", "/bff/session").json()["claims"].get("name")


@pytest.mark.rule("I-14")
@pytest.mark.parametrize("setting", [ASKED, AGREED], ids=["either", "agreed"])
def test_a_signed_answer_is_believed(sites: Sites, provider: Control, setting: str) -> None:
    provider.switch(userinfo_signed=True, profile_in_id_token=False)
    with browsing(sites(provider=setting)) as browser:
        browser.sign_in("grace")
        assert name_of(browser) == "Grace Hopper"


@pytest.mark.rule("I-14")
@pytest.mark.rule("C-12")
@pytest.mark.parametrize("departure", REFUSED)
def test_a_signed_answer_that_is_wrong_signs_nobody_in_and_its_tokens_are_revoked(
    sites: Sites, provider: Control, departure: str
) -> None:
    provider.switch(userinfo_signed=True)
    with browsing(sites(provider=ASKED)) as browser:
        provider.fault("userinfo_token", count=1, departure=departure)
        answer = browser.callback(come_back(browser))
        assert (answer.status_code, reason(answer)) == (400, "provider_error")
        assert browser.session_cookie is None
        assert [entry["outcome"] for entry in provider.entries("revoke", 1)] == ["ok"]
        browser.sign_in()


@pytest.mark.rule("I-14")
@pytest.mark.parametrize("departure", ACCEPTED)
def test_a_signed_answer_that_is_merely_odd_signs_in(
    sites: Sites, provider: Control, departure: str
) -> None:
    provider.switch(userinfo_signed=True)
    with browsing(sites(provider=AGREED)) as browser:
        provider.fault("userinfo_token", count=1, departure=departure)
        assert browser.callback(come_back(browser)).status_code == 200


@pytest.mark.rule("I-14")
def test_plain_json_is_refused_where_a_signed_answer_was_agreed(
    sites: Sites, provider: Control
) -> None:
    with browsing(sites(provider=AGREED)) as browser:
        assert reason(browser.callback(come_back(browser))) == "provider_error"
        assert browser.session_cookie is None
        provider.switch(userinfo_signed=True)
        browser.sign_in()


def test_agreed_without_asking_is_a_fault() -> None:
    with pytest.raises(ConfigFaults, match=r"provider\.userinfo_signed means nothing"):
        config(
            issuer="https://login.example.com",
            api="https://api.internal",
            provider="userinfo_signed = true",
        )
