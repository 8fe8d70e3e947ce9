"""What supervisor and worker say to each other: one line of JSON per message, on a socket pair.

Down comes first the configuration itself, as the parent has read it: a worker that is started
anew serves what the others serve, whatever has become of the file. Another one may follow, to be
served instead. Then the word that the end is near, and the word to stop. The end
of the stream says the same: the parent is gone. Up comes, about once a second, how the worker is.
"""

import asyncio
import base64
import json
import pickle
import socket
from typing import Final

from bff.config.load import Config
from bff.journal.metrics import Snapshot

LIMIT: Final = 64 * 1024 * 1024  # octets of a line; a large configuration is one line
SECONDS: Final = 1.0  # between two reports

Line = dict[str, object]


def serve_line(config: Config) -> Line:
    """The configuration to serve. It holds the secrets: this line goes nowhere else."""
    return {"serve": base64.b64encode(pickle.dumps(config)).decode()}


def config_of(line: Line) -> Config | None:
    """The configuration in a `serve` line, or None: it is another line."""
    if "serve" not in line:
        return None
    # Only the supervisor holds the other end of the pair, so nobody else can have written it.
    config = pickle.loads(base64.b64decode(str(line["serve"])))  # noqa: S301 - see above
    if not isinstance(config, Config):
        raise TypeError("not a configuration")
    return config


LEAVE: Final[Line] = {"leave": True}  # there will be no new connections soon: let go of the old
STOP: Final[Line] = {"stop": True}


def report_line(troubles: list[str], taken: Snapshot) -> Line:
    """How the worker is: why it is not ready, nothing if it is; and what it has counted."""
    return {"troubles": troubles, "metrics": taken}


def troubles_of(line: Line) -> list[str]:
    """The troubles in a report."""
    troubles = line.get("troubles")
    return [str(each) for each in troubles] if isinstance(troubles, list) else []


def metrics_of(line: Line) -> Snapshot:
    """What a report's worker has counted."""
    metrics = line.get("metrics")
    if not isinstance(metrics, dict):
        return {}
    return {
        name: [(tuple(labels), value) for labels, value in series]
        for name, series in metrics.items()
    }


class Channel:
    """One end of the pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """The channel over one end of a socket pair. Raises OSError, and then closes the end."""
        try:
            end.setblocking(False)
            return cls(*await asyncio.open_unix_connection(sock=end, limit=LIMIT))
        except OSError:
            end.close()
            raise

    async def read(self) -> Line | None:
        """The next message, or None: the other side is gone."""
        try:
            line = await self._reader.readline()
        except OSError:
            return None
        if not line.endswith(b"\n"):
            return None
        message = json.loads(line)
        return message if isinstance(message, dict) else {}

    async def write(self, message: Line) -> None:
        """Send a message. If the other side is gone nothing happens: `read` tells."""
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            await self._writer.drain()
        except OSError:
            return

    def close(self) -> None:
        """Close this end."""
        self._writer.close()
