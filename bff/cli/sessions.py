"""`bff sessions`: who is signed in, and signing them out, straight on the store (S-17).

What it says for people goes to standard error; a list, and the auditor's line for each session that
was ended, to standard output.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from bff.app import build, close_site
from bff.cli.loaded import CONFIG, loaded
from bff.config.load import Config, FrontEnd
from bff.config.store_url import StoreKind, parse_store_url
from bff.journal.log import configure
from bff.session.people import Listed, People
from bff.session.store import StoreUnavailable

T = TypeVar("T")

_CAUSE: Final = "by_an_operator"
_COLUMNS: Final = ("handle", "subject", "device", "created_at", "last_seen_at", "address")
_FRONTEND = click.option("--frontend", "name", help="Which one, where there are several.")
_SUBJECT = click.option("--subject", help="The `sub` of one person.")


@click.group("sessions")
def sessions() -> None:
    """Who is signed in; and signing people out, at once and everywhere."""


@sessions.command("list")
@CONFIG
@_FRONTEND
@_SUBJECT
@click.option("--all", "everybody", is_flag=True, help="Everybody's.")
@click.option("--json", "wants_json", is_flag=True, help="For machines: one object a line.")
def list_command(
    path: Path, name: str | None, subject: str | None, everybody: bool, wants_json: bool
) -> None:
    """List the sessions of a person or of everybody, the newest first."""
    _one_of({"--subject": subject is not None, "--all": everybody})
    found = _with_people(path, name, lambda people: _meant(people, subject, None))
    rows = [_row(each) for each in found]
    for line in map(json.dumps, rows) if wants_json else _table(rows):
        click.echo(line)


@sessions.command("end")
@CONFIG
@_FRONTEND
@_SUBJECT
@click.option("--handle", help="One session, by the handle that the list shows.")
@click.option("--all", "everybody", is_flag=True, help="Everybody's.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def end_command(
    path: Path,
    name: str | None,
    subject: str | None,
    handle: str | None,
    everybody: bool,
    yes: bool,
) -> None:
    """End one session, those of a person, or everybody's. Their tokens are destroyed."""
    _one_of({"--subject": subject is not None, "--handle": handle is not None, "--all": everybody})

    async def end(people: People) -> int:
        meant = await _meant(people, subject, handle)
        if meant and not yes:
            click.confirm(f"End {_counted(len(meant))}?", abort=True, err=True)
        if subject is not None:
            await people.end_all(subject, spared=None, cause=_CAUSE)
        else:
            await people.end(meant, cause=_CAUSE)
        return len(meant)

    count = _with_people(path, name, end)
    click.echo(f"{_counted(count)} ended", err=True)


def _counted(count: int) -> str:
    return f"{count} session" if count == 1 else f"{count} sessions"


async def _meant(people: People, subject: str | None, handle: str | None) -> list[Listed]:
    """The live sessions of a person, or of everybody; of these the one with that handle."""
    if subject is not None:
        return await people.listed(subject)
    found = await people.everyone()
    return [each for each in found if handle in (None, each.entry.handle)]


def _with_people(
    path: Path, name: str | None, work: Callable[[People], Coroutine[Any, Any, T]]
) -> T:
    """Do the work with the people of a front end, on its own store."""
    config = loaded(path, err=True)
    frontend = _frontend(config, name)
    if parse_store_url(frontend.session.store.get_secret_value()).kind is StoreKind.MEMORY:
        raise click.ClickException(
            "session.store is memory:, which lives in the process that serves and cannot be asked"
        )
    configure(human=False)

    async def main() -> T:
        site = build(config, {})
        try:
            front = site.fronts[frontend.name].front
            await front.sessions.store.ping()  # sets the clock
            return await work(front.people)
        finally:
            await close_site(site, frontend.session.store_deadline)

    try:
        return asyncio.run(main())
    except StoreUnavailable:
        raise click.ClickException(
            "the store does not answer, or does not let us: try again, nothing is done twice"
        ) from None


def _frontend(config: Config, name: str | None) -> FrontEnd:
    known = {each.name: each for each in config.frontends}
    if name is None and len(known) == 1:
        return config.frontends[0]
    if name not in known:
        raise click.UsageError(f"name one with --frontend: {', '.join(sorted(known))}")
    return known[name]


def _one_of(given: dict[str, bool]) -> None:
    if sum(given.values()) != 1:
        raise click.UsageError(f"give one of {', '.join(given)}")


def _row(listed: Listed) -> dict[str, str | None]:
    entry = listed.entry
    times = (entry.created_at, listed.live.seen_at)
    created, seen = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in times)
    values = (entry.handle, entry.sub, entry.device, created, seen, entry.address)
    return dict(zip(_COLUMNS, values, strict=True))


def _table(rows: Iterable[dict[str, str | None]]) -> list[str]:
    """The rows under their names, each column as wide as it must be."""
    lines = [[name.replace("_", " ") for name in _COLUMNS]]
    lines += [[_printable(row[name]) for name in _COLUMNS] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _printable(text: str | None) -> str:
    """A `sub` is the provider's text: on a terminal it must not be more than that."""
    return "".join(char if char.isprintable() else "?" for char in text or "")
