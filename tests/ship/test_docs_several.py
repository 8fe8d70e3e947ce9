"""A second application beside one that runs, as docs/how-to/several-spas.md has the two files."""

from pathlib import Path
from typing import Final

import pytest

from bff.simulator import Simulator
from tests.parts.browser import browsing
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.ship.fenced import BLOCKS
from tests.wire.test_reload import replica

PAGE: Final = "docs/how-to/several-spas.md"
ONE, TWO = (block.text for block in BLOCKS if block.page == PAGE and block.language == "toml")
OPERATE: Final = '\n[operate]\nlisten = "127.0.0.1:0"\ndrain_delay = "0s"\n'


def here(text: str, simulator: Simulator, redis: RedisProcess) -> str:
    """The file as it is on this machine."""
    for name, real in (
        ('{ env = "BFF_STORE" }', f'"{redis.url}"'),
        ("BFF_CLIENT_SECRET", "BFF_TEST_SECRET"),
        ("BFF_ADMIN_CLIENT_SECRET", "BFF_TEST_SECRET"),
        ("BFF_KEY", "BFF_TEST_KEY"),
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
    with replica(tmp_path / "a", simulator, redis) as one:
        one.file.write_text(here(ONE, simulator, redis))
        one.hup()
        one.reloaded()
        with browsing(one.site) as browser:
            browser.sign_in()
            elsewhere = {"host": "admin.example.com"}
            assert browser.fetch("GET", "/bff/session", headers=elsewhere).status_code == 421
            one.file.write_text(here(TWO, simulator, redis))
            one.hup()
            one.reloaded()
            assert browser.fetch("GET", "/bff/session").json()["authenticated"] is True
            there = browser.fetch("GET", "/bff/session", headers=elsewhere).json()
            assert (there["authenticated"], there["reason"]) == (False, "no_session")
