"""The codes of risky choices: a closed set, so that a file can accept one by its name."""

from typing import Literal

RiskCode = Literal[
    "admin_without_tls",
    "anonymous_client",
    "assertion_audience",
    "client_secret_post",
    "dev_server",
    "documents",
    "front_channel_logout",
    "opener_kept",
    "plaintext_upstream",
    "referrer_to_all",
    "store_without_password",
    "store_without_tls",
    "weak_policy",
    "wide_session_token",
]
