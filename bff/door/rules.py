"""What the door holds every request to, and what stands behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bff.caller.peer import Proxies
from bff.caller.request import BrowserRequest
from bff.wire import Answering, Turn


class Behind(Protocol):
    """What stands behind the door; asked anew for every request, for it may be exchanged."""

    @property
    def hosts(self) -> Mapping[bytes, str]:
        """By the `Host` value, the name of the front end that answers for it."""
        ...

    @property
    def trusted(self) -> Proxies:
        """The proxies whose word counts."""
        ...

    def lane(self, frontend: str, request: BrowserRequest, turn: Turn) -> Answering | None:
        """Who answers past the ASGI application, if anyone does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the door holds every request to. Times in seconds."""

    secure: bool
    head_timeout: float
    progress_timeout: float
    write_timeout: float
    keep_alive: float
    connections: int  # with more of them open, each is for one request only
