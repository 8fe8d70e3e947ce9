"""What the door says itself: which refusal a parser's error means, and the answer to OPTIONS."""

import httptools

from bff.door.head import METHODS
from bff.problem import Answer, Reason, Refused, security_headers


def meaning(error: httptools.HttpParserError) -> Refused:
    """The refusal in a parser's error: ours if we raised it, else what its class says."""
    if isinstance(error.__context__, Refused):
        return error.__context__
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        return Refused(Reason.NOT_IMPLEMENTED)
    return Refused(Reason.BAD_REQUEST)


def options(*, secure: bool) -> Answer:
    """The answer to OPTIONS that goes no further (RFC 9110 §9.3.7)."""
    headers = [(b"allow", METHODS.encode()), (b"content-length", b"0")]
    return Answer(status=200, headers=[*headers, *security_headers(secure=secure)], body=b"")
