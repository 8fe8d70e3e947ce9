"""What goes in and what comes out, judged by a reader that shares no code with either side.

However the octets are cut on their way: a request is refused, or the upstream reads what the
oracle reads of it after the documented rules; and an answer the same way back. `make test` tries
300 messages each way, twice over the wire, and 500 on the reader alone; `BFF_SOAK=1` thirty
thousand and a hundred thousand, others each time.
"""

import itertools
import os
import re
import socket
from collections.abc import Iterable, Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bff.door.known import known
from bff.door.protocol import Door
from bff.relay.answer import AnswerReader
from bff.relay.connection import UpstreamConnection
from tests.parts.config import config
from tests.parts.cuts import Cuts, cutting
from tests.parts.hearing import Ear, Heard, ear, strict
from tests.parts.messages import Message, answers, cuts, requests, struck
from tests.parts.raw import Received, Villain, raw, villain
from tests.parts.site import Site, serving
from tests.parts.strict import (
    Answer,
    Fields,
    Malformed,
    Request,
    Unfinished,
    read_answer,
    read_request,
)

SOAK: Final = bool(os.environ.get("BFF_SOAK"))
CASES: Final = 30_000 if SOAK else 300
READER_CASES: Final = 100_000 if SOAK else 500
many = settings(max_examples=CASES, derandomize=not SOAK, suppress_health_check=list(HealthCheck))

LAST: Final = b"GET /api/last HTTP/1.1\r\nHost: app.example.com\r\nX-CSRF: 1\r\n\r\n"
END: Final = LAST.replace(b"/last", b"/end").replace(b"X-CSRF", b"Connection: close\r\nX-CSRF")

CLOSES: Final = re.compile(rb"^proxy-connection:[ \t]*close[ \t]*\r", re.IGNORECASE | re.MULTILINE)

# The documented rules (rows ), said once more.
NOT_UP: Final = re.compile(
    rb"connection|keep-alive|proxy-(connection|authorization|authenticate)|te|trailer|transfer-encoding|upgrade|http2-settings|host"
    rb"|authorization|cookie|content-length|expect|dpop|via|forwarded|x-real-ip|x-request-id"
    rb"|x-csrf|remote-user|x-http-method(-override)?|x-method-override|proxy|max-forwards"
    rb"|x-(forwarded|remote|original|rewrite|auth|authenticated|user|bff)-.*|x-user|.*_.*"
    rb"|x-username|x-userid|x-host|x-forwarded|forwarded-for|(x-|true-|x-cluster-|fastly-)?client-ip"
    rb"|cf-connecting-ip(v6)?",
    re.DOTALL,
)
OURS_UP: Final = re.compile(
    rb"host|via|x-forwarded-(for|proto|host)|forwarded|x-request-id|content-length"
    rb"|transfer-encoding"
)
# and what every answer of ours carries.
NOT_DOWN: Final = re.compile(
    rb"connection|keep-alive|proxy-(connection|authorization|authenticate)|te|trailer|transfer-encoding|upgrade|http2-settings"
    rb"|set-cookie|clear-site-data|strict-transport-security|refresh|alt-svc"
    rb"|service-worker-allowed|server|x-powered-by|via|www-authenticate|access-control-.*"
    rb"|cross-origin-resource-policy|x-content-type-options|nel|report-to|accept-ch|critical-ch"
    rb"|set-login|origin-agent-cluster|use-as-dictionary|x-accel-redirect|x-sendfile",
    re.DOTALL,
)
OURS_DOWN: Final = {
    b"date", b"content-length", b"transfer-encoding", b"connection", b"vary",
    b"x-content-type-options", b"cross-origin-resource-policy", b"strict-transport-security",
    b"content-security-policy",
}  # fmt: skip


def end_to_end(fields: Fields, dropped: "re.Pattern[bytes]") -> Fields:
    """What passes of a section by the rules."""
    named = b",".join(value for name, value in fields if name == b"connection").split(b",")
    hop = {each.strip(b" \t").lower() for each in named}
    return [
        (name, value) for name, value in fields if not dropped.fullmatch(name) and name not in hop
    ]


# --- the way in


@pytest.fixture(scope="module")
def upstream() -> Iterator[Ear]:
    with ear("a strict reader", strict) as found:
        yield found


@pytest.fixture(scope="module")
def door_cuts() -> Iterator[Cuts]:
    with cutting(Door, lambda door: not door.transport.is_closing()) as found:
        yield found


@pytest.fixture(scope="module")
def site(upstream: Ear, door_cuts: Cuts) -> Iterator[Site]:
    route = 'auth = "none"\nconnections = 1'
    more = '[server]\nhead_timeout = "1s"\nprogress_timeout = "1s"'
    text = config(issuer="http://127.0.0.1:1", api=upstream.url, route=route, more=more)
    with serving(text) as found:
        yield found


def read_all(octets: bytes) -> tuple[list[Request], type[Exception] | None]:
    """The requests in the octets, and why there are no more."""
    found: list[Request] = []
    at = 0
    while at < len(octets):
        try:
            request, at = read_request(octets, at, generous=True)
        except (Malformed, Unfinished) as error:
            return found, type(error)
        found.append(request)
    return found, None


def asked(site: Site, octets: bytes, methods: list[str]) -> list[int]:
    """The statuses of as many answers, or of those up to one that closes."""
    statuses: list[int] = []
    with raw(site.port) as wire:
        wire.send(octets)
        for method in methods:
            answer = wire.answer(method)
            statuses.append(answer.status)
            if answer.get("connection") == "close":
                left = wire.rest()
                assert left == b"" or (method == "HEAD" and answer.status >= 400)
                break
    with raw(site.port) as another:
        another.send(LAST)
        followed = another.answer()
        assert followed.body == b"heard GET /last", followed.body
    return statuses


def is_as_read(heard: Heard, request: Request, authority: bytes) -> bool:
    """Whether what the upstream read is what the oracle reads of what was sent."""
    sent = heard.request
    return (
        sent is not None
        and (sent.method, b"/api" + sent.target) == (request.method, request.target)
        and (sent.body, sent.trailers) == (request.body, [])
        and sent.all(b"host") == [authority]
        and bool(sent.all(b"transfer-encoding")) == bool(request.all(b"transfer-encoding"))
        and end_to_end(request.fields, NOT_UP)
        == [each for each in sent.fields if not OURS_UP.fullmatch(each[0])]
    )


@pytest.mark.rule("Q-08", "Q-09", "Q-10", "Q-11", "Q-12", "Q-17", "Q-22")
@many
@given(message=struck(requests()), sizes=cuts)
def test_a_request_is_refused_or_read_upstream_as_the_oracle_reads_it(
    site: Site, upstream: Ear, door_cuts: Cuts, message: Message, sizes: list[int]
) -> None:
    expected, fault = read_all(message.octets + END)
    methods = [each.method.decode() for each in expected] + ["GET"] * (fault is Malformed)
    authority = upstream.url.removeprefix("http://").encode()
    outcomes = []
    for door_cuts.sizes in ([], sizes):
        statuses = asked(site, message.octets + END, methods)
        heard = upstream.heard("/last")[:-1]
        good = [each for each, status in zip(expected, statuses, strict=False) if status == 200]
        assert len(heard) == len(good) == statuses.count(200)
        for received, request in zip(heard, good, strict=True):
            assert is_as_read(received, request, authority)
        if fault is Malformed and len(statuses) == len(methods):
            assert statuses[-1] >= 400
        if message.sound:
            # An old proxy's word for Connection is heeded like it: nothing after it is answered.
            assert statuses == ([200] if CLOSES.search(message.octets) else [200, 200])
        # Which refusal comes first, and whether it closes, depends on how much was here by then.
        outcomes.append(list(itertools.takewhile(lambda status: status < 400, statuses)))
    door_cuts.sizes = []
    assert outcomes[0] == outcomes[1]


@pytest.mark.rule("Q-08", "Q-09", "Q-17", "Q-22")
@many
@given(message=struck(requests()))
def test_a_head_that_comes_again_is_read_as_it_was_the_first_time(
    site: Site, upstream: Ear, message: Message
) -> None:
    expected, fault = read_all(message.octets)
    if fault is Unfinished:
        return  # nobody would answer
    methods = [each.method.decode() for each in expected] + ["GET"] * (fault is Malformed)
    known.forget()
    outcomes = []
    for _ in range(4):  # each by itself, on a connection of its own
        statuses = asked(site, message.octets, methods)
        outcomes.append((statuses, [without_id(each) for each in upstream.heard("/last")[:-1]]))
    assert outcomes[1:] == outcomes[:1] * 3


def without_id(heard: Heard) -> tuple[object, ...]:
    """What an upstream read, but for the field that differs with every request."""
    assert heard.request is not None
    fields = [each for each in heard.request.fields if each[0] != b"x-request-id"]
    return heard.method, heard.target, fields, heard.body


# --- the way back


@pytest.fixture(scope="module")
def liar() -> Iterator[Villain]:
    with villain() as found:
        yield found


@pytest.fixture(scope="module")
def answer_cuts() -> Iterator[Cuts]:
    with cutting(UpstreamConnection, lambda connection: connection.open) as found:
        yield found


@pytest.fixture(scope="module")
def other_site(liar: Villain, answer_cuts: Cuts) -> Iterator[Site]:
    route = 'auth = "none"\nconnections = 1'
    with serving(config(issuer="http://127.0.0.1:1", api=liar.url, route=route)) as found:
        yield found


def read_final(octets: bytes, method: str) -> Answer | None:
    """The one answer of an upstream that then closes; None: there is none, or not all of it."""
    at = 0
    for _ in range(9):  # eight interim ones may come before it
        try:
            answer, at = read_answer(octets, at, method=method, ended=True, generous=True)
        except (Malformed, Unfinished):
            return None
        if answer.status >= 200:
            return answer
    return None


def told(site: Site, method: str) -> Answer | None:
    """What a browser reads; None: it is told that there is no answer, or it is cut short."""
    with raw(site.port) as wire:
        wire.send(END.replace(b"GET", method.encode(), 1))
        octets = wire.rest()
    try:
        answer, end = read_answer(octets, method=method)
    except Unfinished:
        return None
    assert end == len(octets)
    answer.fields[:] = [each for each in answer.fields if each[0] != b"date"]
    return None if answer.status == 502 else answer


def is_as_told(told: Answer, said: Answer) -> bool:
    """Whether the browser reads what the oracle reads of what the upstream said."""
    passed = end_to_end(said.fields, NOT_DOWN)
    return (
        (told.status, told.body, told.trailers) == (said.status, said.body, [])
        and [each for each in told.fields if each[0] not in OURS_DOWN]
        == [each for each in passed if each[0] not in OURS_DOWN]
        and not (told.status == 204 and told.all(b"content-length"))
    )


@pytest.mark.rule("A-01", "A-02", "A-03", "A-08", "A-09", "A-10")
@many
@given(message=struck(answers()), sizes=cuts, method=st.sampled_from(["GET", "GET", "HEAD"]))
def test_an_answer_is_refused_or_told_as_the_oracle_reads_it(
    other_site: Site,
    liar: Villain,
    answer_cuts: Cuts,
    message: Message,
    sizes: list[int],
    method: str,
) -> None:
    def say(connection: socket.socket, _: Received) -> str:
        connection.sendall(message.octets)
        return "close"

    expected = read_final(message.octets, method)
    found = []
    for answer_cuts.sizes in ([], sizes, [], []):  # in the end its head may be known
        liar.script(say)
        found.append(told(other_site, method))
    answer_cuts.sizes = []
    assert found[1:] == found[:1] * 3
    if found[0] is not None:
        assert expected is not None
        assert is_as_told(found[0], expected)
    assert found[0] is not None or not message.sound


@pytest.mark.rule("A-08", "A-09")
@settings(max_examples=READER_CASES, derandomize=not SOAK)
@given(message=struck(answers()), sizes=cuts, method=st.sampled_from(["GET", "HEAD"]))
def test_no_cut_of_the_octets_changes_how_an_answer_is_read(
    message: Message, sizes: list[int], method: str
) -> None:
    whole, pieces = AnswerReader(), AnswerReader()
    whole.expect(method)
    pieces.expect(method)
    assert read_by(whole, [message.octets]) == read_by(pieces, Cuts(sizes).pieces(message.octets))


@pytest.mark.rule("A-08", "A-09")
@settings(max_examples=READER_CASES, derandomize=not SOAK)
@given(
    message=struck(answers()),
    more=st.sampled_from([b"", b"\r\n", b"x", b"HTTP/1.1 200 OK\r\n"]),
)
def test_a_head_that_was_read_before_is_read_as_the_first_time(
    message: Message, more: bytes
) -> None:
    used = AnswerReader()
    for method in ("GET", "HEAD", "GET", "POST", "HEAD"):
        for data in (message.octets, message.octets + more):
            octets = [data[place : place + 1] for place in range(len(data))]
            expected = taken(AnswerReader(), method, octets)  # never known: nothing comes whole
            assert taken(AnswerReader(), method, [data]) == expected
            if not used.reusable:
                used = AnswerReader()
            assert taken(used, method, [data]) == expected


def taken(reader: AnswerReader, method: str, pieces: list[bytes]) -> tuple[object, ...] | None:
    """What a reader makes of an answer, and of whatever comes after it on its connection."""
    reader.expect(method)
    try:
        for piece in pieces:
            reader.feed(piece)
    except ValueError:
        reader.reusable = False  # the connection is closed
        return None
    head = reader.head
    told = (reader.complete, reader.reusable, reader.take())
    return told if head is None else (*told, head.status, head.headers)


def read_by(reader: AnswerReader, pieces: Iterable[bytes]) -> tuple[object, ...] | None:
    """What a reader makes of the pieces and the end after them; None: nothing whole."""
    try:
        for piece in pieces:
            if not reader.complete:
                reader.feed(piece)
    except ValueError:
        return None
    if not reader.end() or reader.head is None:
        return None
    return reader.head.status, reader.head.headers, reader.take()
