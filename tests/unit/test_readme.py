"""What the README says is kept true here; its snippets and links: tests/ship/test_docs_*.py."""

import re
from pathlib import Path

import pytest

from bff.app import ENDPOINTS
from bff.config.load import parse
from bff.keys import new_key
from bff.problem import PROBLEMS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_the_ten_lines_of_configuration_are_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFF_CLIENT_SECRET", "secret")
    monkeypatch.setenv("BFF_STORE", "rediss://bff:a-password@redis.internal:6379/0")
    monkeypatch.setenv("BFF_KEY", new_key())
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert len(block.strip().splitlines()) == 10
    (frontend,) = parse(block).frontends
    assert [route.path for route in frontend.routes] == ["/api"]


def test_every_endpoint_is_in_the_table() -> None:
    named = set(re.findall(r"^\| `(GET|POST|DELETE) (/bff/[a-z/-]+)", README, re.MULTILINE))
    built = {(method, path.decode()) for path, methods in ENDPOINTS.items() for method in methods}
    assert named == built


def test_every_reason_is_in_the_table_under_its_status() -> None:
    rows = re.findall(r"^\| ([45]\d\d) \| (.+) \|$", README, re.MULTILINE)
    named = {reason: int(code) for code, cell in rows for reason in re.findall(r"`(\w+)`", cell)}
    assert named == {reason.value: problem.status for reason, problem in PROBLEMS.items()}


def test_every_test_file_that_is_named_exists() -> None:
    assert [p for p in re.findall(r"`(tests/[\w/.]+)`", README) if not (ROOT / p).exists()] == []
