"""The numbers that the manual states are those of the code (D-12)."""

import re
from collections.abc import Iterator
from typing import Final

import pytest

from bff.browser.logout import TICKET_SECONDS
from bff.browser.sessions import RECENT
from bff.caller.request import SECTIONS_KEPT
from bff.config.model import Refresh, SessionSection
from bff.config.schema import schema
from bff.door import known
from bff.operate.admin.history import EVERY, HOURS
from bff.relay.exchange import SHARED, SHARED_OCTETS
from bff.relay.known import HEADS_KEPT, OCTETS
from bff.serve.running import AGE_EVERY
from bff.session.opened import CAPACITY, UNUSED_SECONDS
from bff.session.record import TRANSACTION_SECONDS
from tests.ship.conftest import ROOT

DEPLOY: Final = (ROOT / "docs/deploy.md").read_text("utf-8")
TIMEOUTS: Final = (ROOT / "docs/explanation/timeouts.md").read_text("utf-8")
UNITS: Final = {"second": 1, "minute": 60, "hour": 3600}
DEFAULTS: Final = {name: about.default for name, about in SessionSection.model_fields.items()}


def seconds(words: str) -> float:
    """As `30 minutes`."""
    match = re.fullmatch(r"(\d+) (second|minute|hour)s?", words)
    assert match is not None, words
    return int(match[1]) * UNITS[match[2]]


@pytest.mark.rule("D-12")
def test_the_ends_of_a_session_are_those_of_the_code_and_have_their_reasons() -> None:
    table = TIMEOUTS.partition("## Two ends\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    assert [seconds(row[1]) for row in rows[2:]] == [
        DEFAULTS["idle"],
        DEFAULTS["lifetime"],
        DEFAULTS["expiring"],
        TRANSACTION_SECONDS,
        TICKET_SECONDS,
    ]
    assert all(len(row[2]) > 20 for row in rows[2:])


@pytest.mark.rule("D-12")
def test_the_rest_of_what_is_stated_of_sessions_is_so() -> None:
    assert DEFAULTS["max_per_user"] is None  # as many as they have browsers
    assert "unless `session.max_per_user` says how many" in TIMEOUTS
    assert DEFAULTS["persistent"] is False
    assert RECENT == 5 * 60
    assert "a sign-in of the last five\nminutes" in TIMEOUTS
    assert "(../deploy.md#what-it-connects-to)" in TIMEOUTS  # all of them: test_manual.py
    for who in ("the person signs out here", "the person signs out at the provider"):
        assert f"| {who} |" in TIMEOUTS


# The keys whose value is an address, and how the page calls what is there.
CONNECTED: Final = {
    "issuer": "the issuer:",
    "store": "Redis, its sentinels, all nodes of a cluster",
    "token_endpoint": "`token_endpoint`",
    "revocation_endpoint": "`revocation_endpoint`",
    "identity_endpoint": "`identity_endpoint`",
    "upstream": "each route's `upstream`",
    "traces": "`operate.traces`",
}


def addresses(node: object) -> Iterator[str]:
    """The keys of the file that take a URL."""
    if isinstance(node, dict):
        for name, about in node.get("properties", {}).items():
            if about.get("format") == "uri":
                yield name
        for inner in node.values():
            yield from addresses(inner)


@pytest.mark.rule("D-12")
def test_whatever_the_file_can_connect_to_is_on_the_page() -> None:
    (table,) = re.findall(r"## What it connects to\n\n(.*?)\n\n", DEPLOY, re.DOTALL)
    # Our own, an API's for itself, where browsers go.
    not_called = {"origin", "public_url", "authorization_endpoint", "end_session_endpoint"}
    assert {*addresses(schema()), "store"} - not_called == CONNECTED.keys()
    assert [name for name in CONNECTED.values() if name not in table] == []


# What a page says of a default, and the default.
STATED: Final = [
    ("how-to/rotate-keys.md", r"one `session.lifetime`, (\d+ \w+) unless set", "lifetime"),
    ("how-to/keycloak.md", r"longer than `session.idle` \((\d+ \w+)\)", "idle"),
    ("how-to/keycloak.md", r"at least `session.lifetime` \((\d+ \w+)\)", "lifetime"),
    ("how-to/from-oauth2-proxy.md", r"`session.lifetime` \((\d+ \w+)\)", "lifetime"),
    ("how-to/from-oauth2-proxy.md", r"`session.idle` \((\d+ \w+)\)", "idle"),
    ("how-to/from-mod-auth-openidc.md", r"`session.idle` \((\d+ \w+)\)", "idle"),
    ("how-to/from-mod-auth-openidc.md", r"`session.lifetime` \((\d+ \w+)\)", "lifetime"),
]


@pytest.mark.parametrize(("page", "pattern", "name"), STATED)
def test_a_default_that_a_page_states_is_one(page: str, pattern: str, name: str) -> None:
    (stated,) = re.findall(pattern, (ROOT / "docs" / page).read_text("utf-8"))
    assert seconds(stated) == DEFAULTS[name]


def measured(page: str, before: str, after: str) -> str:
    """The one number of a page between these words."""
    text = " ".join((ROOT / page).read_text("utf-8").split())
    (found,) = re.findall(rf"{re.escape(before)}([\d.]+){re.escape(after)}", text)
    return str(found)


# What README says that a worker holds, and where a page says it again.
AGAIN: Final = [
    pytest.param("at rest", "docs/deploy.md", "A worker takes ", " MiB at rest"),
    pytest.param("a kept connection", "docs/deploy.md", "at rest and ", " to "),
    pytest.param("a WebSocket", "docs/deploy.md", " to ", " KiB for each connection"),
    pytest.param("an event stream", "docs/streams.md", "an idle event stream takes ", " KiB"),
    pytest.param("a WebSocket", "docs/streams.md", "an idle WebSocket ", " KiB"),
    pytest.param("a kept connection", "docs/streams.md", "that is only kept alive ", " KiB"),
    pytest.param("events of a session", "docs/sessions.md", "and one takes ", " KiB in a worker"),
]
README: Final = {
    "at rest": ("(`make streams`): ", " MiB at rest"),
    "a kept connection": ("the tests' packages; ", " KiB more for a connection that is kept alive"),
    "events of a session": ("kept alive, ", " KiB for an idle `/bff/events`"),
    "an event stream": ("`/bff/events`, ", " KiB for an idle event stream of an API"),
    "a WebSocket": ("event stream of an API, ", " KiB for an idle WebSocket"),
}


@pytest.mark.parametrize(("what", "page", "before", "after"), AGAIN)
def test_a_figure_that_two_pages_give_is_one(what: str, page: str, before: str, after: str) -> None:
    assert measured(page, before, after) == measured("README.md", *README[what])


def test_the_last_fifth_of_a_token_s_life_is_that() -> None:
    page = (ROOT / "docs/explanation/one-refresh.md").read_text("utf-8")
    assert "In the last fifth of a token's life (`refresh.ahead`)" in page
    assert Refresh().ahead == 1 / 5


def test_the_bounds_of_what_is_kept_are_those_of_the_code() -> None:
    page = (ROOT / "docs/explanation/endurance.md").read_text("utf-8")
    assert AGE_EVERY == 60
    last_use = "two minutes after its last use"
    sections, answers = f"{2 * SECTIONS_KEPT:,}", f"{2 * HEADS_KEPT:,}"
    assert f"| {sections} a worker | {last_use} |" in page
    assert f"| {sections} a worker, of {known.OCTETS // 1024} KiB at most | {last_use} |" in page
    assert f"| {SHARED} a worker, of {SHARED_OCTETS // 1024} KiB at most |" in page
    assert f"| {answers} a worker, of {OCTETS // 1024} KiB at most | {last_use} |" in page
    assert (HOURS, EVERY) == (6, 10)
    assert "| six hours, one every ten seconds, in the supervisor |" in page
    assert UNUSED_SECONDS == 60
    assert f"| {CAPACITY:,} a worker | a minute after its last use |" in page
