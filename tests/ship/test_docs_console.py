"""What a `console` block shows of a command is what the command says.

Each is run on a configuration with all that the pages speak of: a Redis that evicts and is nearly
full, a provider, an upstream behind TLS that wants a certificate. A shown line must be among those
said, but for its numbers, key ids and hosts.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from bff.cli import main
from bff.keys import new_key
from bff.simulator import Simulator
from tests.canary import RECORDER
from tests.parts.certificates import authority
from tests.parts.config import SECRET
from tests.parts.redis_process import RedisProcess, redis_process
from tests.parts.tls_villain import tls_villain
from tests.ship.fenced import Block, every

EVICTING: Final = ("--maxmemory-policy", "allkeys-lru", "--appendonly", "yes")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("operator")
    own, ours = (authority(folder / name, name, hours=24 * 60) for name in ("localhost", "bff"))
    with redis_process(*EVICTING) as redis, tls_villain(own, ours.ca) as upstream:
        fill(redis)
        for name in ("old.key", "new.key"):
            (folder / name).write_text(new_key())
        (folder / "bff.toml").write_text(f"""
origin = "http://localhost:8000"
provider.issuer = "{simulator.issuer}"
provider.client_id = "spa"
provider.client_secret = {{ env = "BFF_TEST_SECRET" }}
session.store = "{redis.url}"
keys.current = {{ file = "{folder}/new.key" }}
keys.accepted = [{{ file = "{folder}/old.key" }}]
[[routes]]
path = "/api"
upstream = "{upstream.url}"
ca_file = "{own.ca}"
client_certificate = "{ours.certificate}"
client_key = "{ours.key}"
""")
        yield folder / "bff.toml"


def fill(redis: RedisProcess) -> None:
    """Leave a tenth of its memory free."""
    used = int(redis.do("INFO", "memory")["used_memory"])
    redis.do("CONFIG", "SET", "maxmemory", used * 9 // 8)


def shown(line: str) -> str:
    """A line without what differs from machine to machine, and from run to run."""
    for pattern, name in (
        (r"\b[a-z0-9.]+:\d+\b", "HOST"),
        (r"\b[0-9a-f]{8}\b", "KID"),
        (r"\d+(\.\d+)*", "N"),
        (r"  +", "  "),
    ):
        line = re.sub(pattern, name, line)
    return line.strip()


@every("console")
def test_it_is_what_the_command_says(
    block: Block, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    monkeypatch.setenv("BFF_TEST_SECRET", SECRET)
    first, *lines = block.text.splitlines()
    assert first.startswith("$ bff ")
    done = CliRunner().invoke(main, first.split()[2:])
    RECORDER.told(done.output, "process")
    said = {shown(line) for line in done.stdout.splitlines()}
    assert [line for line in lines if shown(line) not in said] == [], done.output
