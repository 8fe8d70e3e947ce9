"""The people of a team, from a file: whom `bff dev --accounts` lets sign in.

[[accounts]]
sub = "17"
name = "Mira Okafor"
email = "mira@example.com"           # sub@example.com if left out
claims = { groups = ["admin"] }      # in every ID token
"""

import tomllib
from pathlib import Path

import msgspec

from bff.simulator.settings import Account, SettingsError


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry; what is left out follows from the name."""

    sub: str
    name: str
    given_name: str | None = None
    family_name: str | None = None
    email: str | None = None
    email_verified: bool = True
    phone_number: str | None = None
    claims: dict[str, object] = {}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    accounts: list[_Written]


def read_accounts(path: Path) -> tuple[Account, ...]:
    """The accounts in the file. Raises SettingsError, which names the fault."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        written = msgspec.convert(document, _File).accounts
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{path} cannot be read: name a UTF-8 file") from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{path}: {error}") from None
    if not written:
        raise SettingsError(f"{path} holds nobody: write [[accounts]], once for each person")
    return tuple(_account(each, place) for place, each in enumerate(written))


def _account(written: _Written, place: int) -> Account:
    given, _, family = written.name.partition(" ")
    phone = {} if written.phone_number is None else {"phone_number": written.phone_number}
    return Account(
        sub=written.sub,
        name=written.name,
        given_name=written.given_name or given,
        family_name=written.family_name or family,
        email=written.email or f"{written.sub}@example.com",
        email_verified=written.email_verified,
        hue=(268 + place * 137) % 360,  # far from those beside it
        claims=written.claims,
        **phone,
    )
