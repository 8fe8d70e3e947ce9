"""Several providers in one file: each read as the only one would be, none taken for another."""

import pytest

from bff.config.load import Config, ConfigFaults, parse
from bff.config.risks import risks
from tests.parts.config import config_text
from tests.parts.frontends import frontend_text
from tests.parts.providers import provider_text, several_text

API = "https://api.internal"
STORE = "redis://127.0.0.1/0"
CORP = provider_text("corp", "https://login.example.com")
GUESTS = provider_text("guests", "https://guests.example.com")
TWO = several_text(CORP, GUESTS, api=API, store=STORE)


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigFaults) as found:
        parse(text)
    return [each.text().partition(": ")[2] or each.text() for each in found.value.faults]


def test_each_is_known_by_its_name_and_the_person_chooses() -> None:
    (frontend,) = parse(TWO).frontends
    assert list(frontend.providers) == ["corp", "guests"]
    assert frontend.providers["guests"].issuer == "https://guests.example.com"
    assert frontend.default_provider is None


def test_the_only_one_has_no_name_and_needs_no_choice() -> None:
    text = config_text(issuer="https://login.example.com", api=API, store=STORE)
    (frontend,) = parse(text).frontends
    assert list(frontend.providers) == [""]
    assert frontend.default_provider == ""


def test_one_that_has_a_name_needs_no_choice_either() -> None:
    (frontend,) = parse(several_text(CORP, api=API, store=STORE)).frontends
    assert frontend.default_provider == "corp"


def test_the_default_is_the_one_that_says_so() -> None:
    chosen = provider_text("guests", "https://guests.example.com", "default = true")
    (frontend,) = parse(several_text(CORP, chosen, api=API, store=STORE)).frontends
    assert frontend.default_provider == "guests"
    assert frontend.provider.issuer == "https://guests.example.com"


def of_front_ends() -> Config:
    """Providers for all at the top, and one front end with its own."""
    shop = frontend_text("shop", origin="https://shop.example.com", api=API)
    own = provider_text("own", "https://own.example.com").replace("[prov", "[frontends.desk.prov")
    desk = frontend_text("desk", origin="https://desk.example.com", api=API, more=own)
    top = TWO.partition("[[routes]]")[0].partition("[providers")
    return parse(top[1] + top[2] + shop + desk)


def test_front_ends_share_the_providers_at_the_top_or_have_their_own() -> None:
    shop, desk = of_front_ends().frontends
    assert list(shop.providers) == ["corp", "guests"]
    assert list(desk.providers) == ["own"]
    assert shop.place("provider.issuer", "guests") == "providers.guests.issuer"
    assert desk.place("provider.issuer", "own") == "frontends.desk.providers.own.issuer"


def test_another_takes_the_place_of_all_of_them() -> None:
    """As `bff dev` has it: one provider for whatever the file names."""
    stand_in = {"issuer": "http://127.0.0.1:9", "client_id": "spa", "client_secret": "of dev"}
    (frontend,) = parse(TWO, dev=True, provider=stand_in).frontends
    assert list(frontend.providers) == [""]
    assert frontend.provider.issuer == "http://127.0.0.1:9"
    assert "offline_access" in frontend.provider.scopes  # what to ask for stays


def test_a_risk_is_named_by_the_key_of_its_provider() -> None:
    risky = 'client_authentication = "client_secret_post"'
    text = several_text(
        CORP, provider_text("guests", "https://guests.example.com", risky), api=API, store=STORE
    )
    assert [each.key for each in risks(parse(text))] == ["providers.guests.client_authentication"]


@pytest.mark.rule("C-05", "D-10")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            TWO.replace("https://guests.example.com", "https://login.example.com"),
            [
                "providers.guests.issuer is the issuer of corp too: nobody could tell whose answer"
                " it is; name each issuer once"
            ],
            id="one issuer twice",
        ),
        pytest.param(
            TWO.replace("connections = 1000", "default = true"),
            ["providers.guests.default is true for corp already; choose one of them"],
            id="two defaults",
        ),
        pytest.param(
            TWO + '\n[provider]\nissuer = "https://x.example.com"\nclient_id = "x"\n',
            ["provider stands beside [providers]; give it a name among them"],
            id="one without a name beside them",
        ),
        pytest.param(
            TWO.replace("[providers.guests]", "[providers.Guests]"),
            [
                "providers.Guests is no name of a provider;"
                " use small letters, digits, - and _, 32 at most"
            ],
            id="a name that is none",
        ),
        pytest.param(
            TWO.replace("[providers.guests]", '[providers."../x"]'),
            [
                "providers.../x is no name of a provider;"
                " use small letters, digits, - and _, 32 at most"
            ],
            id="a name that would leave its place",
        ),
        pytest.param(
            "providers = {}\n" + several_text(api=API, store=STORE),
            ["providers names no provider; write [providers.NAME] and its keys below"],
            id="none at all",
        ),
        pytest.param(
            "providers = { corp = 7 }\n" + several_text(api=API, store=STORE),
            ["providers.corp is no table; write [providers.corp] and its keys below"],
            id="no table",
        ),
        pytest.param(
            several_text(
                CORP,
                GUESTS.replace("client_id", "client_idd"),
                api=API,
                store=STORE,
            ),
            [
                "providers.guests.client_id is missing; add it",
                'providers.guests.client_idd is an unknown key; did you mean "client_id"?',
            ],
            id="a fault of one",
        ),
        pytest.param(
            TWO.replace('client_secret = { env = "BFF_TEST_SECRET" }', "", 1),
            [
                "providers.corp.client_secret is missing;"
                ' add client_secret = { env = "BFF_CLIENT_SECRET" }'
            ],
            id="a fault between keys of one",
        ),
        pytest.param(
            TWO.replace('store = "redis', 'stroe = "redis'),
            [
                "session.store is missing; add it",
                'session.stroe is an unknown key; did you mean "store"?',
            ],
            id="a fault of the rest is named once",
        ),
    ],
)
def test_what_is_wrong_is_named_where_it_stands(text: str, expected: list[str]) -> None:
    assert sorted(faults(text)) == expected


OWN = '[[routes]]\npath = "/reports"\nupstream = "https://reports.internal"\nauth = "client"\n'


def test_a_route_with_a_token_of_our_own_says_whose() -> None:
    assert faults(several_text(CORP, GUESTS, api=API, store=STORE, routes=OWN)) == [
        "routes.1.provider is missing: there are several providers, and none is the default;"
        " name one of them, or say default = true for one"
    ]
    assert faults(
        several_text(CORP, GUESTS, api=API, store=STORE, routes=f'{OWN}provider = "other"')
    ) == [
        "routes.1.provider is no provider of this file;"
        " write one of the names below [providers], or remove it"
    ]
    named = several_text(CORP, GUESTS, api=API, store=STORE, routes=f'{OWN}provider = "guests"')
    assert parse(named).frontends[0].routes[1].provider == "guests"
    default = provider_text("guests", "https://guests.example.com", "default = true")
    (frontend,) = parse(several_text(CORP, default, api=API, store=STORE, routes=OWN)).frontends
    assert frontend.default_provider == "guests"


def test_a_public_client_has_no_token_of_its_own() -> None:
    text = config_text(
        issuer="http://127.0.0.1:1",
        api="http://127.0.0.1:2",
        provider='client_authentication = "none"',
        secret="",
        routes=OWN,
    )
    with pytest.raises(ConfigFaults) as found:
        parse(text, dev=True)
    (fault,) = found.value.faults
    assert fault.key == "routes.1.auth"
    assert "RFC 6749 §4.4" in fault.message


def test_a_provider_that_stands_in_gives_every_token() -> None:
    text = several_text(CORP, GUESTS, api=API, store="memory:", routes=f'{OWN}provider = "guests"')
    instead = {"issuer": "http://127.0.0.1:1", "client_id": "spa", "client_secret": "a secret"}
    (frontend,) = parse(text, dev=True, provider=instead).frontends
    assert [each.provider for each in frontend.routes] == [None, None]


def test_an_open_route_with_our_own_token_is_a_risk() -> None:
    text = config_text(
        issuer="https://login.example.com", api=API, store=STORE, routes=f"{OWN}anonymous = true"
    )
    (risk,) = risks(parse(text))
    assert (risk.code, risk.key) == ("anonymous_client", "routes.1.anonymous")


@pytest.mark.parametrize(
    ("provider", "risky"),
    [
        pytest.param("", True, id="the session's own may be for all of them"),
        pytest.param('resource = ["https://api.example.com/"]', False, id="it is for one API"),
        pytest.param('route_tokens = "exchange"', False, id="no login names an API of a route"),
    ],
)
def test_a_session_token_that_may_be_good_at_a_route_of_its_own_is_a_risk(
    provider: str, risky: bool
) -> None:
    routes = '[[routes]]\npath = "/r"\nupstream = "http://127.0.0.1:1"\nresource = "urn:r"\n'
    text = config_text(
        issuer="https://login.example.com",
        api=API,
        store=STORE,
        routes=routes,
        provider=provider,
    )
    found = [(risk.code, risk.key) for risk in risks(parse(text))]
    assert found == ([("wide_session_token", "routes.1.resource")] if risky else [])
