"""`python -m bff.simulator`: provider and API as a process of their own.

When both listen, one line of JSON on standard output says where: `issuer`, `control`, `api`.
SIGTERM or SIGINT ends it with status 0. It prints nothing else.
"""

import asyncio
import json
import os
import signal
import sys

import click
import msgspec

from bff.simulator.running import Plan, start
from bff.simulator.settings import SIGNING_ALGS, Client, SettingsError
from bff.simulator.switches import Switches, changed


async def _run(plan: Plan) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    simulator = await start(plan)
    addresses = {
        "issuer": simulator.issuer,
        "control": simulator.control,
        "api": simulator.api,
    }
    click.echo(json.dumps(addresses))
    sys.stdout.flush()
    await stopped.wait()
    await simulator.stop()


@click.command()
@click.option("--issuer-host", default="127.0.0.1", show_default=True)
@click.option("--issuer-port", default=9400, show_default=True, help="0 takes a free one.")
@click.option("--issuer-path", default="", help="Of the issuer, e.g. /realms/dev; may end in /.")
@click.option("--api-host", default="127.0.0.1", show_default=True)
@click.option("--api-port", default=9401, show_default=True, help="0 takes a free one.")
@click.option("--api-write-scope", help="Scope the API demands of every method but GET.")
@click.option("--redirect-uri", multiple=True, required=True, help="Exact; may be repeated.")
@click.option("--post-logout-redirect-uri", multiple=True, help="Exact; may be repeated.")
@click.option("--backchannel-logout-uri", help="On loopback: is told of logouts.")
@click.option("--frontchannel-logout-uri", help="Shown in a frame at logout.")
@click.option("--client-id", default="spa", show_default=True)
@click.option("--client-name", default="The application", show_default=True)
@click.option(
    "--client-secret-env",
    default="SIMULATOR_CLIENT_SECRET",
    show_default=True,
    help="Environment variable that holds the client's secret.",
)
@click.option("--id-token-alg", type=click.Choice(SIGNING_ALGS), default="RS256", show_default=True)
@click.option("--switches", default="{}", help="JSON; the habits of bff.simulator.switches.")
def main(
    issuer_host: str,
    issuer_port: int,
    issuer_path: str,
    api_host: str,
    api_port: int,
    api_write_scope: str | None,
    redirect_uri: tuple[str, ...],
    post_logout_redirect_uri: tuple[str, ...],
    backchannel_logout_uri: str | None,
    frontchannel_logout_uri: str | None,
    client_id: str,
    client_name: str,
    client_secret_env: str,
    id_token_alg: str,
    switches: str,
) -> None:
    """Run the development OpenID provider and the small API, on loopback."""
    if not os.environ.get(client_secret_env):
        raise click.ClickException(f"set {client_secret_env} to the client's secret")
    try:
        plan = Plan(
            clients=(
                Client(
                    client_id=client_id,
                    client_secret=os.environ[client_secret_env],
                    client_name=client_name,
                    redirect_uris=redirect_uri,
                    post_logout_redirect_uris=post_logout_redirect_uri,
                    backchannel_logout_uri=backchannel_logout_uri,
                    frontchannel_logout_uri=frontchannel_logout_uri,
                    id_token_signed_response_alg=id_token_alg,
                ),
            ),
            switches=changed(Switches(), msgspec.json.decode(switches, type=dict[str, object])),
            issuer_host=issuer_host,
            issuer_port=issuer_port,
            issuer_path=issuer_path,
            api_host=api_host,
            api_port=api_port,
            api_write_scope=api_write_scope,
        )
        asyncio.run(_run(plan))
    except (SettingsError, msgspec.DecodeError, OSError) as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
