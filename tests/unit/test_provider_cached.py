"""A kept document: its fetch breaks by a fault of ours; another site takes it over."""

import asyncio

import pytest
import structlog.testing

from bff.problem import Refused
from bff.provider.cached import FRESH_SECONDS, PAUSE_SECONDS, Cached, Copy


class StoppedClock:
    time = 0.0

    def now(self) -> float:
        return self.time


class Source:
    """What is fetched, and how often it was; `gate` holds a fetch up."""

    def __init__(self, document: str | None) -> None:
        self.document = document
        self.times = 0
        self.asked, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def fetch(self) -> str | None:
        self.times += 1
        self.asked.set()
        await self.gate.wait()
        return self.document


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
        cached = Cached(fetch, StoppedClock(), Copy())
        with structlog.testing.capture_logs() as lines:
            with pytest.raises(LookupError):
                await cached.value()
            assert await cached.value() == "document"
        assert [(line["event"], line["error"]) for line in lines] == [("crashed", "LookupError")]
        assert "canary" not in str(lines)
        await cached.close()

    asyncio.run(run())


@pytest.mark.rule("P-11")
@pytest.mark.parametrize("document", ["new", pytest.param(None, id="the provider is down")])
def test_a_copy_that_is_handed_on_is_used_while_it_is_asked_for_anew(
    document: str | None,
) -> None:
    async def run() -> None:
        clock, copy, source = StoppedClock(), Copy[str](), Source(document)
        former = Cached(Source("old").fetch, clock, copy)
        assert await former.value() == "old"
        await former.close()
        cached = Cached(source.fetch, clock, copy)
        assert await cached.value() == "old"  # renewed behind the caller's back
        fetching = [cached.fetching]
        if document is None:
            with pytest.raises(Refused):
                await cached.fetched()
        else:
            await cached.fetched()
        assert source.times == 1
        assert await cached.value() == (document or "old")
        fetching.append(cached.fetching)  # not: it is new, or was refused a moment ago
        clock.time += FRESH_SECONDS if document else PAUSE_SECONDS
        assert await cached.value() == (document or "old")
        fetching.append(cached.fetching)
        assert fetching == [True, False, True]
        await cached.close()

    asyncio.run(run())


@pytest.mark.rule("P-11")
def test_what_the_former_is_fetching_when_the_copy_is_handed_on_is_not_lost() -> None:
    async def run() -> None:
        clock, copy, source, unasked = StoppedClock(), Copy[str](), Source("found"), Source("again")
        source.gate.clear()
        former, cached = (Cached(each.fetch, clock, copy) for each in (source, unasked))
        waiting = asyncio.create_task(former.value())
        await source.asked.wait()
        assert not cached.known
        source.gate.set()
        assert await waiting == "found"
        assert await cached.value() == "found"
        assert (cached.known, unasked.times) == (True, 0)

    asyncio.run(run())


@pytest.mark.rule("P-11")
def test_what_is_under_way_when_the_former_closes_is_asked_for_by_the_next() -> None:
    async def run() -> None:
        clock, copy, source = StoppedClock(), Copy[str](), Source("found")
        stuck = Source("never")
        stuck.gate.clear()
        former = Cached(stuck.fetch, clock, copy)
        waiting = asyncio.create_task(former.value())
        await stuck.asked.wait()
        cached = Cached(source.fetch, clock, copy)
        await former.close()
        assert (await cached.value(), source.times) == ("found", 1)
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(run())


@pytest.mark.rule("P-01")
def test_what_the_one_disowns_the_other_does_not_use_either() -> None:
    async def run() -> None:
        clock, copy, source = StoppedClock(), Copy[str](), Source(None)
        former = Cached(Source("old").fetch, clock, copy)
        await former.value()
        cached = Cached(source.fetch, clock, copy)
        former.forget()
        with pytest.raises(Refused):
            await cached.value()
        assert cached.known  # so the replica stays: who is signed in goes on

    asyncio.run(run())
