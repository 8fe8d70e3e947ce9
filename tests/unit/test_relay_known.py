"""A head of an upstream's answer that is known by its octets, and what is never learnt."""

from collections.abc import Iterator

import pytest

from bff.relay.answer import AnswerReader
from bff.relay.known import HEADS_KEPT, OCTETS, known

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    known.forget()
    yield
    known.forget()


def read(data: bytes, method: str = "GET") -> AnswerReader:
    reader = AnswerReader()
    reader.expect(method)
    reader.feed(data)
    return reader


def test_one_value_stands_for_answers_whose_head_has_come_twice() -> None:
    for body in (b"first", b"other"):
        read(HEAD + body)
    third, fourth = read(HEAD + b"third"), read(HEAD + b"again")
    assert third.head is not None
    assert third.head is fourth.head
    assert (third.take(), fourth.take()) == (b"third", b"again")
    assert third.complete
    assert third.reusable


@pytest.mark.parametrize(
    "answer",
    [
        HEAD.replace(b"200 OK", b"404 Not Found") + b"first",
        HEAD.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n") + b"first",
        HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + b"first",
        HEAD.replace(b"\r\n\r\n", b"\r\na: " + b"x" * OCTETS + b"\r\n\r\n") + b"first",
        HEAD.replace(b"1.1", b"1.0") + b"first",
        HEAD.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
        HEAD.replace(b"Content-Length: 5", b"a: b"),
        INTERIM + HEAD + b"first",
        HEAD + b"fir",
        HEAD + b"first" + HEAD,
    ],
)
def test_what_is_never_learnt(answer: bytes) -> None:
    for _ in range(3):
        read(answer)
    assert len(known) == 0


def test_after_head_nothing_is_learnt() -> None:
    for _ in range(3):
        read(HEAD, "HEAD")
    assert len(known) == 0


def test_an_interim_answer_is_not_taken_for_the_final_one() -> None:
    for _ in range(3):
        assert read(INTERIM + HEAD + b"first").complete
    cut = read(INTERIM + HEAD[:5])
    assert cut.head is None
    assert not cut.complete


def test_what_never_comes_again_pushes_out_nothing() -> None:
    for _ in range(2):
        read(HEAD + b"first")
    for number in range(2 * HEADS_KEPT):
        read(HEAD.replace(b"plain", b"%d" % number) + b"first")
        read(HEAD.replace(b"200 OK", b"500 %d" % number) + b"first")
    assert len(known) == 1


def test_an_answer_that_cannot_be_learnt_does_not_keep_another_from_being() -> None:
    read(HEAD + b"first")
    for number in range(2 * HEADS_KEPT):
        read(HEAD.replace(b"200 OK", b"500 %d" % number) + b"first")
    read(HEAD + b"first")
    assert len(known) == 1
