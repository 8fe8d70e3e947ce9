"""Claims about a person, by scope (OpenID Connect Core §5.4)."""

from collections.abc import Iterable

from bff.simulator.settings import Account, Settings


def scoped_claims(settings: Settings, account: Account, scope: Iterable[str]) -> dict[str, object]:
    """What these scopes show of the account; `sub` is not among it."""
    by_scope: dict[str, dict[str, object]] = {
        "profile": {
            "name": account.name,
            "given_name": account.given_name,
            "family_name": account.family_name,
            "preferred_username": account.sub,
            "picture": f"{settings.base}/avatars/{account.sub}.svg",
        },
        "email": {"email": account.email, "email_verified": account.email_verified},
        "phone": {"phone_number": account.phone_number, "phone_number_verified": True},
    }
    return {
        claim: value for name in scope for claim, value in by_scope.get(name, {}).items()
    } | dict(account.claims)
