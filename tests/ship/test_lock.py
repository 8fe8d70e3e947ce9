"""What pip puts into the container is pinned by its hash, and no file says where it was found."""

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.ship.conftest import ROOT

LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-otel.lock")
PIN = re.compile(r"([a-z0-9-]+)==([^ ]+)(?: ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def without_comments(file: str) -> str:
    lines = (ROOT / file).read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#"))


def unmet(wanted: list[str], file: str) -> list[str]:
    """The requirements for which a lock has no version, or one that they do not allow."""
    locked = {name: version for name, version, _ in PIN.findall(without_comments(file))}
    requirements = {canonicalize_name(Requirement(each).name): Requirement(each) for each in wanted}
    return [
        str(each)
        for name, each in requirements.items()
        if name not in locked or not each.specifier.contains(locked[name])
    ]


@pytest.mark.parametrize("file", LOCKS)
def test_a_lock_holds_pins_with_hashes_and_nothing_else(file: str) -> None:
    assert PIN.sub("", without_comments(file)) == ""


@pytest.mark.parametrize("file", LOCKS)
def test_a_lock_names_no_host(file: str) -> None:
    text = (ROOT / file).read_text()
    assert "/" not in text
    assert "index" not in text
    assert "find-links" not in text


def test_the_dockerfile_pins_what_it_says_and_says_what_it_does_not() -> None:
    text = (ROOT / "Dockerfile").read_text()
    installs = re.findall(r"pip install ((?:\\\n|[^\n&])*)", text)
    assert len(installs) == 2
    for options in installs:
        assert {"--require-hashes", "--no-index"} & set(options.split())
    head = " ".join(text.partition("\n\n")[0].replace("\n#", "").split())
    assert "What pip takes is pinned by its hash" in head
    pinned = all("@sha256:" in image for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE))
    assert ("the base image is not" in head) is not pinned


def test_every_dependency_is_locked_within_its_bounds() -> None:
    assert unmet(pyproject()["project"]["dependencies"], LOCKS[0]) == []


def test_with_traces_the_lock_has_the_same_and_the_extra() -> None:
    assert unmet(pyproject()["project"]["optional-dependencies"]["otel"], LOCKS[2]) == []
    plain, traces = (set(PIN.findall(without_comments(file))) for file in (LOCKS[0], LOCKS[2]))
    assert plain < traces


def test_what_builds_the_wheel_is_locked_within_its_bounds() -> None:
    assert unmet(pyproject()["build-system"]["requires"], LOCKS[1]) == []
