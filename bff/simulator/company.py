"""A round of people who talk over WebSockets: what one says, all hear."""

import contextlib

from starlette.websockets import WebSocket, WebSocketDisconnect

from bff.simulator.feed import now


class Company:
    """All who are there."""

    def __init__(self) -> None:
        self._sockets: set[WebSocket] = set()

    async def join(self, socket: WebSocket, sub: str) -> None:
        """Take part until the socket closes."""
        await socket.accept()
        self._sockets.add(socket)
        try:
            while True:
                await self._say(sub, await socket.receive_text())
        except (WebSocketDisconnect, KeyError):  # KeyError: a message without text
            with contextlib.suppress(RuntimeError):  # it is closed
                await socket.close(1003)
        finally:
            self._sockets.discard(socket)

    async def _say(self, sub: str, text: str) -> None:
        for socket in tuple(self._sockets):
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it has just gone
                await socket.send_json({"sub": sub, "text": text, "at": now()})
