"""The file that most commands begin with: its option, and its faults said one a line."""

import sys
from pathlib import Path

import click

from bff.config.load import Config, ConfigFaults, load

CONFIG = click.option(
    "--config",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    help="The file of configuration.",
)


def loaded(path: Path, *, err: bool) -> Config:
    """The configuration; its faults, one a line, and exit 1 if it has any."""
    try:
        return load(path)
    except ConfigFaults as faults:
        for fault in faults.faults:
            click.echo(fault.text(), err=err)
    sys.exit(1)
