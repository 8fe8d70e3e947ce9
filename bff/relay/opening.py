"""From a handshake that both sides have agreed to, to the open WebSocket."""

from bff.config.route_section import Route
from bff.problem import Reason, Refused
from bff.relay.authorize import Relay
from bff.relay.connection import UpstreamConnection
from bff.relay.handshake import Wanted, agree
from bff.relay.place import Place
from bff.relay.shown import Shown
from bff.relay.websocket import POLICY_VIOLATION, Socket, Terms, UpstreamEnd
from bff.session.opened import Found
from bff.wire import Wire


def open_socket(
    relay: Relay,
    wire: Wire,
    connection: UpstreamConnection,
    wanted: Wanted,
    found: Found | None,
    shown: Shown | None,
    place: Place,
) -> Socket:
    """The socket, after an upstream's 101; the browser has been told.

    The place is the socket's until it ends. Raises Refused: UPSTREAM_PROTOCOL, OVERLOADED.
    """
    if connection.answer is None:
        raise Refused(Reason.UPSTREAM_PROTOCOL, phase="answer")
    agreed = agree(wanted, connection.answer, cookies=relay.way.response_cookies)

    def session_over(reason: Reason) -> None:
        socket.end(POLICY_VIOLATION, reason)

    place.among_streams(connection, found, session_over)
    transport, early = connection.hand_over()
    socket = Socket(
        wire,
        transport,
        agreed=agreed,
        terms=terms(relay.way.route, shown, relay.sessions.clock.now()),
        over=place.leave,
    )
    transport.set_protocol(UpstreamEnd(socket))
    wire.transport.write(agreed.head + wire.date_line() + b"\r\n")
    if early:
        socket.from_upstream(early)
    return socket


def terms(route: Route, shown: Shown | None, now: float) -> Terms:
    """How long the socket may live, and how large its messages may be. `now`: store time."""
    expires_at = None if shown is None else shown.expires_at
    if route.websocket_expiry == "close" and expires_at is not None:
        left = max(expires_at - now, 0.0)
        if left < route.websocket_age:
            return Terms(most=route.websocket_message, until=left, why="token_expired")
    return Terms(most=route.websocket_message, until=route.websocket_age, why="too_old")
