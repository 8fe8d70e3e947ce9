"""The door: what is a request at all. It refuses what is not, before anything else is asked."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from bff.config.load import Config
from bff.door.protocol import Behind, Door, Rules


def door(config: Config, behind: Behind) -> type[Door]:
    """The protocol class for uvicorn that admits the requests of that configuration.

    `behind`: the application, as far as it is asked before ASGI.
    """
    rules = Rules(
        hosts=hosts(config),
        secure=all(frontend.secure for frontend in config.frontends),
        head_timeout=config.server.head_timeout,
        progress_timeout=config.server.progress_timeout,
    )
    return type("ConfiguredDoor", (Door,), {"rules": rules, "behind": behind})


def hosts(config: Config) -> Mapping[bytes, str]:
    """The `Host` values that belong to a front end, with and without a default port."""
    found: dict[bytes, str] = {}
    for frontend in config.frontends:
        parts = urlsplit(frontend.origin)
        found[parts.netloc.encode()] = frontend.name
        if parts.port is None:
            port = 443 if frontend.secure else 80
            found[f"{parts.netloc}:{port}".encode()] = frontend.name
    return found
