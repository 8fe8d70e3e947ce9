"""Where an upstream's answer points to, as the browser must read it. Pure."""

from urllib.parse import urlsplit

from bff.config.values import canonical_origin
from bff.relay.way import Relayed


def public_location(way: Relayed, location: bytes) -> bytes:
    """A location on the upstream's own origin as the browser knows it; others as they are."""
    text = location.decode("latin-1")
    try:
        parts = urlsplit(text)
        own = bool(parts.netloc) and (
            canonical_origin(parts.scheme or _scheme(way), parts.hostname or "", parts.port)
            == way.upstream_origin
        )
    except (ValueError, KeyError):
        return location
    if parts.netloc and not own:
        return location
    if not parts.netloc and (parts.scheme or not text.startswith("/")):
        return location  # another scheme, or relative to the page's own path
    path = parts.path.encode("latin-1") or b"/"
    rest = location[len(text) - len(_after_path(text)) :]
    if path == way.base or path.startswith(way.base + b"/"):
        inner = path[len(way.base) :]
        path = (way.prefix + inner if way.route.strip else inner) or b"/"
    # An upstream could answer //evil as a path; the browser would read a host (L-09).
    return b"/" + path.lstrip(b"/") + rest


def _scheme(way: Relayed) -> str:
    return way.upstream_origin.partition("://")[0]


def _after_path(text: str) -> str:
    places = [place for place in (text.find("?"), text.find("#")) if place >= 0]
    return text[min(places) :] if places else ""
