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
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click
import uvloop

from bff.app import Application
from bff.cli.overheard import overheard
from bff.config.load import Config, ConfigFaults, FrontEnd, load, parse
from bff.config.values import is_loopback
from bff.journal.log import configure
from bff.keys import new_key
from bff.serve.listening import CannotListen, close, listen
from bff.serve.running import Running

if TYPE_CHECKING:
    from bff.simulator import Account, Plan, Simulator

Command = Callable[..., Any]

REST: Final = 1.8  # seconds from Ctrl-C to the end, at most
SPA: Final = Path(__file__).parents[2] / "example-spa"
CLIENT_ID: Final = "spa"
WELCOME: Final = """
  Open        {origin}
  Sign in as  {names}; no password
  Look at     the seconds left on the access token: it lives for 20 s and is renewed before that;
              the browser's storage and requests: one HttpOnly cookie, and no token anywhere
  Behind it   provider {simulator.issuer}, API {simulator.api}/tasks (401 without a token)
  What goes on, and trouble on demand: {panel}
  Ctrl-C ends it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the three listen. 0: a free one."""

    bff: int
    provider: int
    api: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be served: an application of ours, or a configuration of somebody's own."""

    spa: Path
    config: Path | None
    accounts: Path | None
    audience: str | None


def _port(name: str, default: int, about: str) -> Callable[[Command], Command]:
    ports = click.IntRange(0, 65535)
    return click.option(name, default=default, show_default=True, type=ports, help=about)


@click.command("dev")
@_port("--port", 8080, "Of the application. 0: a free one.")
@_port("--provider-port", 9400, "Of the provider and the panel.")
@_port("--api-port", 9401, "Of the API.")
@click.option(
    "--spa",
    type=click.Path(path_type=Path),
    default=SPA,
    help="Folder of the application; example-spa of the repository if left out.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="A configuration of your own, of which only the provider is replaced; its origin says"
    " the port.",
)
@click.option(
    "--accounts", type=click.Path(path_type=Path), help="Who may sign in: a TOML file of people."
)
@click.option("--audience", help="The `aud` of access tokens, where your own API looks at it.")
def dev(
    port: int,
    provider_port: int,
    api_port: int,
    spa: Path,
    config: Path | None,
    accounts: Path | None,
    audience: str | None,
) -> None:
    """Try it: a provider, an API and an application on this machine, nothing else needed."""
    if config is None and not (spa / "index.html").is_file():
        raise click.ClickException(
            f"no index.html in {spa}: name the folder of an application with --spa"
        )
    configure(human=sys.stdout.isatty())
    ports = Ports(bff=port, provider=provider_port, api=api_port)
    wanted = Wanted(spa=spa, config=config, accounts=accounts, audience=audience)
    try:
        uvloop.run(_run(ports, wanted))
    except CannotListen as error:
        raise click.ClickException(str(error)) from None
    except ConfigFaults as error:
        raise click.ClickException(f"{config}:\n{error}") from None


async def _run(ports: Ports, wanted: Wanted) -> None:
    # Here, so that a server in production never loads it.
    from bff.simulator import start

    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    for port, option in ((ports.provider, "--provider-port"), (ports.api, "--api-port")):
        close(listen("127.0.0.1", port, option=option))  # the simulator would not name the option
    client_secret = secrets.token_urlsafe(32)
    people = _people(wanted.accounts)
    origins, scopes, port = _place(wanted, ports)
    sockets = _loopback(port)
    origins = origins or (f"http://localhost:{sockets[0].getsockname()[1]}",)
    origin = origins[0]
    simulator = await start(_plan(origins, client_secret, ports, wanted, scopes, people))
    config = _config(wanted, simulator, origin, client_secret)
    realm = simulator.realm
    heard = overheard(realm.exchanges.add, now=realm.clock.now)
    running = Running(config, Application(config), around=heard)
    await running.start(sockets)
    names = ", ".join(account.name for account in people)
    panel = f"{simulator.issuer}/panel"
    click.echo(WELCOME.format(origin=origin, names=names, simulator=simulator, panel=panel))
    sys.stdout.flush()
    await stopped.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REST):
            await running.stop(within=0.5)
            await simulator.stop()


def _people(path: Path | None) -> tuple["Account", ...]:
    from bff.simulator import ACCOUNTS, SettingsError, read_accounts

    try:
        return ACCOUNTS if path is None else read_accounts(path)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def _place(wanted: Wanted, ports: Ports) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """The origins and the scopes of a configuration of somebody's own, and where to listen."""
    if wanted.config is None:
        return (), (), ports.bff
    # The provider's address is not known before it listens; any will do to read the rest.
    stand_in = _provider("http://127.0.0.1:9", "not yet")
    frontends = load(wanted.config, dev=True, provider=stand_in).frontends
    scopes: list[str] = []
    found: set[int] = set()
    for frontend in frontends:
        parts = urlsplit(frontend.origin)
        if not is_loopback(parts.hostname):
            raise click.ClickException(
                f"{wanted.config}: origin {frontend.origin} is not on this machine; write a file of"
                ' its own for development, with origin = "http://localhost:8080"'
            )
        found.add(parts.port or (443 if parts.scheme == "https" else 80))
        scopes += [*frontend.provider.scopes, *_plain_scopes(frontend)]
    if len(found) > 1:
        raise click.ClickException(
            f"{wanted.config}: its origins have several ports, and there is one that listens"
        )
    return tuple(each.origin for each in frontends), tuple(scopes), found.pop()


def _plain_scopes(frontend: FrontEnd) -> list[str]:
    """Those that routes ask for; made of no claim, for nobody has signed in yet."""
    return [each for route in frontend.routes for each in route.scopes if "{" not in each]


def _plan(
    origins: tuple[str, ...],
    client_secret: str,
    ports: Ports,
    wanted: Wanted,
    scopes: tuple[str, ...],
    people: tuple["Account", ...],
) -> "Plan":
    from bff.simulator import SCOPES, Client, Plan

    client = Client(
        client_id=CLIENT_ID,
        client_secret=client_secret,
        client_name="Example" if wanted.config is None else "Your application",
        redirect_uris=tuple(f"{origin}/bff/callback" for origin in origins),
        post_logout_redirect_uris=tuple(f"{origin}/" for origin in origins),
        backchannel_logout_uri=f"{origins[0]}/bff/backchannel-logout",
        scopes=tuple(dict.fromkeys((*SCOPES, *scopes))),
    )
    plan = Plan(
        clients=(client,),
        accounts=people,
        issuer_port=ports.provider,
        api_port=ports.api,
    )
    return plan if wanted.audience is None else replace(plan, audience=wanted.audience)


def _provider(issuer: str, client_secret: str) -> dict[str, object]:
    """What stands in for a file's provider."""
    return {"issuer": issuer, "client_id": CLIENT_ID, "client_secret": client_secret}


def _config(wanted: Wanted, simulator: "Simulator", origin: str, client_secret: str) -> Config:
    if wanted.config is not None:
        provider = _provider(simulator.issuer, client_secret)
        return load(wanted.config, dev=True, provider=provider)
    return dev_config(
        origin=origin,
        issuer=simulator.issuer,
        api=simulator.api,
        client_secret=client_secret,
        spa=wanted.spa,
    )


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
websocket = true

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
