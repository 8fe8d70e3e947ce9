"""Files with several providers, for the tests."""

from tests.parts.config import config_text


def provider_text(name: str, issuer: str, more: str = "connections = 1000") -> str:
    """One of them."""
    return f"""
[providers.{name}]
issuer = "{issuer}"
client_id = "spa"
client_secret = {{ env = "BFF_TEST_SECRET" }}
scopes = ["openid", "profile", "email", "offline_access"]
{more}
"""


def several_text(*providers: str, api: str, **parts: str) -> str:
    """A whole file of these providers."""
    text = config_text(issuer="http://127.0.0.1:1", api=api, **parts)
    head, _, rest = text.partition("[provider]")
    return head + "".join(providers) + "[session]" + rest.partition("[session]")[2]
