"""What an upstream's challenge asks of the person: another sign-in, or more rights.

Pure. Challenges come right, without a scheme, or not at all (RFC 6750 §3, RFC 9470 §3): what is
not plainly one of the two is none, and the upstream's answer passes as it is.
"""

import re
from collections.abc import Set
from typing import Final
from urllib.parse import quote

from bff.problem import Headers, Reason, Refused

_PARAMETER: Final = re.compile(rb'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))')
_WORDS: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
_MAX_AGE: Final = re.compile(r"[0-9]{1,9}")
_LONGEST: Final = 512  # characters; as much as a login takes


def refusal_in(status: int, headers: Headers, may_ask: Set[str] | None = None) -> Refused | None:
    """The refusal that a 401 or 403 of the upstream means for the person, if it means one (A-05).

    `may_ask`: the values of `acr` that a login may ask for; None: any.
    STEP_UP_REQUIRED with the query of the login that would do, INSUFFICIENT_SCOPE with the scope.
    """
    if status not in (401, 403):
        return None
    said = _parameters(headers)
    if said.get("error") == "insufficient_scope":
        return Refused(Reason.INSUFFICIENT_SCOPE, scope=_words(said.get("scope")))
    if status == 401 and said.get("error") == "insufficient_user_authentication":
        return Refused(Reason.STEP_UP_REQUIRED, login_query=_login_query(said, may_ask))
    return None


def _parameters(headers: Headers) -> dict[str, str]:
    """The parameters of the challenges, by name; the first of a name counts."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name == b"www-authenticate":
            for key, quoted, plain in _PARAMETER.findall(value):
                found.setdefault(key.decode().lower(), (quoted or plain).decode("latin-1"))
    return found


def _words(text: str | None) -> str | None:
    """Text of the peer, where it is as RFC 6749 §3.3 has it; nothing else is said again."""
    return text if text and len(text) <= _LONGEST and _WORDS.fullmatch(text) else None


def _login_query(said: dict[str, str], may_ask: Set[str] | None) -> str:
    """What the login that would do is to be asked for (RFC 9470 §4); no more than it takes."""
    parts = []
    wanted = (_words(said.get("acr_values")) or "").split()
    if acr_values := [each for each in wanted if may_ask is None or each in may_ask]:
        parts.append(f"acr_values={quote(' '.join(acr_values), safe='')}")
    if _MAX_AGE.fullmatch(max_age := said.get("max_age", "")):
        parts.append(f"max_age={max_age}")
    return "&".join(parts)
