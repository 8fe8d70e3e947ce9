"""The policy of pages and other security headers: what a team may change, and what is a risk."""

import pytest

from bff.config.load import ConfigFaults, parse
from bff.config.pages import policy_text
from bff.config.risks import risks
from bff.relay.static import DEFAULT_CSP, files
from tests.parts.config import config, config_text

GOOD = {"issuer": "https://login.example.com", "api": "https://api.internal"}


def route(written: str) -> str:
    return f'[[routes]]\npath = "/"\nstatic = "/tmp"\n{written}'


def fields(written: str) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """What pages carry, and what the other files do."""
    frontend = config(**GOOD, routes=route(written)).frontends[0]
    made = files(frontend.routes[1], frontend)
    return dict(made.page), dict(made.plain)


@pytest.mark.rule("D-02")
def test_the_default_is_strict() -> None:
    page, plain = fields("")
    assert page[b"content-security-policy"].decode() == DEFAULT_CSP
    for part in ("object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in DEFAULT_CSP
    assert page[b"cross-origin-opener-policy"] == b"same-origin"
    assert b"content-security-policy" not in plain


def test_a_table_changes_what_it_names_and_keeps_the_rest() -> None:
    page, _ = fields(
        "[routes.content_security_policy]\n"
        """connect-src = "'self' https://maps.example"\nbase-uri = "'self'" """
    )
    assert page[b"content-security-policy"].decode() == (
        "default-src 'self'; object-src 'none'; base-uri 'self'; frame-ancestors 'none';"
        " form-action 'self'; connect-src 'self' https://maps.example"
    )


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(
            "default-src 'none'; base-uri 'self'; frame-ancestors https://portal.example.com",
            id="object-src falls back to default-src, a portal may frame it",
        ),
        pytest.param(DEFAULT_CSP + "; upgrade-insecure-requests; sandbox allow-scripts", id="more"),
        pytest.param(DEFAULT_CSP + "; ", id="a semicolon at the end"),
    ],
)
def test_a_whole_policy_goes_out_as_it_is(policy: str) -> None:
    page, _ = fields(f'content_security_policy = "{policy}"')
    assert page[b"content-security-policy"].decode() == policy.rstrip("; ")


def test_headers_of_the_route_are_on_every_file_and_take_the_place_of_ours() -> None:
    page, plain = fields(
        """security_headers = { Cross-Origin-Opener-Policy = "same-origin-allow-popups",
        Cross-Origin-Embedder-Policy = 'require-corp; report-to="coep"',
        Cross-Origin-Resource-Policy = "same-site", Permissions-Policy = "camera=(self)",
        Referrer-Policy = "no-referrer, strict-origin" }""".replace("\n", " ")
    )
    for found in (page, plain):
        assert found[b"cross-origin-opener-policy"] == b"same-origin-allow-popups"
        assert found[b"cross-origin-embedder-policy"] == b'require-corp; report-to="coep"'
        assert found[b"cross-origin-resource-policy"] == b"same-site"
        assert found[b"permissions-policy"] == b"camera=(self)"
        assert found[b"referrer-policy"] == b"no-referrer, strict-origin"
        assert found[b"x-content-type-options"] == b"nosniff"
        assert found[b"strict-transport-security"]


def test_with_another_policy_a_page_is_another_one() -> None:
    frontend = config(**GOOD, routes=route("")).frontends[0]
    other = config(
        **GOOD, routes=route("""content_security_policy = { img-src = "'self' data:" }""")
    ).frontends[0]
    assert files(frontend.routes[1], frontend).mark == files(frontend.routes[1], frontend).mark
    assert files(frontend.routes[1], frontend).mark != files(other.routes[1], other).mark


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("script-src = \"'self' 'unsafe-inline'\"", "weak_policy"),
        ("script-src = \"'self' 'unsafe-eval'\"", "weak_policy"),
        ("script-src = \"'self' https:\"", "weak_policy"),
        ("default-src = '*', object-src = \"'none'\"", "weak_policy"),
        ("script-src = \"'self' 'unsafe-inline' 'sha256-AAAA'\"", None),
        ("script-src = \"'strict-dynamic' 'nonce-x' 'unsafe-inline'\"", None),
        ("script-src = \"'self' 'wasm-unsafe-eval' https://cdn.example\"", None),
        ("style-src = \"'self' 'unsafe-inline'\"", None),
    ],
)
def test_a_policy_that_runs_foreign_scripts_is_a_risk(written: str, code: str | None) -> None:
    made = config(**GOOD, routes=route(f"content_security_policy = {{ {written} }}"))
    expected = [f"routes.1.content_security_policy {code}"] if code else []
    assert [f"{risk.key} {risk.code}" for risk in risks(made)] == expected


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("Referrer-Policy", "unsafe-url", "referrer_to_all"),
        ("Referrer-Policy", "no-referrer", None),
        ("Cross-Origin-Opener-Policy", "unsafe-none", "opener_kept"),
        ("Cross-Origin-Opener-Policy", "same-origin-allow-popups", None),
    ],
)
def test_headers_that_give_a_defence_away_are_a_risk(
    name: str, value: str, code: str | None
) -> None:
    made = config(**GOOD, routes=route(f'security_headers = {{ {name} = "{value}" }}'))
    expected = [f"routes.1.security_headers {code}"] if code else []
    assert [f"{risk.key} {risk.code}" for risk in risks(made)] == expected


def test_no_fault_quotes_what_was_written() -> None:
    text = config_text(**GOOD, routes=route('security_headers = { X-Key = "canary-1234" }'))
    with pytest.raises(ConfigFaults) as caught:
        parse(text, dev=True)
    assert "canary" not in str(caught.value)


def test_a_directive_without_sources_is_written_alone() -> None:
    assert policy_text({"sandbox": "", "img-src": "a"}) == "sandbox; img-src a"
