"""What the provider has seen: one entry per request, and every secret that passed.

Entries carry no secret and may be printed. The secrets are kept for one purpose: tests search for
them, as canaries, in everything the BFF shows.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request that has been dealt with."""

    number: int
    endpoint: str
    method: str
    grant_type: str | None
    client_id: str | None
    authenticated: bool  # the client, at the endpoints where it has to
    processed: bool  # the endpoint did its work, whatever the peer was told
    outcome: str  # "ok", the refusal's reason, or "" where nothing was processed
    status: int | None  # as sent; null when the connection was dropped
    fault: str | None  # the id of the fault that hit it
    received_at: float  # seconds since the epoch
    seconds: float

    @property
    def names(self) -> tuple[str, ...]:
        """What it is counted under: `token` and `token:refresh_token`."""
        return endpoint_names(self.endpoint, self.grant_type)


def endpoint_names(endpoint: str, grant_type: str | None) -> tuple[str, ...]:
    """The names a request answers to, the particular one first."""
    return (f"{endpoint}:{grant_type}", endpoint) if grant_type else (endpoint,)


class Ledger:
    """The entries, in the order in which they were finished."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._numbers = 0
        self._written = asyncio.Condition()

    def number(self) -> int:
        """The next request's number: the order of arrival."""
        self._numbers += 1
        return self._numbers

    async def write(self, entry: Entry) -> None:
        """Adds an entry and wakes those who wait for it."""
        async with self._written:
            self._entries.append(entry)
            self._written.notify_all()

    async def wait_for(self, endpoint: str, count: int) -> None:
        """Returns when `count` requests of that name have been dealt with."""
        async with self._written:
            await self._written.wait_for(lambda: len(list(self._named(endpoint))) >= count)

    def clear(self) -> None:
        """Forgets all entries; numbers start again."""
        self._entries.clear()
        self._numbers = 0

    def report(self) -> dict[str, object]:
        """Entries and counters, ready for JSON."""
        counters: dict[str, Counter[str]] = {}
        for entry in self._entries:
            for name in entry.names:
                counter = counters.setdefault(name, Counter())
                counter["received"] += 1
                counter[entry.outcome or "not_processed"] += 1
        return {"entries": [asdict(entry) for entry in self._entries], "counters": counters}

    def _named(self, endpoint: str) -> Iterator[Entry]:
        return (entry for entry in self._entries if endpoint in entry.names)


class Secrets:
    """Every secret ever issued or received, by kind. It has no repr worth reading."""

    KINDS = (
        "client_secrets",
        "client_assertions",
        "codes",
        "access_tokens",
        "refresh_tokens",
        "id_tokens",
        "logout_tokens",
        "request_uris",
        "dpop_proofs",
        "states",
        "nonces",
        "code_challenges",
        "code_verifiers",
    )

    def __init__(self) -> None:
        # A dict keeps the order and drops repetitions.
        self._seen: dict[str, dict[str, None]] = {kind: {} for kind in self.KINDS}

    def add(self, kind: str, value: str | None) -> None:
        """Remembers a value, if there is one."""
        if value:
            self._seen[kind][value] = None

    def report(self) -> dict[str, list[str]]:
        """All of them, by kind."""
        return {kind: list(values) for kind, values in self._seen.items()}
