"""Who is signed in at the provider, what they agreed to, and the pages that wait for their answer.

A ticket is the one-time name of a waiting page: the forms carry it, and its first use spends it.
"""

import secrets
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Waiting = TypeVar("Waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A provider session. `cookie` is a secret, `sid` is the public name."""

    cookie: str = field(repr=False)
    sid: str
    sub: str
    auth_time: int  # seconds since the epoch
    acr: str


class Tickets(Generic[Waiting]):
    """Pages that wait for an answer."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}

    def issue(self, waiting: Waiting) -> str:
        """A ticket for the page."""
        ticket = secrets.token_urlsafe(24)
        self._waiting[ticket] = waiting
        return ticket

    def see(self, ticket: str) -> Waiting | None:
        """What waits, without spending the ticket."""
        return self._waiting.get(ticket)

    def take(self, ticket: str) -> Waiting | None:
        """What waits; the ticket is spent."""
        return self._waiting.pop(ticket, None)


class Visits:
    """Provider sessions and remembered consents."""

    def __init__(self) -> None:
        self._visits: dict[str, Visit] = {}
        self._consents: dict[tuple[str, str], frozenset[str]] = {}

    def find(self, cookie: str | None) -> Visit | None:
        """The session of a cookie."""
        return self._visits.get(cookie or "")

    def sign_in(self, before: Visit | None, *, sub: str, acr: str, now: int) -> Visit:
        """The session after this person was chosen.

        The same person keeps the `sid`: that is a step-up, not a new session. Another person gets
        a new cookie, and the old session is over."""
        same = before is not None and before.sub == sub
        if before is not None and not same:
            self._visits.pop(before.cookie, None)
        visit = Visit(
            cookie=before.cookie if before and same else secrets.token_urlsafe(32),
            sid=before.sid if before and same else secrets.token_urlsafe(16),
            sub=sub,
            auth_time=now,
            acr=acr,
        )
        self._visits[visit.cookie] = visit
        return visit

    def sign_out(self, visit: Visit) -> None:
        """That session is over."""
        self._visits.pop(visit.cookie, None)

    def sign_out_person(self, sub: str | None) -> int:
        """How many sessions of that person, or of everybody, are over now."""
        over = [each for each in self._visits.values() if sub is None or each.sub == sub]
        for visit in over:
            self.sign_out(visit)
        return len(over)

    def agree(self, sub: str, client_id: str, scope: tuple[str, ...]) -> None:
        """Remembers a consent."""
        self._consents[sub, client_id] = self.agreed(sub, client_id) | set(scope)

    def agreed(self, sub: str, client_id: str) -> frozenset[str]:
        """The scopes this person has allowed this client so far."""
        return self._consents.get((sub, client_id), frozenset())
