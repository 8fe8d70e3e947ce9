"""Several front ends in one file: each as a file of its own, and none in another's way."""

import pytest

from bff.config.hosts import hosts
from bff.config.load import Config, ConfigFaults, parse
from bff.config.risks import risks
from tests.parts.config import config_text
from tests.parts.frontends import frontend_text, several_text

GOOD = {"issuer": "https://login.example.com", "store": "redis://127.0.0.1/0"}
API = "https://api.internal"
SHOP = frontend_text("shop", origin="https://shop.example.com", api=API)
DESK = frontend_text("desk", origin="https://desk.example.com", api=API)


def several(*frontends: str, **parts: str) -> Config:
    return parse(several_text(*frontends, **{**GOOD, **parts}))


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigFaults) as found:
        parse(text)
    return [each.text().partition(": ")[2] or each.text() for each in found.value.faults]


def test_each_has_what_it_says_and_the_rest_from_the_top() -> None:
    own = '[frontends.desk.session]\nstore = "redis://127.0.0.1/7"\nidle = "5m"'
    config = several(SHOP, DESK + own, session='idle = "7m"')
    shop, desk = config.frontends
    assert (shop.name, desk.name) == ("shop", "desk")
    assert (shop.origin, desk.origin) == ("https://shop.example.com", "https://desk.example.com")
    assert shop.provider == desk.provider
    assert (shop.session.idle, desk.session.idle) == (420, 300)
    # Whole tables, never single keys: what is not said has its default.
    assert shop.session.claims == ("name", "email", "picture")
    assert desk.session.claims == ("name", "picture")


def test_one_at_the_top_is_called_default_and_its_keys_have_no_prefix() -> None:
    (only,) = parse(config_text(**GOOD, api=API)).frontends
    assert (only.name, only.place("provider.issuer")) == ("default", "provider.issuer")


def test_hosts_lead_to_front_ends() -> None:
    assert hosts(several(SHOP, DESK).frontends) == {
        b"shop.example.com": "shop",
        b"shop.example.com:443": "shop",
        b"desk.example.com": "desk",
        b"desk.example.com:443": "desk",
    }


def test_a_risk_is_named_by_the_key_of_its_front_end() -> None:
    plain = frontend_text(
        "desk",
        origin="https://desk.example.com",
        api="http://api.internal",
        route="plaintext = true",
    )
    found = risks(several(SHOP, plain))
    assert [each.key for each in found] == ["frontends.desk.routes.0.plaintext"]


PLAIN = (
    "is plain http off loopback: tokens would travel in the clear; use https, or say plaintext ="
    " true where something else protects that hop"
)
TWO = several_text(SHOP, DESK, **GOOD)


@pytest.mark.rule("D-04", "D-10")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            TWO.replace("https://desk.example.com", "https://SHOP.example.com:443"),
            [
                "frontends.desk.origin has the host of frontends.shop, and a browser one cookie for"
                " both; give each application a host of its own"
            ],
            id="one origin, written in two ways",
        ),
        pytest.param(
            TWO.replace("https://desk.example.com", "https://shop.example.com:8443"),
            [
                "frontends.desk.origin has the host of frontends.shop, and a browser one cookie for"
                " both; give each application a host of its own"
            ],
            id="another port of the same host",
        ),
        pytest.param(
            'origin = "https://app.example.com"\n' + TWO,
            [
                "origin stands beside [frontends], and is of one application only;"
                " move it to [frontends.NAME], as frontends.NAME.origin"
            ],
            id="an origin at the top",
        ),
        pytest.param(
            TWO + '\n[[routes]]\npath = "/x"\nupstream = "https://api.internal"\n',
            [
                "routes stands beside [frontends], and is of one application only;"
                " move it to [frontends.NAME], as frontends.NAME.routes"
            ],
            id="routes at the top",
        ),
        pytest.param(
            TWO + '\n[frontends.desk.keys]\ncurrent = { env = "BFF_TEST_KEY" }\n',
            [
                "frontends.desk.keys is of the whole process;"
                " move it to the top of the file, as [keys]"
            ],
            id="a keyring of one's own",
        ),
        pytest.param(
            several_text(
                SHOP, DESK.replace("desk]", "Desk]").replace("desk.routes", "Desk.routes"), **GOOD
            ),
            [
                "frontends.Desk is no name of a front end;"
                " use small letters, digits, - and _, 32 at most"
            ],
            id="a name that is none",
        ),
        pytest.param(
            several_text('[frontends.shop]\norigin = "https://shop.example.com"', **GOOD),
            ["frontends.shop.routes is missing; add [[frontends.shop.routes]]"],
            id="no routes",
        ),
        pytest.param(
            "frontends = {}\n" + several_text(**GOOD),
            ["frontends names no front end; write [frontends.NAME] and its keys below"],
            id="none at all",
        ),
        pytest.param(
            "frontends = { shop = 7 }\n" + several_text(**GOOD),
            ["frontends.shop is no table; write [frontends.shop] and its keys below"],
            id="no table",
        ),
        pytest.param(
            TWO + "\n[frontends.desk.logout]\nretrun_to = 1\n",
            ['frontends.desk.logout.retrun_to is an unknown key; did you mean "return_to"?'],
            id="an unknown key of one",
        ),
        pytest.param(
            TWO + "\n[logout]\nretrun_to = 1\n",
            ['logout.retrun_to is an unknown key; did you mean "return_to"?'],
            id="an unknown key for all, named once",
        ),
        pytest.param(
            TWO.replace('client_id = "spa"', ""),
            ["provider.client_id is missing; add it"],
            id="a fault at the top is named once, and where it is",
        ),
        pytest.param(
            TWO + "\n[telemetry]\nx = 1\n",
            ["telemetry is an unknown key; remove it"],
            id="an unknown table at the top",
        ),
        pytest.param(
            TWO.replace('upstream = "https://api.internal"', 'upstream = "http://api.internal"'),
            [
                "frontends.shop.routes.0.upstream " + PLAIN,
                "frontends.desk.routes.0.upstream " + PLAIN,
            ],
            id="the same fault twice",
        ),
    ],
)
def test_what_is_wrong_is_named_where_it_stands(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


def test_a_fault_of_a_front_end_has_its_line() -> None:
    text = TWO + "\n[frontends.desk.logout]\nretrun_to = 1\n"
    with pytest.raises(ConfigFaults) as found:
        parse(text)
    (fault,) = found.value.faults
    assert text.splitlines()[fault.line - 1] == "retrun_to = 1"
    text = TWO.replace("https://desk.example.com", "https://shop.example.com")
    with pytest.raises(ConfigFaults) as found:
        parse(text)
    (fault,) = found.value.faults
    assert fault.line == len(text[: text.rindex("origin =")].splitlines()) + 1
