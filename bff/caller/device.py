"""A device in plain words, from its User-Agent: for a person who looks for a session not theirs.

Only words of these tables are ever said, so nothing that a client made up is kept or shown. The
order counts: most browsers also call themselves by the names of others.
"""

from typing import Final

_BROWSERS: Final = (
    ("Edg/", "Edge"), ("EdgA/", "Edge"), ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"), ("OPT/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("DuckDuckGo/", "DuckDuckGo"), ("Ddg/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"), ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("HeadlessChrome/", "Chrome"),
    ("Version/", "Safari"),
)  # fmt: skip

_SYSTEMS: Final = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
    ("CrOS", "ChromeOS"), ("Macintosh", "macOS"), ("Linux", "Linux"),
)  # fmt: skip


def device_words(user_agent: bytes | None) -> str:
    """As "Firefox on Linux". Never empty."""
    agent = (user_agent or b"").decode("latin-1")[:1000]
    browser = _first(_BROWSERS, agent)
    system = _first(_SYSTEMS, agent)
    if system is None:
        return browser or "Unknown device"
    return f"{browser or 'Unknown browser'} on {system}"


def _first(table: tuple[tuple[str, str], ...], agent: str) -> str | None:
    return next((words for mark, words in table if mark in agent), None)
