"""`bff check --online`: store and provider are asked, and nothing that they say is shown."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from bff.cli import main
from tests.parts.config import config_text
from tests.parts.raw_provider import RawProvider, raw_provider
from tests.parts.redis_process import RedisProcess

STORE_GONE = "redis://127.0.0.1:9/0"


def check(folder: Path, provider: RawProvider, store: str, clock_off: float = 0) -> tuple[int, str]:
    provider.clock_off = clock_off
    file = folder / "bff.toml"
    file.write_text(config_text(issuer=provider.url, api="http://127.0.0.1:9", store=store))
    result = CliRunner().invoke(main, ["check", "--online", "--config", str(file)])
    return result.exit_code, result.stdout


def test_a_world_in_order_is_said_to_be(tmp_path: Path, redis: RedisProcess) -> None:
    with raw_provider() as provider:
        code, said = check(tmp_path, provider, redis.url)
    assert code == 0
    assert "FAIL" not in said
    for line in ("store: answers", "provider keys: read", "the provider's clock: agrees"):
        assert f"ok   {line}" in said


@pytest.mark.parametrize("off", [-300.0, 300.0])
def test_the_difference_of_the_providers_clock_is_told(
    tmp_path: Path, redis: RedisProcess, off: float
) -> None:
    with raw_provider() as provider:
        code, said = check(tmp_path, provider, redis.url, off)
    assert code == 1
    (line,) = (line for line in said.splitlines() if "the provider's clock" in line)
    seconds = float(line.removeprefix("FAIL the provider's clock: ").partition(" s")[0])
    assert abs(seconds - off) <= 2  # Date counts whole seconds


def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    with raw_provider() as provider:
        code, said = check(tmp_path, provider, STORE_GONE)
    assert code == 1
    assert "FAIL store: does not answer" in said
    assert "ok   provider metadata" in said


def test_a_provider_that_is_not_there_is_told(tmp_path: Path, redis: RedisProcess) -> None:
    code, said = check(tmp_path, RawProvider(url="http://127.0.0.1:9"), redis.url)
    assert code == 1
    assert "FAIL provider metadata" in said
    assert "ok   store: answers" in said
