"""provider.profile = "fapi2": what it sets where the file is silent, and what it forbids."""

import re
from pathlib import Path

import pytest

from bff.config.load import ConfigFaults, parse
from bff.config.provider_section import Provider
from tests.parts.client_keys import jwt_lines, write_key
from tests.parts.config import config_text
from tests.wire.test_serve_tls import write_pair

WHERE = {"issuer": "https://login.example.com", "api": "https://api.internal"}


@pytest.fixture
def keys(tmp_path: Path) -> str:
    return jwt_lines(write_key(tmp_path, "ES256")).partition("\n")[2]


def read(provider: str, *, route: str = "", secret: str = "") -> Provider:
    text = config_text(
        **WHERE,
        store="redis://127.0.0.1/0",
        secret=secret,
        provider=f'profile = "fapi2"\n{provider}',
        route=route,
    )
    return parse(text).frontends[0].provider


def faults(provider: str, **more: str) -> list[tuple[str, str]]:
    """The key of each fault, and the clause that it names."""
    with pytest.raises(ConfigFaults) as found:
        read(provider, **more)
    clauses = [re.search(r"FAPI 2\.0 (§[\d.()]+)", each.message) for each in found.value.faults]
    return [
        (each.key, "" if clause is None else clause[1].rstrip(")") + ")" * clause[1].count("("))
        for each, clause in zip(found.value.faults, clauses, strict=True)
    ]


@pytest.mark.rule("F-01")
@pytest.mark.rule("F-02")
@pytest.mark.rule("F-15")
@pytest.mark.rule("F-21")
def test_it_sets_what_the_file_does_not_say(keys: str) -> None:
    found = read(keys)
    assert found.client_authentication == "private_key_jwt"
    assert found.algorithms == ("PS256", "ES256", "EdDSA")
    assert (found.dpop, found.pushed_authorization_requests) == (True, True)
    assert found.client_assertion_audience == "issuer"


@pytest.mark.rule("F-01")
def test_a_certificate_may_bind_the_tokens_instead(keys: str, tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path)
    pair = f'client_certificate = "{certificate}"\nclient_key = "{key}"'
    assert not read(f"{keys}\n{pair}", route=pair).dpop
    assert read(f"{keys}\n{pair}\ndpop = true").dpop
    assert read(f'client_authentication = "tls_client_auth"\n{pair}\ndpop = true').dpop
    # And then each API must see it, or could not know that the token is ours.
    assert faults(f"{keys}\n{pair}") == [("routes.0.client_certificate", "§5.3.3.1(1)")]
    assert not read(f"{keys}\n{pair}", route='auth = "none"').dpop


@pytest.mark.parametrize(
    ("lines", "key", "clause"),
    [
        pytest.param(
            "dpop = false", "dpop", "§5.3.3.1(1)", id="unbound", marks=pytest.mark.rule("F-01")
        ),
        pytest.param(
            'client_authentication = "client_secret_basic"',
            "client_authentication",
            "§5.3.3.1(2)",
            id="a secret",
            marks=pytest.mark.rule("F-02"),
        ),
        pytest.param(
            'client_authentication = "client_secret_post"',
            "client_authentication",
            "§5.3.3.1(2)",
            id="a secret in the form",
            marks=pytest.mark.rule("F-02"),
        ),
        pytest.param(
            'client_assertion_audience = "token_endpoint"',
            "client_assertion_audience",
            "§5.3.3.1(5)",
            id="another audience",
            marks=pytest.mark.rule("F-05"),
        ),
        pytest.param(
            "pushed_authorization_requests = false",
            "pushed_authorization_requests",
            "§5.3.3.2(2)",
            id="not pushed",
            marks=pytest.mark.rule("F-15"),
        ),
        pytest.param(
            'algorithms = ["ES256", "RS256"]',
            "algorithms",
            "§5.4.1",
            id="RS256",
            marks=pytest.mark.rule("F-21"),
        ),
        pytest.param(
            'algorithms = ["PS512"]',
            "algorithms",
            "§5.4.1",
            id="PS512",
            marks=pytest.mark.rule("F-21"),
        ),
    ],
)
def test_what_it_forbids_is_a_fault_with_its_clause(
    keys: str, lines: str, key: str, clause: str
) -> None:
    secret = "BFF_TEST_SECRET" if "secret" in lines else ""
    assert faults(f"{keys}\n{lines}", secret=secret) == [(f"provider.{key}", clause)]


def test_all_that_is_broken_is_said_at_once(keys: str) -> None:
    lines = "dpop = false\npushed_authorization_requests = false\nalgorithms = ['RS256']"
    assert [key for key, _ in faults(f"{keys}\n{lines}")] == [
        "provider.dpop",
        "provider.pushed_authorization_requests",
        "provider.algorithms",
    ]


def test_without_the_profile_all_of_it_is_allowed(keys: str) -> None:
    text = config_text(**WHERE, store="redis://127.0.0.1/0")
    assert parse(text).frontends[0].provider.profile == "none"
    with pytest.raises(ConfigFaults, match=r"provider\.profile is not a choice"):
        parse(config_text(**WHERE, store="redis://127.0.0.1/0", provider='profile = "fapi1"'))


def test_bff_dev_puts_its_own_provider_in_the_place_of_a_banks() -> None:
    """Neither the bank's keys nor its certificate need be on a developer's machine."""
    lines = [
        'profile = "fapi2"',
        "client_keys = [{ kid = '1', private_key = { file = '/nowhere' } }]",
        'client_certificate = "/nowhere"',
        'client_key = "/nowhere"',
        "dpop = true",
        'resource = ["https://api.bank.example/"]',
        'acr_values = ["1"]',
    ]
    text = config_text(**WHERE, store="memory:", secret="", provider="\n".join(lines))
    own = {"issuer": "http://127.0.0.1:9400", "client_id": "spa", "client_secret": "s"}
    found = parse(text, dev=True, provider=own).frontends[0].provider
    assert (found.profile, found.client_authentication) == ("none", "client_secret_basic")
    assert (found.client_keys, found.client_certificate, found.dpop) == ((), None, False)
    assert found.acr_values == ("1",)
