"""Two `bff serve` processes on one Redis: one refresh, no session lost, an end seen at once."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.parts.config import config
from tests.parts.control import Control
from tests.parts.minted import mint
from tests.parts.race import REQUESTS, end_everywhere, race
from tests.parts.raw import villain
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import replicas
from tests.parts.site import serving

ROUNDS = 20
ENDS = 200


@pytest.mark.rule("R-04")
def test_fifty_requests_to_each_of_two_processes_make_one_token_request(
    tmp_path: Path, provider: Control, redis: RedisProcess
) -> None:
    where: dict[str, Any] = {"issuer": provider.simulator.issuer, "api": provider.simulator.api}
    with replicas(tmp_path, store=redis.url, **where) as both:
        race(both, provider, redis, ROUNDS)


@pytest.mark.rule("R-04")
def test_two_hundred_requests_over_four_processes_make_one_token_request(
    tmp_path: Path, provider: Control, redis: RedisProcess
) -> None:
    where: dict[str, Any] = {"issuer": provider.simulator.issuer, "api": provider.simulator.api}
    with replicas(tmp_path, 4, store=redis.url, **where) as four:
        assert len(four) * REQUESTS == 200
        race(four, provider, redis, 1)


def ends(folder: Path, provider: Control, redis: RedisProcess, count: int) -> None:
    """So many sessions, ended on one process and asked for on the other."""
    with ExitStack() as stack:
        upstream = stack.enter_context(villain())
        where: dict[str, Any] = {
            "issuer": provider.simulator.issuer,
            "api": upstream.url,
            "store": redis.url,
        }
        writer = stack.enter_context(serving(config(**where)))
        both = stack.enter_context(replicas(folder, **where))
        browsers = {n: stack.enter_context(each.browsing()) for n, each in enumerate(both)}
        for _ in range(0, count, 200):
            end_everywhere(both, [mint(writer).cookie for _ in range(min(count, 200))], browsers)
            upstream.received.clear()


@pytest.mark.rule("S-14")
def test_a_session_that_ends_on_one_process_is_refused_by_the_next_request_on_the_other(
    tmp_path: Path, provider: Control, redis: RedisProcess
) -> None:
    ends(tmp_path, provider, redis, ENDS)
