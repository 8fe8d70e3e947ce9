"""What the door says itself: which refusal a parser's error means, and the answer to OPTIONS."""

import httptools

from bff.door.head import METHODS
from bff.journal.log import crashed
from bff.problem import Answer, Reason, Refused, security_headers


def meaning(error: Exception) -> Refused:
    """The refusal in what reading a head ended with.

    Ours if we raised it, in a callback of the parser or outside; else what the parser's error
    says; and whatever else it is, something broke here (E-05).
    """
    cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else error
    if isinstance(cause, Refused):
        return cause
    if isinstance(cause, httptools.HttpParserInvalidMethodError):
        return Refused(Reason.NOT_IMPLEMENTED)
    if isinstance(cause, httptools.HttpParserError):
        return Refused(Reason.BAD_REQUEST)
    crashed(cause or error)
    return Refused(Reason.INTERNAL_ERROR)


def options(*, secure: bool) -> Answer:
    """The answer to OPTIONS that goes no further (RFC 9110 §9.3.7)."""
    headers = [(b"allow", METHODS.encode()), (b"content-length", b"0")]
    return Answer(status=200, headers=[*headers, *security_headers(secure=secure)], body=b"")
