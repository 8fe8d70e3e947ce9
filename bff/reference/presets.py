"""What each preset sets, and why: from the files of `bff.config.presets`."""

from bff.config.preset import PRESETS, Departure, departures, title
from bff.reference.markdown import code, plain


def presets() -> str:
    """A list for each preset."""
    return "\n\n".join(map(_preset, PRESETS))


def _preset(name: str) -> str:
    return "\n".join([f"## {name}: {title(name)}", "", *map(_line, departures(name))])


def _line(departure: Departure) -> str:
    where = ", ".join(f"<{source}>" for source in departure.sources)
    set_here = f"{code(departure.line)}: " if departure.line else ""
    return f"- {set_here}{plain(departure.why)} ({where})"
