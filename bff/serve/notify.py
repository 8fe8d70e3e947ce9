"""What a service manager is told, if it has asked to be: sd_notify(3), without its library.

Started, reloading, stopping, and every now and then that we live (`WatchdogSec=`).
"""

import asyncio
import os
import socket
import time
from contextlib import suppress
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
_ALIVE: Final = "WATCHDOG=1"


def reloading() -> str:
    """The configuration is being read again; READY follows, whatever came of it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def notify(message: str) -> None:
    """Tell it. Where nobody has asked, or nobody listens any more, nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    path = "\0" + address[1:] if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.setblocking(False)
        end.sendto(message.encode(), path)


async def live() -> None:
    """Say so for as long as this runs, twice in the time after which we are taken for dead."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    if not usec.isdecimal() or not int(usec):
        return
    while True:
        notify(_ALIVE)
        await asyncio.sleep(int(usec) / 2e6)
