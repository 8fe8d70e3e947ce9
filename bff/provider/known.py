"""What a provider has said of itself, and whether that holds under another configuration (P-11).

Under `server`. A reload in an outage shall forget neither metadata nor keys; but what was asked
under other settings, or of whom other certificates vouch for, is asked anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bff.config.certificates import tls_mark
from bff.config.provider_section import Provider
from bff.provider.cached import Copy
from bff.provider.keyset import Keys
from bff.provider.metadata import Metadata

# What the requests for metadata and keys do not say, and what does not decide how their answers are
# read. Whatever is not here asks anew, a key that comes to [provider] later among it.
BESIDE: Final = frozenset(
    {
        "title",
        "default",
        "client_secret",
        "client_keys",
        "scopes",
        "resource",
        "acr_values",
        "parameters",
        "userinfo",
        "silent_login",
        "connections",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a provider, and under what settings and files it was asked."""

    settings: Mapping[str, object] = field(repr=False)
    tls: bytes = field(repr=False)
    metadata: Copy[Metadata] = field(default_factory=Copy)
    keys: Copy[Keys] = field(default_factory=Copy)


def known(config: Provider, former: Known | None) -> Known:
    """The `former`, of whatever age, if the same would be asked in the same way; else nothing yet.

    Raises OSError if a file that `config` names cannot be read."""
    settings = {name: getattr(config, name) for name in Provider.model_fields if name not in BESIDE}
    tls = tls_mark(config.ca_file, config.client_certificate, config.client_key)
    if former is not None and (former.settings, former.tls) == (settings, tls):
        return former
    return Known(settings=settings, tls=tls)
