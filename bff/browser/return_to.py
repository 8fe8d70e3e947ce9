"""The way back after a login: a path on our own origin, proved once and then believed.

Another site names it as a URL, our own pages as a path.
"""

from typing import Final, NewType
from urllib.parse import quote

from bff.caller.path import plain_path
from bff.config.values import Origin
from bff.problem import Reason, Refused

ReturnTo = NewType("ReturnTo", str)  # percent-encoded ASCII; begins with exactly one slash

LONGEST: Final = 2048  # octets, as stored
_KEPT: Final = "/?#[]@!$&'()*+,;=:%~-._"


def parse_return_to(raw: str) -> ReturnTo:
    """The only maker of a ReturnTo. Raises Refused(BAD_RETURN_TO) (RFC 9700 §4.11.1).

    Two slashes, or a slash and a backslash, name another host; browsers drop tabs and newlines
    before they look.
    """
    if not raw.startswith("/") or raw[1:2] in ("/", "\\"):
        raise Refused(Reason.BAD_RETURN_TO)
    if not raw.isprintable() or "\\" in raw:
        raise Refused(Reason.BAD_RETURN_TO)
    stored = quote(raw, safe=_KEPT)
    if len(stored) > LONGEST:
        raise Refused(Reason.BAD_REQUEST)
    path = stored.partition("#")[0].partition("?")[0]
    try:
        plain = plain_path(path.encode("ascii"))
    except Refused:
        raise Refused(Reason.BAD_RETURN_TO) from None
    if plain == b"/bff" or plain.startswith(b"/bff/"):
        raise Refused(Reason.BAD_RETURN_TO)
    return ReturnTo(stored)


def parse_target_link_uri(raw: str, origin: Origin) -> ReturnTo:
    """The same for the URL of a third-party start, which must be one of our origin.

    Its authority is compared as it stands, default port and all: what differs names another place.
    Raises Refused(BAD_RETURN_TO) (OpenID Connect Core §4).
    """
    rest = raw[len(origin) :]
    if raw[: len(origin)].lower() != origin or rest[:1] not in ("", "/", "?", "#"):
        raise Refused(Reason.BAD_RETURN_TO)
    return parse_return_to(rest if rest.startswith("/") else f"/{rest}")
