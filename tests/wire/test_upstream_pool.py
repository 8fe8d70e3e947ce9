"""The connections to one upstream: never more than the bound, and no turn in the queue is lost."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from bff.problem import Reason, Refused
from bff.relay.connection import UpstreamConnection
from bff.relay.upstream import IDLE_SECONDS, Upstream
from tests.parts.raw import Villain, villain
from tests.parts.waiting import until

PATIENCE = 20.0  # seconds until a test gives up


class Asking:
    """Who asks on a connection, until it has an end."""

    def __init__(self) -> None:
        self.over: asyncio.Future[Reason | None] = asyncio.get_running_loop().create_future()
        self.connection: UpstreamConnection | None = None

    def news(self) -> None:
        if self.connection is not None and self.connection.complete:
            self.over.set_result(None)

    def failed(self, reason: Reason, phase: str) -> None:
        assert phase == "answer"
        self.over.set_result(reason)

    def upstream_congested(self) -> None: ...

    def upstream_writable(self) -> None: ...

    async def ask(self, connection: UpstreamConnection) -> Reason | None:
        self.connection = connection
        connection.begin(
            self,
            "GET",
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            patience=PATIENCE,
            body_patience=PATIENCE,
            more=False,
        )
        assert not self.over.done()  # whoever asks is never told before it has asked
        return await self.over


@pytest.fixture
def upstream() -> Iterator[Villain]:
    with villain() as found:
        yield found


def bounded(
    upstream: Villain, connections: int, scenario: Callable[[Upstream], Awaitable[None]]
) -> None:
    async def main() -> None:
        pool = Upstream(upstream.url, connections=connections, connect_timeout=PATIENCE)
        async with asyncio.timeout(PATIENCE):
            await scenario(pool)
        pool.close()
        await asyncio.sleep(0)  # closing takes a turn of the loop

    asyncio.run(main())
    until(lambda: upstream.connections >= connections)  # it takes them in a thread of its own
    assert upstream.connections == connections


async def _queued(pool: Upstream) -> "asyncio.Task[UpstreamConnection]":
    task = asyncio.create_task(pool.acquire(careful=False))
    await asyncio.sleep(0)  # it has come to its place in the queue
    return task


def test_a_turn_of_somebody_who_has_gone_is_the_next_ones(upstream: Villain) -> None:
    async def scenario(pool: Upstream) -> None:
        first, _ = await pool.acquire(careful=False), await pool.acquire(careful=False)
        assert await Asking().ask(first) is None
        gone, next_one = await _queued(pool), await _queued(pool)
        pool.give_back(first)
        gone.cancel()  # woken, and gone before it could take its turn
        assert await next_one is first
        assert gone.cancelled()

    bounded(upstream, 2, scenario)


def test_whoever_finds_its_connection_taken_waits_again(upstream: Villain) -> None:
    async def scenario(pool: Upstream) -> None:
        first = await pool.acquire(careful=False)
        assert await Asking().ask(first) is None
        woken = await _queued(pool)
        pool.give_back(first)
        assert pool.take(careful=False) is first  # another was quicker
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not woken.done()
        assert await Asking().ask(first) is None
        pool.give_back(first)
        assert await woken is first

    bounded(upstream, 1, scenario)


def test_a_place_in_the_queue_of_somebody_who_has_gone_is_free(upstream: Villain) -> None:
    async def scenario(pool: Upstream) -> None:
        first = await pool.acquire(careful=False)
        assert await Asking().ask(first) is None
        gone = await _queued(pool)
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone
        next_one = await _queued(pool)
        pool.give_back(first)
        assert await next_one is first

    bounded(upstream, 1, scenario)


def test_a_turn_that_comes_in_the_moment_of_giving_up_is_not_lost(upstream: Villain) -> None:
    """The loop is late: a connection is given back, and whoever waits has waited too long."""

    async def scenario(pool: Upstream) -> None:
        first, second = await pool.acquire(careful=False), await pool.acquire(careful=False)
        for each in (first, second):
            assert await Asking().ask(each) is None
        pool._connect_timeout = 0.02
        impatient = await _queued(pool)
        pool._connect_timeout = PATIENCE
        patient = await _queued(pool)
        asyncio.get_running_loop().call_later(0.01, pool.give_back, first)
        time.sleep(0.05)  # noqa: ASYNC251 - the loop is late: both are due in one turn of it
        with contextlib.suppress(Refused):
            pool.give_back(await impatient)
        assert await patient is first
        pool.give_back(second)

    bounded(upstream, 2, scenario)


def test_a_connection_that_closed_before_its_first_request_fails_at_once() -> None:
    async def main(port: int, listening: socket.socket) -> Reason | None:
        pool = Upstream(f"http://127.0.0.1:{port}", connections=1, connect_timeout=PATIENCE)
        connection = await pool.acquire(careful=False)
        listening.accept()[0].close()
        async with asyncio.timeout(PATIENCE):
            while connection.open:  # noqa: ASYNC110 - what nobody uses tells nobody
                await asyncio.sleep(0)
            return await Asking().ask(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        reason = asyncio.run(main(listening.getsockname()[1], listening))
    assert reason is Reason.UPSTREAM_UNREACHABLE


def test_a_new_connection_asks_for_the_address_anew(
    upstream: Villain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name moves: connections that stand are used on, the next one goes to the new place."""
    with villain() as moved:
        asked: list[str] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            resolve = loop.getaddrinfo

            async def resolver(host: str, port: int, **more: Any) -> Any:
                asked.append(host)
                to = upstream.port if len(asked) == 1 else moved.port
                return await resolve("127.0.0.1", to, **more)

            monkeypatch.setattr(loop, "getaddrinfo", resolver)
            pool = Upstream("http://orders.internal", connections=2, connect_timeout=PATIENCE)
            first = await pool.acquire(careful=False)
            assert await Asking().ask(first) is None
            pool.give_back(first)
            kept = await pool.acquire(careful=False)
            assert kept is first
            second = await pool.acquire(careful=False)
            assert await Asking().ask(second) is None
            pool.give_back(second)
            pool.close()
            await asyncio.sleep(0)  # closing takes a turn of the loop

        asyncio.run(main())
        assert asked == ["orders.internal"] * 2
        assert (len(upstream.received), len(moved.received)) == (1, 1)


def test_a_connection_that_nobody_needs_does_not_outlive_its_time(upstream: Villain) -> None:
    """The last used is taken first: the others would stay, and keep an address for ever."""

    async def scenario(pool: Upstream) -> None:
        idle, busy = await pool.acquire(careful=False), await pool.acquire(careful=False)
        for each in (idle, busy):
            assert await Asking().ask(each) is None
            pool.give_back(each)
        idle._idle_since -= IDLE_SECONDS
        assert await pool.acquire(careful=False) is busy
        assert await Asking().ask(busy) is None
        pool.give_back(busy)
        assert (idle.open, busy.open) == (False, True)
        assert pool._open == {busy}

    bounded(upstream, 2, scenario)
