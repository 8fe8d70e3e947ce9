"""The log: only what was named can be said, on one line, and no secret with it (rows E)."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bff.journal.log import AUDIT, FIELDS, Event, crashed, tag, tell
from tests.canary import RECORDER
from tests.conftest import Told


@pytest.mark.rule("E-06")
def test_a_field_that_nobody_named_is_left_out(told: Told) -> None:
    tell(Event.WARNED, reason="known", access_token="secret", cookie="secret", query="secret")
    (line,) = told()
    assert set(line) == {"event", "level", "time", "reason"}


@pytest.mark.rule("E-06")
@pytest.mark.parametrize(
    "name",
    [
        "token",
        "access_token",
        "code_verifier",
        "state",
        "nonce",
        "cookie",
        "query",
        "headers",
        "body",
    ],
)
def test_no_field_for_a_secret_is_known(name: str) -> None:
    assert name not in FIELDS


@pytest.mark.rule("E-09")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=300))
def test_one_event_is_one_line_of_bounded_length(text: str) -> None:
    before = len(RECORDER.records)
    tell(Event.WARNED, reason=text)
    (record,) = RECORDER.records[before:]
    written = record.data.decode()
    assert len(written.splitlines()) == 1
    said = json.loads(written)["reason"]
    assert said.isprintable()
    assert len(said) <= 200 * 8


@pytest.mark.rule("E-02")
@pytest.mark.rule("E-06")
def test_a_crash_says_what_and_where_and_never_its_message(told: Told) -> None:
    try:
        raise ValueError("secret-in-the-message")
    except ValueError as error:
        crashed(error, request_id="an-id")
    (line,) = told()
    assert (line["error"], line["request_id"], line["level"]) == ("ValueError", "an-id", "error")
    assert line["where"].startswith("test_journal_log.py:")
    assert "secret" not in json.dumps(line)


@pytest.mark.rule("E-08")
@pytest.mark.parametrize("event", Event)
def test_audit_events_are_marked(event: Event, told: Told) -> None:
    tell(event, frontend="default")
    (line,) = told()
    assert line.get("audit", False) == (event in AUDIT)
    assert line["time"].endswith("+00:00")


@pytest.mark.rule("E-07")
@given(parts=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1, max_size=3))
def test_a_tag_depends_on_the_key_and_on_where_its_parts_end(parts: list[str]) -> None:
    joined = ["".join(parts)]
    assert (tag(b"k" * 32, *parts) == tag(b"k" * 32, *joined)) == (parts == joined)
    assert tag(b"k" * 32, *parts) != tag(b"l" * 32, *parts)
    assert tag(b"k" * 32, *parts) == tag(b"k" * 32, *parts)
