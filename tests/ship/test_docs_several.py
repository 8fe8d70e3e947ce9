"""A second application beside one that runs, as docs/how-to/several-spas.md has the two files."""

import os
import re
from pathlib import Path
from typing import Final

import pytest

from bff.simulator import Simulator
from tests.parts.browser import browsing
from tests.parts.config import SECRET
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.ship.fenced import BLOCKS, PAGES, on, prose
from tests.wire.test_reload import replica

PAGE: Final = "docs/how-to/several-spas.md"
ONE, TWO = (block.text for block in BLOCKS if block.page == PAGE and block.language == "toml")
OPERATE: Final = '\n[operate]\nlisten = "127.0.0.1:0"\ndrain_delay = "0s"\n'
HOW_TO: Final = [page for page in PAGES if page.parent.name == "how-to"]
RELOADED: Final = [page for page in HOW_TO if "SIGHUP" in prose(page)]


def variables(text: str) -> set[str]:
    """Those that a file names."""
    return set(re.findall(r'env = "(\w+)"', text))


def here(text: str, simulator: Simulator, secrets: Path) -> str:
    """The file as it is on this machine; its variables keep their names."""
    for name, real in (
        ("/etc/bff/secrets", str(secrets)),
        ("https://login.example.com", simulator.issuer),
        ("https://orders.internal", simulator.api),
        ("https://admin.internal", simulator.api),
    ):
        text = text.replace(name, real)
    return text + OPERATE


@pytest.mark.rule("D-04")
def test_who_is_signed_in_stays_so_and_the_second_answers(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess, provider: Control
) -> None:
    (tmp_path / "admin-client-secret").write_text(SECRET)
    # What the process was started with, and not one variable more.
    env = {
        "BFF_CLIENT_SECRET": SECRET,
        "BFF_STORE": redis.url,
        "BFF_KEY": os.environ["BFF_TEST_KEY"],
    }
    assert env.keys() == variables(ONE)
    with replica(tmp_path / "a", simulator, redis, env=env) as one:
        one.file.write_text(here(ONE, simulator, tmp_path))
        one.hup()
        one.reloaded()
        with browsing(one.site) as browser:
            browser.sign_in()
            elsewhere = {"host": "admin.example.com"}
            assert browser.fetch("GET", "/bff/session", headers=elsewhere).status_code == 421
            one.file.write_text(here(TWO, simulator, tmp_path))
            one.hup()
            one.reloaded()
            assert browser.fetch("GET", "/bff/session").json()["authenticated"] is True
            there = browser.fetch("GET", "/bff/session", headers=elsewhere).json()
            assert (there["authenticated"], there["reason"]) == (False, "no_session")


@pytest.mark.parametrize("page", RELOADED, ids=lambda page: page.stem)
def test_no_step_that_a_sighup_takes_wants_another_variable(page: Path) -> None:
    first, *later = (variables(block.text) for block in on(page) if block.language == "toml")
    assert [each - first for each in later if each - first] == []
