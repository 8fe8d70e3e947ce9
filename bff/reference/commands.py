"""Every command and its options: from click."""

from collections.abc import Iterator
from typing import Final

import click

from bff.cli import main
from bff.reference.markdown import code, plain, table

_HEAD: Final = ("option", "value", "default", "what")


def commands() -> str:
    """A paragraph for each, and a table of its options."""
    return "\n\n".join(_commands(main, "bff"))


def _commands(command: click.Command, name: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for part, each in sorted(command.commands.items()):
            yield from _commands(each, f"{name} {part}")
    else:
        yield _command(command, name)


def _command(command: click.Command, name: str) -> str:
    arguments = [
        each.make_metavar(click.Context(command))
        for each in command.params
        if isinstance(each, click.Argument)
    ]
    options = [each for each in command.params if isinstance(each, click.Option)]
    parts = [f"## {name}", plain(_said(command.help or ""))]
    if arguments:
        parts.append(code(" ".join([name, *arguments])))
    if options:
        parts.append(table(_HEAD, map(_row, options)))
    return "\n\n".join(parts)


def _row(option: click.Option) -> tuple[str, ...]:
    value = "" if option.is_flag else _value(option)
    shown = option.show_default and option.default is not None
    default = str(option.default) if shown else "must be given" if option.required else ""
    return (code(option.opts[0]), value, default, plain(option.help or ""))


def _value(option: click.Option) -> str:
    if isinstance(option.type, click.IntRange):
        return f"{option.type.min} to {option.type.max}"
    return option.type.name


def _said(text: str) -> str:
    """Its paragraphs as one."""
    return " ".join(text.split())
