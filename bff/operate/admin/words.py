"""Numbers, times and spans as the page says them."""

from datetime import UTC, datetime


def number(value: float) -> str:
    """A count, with thin spaces between the thousands."""
    return f"{round(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def milliseconds(calls: float, seconds: float) -> str:
    """How long one call took on average."""
    if not calls:
        return "\N{EN DASH}"
    mean = seconds / calls * 1000
    return f"{mean:.1f} ms" if mean < 100 else f"{round(mean)} ms"


def clock(at: float) -> str:
    """The time of day."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")


def moment(at: float, shown: str = "%d %b %H:%M:%S") -> str:
    """A time as an element that programs can read too."""
    when = datetime.fromtimestamp(at, UTC)
    return f'<time datetime="{when:%Y-%m-%dT%H:%M:%SZ}">{when.strftime(shown)}</time>'


def counted(count: int) -> str:
    """So many sessions."""
    return "1 session" if count == 1 else f"{number(count)} sessions"
