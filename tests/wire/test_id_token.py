"""The ID token over the wire: every named way to get it wrong, seen from the browser (rows I)."""

import pytest

from bff.config.load import ConfigFaults, parse
from bff.simulator import Person
from bff.simulator.id_token import ID_TOKEN_DEPARTURES
from tests.conftest import Sites
from tests.parts.answers import cookie_lines, reason
from tests.parts.browser import Browser, browsing
from tests.parts.config import config, config_text
from tests.parts.control import Control

# Departure of the simulator → the row that forbids it.
REFUSED = {
    "wrong_iss": "I-05",
    "missing_iss": "I-05",
    "wrong_aud": "I-06",
    "missing_aud": "I-06",
    "extra_aud": "I-06",
    "wrong_azp": "I-06",
    "wrong_nonce": "I-08",
    "missing_nonce": "I-08",
    "missing_sub": "I-09",
    "missing_exp": "I-07",
    "missing_iat": "I-07",
    "expired": "I-07",
    "future_iat": "I-07",
    "old_iat": "I-07",
    "alg_none": "I-02",
    "hs256_public_key": "I-02",
    "other_alg": "I-02",
    "unknown_kid": "I-04",
    "kid_of_another_key": "I-02",
    "crit": "I-01",
    "typ_at_jwt": "I-12",
    "events": "I-12",
    "bad_signature": "I-01",
    "foreign_key": "I-01",
    "missing": "I-01",
    "oversized": "I-01",
    "bad_at_hash": "I-10",
}
# Right enough: seen at real providers, or a fault only where something else was asked.
ACCEPTED = (
    *(
        "no_kid",
        "old_auth_time",
        "other_sub",
        "other_acr",
        "other_organization",
        "aud_list",
        "auth_time_float",
    ),
    *("auth_time_absent", "auth_time_zero", "at_hash_absent", "sid_absent"),
)

pytestmark = pytest.mark.usefixtures("provider")


def come_back(browser: Browser, **asked: str) -> str:
    with Person("ada") as person:
        return person.visit(browser.to_provider(**asked))


def test_every_departure_of_the_simulator_is_judged_here() -> None:
    assert {*REFUSED, *ACCEPTED} == set(ID_TOKEN_DEPARTURES)
    assert not set(REFUSED) & set(ACCEPTED)


@pytest.mark.rule("C-12")
@pytest.mark.parametrize(
    "departure",
    [pytest.param(name, marks=pytest.mark.rule(rule)) for name, rule in REFUSED.items()],
)
def test_an_id_token_that_is_wrong_signs_nobody_in_and_its_tokens_are_revoked(
    browser: Browser, provider: Control, departure: str
) -> None:
    provider.fault("id_token", count=1, departure=departure)
    answer = browser.callback(come_back(browser))
    if departure == "oversized":  # the whole answer is larger than any that is read
        assert reason(answer) == "provider_unavailable"
    else:
        assert (answer.status_code, reason(answer)) == (400, "id_token_invalid")
        assert [entry["outcome"] for entry in provider.entries("revoke", 1)] == ["ok"]
    assert browser.session_cookie is None
    assert not any(line.startswith("__Host-Http-bff=") for line in cookie_lines(answer))
    assert departure.split("_")[-1] not in answer.text.partition("Reason:")[0].lower().split()
    browser.sign_in()
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("I-04")
@pytest.mark.parametrize("departure", ACCEPTED)
def test_an_id_token_that_is_merely_odd_signs_in(
    browser: Browser, provider: Control, departure: str
) -> None:
    provider.fault("id_token", count=1, departure=departure)
    assert browser.callback(come_back(browser)).status_code == 200
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("I-02")
def test_another_algorithm_is_accepted_only_where_configuration_names_it(
    sites: Sites, provider: Control
) -> None:
    with browsing(sites(provider='algorithms = ["ES256", "RS256"]')) as browser:
        provider.fault("id_token", count=1, departure="other_alg")
        assert browser.callback(come_back(browser)).status_code == 200
        for departure in ("alg_none", "hs256_public_key"):
            provider.fault("id_token", count=1, departure=departure)
            assert reason(browser.callback(come_back(browser))) == "id_token_invalid"


@pytest.mark.rule("I-02")
@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512", "None", "rs256"])
def test_no_algorithm_without_a_public_key_can_be_configured(algorithm: str) -> None:
    with pytest.raises(ConfigFaults):
        config(
            issuer="https://login.example.com",
            api="https://api.internal",
            provider=f'algorithms = ["{algorithm}"]',
        )


@pytest.mark.rule("I-11")
@pytest.mark.parametrize(
    ("max_age", "departure", "status"),
    [
        ("60", None, 200),
        ("60", "old_auth_time", 403),
        ("60", "auth_time_absent", 403),
        ("60", "auth_time_zero", 403),
        ("999999", "old_auth_time", 200),
        (None, "old_auth_time", 200),
        (None, "auth_time_absent", 200),
    ],
)
def test_after_a_max_age_the_sign_in_must_be_that_recent(
    browser: Browser, provider: Control, max_age: str | None, departure: str | None, status: int
) -> None:
    if departure is not None:
        provider.fault("id_token", count=1, departure=departure)
    asked = {} if max_age is None else {"max_age": max_age}
    answer = browser.callback(come_back(browser, **asked))
    assert answer.status_code == status
    if status == 403:
        assert reason(answer) == "step_up_required"
        assert "http-equiv" not in answer.text  # a page that says so, with no loop


@pytest.mark.rule("I-15")
@pytest.mark.rule("S-15")
def test_the_page_sees_only_the_claims_on_the_configured_list(browser: Browser) -> None:
    browser.sign_in()
    document = browser.fetch("GET", "/bff/session").json()
    assert set(document["claims"]) == {"name", "email", "picture"}
    assert document["claims"]["name"] == "Ada Lovelace"


@pytest.mark.rule("I-15")
@pytest.mark.parametrize("claim", ["nonce", "at_hash", "sid", "aud", "c_hash"])
def test_a_claim_that_is_not_for_pages_cannot_be_configured(claim: str) -> None:
    text = config_text(issuer="https://login.example.com", api="https://api.internal")
    wider = text.replace('claims = ["name",', f'claims = ["{claim}",')
    assert wider != text
    with pytest.raises(ConfigFaults):
        parse(wider, dev=True)


@pytest.mark.rule("I-15")
def test_the_id_token_goes_to_no_upstream(
    browser: Browser, provider: Control, sites: Sites
) -> None:
    api = provider.simulator.api
    routes = f'[[routes]]\npath = "/open"\nupstream = "{api}"\nstrip = true\nauth = "optional"'
    with browsing(sites(routes=routes)) as browser:
        browser.sign_in()
        arrived = browser.fetch("GET", "/open/headers").text
    id_token = provider.ask("secrets")["id_tokens"][-1]
    for part in id_token.split(".")[1:]:
        assert part not in arrived


@pytest.mark.rule("I-13")
@pytest.mark.parametrize(
    ("departure", "ends"),
    [
        ("wrong_iss", True),
        ("other_sub", True),
        ("wrong_aud", True),
        ("extra_aud", True),
        ("wrong_azp", True),
        ("wrong_nonce", True),
        ("old_auth_time", True),
        ("missing", False),
        ("missing_nonce", False),
        ("sid_absent", False),
        ("auth_time_absent", False),
        ("auth_time_zero", False),
    ],
)
def test_the_id_token_of_a_refresh_is_held_to_the_first_one(
    sites: Sites, provider: Control, departure: str, ends: bool
) -> None:
    with browsing(sites(more="# refreshed")) as browser:
        provider.switch(access_token_seconds=0)
        browser.sign_in()
        provider.switch(access_token_seconds=300)
        provider.fault("id_token:refresh_token", count=1, departure=departure)
        answer = browser.fetch("GET", "/api/tasks")
        if ends:
            assert (answer.status_code, reason(answer)) == (401, "refresh_rejected")
            assert cookie_lines(answer) == []
            assert [entry["outcome"] for entry in provider.entries("revoke", 1)] == ["ok"]
            assert reason(browser.fetch("GET", "/api/tasks")) == "refresh_rejected"
            browser.sign_in()
        else:
            assert answer.status_code == 200
        assert browser.fetch("GET", "/api/tasks").status_code == 200


# The last one: the simulator keeps its new keys, and other sites may be in their pause.
@pytest.mark.rule("I-04")
def test_a_rotation_of_keys_just_before_signing_still_signs_in(
    sites: Sites, provider: Control
) -> None:
    with browsing(sites(more="# rotated keys")) as browser:
        browser.sign_in()
        fetched = provider.count("jwks")
        for _ in range(2):  # the next key is published ahead, so one rotation needs no fetch
            provider.do("rotate-keys")
        browser.sign_in()
        assert provider.count("jwks") == fetched + 1
        provider.fault("id_token", departure="unknown_kid")
        for _ in range(3):
            assert reason(browser.callback(come_back(browser))) == "id_token_invalid"
        assert provider.count("jwks") <= fetched + 2  # a flood of unknown key ids fetches once
