"""`bff explain` of a reason and of a key: nothing is left out, each fits a screen."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bff.cli import main
from bff.cli.reasons import ACCOUNTS
from bff.config.manual import manual
from bff.config.model import File
from bff.problem import PROBLEMS, Reason
from tests.conformance.__main__ import rows
from tests.unit.test_config_files import FULL, _keys

PACKAGED = Path(__file__).parents[2] / "bff" / "config" / "full.toml"


def explain(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["explain", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def is_one_screen(text: str) -> bool:
    lines = text.splitlines()
    return len(lines) <= 24 and all(len(line) <= 90 for line in lines)


@pytest.mark.rule("E-01")
@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_explained_on_one_screen(reason: Reason) -> None:
    result = explain(reason.value)
    assert result.exit_code == 0
    assert is_one_screen(result.stdout)
    problem, account = PROBLEMS[reason], ACCOUNTS[reason]
    said = " ".join(result.stdout.split())
    for part in (reason, str(problem.status), problem.title, account.means, account.mend):
        assert part in said
    assert f"source {account.source}" in said


def test_every_reason_has_an_account_and_names_rows_that_there_are() -> None:
    assert ACCOUNTS.keys() == set(Reason)
    known = {row.id for row in rows()}
    for account in ACCOUNTS.values():
        named = re.findall(r"\b[A-Z]-\d\d\b", account.source)
        assert set(named) <= known
        assert named or "RFC" in account.source
        for key in re.findall(r"`([a-z]+\.[a-z_]+)`", account.means + account.mend):
            assert key in manual() or key.partition(".")[0] not in File.model_fields


def test_every_key_has_a_meaning_and_fits_a_screen() -> None:
    assert manual().keys() == {re.sub(r"\.\d", "", key) for key, _ in _keys(File)}
    for key, entry in manual().items():
        assert entry.meaning, key
        assert entry.table or "." not in key
        result = explain(key)
        assert (result.exit_code, is_one_screen(result.stdout)) == (0, True)
        assert " ".join(entry.meaning.split()) in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (
            "session.idle",
            {
                "key": "session.idle",
                "type": "duration",
                "default": '"30m"',
                "bounds": "1s or more",
                "means": "A session nobody used for that long is over.",
                "its_table": "What we remember of a browser, where, and for how long.",
            },
        ),
        (
            "session.wait_replicas",
            {"type": "whole number", "default": "none", "bounds": "0 or more, 10 at most"},
        ),
        ("provider.issuer", {"type": "text", "default": "none: must be set"}),
        ("refresh.lease", {"bounds": "more than 0, 10m at most", "default": "none"}),
        ("routes.1.max_body", {"key": "routes.max_body", "type": "size", "default": '"100MiB"'}),
        ("routes.auth", {"type": "user or optional or client or none", "default": '"user"'}),
        ("keys.current", {"type": "{ env = … } or { file = … }", "means": "Seals and opens."}),
        ("provider.algorithms", {"type": "list", "default": '["RS256"]'}),
        ("operate.listen", {"default": '"127.0.0.1:9090"'}),
        ("session.persistent", {"type": "true or false", "default": "false"}),
    ],
)
def test_a_key_is_explained_as_the_file_writes_it(key: str, found: dict[str, str]) -> None:
    said = json.loads(explain(key, "--json").stdout)
    assert found.items() <= said.items()


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("sesion_ended", "session_ended"),
        ("idle", "session.idle"),
        ("sessions.idle", "session.idle"),
        ("connect_timeout", "provider.connect_timeout, routes.connect_timeout"),
    ],
)
def test_the_nearest_names_are_offered_for_one_that_is_unknown(name: str, like: str) -> None:
    result = explain(name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"did you mean {like}" in result.stderr


def test_what_is_like_nothing_and_a_request_without_a_file_are_told() -> None:
    assert "a request is METHOD PATH" in explain("/api").stderr
    assert "add --config FILE" in explain("GET", "/api").stderr
    assert explain("GET", "/api").exit_code == 2


def test_the_example_of_the_docs_is_the_one_that_is_installed() -> None:
    # A copy and no link: links get lost on the way through archives and some checkouts.
    assert FULL.read_bytes() == PACKAGED.read_bytes(), "make reference"
    assert not FULL.is_symlink()
    assert not PACKAGED.is_symlink()
