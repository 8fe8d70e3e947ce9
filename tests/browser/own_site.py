"""The example application on a site of its own, where a test wants another configuration."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bff.cli.dev import SPA
from bff.simulator import Client, Plan, running
from tests.parts.config import SECRET, config
from tests.parts.site import Site, bind, serving

STATIC = '[[routes]]\npath = "/"\nstatic = "{folder}"\n'


@contextlib.contextmanager
def own_site(*, folder: Path = SPA, **parts: str) -> Iterator[Site]:
    """On http loopback, with a provider of its own and the files of that folder."""
    listening = bind()
    origin = f"http://localhost:{listening.getsockname()[1]}"
    client = Client(
        client_id="spa",
        client_secret=SECRET,
        redirect_uris=(f"{origin}/bff/callback",),
        post_logout_redirect_uris=(f"{origin}/",),
    )
    with running(Plan(clients=(client,))) as provider:
        text = config(
            issuer=provider.issuer,
            api=provider.api,
            origin=origin,
            route="websocket = true",
            routes=STATIC.format(folder=folder),
            **parts,
        )
        with serving(text, listening) as site:
            yield site
