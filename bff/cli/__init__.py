"""The command line: serve · check · explain · keys · dev.

Thin: each command reads its options, calls one room and says what came of it. What a configuration
holds in secret is never said.
"""

import asyncio
import sys
from pathlib import Path

import click

from bff.cli.dev import dev
from bff.cli.explain import as_json, as_text, explain
from bff.cli.online import ask_around
from bff.config.load import Config, ConfigFaults, load
from bff.config.risks import risks
from bff.keys import new_key, parse_key
from bff.serve.listening import CannotListen
from bff.serve.supervisor import serve

_CONFIG = click.option(
    "--config",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    help="The file of configuration.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bff")
def main() -> None:
    """A Backend-for-Frontend: no token ever reaches JavaScript."""


@main.command("serve")
@_CONFIG
@click.option("--host", default="127.0.0.1", show_default=True, help="Name or address.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256))
def serve_command(path: Path, host: str, port: int, workers: int) -> None:
    """Serve, until SIGTERM or Ctrl-C."""
    config = _loaded(path, err=True)
    try:
        status = serve(config, host=host, port=port, workers=workers, read=lambda: load(path))
    except CannotListen as error:
        raise click.ClickException(str(error)) from None
    sys.exit(status)


@main.command("check")
@_CONFIG
@click.option("--online", is_flag=True, help="Also ask the store and the provider.")
def check_command(path: Path, online: bool) -> None:
    """Name every fault of a file at once, and what is risky in a good one."""
    config = _loaded(path, err=False)
    click.echo("no faults")
    for risk in risks(config):
        click.echo(f"warning: {risk.text()}")
    if online:
        findings = asyncio.run(ask_around(config))
        for finding in findings:
            mark = "ok  " if finding.ok else "FAIL"
            click.echo(f"{mark} {finding.about}: {finding.said}")
        sys.exit(0 if all(finding.ok for finding in findings) else 1)


@main.command("explain")
@click.argument("method")
@click.argument("target", metavar="PATH")
@_CONFIG
@click.option("--json", "wants_json", is_flag=True, help="For machines.")
def explain_command(method: str, target: str, path: Path, wants_json: bool) -> None:
    """Say what would become of a request of our own page, without sending it."""
    explanation = explain(_loaded(path, err=True), method, target)
    click.echo(as_json(explanation) if wants_json else as_text(explanation))


@main.group("keys")
def keys_group() -> None:
    """The keyring."""


@keys_group.command("new")
def keys_new() -> None:
    """Print a fresh key; its id goes to standard error."""
    key = new_key()
    click.echo(key)
    click.echo(f"key id: {parse_key(key).kid}", err=True)


main.add_command(dev)


def _loaded(path: Path, *, err: bool) -> Config:
    """The configuration; its faults, one a line, and exit 1 if it has any."""
    try:
        return load(path)
    except ConfigFaults as faults:
        for fault in faults.faults:
            click.echo(fault.text(), err=err)
    sys.exit(1)
