"""The same as in `make test`, for as long as it takes: `make soak`."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Sites
from tests.parts.control import Control
from tests.parts.race import race
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import replicas
from tests.wire.test_login import abandon
from tests.wire.test_lying_upstream import mixed
from tests.wire.test_race import ends

pytestmark = pytest.mark.soak


def test_five_hundred_rounds_of_the_race(
    tmp_path: Path, provider: Control, redis: RedisProcess
) -> None:
    where: dict[str, Any] = {"issuer": provider.simulator.issuer, "api": provider.simulator.api}
    with replicas(tmp_path, store=redis.url, **where) as both:
        for _ in range(25):
            provider.do("reset")
            race(both, provider, redis, 20)


def test_ten_thousand_ends_are_seen_at_once(
    tmp_path: Path, provider: Control, redis: RedisProcess
) -> None:
    ends(tmp_path, provider, redis, 10_000)


@pytest.mark.rule("L-07")
def test_ten_thousand_logins_that_never_come_back_add_no_key_to_the_store(
    sites: Sites, provider: Control, redis: RedisProcess
) -> None:
    abandon(sites, redis, 10_000)


@pytest.mark.parametrize("seed", range(2, 12))
def test_a_hundred_thousand_mixed_lies_over_one_upstream_connection(
    provider: Control, seed: int
) -> None:
    mixed(provider, 10_000 // 2, seed=seed)
