"""Configurations for the tests, as the text of a file."""

import os

from bff.config.load import Config, parse
from bff.keys import new_key

SECRET = "s3cret with : % + and a space"
os.environ.setdefault("BFF_TEST_SECRET", SECRET)
os.environ.setdefault("BFF_TEST_WRONG_SECRET", "a wrong secret, which is one as well")
os.environ.setdefault("BFF_TEST_KEY", new_key())


def config_text(
    *,
    issuer: str,
    api: str,
    store: str = "memory:",
    origin: str = "https://app.example.com",
    provider: str = "",
    session: str = "",
    route: str = "",
    routes: str = "",
    client_id: str = "spa",
    secret: str = "BFF_TEST_SECRET",
    key: str = "BFF_TEST_KEY",
    keys: str = "",
    more: str = "",
) -> str:
    """A whole file; the named parts are added to their tables."""
    return f"""
origin = "{origin}"

[provider]
issuer = "{issuer}"
client_id = "{client_id}"
{f'client_secret = {{ env = "{secret}" }}' if secret else ""}
scopes = ["openid", "profile", "email", "offline_access"]
{provider}

[session]
store = "{store}"
claims = ["name", "email", "picture"]
{session}

[keys]
current = {{ env = "{key}" }}
{keys}

[[routes]]
path = "/api"
upstream = "{api}"
strip = true
{route}

{routes}

{more}
"""


def config(**parts: str) -> Config:
    return parse(config_text(**parts), dev=True)
