"""`python -m tests.conformance [AREA…]`: each row as proven or not, by the last run of pytest.

Proven: a test that is marked with the row passed, and none that is marked with it failed. Exit
status 1 where a MUST row is not proven, 2 where there is no run to judge.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE.parents[1] / ".pytest_cache/v/bff/conformance"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the checklist."""

    id: str
    level: str
    about: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What the last run says of a row: how many tests stand for it, and how many hold."""

    tests: int = 0
    passed: int = 0
    failed: int = 0

    @property
    def proven(self) -> bool:
        """Whether a test has passed and none has failed."""
        return self.passed > 0 and self.failed == 0


def rows() -> list[Row]:
    """The rows, in the order of the checklist."""
    lines = (HERE / "rows.txt").read_text(encoding="utf-8").splitlines()
    return [Row(*line.split(" ", 2)) for line in lines if line and not line.startswith("#")]


def findings(results: Mapping[str, Mapping[str, object]]) -> dict[str, Finding]:
    """From the results of the tests, by node id, to what they say of each row."""
    found: dict[str, Finding] = defaultdict(Finding)
    for result in results.values():
        marked = result["rules"]
        assert isinstance(marked, list)
        for name in marked:
            before = found[name]
            found[name] = Finding(
                tests=before.tests + 1,
                passed=before.passed + bool(result["ran"] and result["passed"]),
                failed=before.failed + (not result["passed"]),
            )
    return dict(found)


def report(listed: Iterable[Row], found: Mapping[str, Finding]) -> list[str]:
    """The lines to print: each area with its rows."""
    lines: list[str] = []
    areas: dict[str, list[Row]] = defaultdict(list)
    for row in listed:
        areas[row.id[0]].append(row)
    for area, its in areas.items():
        proven = sum(found.get(row.id, Finding()).proven for row in its)
        lines += ["", f"{area}: {proven} of {len(its)} proven"]
        for row in its:
            finding = found.get(row.id, Finding())
            said = (
                "proven    " if finding.proven else "FAILED    " if finding.failed else "not proven"
            )
            count = f"{finding.passed:4} tests" if finding.tests else "          "
            lines.append(f"  {row.id:5} {row.level:7} {said} {count}  {row.about}")
    return lines


def main(areas: list[str]) -> int:
    """Print the report; see the module for the status."""
    if not RESULTS.is_file():
        print("no results: run `python -m pytest` first")  # noqa: T201 - a program that reports
        return 2
    listed = [row for row in rows() if not areas or row.id[0] in areas]
    found = findings(json.loads(RESULTS.read_text(encoding="utf-8")))
    unknown = sorted(set(found) - {row.id for row in rows()})
    lines = report(listed, found)
    musts = [row for row in listed if row.level == "MUST"]
    proven = [row for row in musts if found.get(row.id, Finding()).proven]
    lines += ["", f"MUST: {len(proven)} of {len(musts)} proven"]
    if unknown:
        lines.append(f"marked, but no row: {', '.join(unknown)}")
    print("\n".join(lines))  # noqa: T201 - a program that reports
    return 0 if len(proven) == len(musts) and not unknown else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
