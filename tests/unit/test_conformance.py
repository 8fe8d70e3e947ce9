"""The tool behind `make conformance`, and the markers it reads."""

import re
from pathlib import Path

import pytest

from tests.conformance.__main__ import Finding, Row, findings, report, rows

ROOT = Path(__file__).parents[1]


def test_every_row_is_listed_once_with_its_level() -> None:
    listed = rows()
    assert len({row.id for row in listed}) == len(listed) > 150
    for row in listed:
        assert re.fullmatch(r"[A-Z]-\d\d", row.id)
        assert row.level in ("MUST", "SHOULD", "BEYOND")
        assert 2 <= len(row.about.split()) <= 7


def test_every_marker_names_a_row() -> None:
    listed = {row.id for row in rows()}
    marked = set()
    for path in ROOT.rglob("*.py"):
        for named in re.findall(r"mark\.rule\(([^)]*)\)", path.read_text(encoding="utf-8")):
            marked |= set(re.findall(r"\"([^\"]*)\"", named))
    assert marked <= listed
    assert len(marked) >= 60


@pytest.mark.parametrize(
    ("results", "finding"),
    [
        pytest.param([], Finding(), id="no test"),
        pytest.param([(True, True)], Finding(tests=1, passed=1), id="one that passed"),
        pytest.param([(True, False)], Finding(tests=1), id="one that was skipped"),
        pytest.param([(False, True)], Finding(tests=1, failed=1), id="one that failed in the end"),
        pytest.param(
            [(True, True), (False, False)], Finding(tests=2, passed=1, failed=1), id="one of two"
        ),
    ],
)
def test_a_row_is_proven_by_a_test_that_passed_and_none_that_failed(
    results: list[tuple[bool, bool]], finding: Finding
) -> None:
    recorded = {
        f"test_{number}": {"rules": ["L-01"], "passed": passed, "ran": ran}
        for number, (passed, ran) in enumerate(results)
    }
    found = findings(recorded).get("L-01", Finding())
    assert found == finding
    assert found.proven == (bool(finding.passed) and not finding.failed)
    lines = report([Row("L-01", "MUST", "a row")], findings(recorded))
    word = "proven" if found.proven else "FAILED" if finding.failed else "not proven"
    assert lines[1] == f"L: {int(found.proven)} of 1 proven"
    assert word in lines[2]
