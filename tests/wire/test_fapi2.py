"""The FAPI 2.0 Security Profile over the wire: a bank's provider, and one that falls short."""

import contextlib
import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from bff.config.load import parse
from bff.simulator.keys import b64url
from tests.conftest import Told
from tests.parts.answers import query, reason
from tests.parts.browser import Browser, browsing
from tests.parts.certificates import authority
from tests.parts.checking import checked
from tests.parts.config import config_text
from tests.parts.control import Control
from tests.parts.methods import BY_JWT, BY_TLS, Methods, client_id, methods
from tests.parts.redis_process import RedisProcess
from tests.parts.site import serving
from tests.parts.tls_villain import tls_villain

FAPI2 = 'profile = "fapi2"'
STRICT: dict[str, Any] = {
    "par": "required",
    "dpop_nonces": "demanded",
    "api_dpop_nonces": "demanded",
    "access_token_seconds": 2,
}


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Methods]:
    """It gives nothing without a proof, and signs by ES256."""
    folder = tmp_path_factory.mktemp("bank")
    with methods(
        folder, dpop_bound_access_tokens=True, id_token_signed_response_alg="ES256"
    ) as found:
        yield found


@pytest.fixture
def control(bank: Methods) -> Iterator[Control]:
    with bank.control() as control:
        control.switch(**STRICT)
        yield control


@contextlib.contextmanager
def at(bank: Methods, method: str = BY_JWT[1], lines: str = "") -> Iterator[Browser]:
    parts = bank.parts(method, f"{FAPI2}\n{lines}")
    with serving(parse(config_text(**parts), dev=True)) as site, browsing(site) as browser:
        yield browser


@pytest.mark.rule("F-01")
@pytest.mark.rule("F-02")
@pytest.mark.rule("F-03")
@pytest.mark.rule("F-05")
@pytest.mark.rule("F-06")
@pytest.mark.rule("F-07")
@pytest.mark.rule("F-08")
@pytest.mark.rule("F-09")
@pytest.mark.rule("F-14")
@pytest.mark.rule("F-15")
@pytest.mark.rule("F-19")
@pytest.mark.parametrize("method", [*BY_JWT, *BY_TLS])
def test_a_bank_takes_us_the_whole_way(bank: Methods, control: Control, method: str) -> None:
    more = "dpop = true" if method in BY_TLS else ""
    with at(bank, method, f"userinfo = true\n{more}") as browser:
        assert set(query(browser.to_provider())) == {"client_id", "request_uri"}
        browser.sign_in()
        control.switch(access_token_seconds=300)
        while not any(each["outcome"] == "ok" for each in control.entries("token:refresh_token")):
            browser.fetch("GET", "/api/tasks")
        assert browser.fetch("GET", "/api/tasks").status_code == 200
        browser.fetch("POST", "/bff/logout")
    control.entries("revoke", 1)
    for endpoint in ("par", "token", "revoke"):
        assert {each["client_id"] for each in control.entries(endpoint)} == {client_id(method)}
    for token in control.ask("secrets")["access_tokens"][-2:]:
        assert set(jwt.decode(token, options={"verify_signature": False})["cnf"]) == {"jkt"}


@pytest.mark.rule("F-01")
@pytest.mark.rule("F-07")
@pytest.mark.parametrize("method", [BY_JWT[1], *BY_TLS])
def test_a_certificate_binds_the_tokens_for_apis_that_see_it(tmp_path: Path, method: str) -> None:
    own = authority(tmp_path / "api", "localhost")
    with (
        methods(
            tmp_path,
            tls_client_certificate_bound_access_tokens=True,
            id_token_signed_response_alg="ES256",
        ) as bank,
        bank.control() as control,
    ):
        control.switch(par="required", access_token_seconds=2)
        certificate, key = bank.pairs[method if method in BY_TLS else BY_TLS[1]]
        pair = f'client_certificate = "{certificate}"\nclient_key = "{key}"'
        lines = [FAPI2, "userinfo = true"]
        if method not in BY_TLS:
            lines += [pair, f'ca_file = "{bank.server.ca}"']
        authorities = (certificate, tmp_path / "ours" / "ca.pem")
        with tls_villain(own, *authorities) as upstream:
            parts = bank.parts(method, "\n".join(lines))
            parts |= {"api": upstream.url, "route": f'ca_file = "{own.ca}"\n{pair}'}
            with serving(parse(config_text(**parts), dev=True)) as site, browsing(site) as browser:
                browser.sign_in()
                control.switch(access_token_seconds=300)
                while control.count("token:refresh_token") == 0:
                    assert browser.fetch("GET", "/api/x").status_code == 200
                assert browser.fetch("GET", "/api/x").status_code == 200
            der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
            assert set(upstream.callers) == {der}
            for received in upstream.received:
                scheme, _, token = received.all(b"authorization")[0].decode().partition(" ")
                assert scheme == "Bearer"
                cnf = jwt.decode(token, options={"verify_signature": False})["cnf"]
                assert cnf == {"x5t#S256": b64url(hashlib.sha256(der).digest())}


# --- a provider that falls short


@pytest.mark.rule("F-15")
@pytest.mark.rule("F-19")
def test_without_an_endpoint_for_pushes_nobody_signs_in(
    bank: Methods, control: Control, told: Told
) -> None:
    control.switch(par="absent")
    with at(bank) as browser:
        answer = browser.navigate("/bff/login", site="same-origin")
    assert (answer.status_code, reason(answer)) == (503, "provider_unavailable")
    assert "location" not in answer.headers


@pytest.mark.rule("F-18")
@pytest.mark.parametrize("departure", ["omit_iss", "wrong_iss"])
def test_an_answer_without_the_right_iss_is_refused_whatever_metadata_says(
    bank: Methods, control: Control, departure: str
) -> None:
    silent = {"authorization_response_iss_parameter_supported": None}
    control.switch(discovery=silent)
    with at(bank) as browser:
        control.fault("callback", departure=departure, count=1)
        refused = browser.callback(browser.from_provider())
        assert reason(refused) == "issuer_mismatch"
        browser.sign_in()
    assert control.count("token:authorization_code") == 1  # of the second login


@pytest.mark.rule("F-01")
def test_a_bearer_token_is_not_taken(bank: Methods, control: Control) -> None:
    control.switch(dpop=False)
    with at(bank) as browser:
        assert reason(browser.callback(browser.from_provider())) == "provider_unavailable"
        assert browser.session_cookie is None


@pytest.mark.rule("F-21")
def test_an_id_token_under_a_weaker_algorithm_is_not_believed(
    bank: Methods, tmp_path: Path
) -> None:
    with methods(tmp_path) as weak, weak.control() as control:
        control.switch(par="offered")
        with at(weak) as browser:
            assert reason(browser.callback(browser.from_provider())) == "id_token_invalid"


@pytest.mark.rule("F-01")
@pytest.mark.rule("F-15")
@pytest.mark.rule("F-18")
def test_check_online_says_what_the_provider_lacks(
    tmp_path: Path, redis: RedisProcess, bank: Methods, control: Control
) -> None:
    text = config_text(**bank.parts(BY_JWT[1], FAPI2), store=redis.url)
    assert checked(tmp_path, text).failed == []
    control.switch(
        par="absent",
        discovery={
            "authorization_response_iss_parameter_supported": None,
            "dpop_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": None,
        },
    )
    assert set(checked(tmp_path, text).failed) == {
        "pushed requests",
        "iss parameter",
        "DPoP",
        "PKCE",
    }
    certificate, key = bank.pairs[BY_TLS[0]]
    pair = f'client_certificate = "{certificate}"\nclient_key = "{key}"'
    parts = bank.parts(BY_TLS[0], FAPI2) | {"route": pair, "api": "https://localhost:1"}
    control.switch(par="required", discovery={"tls_client_certificate_bound_access_tokens": False})
    found = checked(tmp_path, config_text(**parts, store=redis.url))
    assert "certificate-bound tokens" in found.failed
    assert "client certificate of provider" in found.found
