"""`bff dev`: provider, API and BFF in one process and one event loop, on loopback, for a look.

The only room that knows the simulator. Nothing here is for production: secrets are made up at
every start, sessions live in memory, and the provider signs anybody in.
"""

import asyncio
import contextlib
import json
import secrets
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import uvloop

from bff.app import Application
from bff.config.load import Config, parse
from bff.journal.log import configure
from bff.keys import new_key
from bff.serve.listening import CannotListen, close, listen
from bff.serve.running import Running

if TYPE_CHECKING:
    from bff.simulator import Plan

REST: Final = 1.8  # seconds from Ctrl-C to the end, at most
SPA: Final = Path(__file__).parents[2] / "example-spa"
CLIENT_ID: Final = "spa"
WELCOME: Final = """
  Open        {origin}
  Sign in as  {names}; no password
  Look at     the seconds left on the access token: it lives for 20 s and is renewed before that;
              the browser's storage and requests: one HttpOnly cookie, and no token anywhere
  Behind it   provider {simulator.issuer}, API {simulator.api}/tasks (401 without a token)
  Ctrl-C ends it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the three listen. 0: a free one."""

    bff: int
    provider: int
    api: int


@click.command("dev")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
@click.option("--provider-port", default=9400, show_default=True, type=click.IntRange(0, 65535))
@click.option("--api-port", default=9401, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--spa",
    type=click.Path(path_type=Path),
    default=SPA,
    help="Folder of the application; example-spa of the repository if left out.",
)
def dev(port: int, provider_port: int, api_port: int, spa: Path) -> None:
    """Try it: a provider, an API and an application on this machine, nothing else needed."""
    if not (spa / "index.html").is_file():
        raise click.ClickException(
            f"no index.html in {spa}: name the folder of an application with --spa"
        )
    configure(human=sys.stdout.isatty())
    try:
        uvloop.run(_run(Ports(bff=port, provider=provider_port, api=api_port), spa))
    except CannotListen as error:
        raise click.ClickException(str(error)) from None


async def _run(ports: Ports, spa: Path) -> None:
    # Here, so that a server in production never loads it.
    from bff.simulator import ACCOUNTS, start

    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    for port, option in ((ports.provider, "--provider-port"), (ports.api, "--api-port")):
        close(listen("127.0.0.1", port, option=option))  # the simulator would not name the option
    sockets = _loopback(ports.bff)
    origin = f"http://localhost:{sockets[0].getsockname()[1]}"
    client_secret = secrets.token_urlsafe(32)
    simulator = await start(_plan(origin, client_secret, ports))
    config = dev_config(
        origin=origin,
        issuer=simulator.issuer,
        api=simulator.api,
        client_secret=client_secret,
        spa=spa,
    )
    running = Running(config, Application(config))
    await running.start(sockets)
    names = ", ".join(account.name for account in ACCOUNTS)
    click.echo(WELCOME.format(origin=origin, names=names, simulator=simulator))
    sys.stdout.flush()
    await stopped.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REST):
            await running.stop(within=0.5)
            await simulator.stop()


def _plan(origin: str, client_secret: str, ports: Ports) -> "Plan":
    from bff.simulator import Client, Plan

    client = Client(
        client_id=CLIENT_ID,
        client_secret=client_secret,
        client_name="Example",
        redirect_uris=(f"{origin}/bff/callback",),
        post_logout_redirect_uris=(f"{origin}/",),
    )
    return Plan(clients=(client,), issuer_port=ports.provider, api_port=ports.api)


def _loopback(port: int) -> list[socket.socket]:
    """localhost, as browsers understand it: IPv4, and IPv6 where this machine has it."""
    option = "--port (with make: PORT=)"
    sockets = listen("127.0.0.1", port, option=option)
    try:
        sockets += listen("::1", sockets[0].getsockname()[1], option=option)
    except CannotListen as error:
        if not error.absent:
            close(sockets)
            raise
    return sockets


def dev_config(*, origin: str, issuer: str, api: str, client_secret: str, spa: Path) -> Config:
    """What `bff dev` serves: the text of a file like any other, with secrets written in it."""
    return parse(
        f"""
origin = {_quoted(origin)}

[provider]
issuer = {_quoted(issuer)}
client_id = "{CLIENT_ID}"
client_secret = {_quoted(client_secret)}
scopes = ["openid", "profile", "email", "offline_access"]
userinfo = false

[session]
store = "memory:"
claims = ["name", "email", "picture"]

[refresh]
ahead = 0.5  # of 20 s, so that it is seen
jitter = 0.2

[keys]
current = {_quoted(new_key())}

[[routes]]
path = "/api"
upstream = {_quoted(api)}
strip = true

[[routes]]
path = "/"
static = {_quoted(str(spa))}
content_security_policy = {_quoted(_policy(issuer))}
""",
        dev=True,
    )


def _policy(issuer: str) -> str:
    """The application's own policy: pictures come from the provider, nothing else from abroad."""
    return (
        f"default-src 'self'; img-src 'self' https: {issuer} data:; object-src 'none'; "
        "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    )


def _quoted(text: str) -> str:
    """The text as a string of the file: JSON's escapes are TOML's too."""
    return json.dumps(text)
