"""Client authentication: how a request to the authorization server shows that it is ours.

Pure. One method per request, the configured one, and never a credential in a URL (P-06).
"""

import base64
from collections.abc import Mapping
from urllib.parse import quote_plus

from bff.config.model import Provider


def client_credentials(
    config: Provider, form: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Header fields and form of an authenticated request that would send `form`."""
    secret = config.client_secret.get_secret_value() if config.client_secret else ""
    match config.client_authentication:
        case "client_secret_basic":
            # RFC 6749 §2.3.1: form-encoded first, so that a colon in either is no separator.
            pair = f"{quote_plus(config.client_id)}:{quote_plus(secret)}"
            return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}, {**form}
        case "client_secret_post":
            return {}, {**form, "client_id": config.client_id, "client_secret": secret}
        case "none":
            return {}, {**form, "client_id": config.client_id}
