"""One request as the endpoints see it: parameters that cannot be ambiguous.

Made by `watch` for every request; the endpoints note in it what the ledger wants to know.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from bff.simulator.refusal import Reason, Refused

FORM: Final = "application/x-www-form-urlencoded"
BODY_LIMIT: Final = 65_536  # octets
PEER: Final = "simulator.certificate"  # the extension of the scope in which the runner puts it


class Parameters:
    """Query or form parameters. An empty one counts as omitted (RFC 6749 §3.1)."""

    def __init__(self, raw: str) -> None:
        self._pairs = parse_qsl(raw, keep_blank_values=True)

    def get(self, name: str) -> str | None:
        """The value, None where omitted, or Refused where it came twice."""
        values = [value for key, value in self._pairs if key == name]
        if len(values) > 1:
            raise Refused(Reason.PARAMETER_REPEATED)
        return (values[0] if values else "") or None

    def required(self, name: str) -> str:
        """The value, or Refused."""
        value = self.get(name)
        if value is None:
            raise Refused(Reason.PARAMETER_MISSING)
        return value

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a parameter that may come more than once."""
        return tuple(value for key, value in self._pairs if key == name and value)

    @property
    def names(self) -> frozenset[str]:
        """What there is."""
        return frozenset(key for key, _ in self._pairs)

    def refuse_repetition(self) -> None:
        """Raises Refused if any parameter came twice, known to us or not.

        But for `resource` (RFC 8707 §2)."""
        counted = Counter(key for key, _ in self._pairs if key != "resource")
        if any(count > 1 for count in counted.values()):
            raise Refused(Reason.PARAMETER_REPEATED)

    def first(self, name: str) -> str | None:
        """The first value, for the ledger only."""
        return next((value for key, value in self._pairs if key == name), None)


@dataclass(slots=True, kw_only=True)
class Call:
    """The request, and what became known about it on the way."""

    request: Request
    body: bytes = field(repr=False)
    client_id: str | None = None
    authenticated: bool = False
    processed: bool = False
    outcome: str = ""

    @property
    def certificate(self) -> bytes | None:
        """The client's certificate in DER, where the connection has one."""
        found: bytes | None = self.request.scope.get("extensions", {}).get(PEER, {}).get("der")
        return found

    @property
    def query(self) -> Parameters:
        """The parameters in the URL."""
        return Parameters(self.request.url.query)

    @property
    def form(self) -> Parameters:
        """The parameters in the body, or Refused if it is not a form."""
        if len(self.body) > BODY_LIMIT:
            raise Refused(Reason.BODY_TOO_LARGE)
        content_type = self.request.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != FORM:
            raise Refused(Reason.NOT_A_FORM)
        try:
            form = Parameters(self.body.decode("ascii"))
        except UnicodeDecodeError:
            raise Refused(Reason.NOT_A_FORM) from None
        form.refuse_repetition()
        return form

    @property
    def grant_type(self) -> str | None:
        """What the body claims to be, checked by nobody: names faults and ledger entries."""
        return Parameters(self.body.decode("ascii", "replace")).first("grant_type")


async def read_body(request: Request) -> bytes:
    """The body, cut off just beyond the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            break
    return bytes(body)
