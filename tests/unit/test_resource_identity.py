"""Who signed in, by a resource of the provider's: an id that never changes, or nobody."""

import json
import re

import pytest

from bff.config.load import ConfigFaults, parse
from bff.problem import Refused
from bff.provider.call import Fault, Reply
from bff.provider.resource_identity import read_resource, subject
from tests.parts.config import config_text

ENDPOINTS = """
identity = "userinfo"
authorization_endpoint = "https://login.example.com/authorize"
token_endpoint = "https://login.example.com/token"
identity_endpoint = "https://api.example.com/user"
subject_claim = "id"
"""


@pytest.mark.rule("I-09")
@pytest.mark.parametrize(
    ("value", "sub"),
    [
        pytest.param(583231, "583231", id="a number"),
        pytest.param(0, "0", id="zero"),
        pytest.param("u-17", "u-17", id="a text"),
        pytest.param(True, None, id="true is no number"),
        pytest.param(1.5, None, id="half a person"),
        pytest.param("", None, id="an empty text"),
        pytest.param("a" * 256, None, id="too long"),
        pytest.param("ä", None, id="a letter beyond ASCII"),
        pytest.param("a\nb", None, id="a line end"),
        pytest.param(None, None, id="null"),
        pytest.param(["u-17"], None, id="a list"),
        pytest.param({"id": 17}, None, id="a table"),
    ],
)
def test_an_id_makes_a_subject_or_none(value: object, sub: str | None) -> None:
    assert subject(value) == sub


def reply(status: int, document: object, content_type: str = "application/json") -> Reply:
    return Reply(status=status, content_type=content_type, body=json.dumps(document).encode())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(Fault.UNSURE, "provider_unavailable", id="no answer"),
        pytest.param(reply(500, {"id": 17}), "provider_unavailable", id="500"),
        pytest.param(reply(429, {"id": 17}), "provider_unavailable", id="429"),
        pytest.param(reply(401, {"id": 17}), "provider_error", id="401"),
        pytest.param(reply(200, {"login": "ada"}), "provider_error", id="no id"),
        pytest.param(reply(200, {"id": None}), "provider_error", id="an id that is none"),
        pytest.param(reply(200, [17]), "provider_error", id="no object"),
        pytest.param(reply(200, {"id": 17}, "text/html"), "provider_error", id="a page"),
    ],
)
def test_an_answer_that_names_nobody_signs_nobody_in(answer: Reply | Fault, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        read_resource(answer, "id")
    assert refused.value.reason == reason
    assert read_resource(reply(200, {"id": 17}), "id") == {"id": 17}


def faults(provider: str, *, scopes: str = '["read:user"]') -> set[str]:
    text = config_text(issuer="https://login.example.com", api="https://api", provider=provider)
    text = re.sub(r"^scopes = .*$", f"scopes = {scopes}", text, flags=re.MULTILINE)
    try:
        parse(text, dev=True)
    except ConfigFaults as found:
        return {fault.key for fault in found.faults}
    return set()


@pytest.mark.rule("D-10")
@pytest.mark.parametrize(
    ("provider", "scopes", "keys"),
    [
        pytest.param(ENDPOINTS, '["read:user"]', set(), id="all that it needs"),
        pytest.param(ENDPOINTS, "[]", set(), id="no scopes at all"),
        pytest.param(ENDPOINTS, '["openid"]', {"provider.scopes"}, id="openid is not known there"),
        pytest.param("", '["profile"]', {"provider.scopes"}, id="openid is wanted elsewhere"),
        pytest.param(
            'identity = "userinfo"',
            "[]",
            {
                "provider.authorization_endpoint",
                "provider.token_endpoint",
                "provider.identity_endpoint",
                "provider.subject_claim",
            },
            id="nothing of what it needs",
        ),
        pytest.param(
            'token_endpoint = "https://evil.example/token"',
            '["openid"]',
            {"provider.token_endpoint"},
            id="an endpoint of a provider that says it itself",
        ),
        pytest.param(
            ENDPOINTS.replace("https://login.example.com/token", "http://login.example.com/token"),
            "[]",
            {"provider.token_endpoint"},
            id="an endpoint in the clear",
            marks=pytest.mark.rule("P-02"),
        ),
        pytest.param(
            ENDPOINTS + "userinfo = true", "[]", {"provider.userinfo"}, id="UserInfo beside it"
        ),
    ],
)
def test_a_provider_without_openid_connect_is_written_down_whole(
    provider: str, scopes: str, keys: set[str]
) -> None:
    assert faults(provider, scopes=scopes) == keys
