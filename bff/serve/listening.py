"""Listening sockets: bound before anything else is started, and a clear word where that fails.

Or inherited from a service manager that holds them over a restart: sd_listen_fds(3), without its
library. What connects between two processes waits, and nobody is refused.
"""

import errno
import os
import socket
from typing import Final

BACKLOG: Final = 2048
FIRST_DESCRIPTOR: Final = 3  # SD_LISTEN_FDS_START
OPERATIONS: Final = "operations"  # the name of a descriptor that is not for the public


class CannotListen(Exception):
    """An address that cannot be had; the message names it and the option that changes it.

    `absent`: this machine has no such address."""

    def __init__(self, message: str, *, absent: bool = False) -> None:
        super().__init__(message)
        self.absent = absent


def listen(host: str, port: int, *, option: str) -> list[socket.socket]:
    """Listening sockets on every address of the host. Port 0 takes a free one on each.

    `option`: what to change when that fails. Raises CannotListen, and then nothing is left open.
    """
    shown = _shown(host, port)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise CannotListen(f"{shown}: no such host; change {option}", absent=True) from None
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            sockets.append(_bound(family, address))
    except OSError as error:
        close(sockets)
        why = _WHY.get(error.errno or 0, "cannot be listened on")
        absent = error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
        raise CannotListen(f"{shown} {why}; change {option}", absent=absent) from None
    return sockets


def inherited() -> tuple[list[socket.socket], list[socket.socket]]:
    """The public ones that were handed to this process, and those of the operations address.

    Which is which says `FileDescriptorName=`; none are as good as empty. They are taken once: no
    child finds them again. Raises CannotListen where one of them is no listening socket of TCP.
    """
    pid, count, named = (
        os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    )
    if pid != str(os.getpid()) or not count.isdecimal():
        return [], []
    names = dict(enumerate(named.split(":")))
    public: list[socket.socket] = []
    operations: list[socket.socket] = []
    for place in range(int(count)):
        kind = operations if names.get(place) == OPERATIONS else public
        kind.append(_taken(FIRST_DESCRIPTOR + place))
    return public, operations


def _taken(descriptor: int) -> socket.socket:
    refused = CannotListen(
        f"descriptor {descriptor}, handed over by the service manager, is no listening socket of "
        "TCP; change ListenStream in its socket unit"
    )
    try:
        taken = socket.socket(fileno=descriptor)
    except OSError:
        raise refused from None
    listens = taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listens or taken.proto != socket.IPPROTO_TCP:
        taken.close()
        raise refused
    taken.set_inheritable(False)
    taken.setblocking(False)
    return taken


_WHY: Final = {
    errno.EADDRINUSE: "is taken by another process",
    errno.EACCES: "may not be listened on by this user",
    errno.EADDRNOTAVAIL: "is no address of this machine",
}


def _bound(family: int, address: object) -> socket.socket:
    # The protocol by name: asyncio sets TCP_NODELAY only on sockets that say IPPROTO_TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def close(sockets: list[socket.socket]) -> None:
    """Close them all."""
    for each in sockets:
        each.close()


def address(listening: socket.socket) -> str:
    """Host and port of a bound socket."""
    return _shown(*listening.getsockname()[:2])


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
