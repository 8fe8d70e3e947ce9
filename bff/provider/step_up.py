"""Whether a sign-in was as fresh and as strong as it was asked to be. Pure.

A provider may ignore `acr_values`, and a person may take `max_age` out of the URL on the way: only
the ID token says what came of it (OpenID Connect Core §3.1.2.1, §3.1.3.7).
"""

from bff.provider.identity import IdToken


def falls_short(
    id_token: IdToken, *, max_age: int | None, acr_values: str | None, earliest: float
) -> bool:
    """Whether the token does not show what was asked for; `earliest`: now, less the skew."""
    fresh = max_age is None or (
        id_token.auth_time is not None and earliest - id_token.auth_time <= max_age
    )
    wanted = (acr_values or "").split()
    strong = not wanted or id_token.acr in wanted
    return not (fresh and strong)
