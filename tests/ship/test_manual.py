"""What the manual of operation says is kept true here; its snippets and links: test_docs_*.py."""

import re

import pytest

from bff.journal.log import Event
from tests.ship.conftest import ROOT

DEPLOY = (ROOT / "docs/deploy.md").read_text()


def test_the_store_s_user_has_the_same_rights_on_both_pages() -> None:
    redis = (ROOT / "docs/redis.md").read_text()
    match = re.search(r"^ACL SETUSER .* -@all (.*)$", redis, re.MULTILINE)
    assert match is not None
    (script,) = (each for each in re.findall(r"```sh\n(.*?)```", DEPLOY, re.DOTALL) if "$1" in each)
    assert re.findall(r"\+[a-z|]+", script.replace("\\\n", "")) == match[1].split()


def test_the_container_and_the_manual_install_in_the_same_way() -> None:
    dockerfile = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    (lock,) = re.findall(r"^ARG LOCK=(\S+)", dockerfile, re.MULTILINE)
    dockerfile = dockerfile.replace('"$LOCK"', lock)
    for option in ("--require-hashes", "--requirement requirements.lock", "--no-deps"):
        assert option in dockerfile
        assert option in DEPLOY


@pytest.mark.rule("D-12")
def test_every_endpoint_of_the_provider_that_is_called_is_on_the_page() -> None:
    sources = "".join(each.read_text() for each in (ROOT / "bff/provider").glob("*.py"))
    of_browsers = {"authorization_endpoint", "end_session_endpoint"}
    called = set(re.findall(r'"(\w+_endpoint|jwks_uri)"', sources)) - of_browsers
    assert {"jwks_uri", "token_endpoint"} <= called
    (table,) = re.findall(r"## What it connects to\n\n(.*?)\n\n", DEPLOY, re.DOTALL)
    assert called <= set(re.findall(r"`(\w+)`", table))


def test_the_operator_s_page_is_said_to_log_what_it_logs() -> None:
    sources = [*(ROOT / "bff/operate/admin").glob("*.py"), ROOT / "bff/session/people.py"]
    told = set(re.findall(r"\bEvent\.(\w+)", "".join(each.read_text() for each in sources)))
    page = (ROOT / "docs/admin.md").read_text()
    named = {event.name for event in Event if f"`{event.value}`" in page}
    assert {"ADMIN_REFUSED"} < named <= told


def test_all_that_is_shipped_is_on_the_page() -> None:
    names = ("Dockerfile", "config/compose.yaml", "config/kubernetes", "config/bff.service")
    for name in (*names, "config/grafana.json", "config/alerts.yaml"):
        assert f"[{name}](../{name})" in DEPLOY or f"(../{name})" in DEPLOY
