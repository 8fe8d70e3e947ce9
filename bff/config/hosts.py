"""Which front end answers for which `Host`."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from bff.config.load import FrontEnd


def hosts(frontends: Iterable[FrontEnd]) -> Mapping[bytes, str]:
    """The `Host` values that belong to a front end, with and without a default port."""
    found: dict[bytes, str] = {}
    for frontend in frontends:
        parts = urlsplit(frontend.origin)
        found[parts.netloc.encode()] = frontend.name
        if parts.port is None:
            port = 443 if frontend.secure else 80
            found[f"{parts.netloc}:{port}".encode()] = frontend.name
    return found
