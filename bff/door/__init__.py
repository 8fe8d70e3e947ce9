"""The door: what is a request at all. It refuses what is not, before anything else is asked."""

from bff.config.load import Config
from bff.door.protocol import Door
from bff.door.rules import Behind, Rules


def door(config: Config, behind: Behind, *, descriptors: int | None = None) -> type[Door]:
    """The protocol class for uvicorn that admits the requests of that configuration.

    `behind`: the application, as far as it is asked before ASGI. `descriptors`: how many files
    the process may open; of two in five, a browser's connection and its upstream's can be made.
    """
    most = config.server.connections
    rules = Rules(
        secure=all(frontend.secure for frontend in config.frontends),
        head_timeout=config.server.head_timeout,
        progress_timeout=config.server.progress_timeout,
        write_timeout=config.server.write_timeout,
        keep_alive=config.server.keep_alive,
        connections=most if descriptors is None else min(most, descriptors * 2 // 5),
    )
    return type("ConfiguredDoor", (Door,), {"rules": rules, "behind": behind})
