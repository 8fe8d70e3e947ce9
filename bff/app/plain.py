"""A request that came without TLS, as a trusted proxy says: on to the secure origin, or refused.

What it carried has been readable on its way, so nothing is done for it (RFC 9700 §2.6). A person
who typed an address is led on; a fetch, a relayed call and what may hold a code are refused, so
that the mistake is seen where it is made.
"""

from typing import Final

from bff.browser.front import LOGIN_URL
from bff.caller.request import BrowserRequest
from bff.config.load import FrontEnd
from bff.problem import Answer, Reason, Refused, security_headers

_SAFE: Final = frozenset({"GET", "HEAD"})
_LOGIN: Final = LOGIN_URL.encode()


def is_unsafe(frontend: FrontEnd, request: BrowserRequest) -> bool:
    """Whether it came without TLS to a front end whose origin is https."""
    return request.plain and frontend.secure


def to_secure(frontend: FrontEnd, request: BrowserRequest, *, pages: bool) -> Answer:
    """The same address at the secure origin, for a person on the way to a page or to sign in.

    `pages`: the path is one of a route that serves them. Raises Refused: BAD_REQUEST.
    """
    ours = pages or request.path == _LOGIN
    if not ours or request.method not in _SAFE or not request.is_navigation:
        raise Refused(Reason.BAD_REQUEST)
    return Answer(
        status=308,
        headers=[
            # Without Strict-Transport-Security: over plain HTTP it counts for nothing (RFC 6797
            # §7.2), and the answer at the other end says it.
            *security_headers(secure=False),
            (b"location", frontend.origin.encode() + request.target),
            (b"cache-control", b"no-store"),
            (b"referrer-policy", b"no-referrer"),
            (b"vary", b"X-Forwarded-Proto, Sec-Fetch-Mode, Accept"),
            (b"content-length", b"0"),
        ],
        body=b"",
    )
