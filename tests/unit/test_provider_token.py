"""What the token endpoint's answers mean."""

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.provider.call import Fault, Reply
from bff.provider.token_answer import (
    CODE_REASONS,
    FAULT_ANSWERS,
    TOKEN_ANSWERS,
    Status,
    TokenAnswer,
    TokenError,
    TokenResponse,
    read_token_answer,
    read_token_response,
)

GRANT = {"access_token": "at", "token_type": "Bearer"}


def reply(
    status: int,
    document: object = None,
    *,
    content_type: str = "application/json",
    retry_after: int | None = None,
) -> Reply:
    body = b"" if document is None else json.dumps(document).encode()
    return Reply(status=status, content_type=content_type, body=body, retry_after=retry_after)


def test_the_tables_are_total() -> None:
    assert TOKEN_ANSWERS.keys() == set(product(Status, TokenError))
    assert FAULT_ANSWERS.keys() == set(Fault)
    assert CODE_REASONS.keys() == set(TokenAnswer) - {TokenAnswer.GRANTED}


@pytest.mark.rule("C-10")
@pytest.mark.rule("C-11")
@pytest.mark.rule("R-07")
@pytest.mark.parametrize(
    ("ended", "answer"),
    [
        pytest.param(reply(200, GRANT), "granted", id="tokens"),
        pytest.param(Fault.NOT_SENT, "passing", id="no byte left"),
        pytest.param(Fault.UNSURE, "unsure", id="the answer was lost"),
        pytest.param(reply(400, {"error": "invalid_grant"}), "invalid_grant", id="400 dead"),
        pytest.param(reply(401, {"error": "invalid_grant"}), "invalid_grant", id="401 dead"),
        pytest.param(reply(403, {"error": "invalid_code"}), "invalid_grant", id="403 bad code"),
        pytest.param(reply(404, {"error": "invalid_grant"}), "invalid_grant", id="404 dead"),
        pytest.param(reply(400, {"error": "invalid_client"}), "client_refused", id="400 client"),
        pytest.param(reply(400, {"error": "unauthorized_client"}), "client_refused", id="400 not"),
        pytest.param(reply(400, {"error": "use_dpop_nonce"}), "client_refused", id="400 nonce"),
        pytest.param(reply(400, {"error": "invalid_dpop_proof"}), "client_refused", id="400 proof"),
        pytest.param(reply(401, {"error": "invalid_client"}), "client_refused", id="401 client"),
        pytest.param(reply(401), "client_refused", id="401 and no word"),
        pytest.param(reply(403), "client_refused", id="403 and no word"),
        pytest.param(reply(400, {"error": "invalid_request"}), "definite_400", id="400 request"),
        pytest.param(reply(400), "definite_400", id="400 and an empty body"),
        pytest.param(
            reply(400, {"error": ["x"]}), "definite_400", id="400 and a list for an error"
        ),
        pytest.param(reply(400, ["invalid_grant"]), "definite_400", id="400 and no object"),
        pytest.param(
            reply(400, {"error": "x", "error_description": "invalid_grant"}),
            "definite_400",
            id="a message is not searched",
        ),
        pytest.param(
            reply(400, {"error": "invalid_grant"}, content_type="text/html"),
            "definite_400",
            id="what does not say it is JSON is not read as JSON",
        ),
        pytest.param(reply(400, {"error": "server_error"}), "unsure", id="400 half done"),
        pytest.param(reply(429, {"error": "invalid_grant"}), "passing", id="429 looked at nothing"),
        pytest.param(reply(503, retry_after=5), "passing", id="503 turned away"),
        pytest.param(reply(503), "unsure", id="503 of a proxy"),
        pytest.param(reply(500, {"error": "invalid_grant"}), "unsure", id="500 is no judgement"),
        pytest.param(reply(502), "unsure", id="502"),
        pytest.param(reply(404), "passing", id="404 in mid-deployment"),
        pytest.param(reply(302), "unsure", id="a redirect"),
        pytest.param(reply(204), "unsure", id="204"),
        pytest.param(reply(201, GRANT), "unsure", id="tokens count with 200 only"),
        pytest.param(reply(200, {"error": "invalid_grant"}), "unsure", id="200 with an error"),
        pytest.param(reply(200), "unsure", id="200 and nothing"),
        pytest.param(
            reply(200, {"error": "bad_verification_code"}), "invalid_grant", id="200 for a bad code"
        ),
        pytest.param(
            reply(200, {"error": "bad_refresh_token"}), "invalid_grant", id="200 for a dead token"
        ),
        pytest.param(
            reply(200, {"error": "incorrect_client_credentials"}),
            "client_refused",
            id="200 for a wrong secret",
        ),
        pytest.param(reply(200, {"error": ["bad_refresh_token"]}), "unsure", id="200, no code"),
        pytest.param(reply(200, GRANT, content_type="text/plain"), "unsure", id="200, not JSON"),
    ],
)
def test_an_answer_means(ended: Reply | Fault, answer: str) -> None:
    outcome = read_token_answer(ended)
    assert outcome.answer == answer
    assert (outcome.response is not None) == (outcome.answer is TokenAnswer.GRANTED)


@pytest.mark.rule("R-07")
def test_the_time_that_the_server_named_is_handed_on() -> None:
    assert read_token_answer(reply(429, retry_after=9)).retry_after == 9


@pytest.mark.rule("C-11")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"access_token": None}, id="no access token"),
        pytest.param({"access_token": ""}, id="an empty one"),
        pytest.param({"access_token": 7}, id="a number for one"),
        pytest.param({"access_token": "a\r\nX-Evil: 1"}, id="one with a header field in it"),
        pytest.param({"access_token": "ä"}, id="one that is not ASCII"),
        pytest.param({"token_type": None}, id="no type"),
        pytest.param({"token_type": "DPoP"}, id="a type that was not asked for"),
        pytest.param({"token_type": "mac"}, id="a type that nobody knows"),
        pytest.param({"token_type": ["Bearer"]}, id="a list for a type"),
    ],
)
def test_an_answer_without_a_usable_access_token_grants_nothing(change: dict[str, object]) -> None:
    assert read_token_response({**GRANT, **change}) is None


@pytest.mark.rule("C-11")
@pytest.mark.parametrize("token_type", ["bearer", "Bearer", "BEARER"])
@pytest.mark.parametrize("content_type", ["application/json", "text/json", "application/x+json"])
def test_the_case_of_the_type_and_the_kind_of_json_do_not_matter(
    token_type: str, content_type: str
) -> None:
    outcome = read_token_answer(
        reply(200, {**GRANT, "token_type": token_type, "x": {}}, content_type=content_type)
    )
    assert outcome.response is not None
    assert outcome.response.token_type == "Bearer"


@pytest.mark.rule("C-11")
@pytest.mark.rule("S-12")
@pytest.mark.parametrize(
    ("member", "value", "name", "read"),
    [
        pytest.param("expires_in", 300, "expires_in", 300, id="a lifetime"),
        pytest.param("expires_in", "300", "expires_in", 300, id="as text"),
        pytest.param("expires_in", 0, "expires_in", 0, id="none at all"),
        pytest.param("expires_in", 1.5, "expires_in", 1.5, id="a fraction"),
        pytest.param("expires_in", -1, "expires_in", None, id="a negative one is unknown"),
        pytest.param("expires_in", True, "expires_in", None, id="true is no number"),
        pytest.param("expires_in", "soon", "expires_in", None, id="a word is none"),
        pytest.param("expires_in", "nan", "expires_in", None, id="nan is none"),
        pytest.param("expires_in", "inf", "expires_in", None, id="for ever is none"),
        pytest.param("expires_in", 10**400, "expires_in", None, id="an age is none"),
        pytest.param("expires_in", None, "expires_in", None, id="null is none"),
        pytest.param("expires_in", [1], "expires_in", None, id="a list is none"),
        pytest.param("refresh_expires_in", 60, "refresh_expires_in", 60, id="the refresh token's"),
        pytest.param("refresh_expires_in", 0, "refresh_expires_in", None, id="0: it never ends"),
        pytest.param(
            "refresh_token_expires_in", "60", "refresh_expires_in", 60, id="its other name"
        ),
        pytest.param("scope", "a b", "scope", "a b", id="less than was asked"),
        pytest.param("scope", "", "scope", None, id="an empty scope says nothing"),
        pytest.param("scope", ["a"], "scope", None, id="a list of scopes says nothing"),
        pytest.param("refresh_token", "", "refresh_token", None, id="an empty refresh token"),
        pytest.param("refresh_token", None, "refresh_token", None, id="none"),
        pytest.param("id_token", {}, "id_token", None, id="an ID token that is no text"),
    ],
)
def test_a_member_is_read(member: str, value: object, name: str, read: object) -> None:
    response = read_token_response({**GRANT, member: value})
    assert response is not None
    assert getattr(response, name) == read


vschar = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=99)


@pytest.mark.rule("T-07")
@pytest.mark.rule("C-11")
@given(vschar, vschar, st.integers(1, 166))
def test_any_token_of_any_length_is_kept_as_it_is(access: str, again: str, times: int) -> None:
    tokens = {"access_token": access * times, "refresh_token": again * times}
    outcome = read_token_answer(reply(200, {**GRANT, **tokens}))
    assert outcome.response is not None
    assert outcome.response.access_token == access * times
    assert outcome.response.refresh_token == again * times


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
members = st.dictionaries(
    st.sampled_from(
        ["access_token", "token_type", "refresh_token", "expires_in", "scope", "error", "id_token"]
    ),
    json_values | st.sampled_from(["Bearer", "at", "invalid_grant"]),
)


@given(st.integers(100, 599), members, st.none() | st.integers(0, 60))
def test_every_answer_means_something_and_only_200_grants(
    status: int, document: dict[str, object], wait: int | None
) -> None:
    outcome = read_token_answer(reply(status, document, retry_after=wait))
    if outcome.answer is TokenAnswer.GRANTED:
        assert status == 200
        assert document["access_token"]
        assert outcome.response is not None
    else:
        assert outcome.response is None


@given(st.integers(100, 599), st.binary(max_size=60))
def test_bytes_that_are_no_json_grant_nothing(status: int, body: bytes) -> None:
    ended = Reply(status=status, content_type="application/json", body=body)
    assert read_token_answer(ended).response is None


def test_json_nested_without_end_grants_nothing() -> None:
    ended = Reply(status=200, content_type="application/json", body=b"[" * 100_000)
    assert read_token_answer(ended).answer is TokenAnswer.UNSURE


@pytest.mark.rule("E-06")
def test_no_token_is_in_a_repr() -> None:
    response = TokenResponse(
        access_token="canary1",
        token_type="Bearer",
        refresh_token="canary2",
        id_token="canary3",
        scope="openid",
        expires_in=1,
        refresh_expires_in=None,
    )
    outcome = read_token_answer(reply(200, {**GRANT, "access_token": "canary4"}))
    assert "canary" not in repr((response, outcome, reply(200, {"canary": 1})))
