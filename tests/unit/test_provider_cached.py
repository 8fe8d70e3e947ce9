"""A kept document whose fetch breaks: a fault of ours, not of the provider's."""

import asyncio

import pytest
import structlog.testing

from bff.provider.cached import Cached


class StoppedClock:
    def now(self) -> float:
        return 0.0


@pytest.mark.rule("E-06")
def test_a_fetch_that_breaks_is_told_without_its_message_and_holds_up_no_later_one() -> None:
    times = 0

    async def fetch() -> str:
        nonlocal times
        times += 1
        if times == 1:
            raise LookupError("canary")
        return "document"

    async def run() -> None:
        cached = Cached(fetch, StoppedClock())
        with structlog.testing.capture_logs() as lines:
            with pytest.raises(LookupError):
                await cached.value()
            assert await cached.value() == "document"
        assert [(line["event"], line["error"]) for line in lines] == [("crashed", "LookupError")]
        assert "canary" not in str(lines)
        await cached.close()

    asyncio.run(run())
