"""The command line: serve · check · explain · sessions · keys · dev.

Thin: each command reads its options, calls one room and says what came of it. What a configuration
holds in secret is never said.
"""

import sys
from pathlib import Path

import click

from bff.cli.check import check
from bff.cli.dev import dev
from bff.cli.explain import as_json, as_text, explain
from bff.cli.keys import keys
from bff.cli.loaded import CONFIG, loaded
from bff.cli.named import named, named_as_json, named_as_text, nearest
from bff.cli.sessions import sessions
from bff.config.load import load
from bff.serve.listening import CannotListen
from bff.serve.supervisor import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bff")
def main() -> None:
    """A Backend-for-Frontend: no token ever reaches JavaScript."""


@main.command("serve")
@CONFIG
@click.option("--host", default="127.0.0.1", show_default=True, help="Name or address.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: a free one."
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 256),
    help="Processes that serve; each uses one core.",
)
def serve_command(path: Path, host: str, port: int, workers: int) -> None:
    """Serve, until SIGTERM or Ctrl-C."""
    config = loaded(path, err=True)
    try:
        status = serve(config, host=host, port=port, workers=workers, read=lambda: load(path))
    except CannotListen as error:
        raise click.ClickException(str(error)) from None
    sys.exit(status)


@main.command("explain")
@click.argument("name", metavar="METHOD | REASON | KEY")
@click.argument("target", metavar="[PATH | URL]", required=False)
@click.option(
    "--config", "path", type=click.Path(path_type=Path), help="The file, for METHOD PATH."
)
@click.option("--json", "wants_json", is_flag=True, help="For machines.")
def explain_command(name: str, target: str | None, path: Path | None, wants_json: bool) -> None:
    """Say what would become of a request of our own page, without sending it.

    Or what a reason means (`bff explain session_ended`) or a key of the file (`bff explain
    session.idle`); these need no file.
    """
    if target is None:
        click.echo(_named(name, wants_json))
        return
    if path is None:
        raise click.UsageError("a request is explained by a file: add --config FILE")
    config = loaded(path, err=True)
    if len(config.frontends) > 1 and target.startswith("/"):
        known = ", ".join(each.origin + target for each in config.frontends[:3])
        raise click.UsageError(f"which of the front ends? write the whole URL: {known}")
    explanation = explain(config, name, target)
    click.echo(as_json(explanation) if wants_json else as_text(explanation))


def _named(name: str, wants_json: bool) -> str:
    found = named(name)
    if found is None:
        like = nearest(name)
        mend = f"did you mean {', '.join(like)}?" if like else "a request is METHOD PATH"
        raise click.UsageError(f"there is no reason and no key of that name; {mend}")
    return named_as_json(found) if wants_json else named_as_text(found)


main.add_command(check)
main.add_command(dev)
main.add_command(keys)
main.add_command(sessions)
