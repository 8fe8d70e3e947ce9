"""What an upstream's answer means for the exchange, by its head alone. Pure."""

from enum import StrEnum

from bff.again import remembered
from bff.problem import Headers
from bff.relay.challenge import refusal_in
from bff.relay.exchange import wants_another_token
from bff.relay.framing import AnswerHead
from bff.relay.way import Relayed


class Verdict(StrEnum):
    """What is to be done with it."""

    RELAY = "relay"
    STREAM = "stream"  # it goes on for ever, and is passed on as one that does
    SOCKET = "socket"  # it is no answer: both speak another protocol from here on
    REPEAT = "repeat"  # another token might help


def judge_answer(
    way: Relayed, answer: AnswerHead, *, personal: bool, repeatable: bool, socket: bool
) -> Verdict:
    """The verdict. `personal`: a session's token went along, and its person can get a better one.

    `repeatable`: a token went along, and the request may go once more with another (R-08).

    `socket`: a WebSocket was asked for. Raises Refused: INSUFFICIENT_SCOPE, STEP_UP_REQUIRED.
    """
    status, headers = answer.status, answer.headers
    if status == 200:
        return Verdict.STREAM if is_event_stream(headers) else Verdict.RELAY
    if status == 101 and socket:
        return Verdict.SOCKET
    if status == 401 and repeatable and wants_another_token(headers):
        return Verdict.REPEAT
    if personal and status in (401, 403):
        _raise_if_refused(way, status, headers)
    return Verdict.RELAY


def _raise_if_refused(way: Relayed, status: int, headers: Headers) -> None:
    refused = refusal_in(status, headers, way.acr_values)
    try:
        if refused is not None:
            raise refused
    finally:
        del refused  # it knows that it was raised here: no ring shall be left


def is_event_stream(headers: Headers) -> bool:
    """Whether an answer is one of server-sent events."""
    return any(_are_events(value) for name, value in headers if name == b"content-type")


@remembered(1024)
def _are_events(stated: bytes) -> bool:
    return stated.partition(b";")[0].strip(b" \t").lower() == b"text/event-stream"
