"""The authorization request and the callback's answer."""

import base64
import hashlib
import re
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.config.provider_section import Provider
from bff.config.values import Origin
from bff.problem import Reason, Refused
from bff.provider.authorization import (
    Attempt,
    CallbackAnswer,
    authorization_parameters,
    authorization_url,
    check_issuer,
    code_challenge,
    end_session_url,
    new_attempt,
    read_callback,
    redirect_uri,
)
from bff.provider.metadata import Metadata

ORIGIN = Origin("https://app.example")
CONFIG = Provider(
    issuer="https://login.example", client_id="spa & co", scopes=("openid", "orders:read")
)
METADATA = Metadata(
    issuer="https://login.example",
    authorization_endpoint="https://login.example/authorize",
    token_endpoint="https://login.example/token",
    jwks_uri="https://login.example/jwks",
    userinfo_endpoint=None,
    revocation_endpoint=None,
    pushed_authorization_request_endpoint=None,
    end_session_endpoint="https://login.example/end?tenant=7",
    iss_parameter_supported=False,
    requires_par=False,
)
ATTEMPT = Attempt(state="s" * 43, nonce="n" * 43, code_verifier="v" * 43)


def query(url: str | None) -> dict[str, str]:
    assert url is not None
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    assert len(pairs) == len(dict(pairs)), "a parameter was sent twice"
    return dict(pairs)


@pytest.mark.rule("L-01")
@pytest.mark.rule("L-13")
@pytest.mark.rule("L-05")
def test_the_request_asks_for_a_code_with_everything_that_protects_it() -> None:
    url = authorization_url(METADATA, authorization_parameters(CONFIG, ORIGIN, ATTEMPT))
    assert url.startswith("https://login.example/authorize?")
    assert query(url) == {
        "response_type": "code",
        "client_id": "spa & co",
        "redirect_uri": "https://app.example/bff/callback",
        "scope": "openid orders:read",
        "state": ATTEMPT.state,
        "nonce": ATTEMPT.nonce,
        "code_challenge": code_challenge(ATTEMPT.code_verifier),
        "code_challenge_method": "S256",
    }


def test_what_one_login_asks_goes_before_configured_extras_and_those_before_the_endpoints() -> None:
    config = CONFIG.model_copy(update={"parameters": {"prompt": "consent", "audience": "api"}})
    endpoint = "https://login.example/authorize?tenant=7&audience=x&state=theirs&blank="
    metadata = replace(METADATA, authorization_endpoint=endpoint)
    sent = query(
        authorization_url(
            metadata,
            authorization_parameters(
                config,
                ORIGIN,
                ATTEMPT,
                prompt="none",
                login_hint="a b&c=d",
                acr_values="gold",
                max_age=0,
                ui_locales="de en",
            ),
        )
    )
    assert sent["prompt"] == "none"
    assert sent["audience"] == "api"
    assert sent["tenant"] == "7"
    assert sent["blank"] == ""
    assert sent["state"] == ATTEMPT.state
    assert (sent["login_hint"], sent["acr_values"]) == ("a b&c=d", "gold")
    assert (sent["max_age"], sent["ui_locales"]) == ("0", "de en")


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_value_can_add_or_change_a_parameter(hint: str, prompt: str, locales: str) -> None:
    asked = authorization_parameters(
        CONFIG, ORIGIN, ATTEMPT, login_hint=hint, prompt=prompt, ui_locales=locales
    )
    url = authorization_url(METADATA, asked)
    sent = query(url)
    assert (sent["login_hint"], sent["prompt"], sent["ui_locales"]) == (hint, prompt, locales)
    assert len(sent) == 11
    assert url.isascii()


@pytest.mark.rule("L-03")
@pytest.mark.rule("L-04")
@pytest.mark.rule("T-08")
@pytest.mark.rule("F-20")
def test_every_attempt_has_three_unrelated_values_of_256_bits() -> None:
    attempts = [new_attempt() for _ in range(200)]
    values = [v for a in attempts for v in (a.state, a.nonce, a.code_verifier)]
    assert len(set(values)) == 600
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", value) for value in values)


@pytest.mark.rule("E-06")
def test_no_attempt_and_no_answer_shows_its_values_in_a_repr() -> None:
    answer = CallbackAnswer(
        state="canary1", code="canary2", error="canary3", error_description="canary4", iss="canary5"
    )
    assert "canary" not in repr(answer)
    assert "sss" not in repr(ATTEMPT)
    assert "vvv" not in repr(ATTEMPT)


@pytest.mark.rule("L-04")
def test_the_challenge_is_the_one_of_rfc_7636_appendix_b() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@given(st.text("abcXYZ019-._~", min_size=43, max_size=128))
def test_the_challenge_decodes_to_the_verifiers_hash(verifier: str) -> None:
    challenge = code_challenge(verifier)
    assert base64.urlsafe_b64decode(challenge + "=") == hashlib.sha256(verifier.encode()).digest()


@pytest.mark.rule("L-08")
def test_the_redirect_uri_is_made_of_the_configured_origin() -> None:
    assert redirect_uri(Origin("http://localhost:8080")) == "http://localhost:8080/bff/callback"


@pytest.mark.rule("C-06")
@pytest.mark.rule("C-02")
@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("", id="nothing at all"),
        pytest.param("state=s", id="neither code nor error"),
        pytest.param("state=s&code=c&error=access_denied", id="both at once"),
        pytest.param("code=c", id="no state"),
        pytest.param("code=c&state=", id="an empty state"),
        pytest.param("state=s&code=", id="an empty code is none"),
        pytest.param("state=s&code=c&code=c", id="code twice, though the same"),
        pytest.param("state=s&state=s&code=c", id="state twice"),
        pytest.param("state=s&code=c&iss=a&iss=a", id="iss twice"),
        pytest.param("state=s&c%6Fde=c&code=d", id="code twice, once with an escape in its name"),
        pytest.param("state=s&error=a&error=b", id="error twice"),
        pytest.param("state=s&code=%ff", id="not UTF-8"),
        pytest.param("state=s&code=c" + "&x=1" * 100, id="more parameters than anyone sends"),
        pytest.param(b"state=s&code=\xff", id="not ASCII on the wire"),
        pytest.param("state=s&code=\ud800", id="not ASCII as text"),
        pytest.param("state=s;code=c", id="a semicolon separates nothing"),
    ],
)
def test_a_callback_that_can_be_read_two_ways_is_refused(raw: str | bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_callback(raw)
    assert refused.value.reason is Reason.BAD_REQUEST


@pytest.mark.rule("C-06")
@pytest.mark.parametrize(
    ("raw", "code", "error", "iss"),
    [
        pytest.param(b"state=s&code=c", "c", None, None, id="a code"),
        pytest.param("state=s&code=c&error=", "c", None, None, id="an empty error is none"),
        pytest.param("state=s&code=c&code=", "c", None, None, id="an empty repetition is none"),
        pytest.param("state=s&error=access_denied&code", None, "access_denied", None, id="denied"),
        pytest.param(
            "code=c%2B%20&state=s&iss=https%3A%2F%2Fa.example%2F&session_state=x&scope=a+b",
            "c+ ",
            None,
            "https://a.example/",
            id="others beside it are ignored, values are form-decoded",
        ),
    ],
)
def test_a_callback_is_read(
    raw: str | bytes, code: str | None, error: str | None, iss: str | None
) -> None:
    answer = read_callback(raw)
    assert (answer.state, answer.code, answer.error, answer.iss) == ("s", code, error, iss)


@pytest.mark.rule("C-08")
def test_tokens_in_the_callback_are_not_looked_at() -> None:
    plain = read_callback("state=s&code=c")
    assert read_callback("state=s&code=c&access_token=a&access_token=b&id_token=i") == plain


@given(st.binary(max_size=80) | st.text(max_size=80))
def test_no_callback_does_more_than_be_read_or_refused(raw: bytes | str) -> None:
    try:
        answer = read_callback(raw)
    except Refused:
        return
    assert answer.state
    assert bool(answer.code) != bool(answer.error)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_what_a_form_encoder_wrote_is_read_back(state: str, code: str) -> None:
    answer = read_callback(urlencode({"state": state, "code": code}).encode())
    assert (answer.state, answer.code) == (state, code)


@pytest.mark.rule("C-04")
@pytest.mark.parametrize(
    ("iss", "announced", "believed"),
    [
        pytest.param("&iss=https://login.example", True, True, id="the issuer itself"),
        pytest.param("&iss=https%3A%2F%2Flogin.example", False, True, id="sent, not announced"),
        pytest.param("", False, True, id="neither sent nor announced"),
        pytest.param("", True, False, id="announced and missing"),
        pytest.param("&iss=", True, False, id="announced and empty"),
        pytest.param("&iss=https://login.example/", False, False, id="a slash more"),
        pytest.param("&iss=https://LOGIN.example", True, False, id="another case"),
        pytest.param("&iss=https://evil.example", False, False, id="another issuer"),
    ],
)
@pytest.mark.parametrize("outcome", ["code=c", "error=access_denied"])
def test_an_answer_is_believed_only_from_its_issuer(
    iss: str, announced: bool, believed: bool, outcome: str
) -> None:
    answer = read_callback(f"state=s&{outcome}{iss}")
    metadata = replace(METADATA, iss_parameter_supported=announced)
    if believed:
        check_issuer(answer, "https://login.example", metadata)
        return
    with pytest.raises(Refused) as refused:
        check_issuer(answer, "https://login.example", metadata)
    assert refused.value.reason is Reason.ISSUER_MISMATCH


@pytest.mark.rule("O-07")
@pytest.mark.parametrize(
    ("hint", "sent"),
    [
        pytest.param("a.b.c", True, id="the ID token goes along"),
        pytest.param("x" * 4096, True, id="up to 4 KiB"),
        pytest.param("x" * 4097, False, id="but not more"),
        pytest.param(None, False, id="without one, none"),
    ],
)
def test_the_way_out_names_us_and_the_way_back(hint: str | None, sent: bool) -> None:
    url = end_session_url(
        METADATA,
        CONFIG,
        id_token_hint=hint,
        post_logout_redirect_uri="https://app.example/",
        state="t",
    )
    assert query(url) == {
        "tenant": "7",
        "client_id": "spa & co",
        "post_logout_redirect_uri": "https://app.example/",
        "state": "t",
        **({"id_token_hint": hint} if sent else {}),
    }


@pytest.mark.rule("O-07")
def test_without_that_endpoint_there_is_no_way_out() -> None:
    metadata = replace(METADATA, end_session_endpoint=None)
    assert (
        end_session_url(
            metadata, CONFIG, id_token_hint="a.b.c", post_logout_redirect_uri="/", state="t"
        )
        is None
    )


@pytest.mark.rule("O-07")
def test_a_provider_that_calls_the_way_back_by_another_name_gets_it_so_and_no_hint() -> None:
    config = CONFIG.model_copy(update={"logout_return_parameter": "logout_uri"})
    url = end_session_url(
        METADATA,
        config,
        id_token_hint="a.b.c",
        post_logout_redirect_uri="https://app.example/",
        state="t",
    )
    assert query(url) == {
        "tenant": "7",
        "client_id": "spa & co",
        "logout_uri": "https://app.example/",
        "state": "t",
    }
