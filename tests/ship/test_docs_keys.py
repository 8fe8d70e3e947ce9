"""The rotation of keys, step by step as docs/how-to/rotate-keys.md shows the file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from bff.cli import main
from bff.keys import parse_key
from bff.simulator import Simulator
from tests.canary import RECORDER
from tests.parts.checking import checked
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.ship.fenced import BLOCKS
from tests.wire.test_reload import Replica, replica

PAGE: Final = "docs/how-to/rotate-keys.md"
TODAY, ACCEPTED, CURRENT, GONE, RETIRED = (
    block.text for block in BLOCKS if block.page == PAGE and block.language == "toml"
)
SHOWN: Final = "5f0c9a11"  # the old key's id, on the page
SERVED: Final = (200, "")


@dataclass(frozen=True, slots=True)
class Rotation:
    """A process that serves, and the two keys in files."""

    replica: Replica
    folder: Path

    def step(self, text: str) -> None:
        """Write the file as the page has it, and reload."""
        text = text.removeprefix("[keys]\n").replace("/etc/bff/keys", str(self.folder))
        self.replica.keys(text.replace(SHOWN, self.kid("2026")))
        self.replica.reloaded()

    def kid(self, year: str) -> str:
        return parse_key((self.folder / f"{year}.key").read_text().strip()).kid

    def sessions_under(self) -> dict[str, str]:
        """What `bff check --online` counts, by key id."""
        found = checked(self.folder, self.replica.file.read_text()).found
        begin = "sessions under "
        return {name.split()[-1]: said for name, (_, said) in found.items() if begin in name}


@pytest.fixture(scope="module")
def serving(
    tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, redis_server: RedisProcess
) -> Iterator[Rotation]:
    folder = tmp_path_factory.mktemp("keys")
    for year in ("2026", "2027"):  # the page's own first command
        text = CliRunner().invoke(main, ["keys", "new"]).stdout
        RECORDER.secret("keys", text.strip().removeprefix("bff1_"))
        (folder / f"{year}.key").write_text(text)
    with replica(folder / "a", simulator, redis_server) as one:
        yield Rotation(one, folder)


@pytest.fixture
def rotation(serving: Rotation, redis: RedisProcess, provider: Control) -> Rotation:
    """As on the day before, and nobody is signed in."""
    serving.step(TODAY)
    return serving


@pytest.mark.rule("T-04")
def test_nobody_is_signed_out_by_the_steps_of_the_page(rotation: Rotation) -> None:
    one = rotation.replica
    before = one.sign_in()
    rotation.step(ACCEPTED)
    assert one.get(before) == SERVED
    rotation.step(CURRENT)
    after = one.sign_in()
    assert [one.get(before), one.get(after)] == [SERVED, SERVED]
    old, new = rotation.kid("2026"), rotation.kid("2027")
    assert [each.partition(".")[0] for each in (before, after)] == [old, new]
    assert {old: "1", new: "1"}.items() <= rotation.sessions_under().items()


@pytest.mark.rule("T-04")
def test_a_key_that_left_too_soon_signs_nobody_out(rotation: Rotation) -> None:
    one = rotation.replica
    before = one.sign_in()
    rotation.step(GONE)
    assert one.get(before) == (503, "key_unknown")
    rotation.step(CURRENT)
    assert one.get(before) == SERVED


@pytest.mark.rule("T-04")
def test_a_retired_key_ends_its_sessions_at_once(rotation: Rotation) -> None:
    one = rotation.replica
    before = one.sign_in()
    rotation.step(CURRENT)
    after = one.sign_in()
    rotation.step(RETIRED)
    assert [one.get(before), one.get(after)] == [(401, "session_ended"), SERVED]
