"""Files with several front ends, for the tests."""

from tests.parts.config import config_text


def frontend_text(
    name: str,
    *,
    origin: str,
    api: str,
    route: str = "",
    more: str = "",
) -> str:
    """One front end's tables; what it does not have of its own stands at the top."""
    return f"""
[frontends.{name}]
origin = "{origin}"

[[frontends.{name}.routes]]
path = "/api"
upstream = "{api}"
strip = true
{route}

{more}
"""


def several_text(*frontends: str, **parts: str) -> str:
    """A whole file of these front ends; `parts` as of a file with one, for what they share."""
    text = config_text(**{"api": "http://127.0.0.1:1", **parts})
    shared, _, tail = text.partition("[provider]")[2].partition("[[routes]]")
    more = tail.partition("strip = true\n")[2]
    return "\n".join([f"[provider]{shared}", *frontends, more])
