"""What one exchange takes up: it is waited for, and has its place among requests or streams.

A stream is a WebSocket or an answer of server-sent events. It is counted apart from requests,
holds none of the upstream pool's places, and ends with the session that opened it (W-05, W-07).
"""

from bff.caller.crowd import Count
from bff.caller.request import BrowserRequest
from bff.relay.authorize import Relay
from bff.relay.connection import UpstreamConnection
from bff.session.following import Follower, Told
from bff.session.opened import Found


class Place:
    """Among the site's users from the beginning; `leave` gives back all that was taken."""

    __slots__ = (
        "_connection",
        "_count",
        "_follower",
        "_left",
        "_relay",
        "_request",
        "_session_id",
    )

    def __init__(self, relay: Relay, request: BrowserRequest) -> None:
        self._relay = relay
        self._request: BrowserRequest | None = request  # until it is a stream
        self._count: Count | None = None
        self._session_id: str | None = None
        self._follower: Follower | None = None
        self._connection: UpstreamConnection | None = None  # of a stream
        self._left = False
        relay.users.enter()

    @property
    def streams(self) -> bool:
        """Whether it is one of a stream."""
        return self._connection is not None

    def among_requests(self, session_id: str | None) -> None:
        """It is a request of that session. Raises Refused(OVERLOADED)."""
        count = self._relay.crowd.requests
        count.enter(session_id)
        self._count, self._session_id = count, session_id

    def among_streams(
        self, connection: UpstreamConnection, found: Found | None, told: Told
    ) -> None:
        """It is a stream by now; `told` hears why its session ended. Raises Refused(OVERLOADED)."""
        streams = self._relay.crowd.streams
        session_id = None if found is None else found.session_id
        streams.enter(session_id)
        if self._count is not None:
            self._count.leave(self._session_id)
        self._count, self._session_id = streams, session_id
        self._connection = connection
        self._relay.upstream.detach(connection)
        request, self._request = self._request, None  # its cookie is not kept for hours
        if found is not None and request is not None:
            kid = self._relay.cookies.key_id(request)
            self._follower = self._relay.sessions.follow(found, told, kid=kid)

    def leave(self) -> None:
        """Give it back, once."""
        if self._left:
            return
        self._left = True
        self._relay.users.leave()
        if self._count is not None:
            self._count.leave(self._session_id)
        if self._follower is not None:
            self._follower.leave()
        if self._connection is not None:
            self._relay.upstream.release(self._connection)
