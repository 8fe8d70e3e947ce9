"""What goes on behind answers is waited for at an end, and what that begins."""

import asyncio

import pytest

from bff.session.background import Background


@pytest.mark.rule("D-08")
def test_what_is_begun_at_an_end_is_waited_for_too() -> None:
    done: list[str] = []

    async def run() -> None:
        background, gate = Background(), asyncio.Event()

        async def second() -> None:
            for _ in range(10):  # turns of the loop: longer than a drain needs to look once
                await asyncio.sleep(0)
            done.append("second")

        async def first() -> None:
            await gate.wait()
            done.append("first")
            background.run(second())

        background.run(first())
        asyncio.get_running_loop().call_soon(gate.set)
        await background.drain(30)

    asyncio.run(run())
    assert done == ["first", "second"]


@pytest.mark.rule("D-08")
def test_what_has_no_end_is_cancelled_and_the_rest_when_the_time_is_over() -> None:
    cancelled: list[str] = []

    async def run() -> None:
        background = Background()

        async def stay(name: str) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(name)
                raise

        background.keep(stay("endless"))
        background.run(stay("late"))
        await asyncio.sleep(0)
        await background.drain(0.05)
        await asyncio.sleep(0)

    asyncio.run(run())
    assert cancelled == ["endless", "late"]
