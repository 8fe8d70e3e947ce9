"""`bff sessions`: an operator on the store itself, beside a site that serves (S-17)."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bff.simulator import Simulator
from tests.conftest import Sites, Told
from tests.parts.browser import Browser, browsing
from tests.parts.config import config_text
from tests.parts.event_source import listening
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site
from tests.wire.serve_process import run

pytestmark = pytest.mark.usefixtures("provider")

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def site(sites: Sites, redis: RedisProcess) -> Site:
    return sites(store="redis", session="addresses = true")


@pytest.fixture
def command(tmp_path: Path, simulator: Simulator, redis: RedisProcess) -> Command:
    """`bff sessions` with the file of that site."""
    file = tmp_path / "bff.toml"
    text = config_text(issuer=simulator.issuer, api=simulator.api, store=redis.url)
    file.write_text(text)

    def sessions(what: str, *arguments: str, says: str = "") -> subprocess.CompletedProcess[str]:
        return run("sessions", what, "--config", str(file), *arguments, says=says)

    return sessions


def listed(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def signed_in(page: Browser) -> bool:
    return bool(page.fetch("GET", "/bff/session").json()["authenticated"])


@pytest.mark.rule("S-17")
def test_everybody_is_listed_or_one_person(site: Site, command: Command) -> None:
    with browsing(site) as ada, browsing(site) as grace:
        ada.sign_in("ada")
        grace.sign_in("grace")
        everybody = listed(command("list", "--all", "--json"))
        assert [each["subject"] for each in everybody] == ["grace", "ada"]
        (one,) = listed(command("list", "--subject", "ada", "--json"))
        (own,) = ada.fetch("GET", "/bff/sessions").json()["sessions"]
        assert one == {
            "subject": "ada",
            **{name: own[name] for name in ("handle", "device", "created_at", "last_seen_at")},
            "address": "127.0.0.1",
        }
        table = command("list", "--all").stdout.splitlines()
        assert table[0].split() == [
            "handle",
            "subject",
            "device",
            "created",
            "at",
            "last",
            "seen",
            "at",
            "address",
        ]
        assert len(table) == 3
        assert own["handle"] in table[2]
        assert listed(command("list", "--subject", "nobody", "--json")) == []


@pytest.mark.rule("S-17", "S-14", "E-07")
def test_one_is_ended_by_its_handle_at_once_and_the_auditor_hears_of_it(
    site: Site, command: Command, told: Told
) -> None:
    with browsing(site) as ada, browsing(site) as other:
        ada.sign_in("ada")
        other.sign_in("ada")
        handle = next(
            each["handle"]
            for each in ada.fetch("GET", "/bff/sessions").json()["sessions"]
            if each["current"]
        )
        with listening(ada) as tab:
            done = command("end", "--handle", handle, "--yes")
            assert tab.event() == ("ended", {"reason": "session_ended"})
        assert done.stderr == "1 session ended\n"
        (line,) = listed(done)
        assert (line["event"], line["audit"]) == ("session_killed", True)
        assert line["reason"] == "by_an_operator"
        login = next(each for each in told() if each["event"] == "login")
        assert (line["session"], line["person"]) == (login["session"], login["person"])
        assert not signed_in(ada)
        assert signed_in(other)
        again = command("end", "--handle", handle, "--yes")
        assert (again.returncode, again.stdout, again.stderr) == (0, "", "0 sessions ended\n")


@pytest.mark.rule("S-17")
def test_a_person_is_signed_out_everywhere_after_a_yes(site: Site, command: Command) -> None:
    with browsing(site) as first, browsing(site) as second, browsing(site) as grace:
        first.sign_in("ada")
        second.sign_in("ada")
        grace.sign_in("grace")
        refused = command("end", "--subject", "ada", says="n\n")
        assert refused.returncode == 1
        assert "End 2 sessions?" in refused.stderr
        assert [signed_in(each) for each in (first, second)] == [True, True]
        assert command("end", "--subject", "ada").returncode == 1  # nobody there to say yes
        done = command("end", "--subject", "ada", says="y\n")
        assert len(listed(done)) == 2
        assert [signed_in(each) for each in (first, second, grace)] == [False, False, True]


@pytest.mark.rule("S-17")
def test_everybody_is_signed_out(site: Site, command: Command) -> None:
    with browsing(site) as ada, browsing(site) as grace:
        ada.sign_in("ada")
        grace.sign_in("grace")
        done = command("end", "--all", "--yes")
        assert {line["event"] for line in listed(done)} == {"session_killed"}
        assert done.stderr == "2 sessions ended\n"
        assert [signed_in(each) for each in (ada, grace)] == [False, False]
        assert listed(command("list", "--all", "--json")) == []


@pytest.mark.rule("S-17")
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("list",), "give one of --subject, --all"),
        (("list", "--all", "--subject", "ada"), "give one of --subject, --all"),
        (("end", "--yes"), "give one of --subject, --handle, --all"),
        (("end", "--all", "--handle", "x"), "give one of --subject, --handle, --all"),
        (("list", "--all", "--frontend", "other"), "name one with --frontend: default"),
    ],
)
def test_what_is_meant_has_to_be_said(
    command: Command, arguments: tuple[str, ...], why: str
) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert why in done.stderr


@pytest.mark.rule("S-17")
def test_a_store_that_cannot_be_asked_is_named(
    tmp_path: Path, command: Command, redis: RedisProcess
) -> None:
    redis.stop()
    done = command("list", "--all")
    assert (done.returncode, "the store does not answer" in done.stderr) == (1, True)
    file = tmp_path / "memory.toml"
    file.write_text(config_text(issuer="http://127.0.0.1:9", api="http://127.0.0.1:9"))
    done = run("sessions", "list", "--config", str(file), "--all")
    assert done.returncode == 1
    assert "session.store is memory:" in done.stderr
