"""A WebSocket server that others wrote, and a browser's side of a socket through the BFF."""

import contextlib
import logging
import queue
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Origin, Subprotocol

from tests.parts.browser import Browser

PATIENCE = 20.0  # seconds until a test gives up
# What the library logs of heads is no log of the BFF's.
SILENT = logging.getLogger("silent")
SILENT.disabled = True


@dataclass
class Socketeer:
    """The server: what shook hands, and its own end of every socket that is open."""

    server: Server
    opened: "queue.Queue[ServerConnection]" = field(default_factory=queue.Queue)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.socket.getsockname()[1]}"

    def take(self) -> ServerConnection:
        """The server's end of the next socket."""
        return self.opened.get(timeout=PATIENCE)

    @property
    def untouched(self) -> bool:
        """Whether nobody has shaken hands that was not taken."""
        return self.opened.empty()


@contextlib.contextmanager
def socketeer(
    *,
    subprotocols: Sequence[str] = (),
    compression: str | None = None,
    max_size: int | None = None,
) -> Iterator[Socketeer]:
    """A server that does nothing by itself: a test speaks for it."""

    def handle(connection: ServerConnection) -> None:
        found.opened.put(connection)
        found.over.wait()

    def choose(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return next((name for name in offered if name in subprotocols), None)

    with serve(
        handle,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        select_subprotocol=choose if subprotocols else None,
        compression=compression,
        max_size=max_size,
        ping_interval=None,
        close_timeout=0.2,
        logger=SILENT,
    ) as server:
        found = Socketeer(server)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            found.over.set()
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def open_socket(
    browser: Browser,
    path: str,
    *,
    origin: str | None = None,
    subprotocols: Sequence[str] = (),
    compression: str | None = None,
) -> Iterator[ClientConnection]:
    """A socket as a page of ours opens it. Raises InvalidStatus where it is refused."""
    with connect(
        f"ws://{browser.site.host}{path}",
        sock=socket.create_connection(("127.0.0.1", browser.site.port), PATIENCE),
        origin=Origin(browser.site.origin if origin is None else origin),
        additional_headers={
            "Cookie": "; ".join(
                f"{name}={cookie.value}" for name, cookie in browser.cookies.items()
            )
        },
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        compression=compression,
        ping_interval=None,
        close_timeout=2,
        max_size=None,
        logger=SILENT,
    ) as connection:
        yield connection
