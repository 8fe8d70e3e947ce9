"""`bff keys`: the keyring's keys, and the public half of those that the provider knows us by."""

import json
from pathlib import Path

import click

from bff.cli.loaded import CONFIG, loaded
from bff.config.client_keys import public_jwks
from bff.keys import new_key, parse_key


@click.group("keys")
def keys() -> None:
    """The keyring, and the keys that the provider knows us by."""


@keys.command("new")
def new() -> None:
    """Print a fresh key; its id goes to standard error."""
    key = new_key()
    click.echo(key)
    click.echo(f"key id: {parse_key(key).kid}", err=True)


@keys.command("jwks")
@CONFIG
def jwks(path: Path) -> None:
    """Print the JWK Set to register at the provider; GET /bff/jwks serves the same."""
    listed = tuple(
        dict.fromkeys(
            key
            for frontend in loaded(path, err=True).frontends
            for each in frontend.providers.values()
            for key in each.client_keys
        )
    )
    if not listed:
        raise click.ClickException("the file has no provider.client_keys")
    click.echo(json.dumps(public_jwks(listed), indent=2))
