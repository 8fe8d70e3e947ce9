"""Every line of a `redis` block is a command that a Redis takes."""

import shlex

from tests.parts.redis_process import RedisProcess
from tests.ship.fenced import Block, every


@every("redis")
def test_it_can_be_typed(block: Block, redis: RedisProcess) -> None:
    lines = block.text.splitlines()
    try:
        for line in lines:
            assert redis.do(*shlex.split(line)) in (b"OK", "OK", True)
    finally:
        redis.do("ACL", "DELUSER", "bff")
