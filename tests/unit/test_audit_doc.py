"""docs/audit.md lists exactly the events that the code tells, with their fields (rows E)."""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from bff.journal import log
from bff.journal.log import AUDIT, FIELDS, Event, tag

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "audit.md").read_text("utf-8")
ALWAYS = {"event", "time", "level"}
OF_AUDIT = {"audit", "peer", "request_id"}


def calls() -> Iterator[tuple[str, set[str]]]:
    """Every call that tells an event, with the names of its fields."""
    for path in (ROOT / "bff").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            names = {word.arg for word in node.keywords if word.arg is not None}
            first = node.args[0] if node.args else None
            if node.func.id == "crashed":
                yield Event.CRASHED, names | {"error", "where"}
            elif node.func.id == "tell" and isinstance(first, ast.Attribute):
                assert len(names) == len(node.keywords), f"{path}: fields must be named"
                yield Event[first.attr], names


@cache
def told_by_code() -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for event, names in calls():
        found[event] |= names
    return found


def cells(heading: str) -> list[list[str]]:
    """The rows of the table below a heading."""
    part = DOC.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


EVENTS = {
    re.sub("`", "", row[0]): (heading, row[1], names(row[2]))
    for heading in ("Audit events", "Other events")
    for row in cells(heading)
}


@pytest.mark.rule("E-08")
def test_the_document_lists_exactly_the_events() -> None:
    rows = [row for heading in ("Audit events", "Other events") for row in cells(heading)]
    assert len(rows) == len(EVENTS)
    assert EVENTS.keys() == set(Event)
    assert {name for name, (heading, _, _) in EVENTS.items() if heading[0] == "A"} == AUDIT
    assert told_by_code().keys() == set(Event)


@pytest.mark.rule("E-08")
@pytest.mark.parametrize("event", Event)
def test_the_document_lists_exactly_the_fields_of_an_event(event: Event) -> None:
    _, level, fields = EVENTS[event]
    assert fields == told_by_code()[event] & FIELDS
    assert told_by_code()[event] <= FIELDS  # another would be left out of the line
    assert level == ("error" if event in {*log._ERRORS, Event.CRASHED} else "info")


@pytest.mark.rule("E-08")
def test_the_document_lists_exactly_the_fields() -> None:
    rows = cells("Fields")
    listed = [name for row in rows for name in names(row[0])]
    assert sorted(listed) == sorted(FIELDS | ALWAYS | {"audit"})


@pytest.mark.rule("E-07", "E-08")
def test_the_example_is_a_line_that_can_be() -> None:
    text = DOC.partition("```json\n")[2].partition("\n```")[0]
    assert len(text.splitlines()) == 1
    line = json.loads(text)
    event = Event(line["event"])
    assert event in AUDIT
    assert set(line) == ALWAYS | OF_AUDIT | (told_by_code()[event] & FIELDS)
    assert {len(line[name]) for name in ("session", "person")} == {len(tag(b"k" * 32, "x"))}
