"""Keys, commands and targets that the manual names in a sentence are those that there are."""

import re
from collections.abc import Iterator

import click

from bff.cli import main
from bff.config.manual import manual
from bff.config.model import File
from tests.ship.conftest import ROOT
from tests.ship.fenced import PAGES, prose


def words() -> Iterator[tuple[str, str]]:
    """Every `word` outside of a block, with its page."""
    for page in PAGES:
        for word in re.findall(r"`([^`\n]+)`", prose(page)):
            yield str(page.relative_to(ROOT)), word


def test_every_key_that_is_named_is_one_of_the_file() -> None:
    tables = "|".join(name for name in File.model_fields if name != "origin")
    key = re.compile(rf"({tables})\.[a-z_]+")
    named = {(page, word) for page, word in words() if key.fullmatch(word)}
    assert len(named) > 50
    assert sorted(each for each in named if each[1] not in manual()) == []


def test_every_command_that_is_named_can_be_typed() -> None:
    named = {(page, word) for page, word in words() if word.startswith("bff ")}
    assert len(named) > 10
    assert sorted(each for each in named if not is_command(each[1].split()[1:])) == []


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {(page, found[1]) for page, word in words() if (found := re.match(r"make (\w+)", word))}
    assert len(named) > 10
    assert sorted(each for each in named if each[1] not in targets) == []


def is_command(typed: list[str]) -> bool:
    """Whether there is such a command, with these options. `COMMAND` is any."""
    command: click.Command = main
    while typed and isinstance(command, click.Group) and typed[0] in command.commands:
        command, typed = command.commands[typed[0]], typed[1:]
    if isinstance(command, click.Group) and typed and not typed[0].startswith("--"):
        return typed[0] == "COMMAND"
    options = {name for each in command.get_params(click.Context(command)) for name in each.opts}
    return {word for word in typed if word.startswith("--")} <= options | {"--help"}
