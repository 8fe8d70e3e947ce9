"""What `bff serve` writes on a terminal, for people, and on a pipe, for programs (rows E)."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bff.simulator import Simulator
from tests.canary import Record, Search
from tests.parts.browser import Browser
from tests.parts.control import Control, client
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import Replica
from tests.parts.waiting import until
from tests.wire.serve_process import Process, Served, command, running

Line = dict[str, Any]
Read = Callable[[str], Line]

WANTED = {"session_ids", "access_tokens", "refresh_tokens", "id_tokens", "codes", "client_secrets"}
HUMAN = re.compile(r"\[(info|error) +\] (\w+) +((?:\w+=(?:'[^']*'|\S+) ?)+)\n")


def for_people(line: str) -> Line:
    """The level, the event, and what is known of it."""
    found = HUMAN.fullmatch(line)
    assert found is not None, line
    level, event, fields = found.groups()
    return {"level": level, "event": event, **dict(re.findall(r"(\w+)=('[^']*'|\S+)", fields))}


def for_programs(line: str) -> Line:
    told: Line = json.loads(line)
    assert {"level", "event", "time"} <= told.keys()
    return told


def event(process: Process, read: Read, name: str) -> Line:
    """The next line about that; those before it are read as well."""
    return read(process.line(lambda line: read(line)["event"] == name))


def refreshed(page: Browser, provider: Control) -> bool:
    """Whether the API was asked with a token that is not the first."""
    page.fetch("GET", "/api/tasks")
    return provider.count("token:refresh_token") > 0


@pytest.mark.rule("E-06")
@pytest.mark.rule("E-07")
@pytest.mark.rule("E-09")
@pytest.mark.rule("T-05")
@pytest.mark.parametrize(
    ("terminal", "read"),
    [
        pytest.param(True, for_people, id="for people on a terminal"),
        pytest.param(False, for_programs, id="as JSON on a pipe"),
    ],
)
def test_an_event_is_one_line_in_the_form_of_whoever_reads_it_and_without_a_secret(
    tmp_path: Path,
    simulator: Simulator,
    provider: Control,
    redis: RedisProcess,
    terminal: bool,
    read: Read,
) -> None:
    parts = {"issuer": simulator.issuer, "api": simulator.api, "store": redis.url}
    with running(*command(tmp_path, **parts), terminal=terminal) as process, client() as http:
        public, operations = (event(process, read, "started")["address"] for _ in range(2))
        site = Served(process, public, operations, http)
        site.ready()
        with Replica(site).browsing() as page:
            provider.switch(access_token_seconds=1)
            page.sign_in()
            login = event(process, read, "login")
            cookie = page.session_cookie or ""
            until(lambda: refreshed(page, provider))
            event(process, read, "refreshed")
            provider.fault("token", drop=True, count=1)
            assert page.callback(page.from_provider()).status_code == 503
            assert event(process, read, "provider_failed")["level"] == "error"
            assert page.fetch("POST", "/bff/logout").status_code == 200
            assert event(process, read, "logout")["session"] == login["session"]
    assert "stopped" in [read(line)["event"] for line in process.output]

    secrets = {
        **provider.ask("secrets"),
        "session_ids": cookie.split(".")[1:],
        "keys": [os.environ["BFF_TEST_KEY"]],
    }
    assert {kind for kind in WANTED if secrets[kind]} == WANTED
    written = Record("log", "process", bytearray("".join(process.output).encode()))
    assert Search(secrets).leaks([written]) == []
