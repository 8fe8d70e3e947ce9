"""What an ended session leaves goes later, and a closed store asks for nothing any more."""

import asyncio

import pytest

from bff.session.forgetting import Forgetting


class Asked:
    """Who was asked to be forgotten; held as long as `gate` is closed."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.one_more = asyncio.Event()
        self.gate = asyncio.Event()
        self.broken_off = False

    async def forget(self, key: str) -> None:
        self.keys.append(key)
        self.one_more.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.broken_off = True
            raise


async def until_asked(asked: Asked, keys: list[str]) -> None:
    async with asyncio.timeout(10):
        while asked.keys != keys:
            await asked.one_more.wait()
            asked.one_more.clear()


def test_each_is_forgotten_in_its_turn_also_those_that_come_later() -> None:
    async def scenario() -> None:
        asked = Asked()
        asked.gate.set()
        forgetting = Forgetting(asked.forget, 0.05)
        forgetting.add("a")
        forgetting.add("b")
        assert asked.keys == []
        await until_asked(asked, ["a", "b"])
        await asyncio.sleep(0)
        forgetting.add("c")
        await until_asked(asked, ["a", "b", "c"])
        await forgetting.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("begun", [True, False])
def test_a_closed_store_has_nothing_left_to_do(begun: bool) -> None:
    async def scenario() -> None:
        asked = Asked()
        forgetting = Forgetting(asked.forget, 0.0 if begun else 60.0)
        forgetting.add("a")
        forgetting.add("b")
        await until_asked(asked, ["a"] if begun else [])
        await forgetting.close()
        assert asked.broken_off is begun
        forgetting.add("c")
        await asyncio.sleep(0.02)
        assert asked.keys == (["a"] if begun else [])
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())
