"""The closed set of refusals and how each is said (rows E-01 to E-04)."""

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from bff.page import page
from bff.problem import PROBLEMS, Reason, Refused, refusal


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str | None] = []
        self.text = ""

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value for name, value in attrs if name == "href"]

    @override
    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: bytes) -> Tags:
    parser = Tags()
    parser.feed(html.decode())
    parser.close()
    return parser


@pytest.mark.rule("E-01")
def test_every_reason_has_one_problem() -> None:
    assert set(PROBLEMS) == set(Reason)
    for problem in PROBLEMS.values():
        assert 400 <= problem.status < 600
        assert problem.title
        assert problem.sentence


@pytest.mark.rule("E-01")
@pytest.mark.rule("E-03")
@pytest.mark.rule("E-04")
@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("as_page", [False, True], ids=["problem", "page"])
def test_a_refusal_says_its_reason_and_what_belongs_to_its_status(
    reason: Reason, as_page: bool
) -> None:
    answer = refusal(
        Refused(reason),
        request_id="an-id-0123",
        secure=True,
        as_page=as_page,
        login_url="/bff/login",
    )
    headers = dict(answer.headers)
    assert len(headers) == len(answer.headers)
    assert answer.status == PROBLEMS[reason].status
    assert headers[b"content-length"] == str(len(answer.body)).encode()
    assert headers[b"cache-control"] == b"no-store"
    assert (headers.get(b"www-authenticate") == b"BFF-Session") == (answer.status == 401)
    assert (b"retry-after" in headers) == (answer.status == 503)
    assert (headers.get(b"sec-websocket-version") == b"13") == (answer.status == 426)
    if as_page:
        assert f"Reason: {reason} · Request: an-id-0123" in read(answer.body).text
    else:
        document = json.loads(answer.body)
        assert (document["status"], document["reason"]) == (answer.status, reason)
        mended = (Reason.KEY_UNKNOWN, Reason.STEP_UP_REQUIRED)
        told_where = answer.status == 401 or reason in mended
        assert ("login_url" in document) == told_where


@pytest.mark.rule("E-04")
@pytest.mark.parametrize(("named", "said"), [(None, b"2"), (0, b"2"), (1, b"1"), (3600, b"3600")])
def test_retry_after_is_the_one_that_was_named(named: int | None, said: bytes) -> None:
    refused = Refused(Reason.PROVIDER_UNAVAILABLE, retry_after=named)
    assert dict(refusal(refused, request_id="x", secure=True).headers)[b"retry-after"] == said


@pytest.mark.rule("E-01")
def test_the_facts_of_a_refusal_stand_where_they_belong() -> None:
    refused = Refused(Reason.METHOD_NOT_ALLOWED, allow="GET, POST")
    assert dict(refusal(refused, request_id="x", secure=True).headers)[b"allow"] == b"GET, POST"
    late = refusal(Refused(Reason.UPSTREAM_TIMEOUT, phase="connect"), request_id="x", secure=True)
    assert json.loads(late.body)["phase"] == "connect"


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=80) | st.sampled_from(
    [
        "</p><script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "&lt;script&gt;",
        "<!--",
        "'\"`",
    ]
)


@pytest.mark.rule("E-02")
@pytest.mark.rule("C-07")
@given(title=HOSTILE, sentence=HOSTILE, url=HOSTILE, label=HOSTILE)
def test_no_text_becomes_markup(title: str, sentence: str, url: str, label: str) -> None:
    plain = read(page("t", ("s",), link=("/", "l"), go_to="/"))
    found = read(page(title, (sentence,), link=(url, label), go_to=url))
    assert found.tags == plain.tags


@pytest.mark.rule("E-02")
@given(detail=HOSTILE)
def test_the_providers_words_are_text(detail: str) -> None:
    answer = refusal(
        Refused(Reason.PROVIDER_ERROR), request_id="x", secure=True, as_page=True, detail=detail
    )
    plain = refusal(
        Refused(Reason.PROVIDER_ERROR), request_id="x", secure=True, as_page=True, detail="words"
    )
    found, expected = read(answer.body), read(plain.body)
    assert found.tags == expected.tags if detail else len(found.tags) == len(expected.tags) - 1
    assert found.links == ["/"]


def test_a_refusal_carries_a_code_and_no_text() -> None:
    refused = Refused(Reason.CODE_REJECTED)
    assert str(refused) == "code_rejected"
    assert refused.args == ("code_rejected",)
