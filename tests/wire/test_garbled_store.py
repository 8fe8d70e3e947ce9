"""A network that drops, repeats, delays and reorders octets between us and Redis.

No question is ever judged by the answer to another one, and no record is harmed: what cannot be
proven is 503. First the store by itself, then sessions of several people through a whole site.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bff.clock import StoreClock
from bff.config.store_url import parse_store_url
from bff.session.record import Deadlines
from bff.session.redis import RedisStore
from bff.session.store import Ended, LeaseOutcome, Live, Loaded, StoreUnavailable
from tests.conftest import Sites
from tests.parts.answers import cookie_lines, reason
from tests.parts.browser import Browser, browsing
from tests.parts.redis_process import RedisProcess, redis_process
from tests.parts.redis_proxy import Mischief, Proxy, Step, proxy_to
from tests.parts.waiting import until

T = TypeVar("T")
PLANS = st.lists(
    st.tuples(st.sampled_from(Mischief), st.integers(0, 4000)), min_size=1, max_size=10
)
# Two octets swapped, the key of one is the key of another.
KEYS = {f"{start}{'c' * 62}": letter for start, letter in (("ab", "v"), ("ba", "w"), ("bb", "x"))}
ENDED, ABSENT, DYING = f"aa{'c' * 62}", f"ac{'c' * 62}", f"ad{'c' * 62}"


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisProcess]:
    with redis_process() as process:
        yield process


@pytest.fixture(scope="module")
def proxy(redis: RedisProcess) -> Iterator[Proxy]:
    with proxy_to(redis.port) as proxy:
        yield proxy


def sealed(letter: str) -> bytes:
    return b"".join(b"%s%d" % (letter.encode(), place) for place in range(300))


@contextlib.asynccontextmanager
async def opened(port: int, deadline: float) -> AsyncIterator[RedisStore]:
    url = parse_store_url(f"redis://127.0.0.1:{port}/0")
    store = RedisStore(url, prefix="t", clock=StoreClock(), deadline=deadline)
    try:
        yield store
    finally:
        await store.close()


async def fill(port: int) -> None:
    async with opened(port, 5) as store:
        await store.ping()
        deadlines = Deadlines(idle=600, absolute=4e9, refresh=None)
        for key, letter in KEYS.items():
            assert await store.create(key, sealed(letter), deadlines, owner=letter * 24, kid="k")
            lease = await store.lease(key, letter * 24, owner=letter, seconds=600)
            assert lease.outcome is LeaseOutcome.GRANTED
        await store.create(DYING, b"", deadlines, owner="y" * 24, kid="k")
        await store.end(ENDED, owner="e", reason="session_ended")


async def end(port: int) -> None:
    async with opened(port, 5) as store:
        await store.end(DYING, owner="e", reason="session_ended")


async def or_not(call: Awaitable[T]) -> T | None:
    """The answer; None where the store says that it cannot say."""
    try:
        return await call
    except StoreUnavailable:
        return None


async def ask_everything(store: RedisStore) -> None:
    """Every question at once; each answer is its own, or none."""

    async def of(key: str, letter: str) -> None:
        calls = [store.peek(key) for _ in range(3)]
        peeks = await asyncio.gather(*(or_not(call) for call in calls))
        for live in peeks:
            assert live is None or (isinstance(live, Live) and set(live.version) == {letter})
        loaded, slid = await asyncio.gather(or_not(store.load(key)), or_not(store.touch(key)))
        assert loaded in (None, Loaded(version=letter * 24, sealed=sealed(letter)))
        assert slid in (None, True)
        lease = await or_not(store.lease(key, letter * 24, owner=letter, seconds=600))
        assert lease is None or lease.outcome is LeaseOutcome.GRANTED
        other = await or_not(store.lease(key, letter * 24, owner="other", seconds=1e-3))
        assert other is None or other.outcome is LeaseOutcome.HELD
        await or_not(store.end_if(key, "not this", owner=letter, reason="refresh_rejected"))

    async def ended() -> None:
        for _ in range(3):
            there = await or_not(store.peek(ENDED))
            assert there is None or isinstance(there, Ended)
            assert not await or_not(store.touch(ENDED))

    async def absent() -> None:
        for _ in range(3):
            assert await or_not(store.peek(ABSENT)) is None
            assert await or_not(store.load(ABSENT)) is None

    everybody = [of(key, letter) for key, letter in KEYS.items()]
    await asyncio.gather(*everybody, ended(), absent())


async def works_again(store: RedisStore) -> None:
    async def well() -> bool:
        there = [await or_not(store.peek(key)) for key in KEYS]
        loads = [await or_not(store.load(key)) for key in KEYS]
        return all(there) and loads == [
            Loaded(version=letter * 24, sealed=sealed(letter)) for letter in KEYS.values()
        ]

    async with asyncio.timeout(20):
        while not await well():
            pass


@pytest.mark.rule("S-07")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=PLANS)
def test_no_answer_of_the_store_is_that_to_another_question(
    redis: RedisProcess, proxy: Proxy, plan: list[Step]
) -> None:
    async def main() -> None:
        redis.flush()
        await fill(redis.port)
        async with opened(proxy.port, 0.1) as store:
            await ask_everything(store)  # connections as they are in the midst of the day
            proxy.follow(plan)
            await ask_everything(store)
            await asyncio.gather(*(or_not(store.peek(DYING)) for _ in range(4)))
            await end(redis.port)  # heard of: a late answer of before would be a lie now
            for _ in range(4):
                assert not isinstance(await or_not(store.peek(DYING)), Live)
                assert not isinstance(await or_not(store.load(DYING)), Loaded)
            await ask_everything(store)
            proxy.calm()
            await works_again(store)

    proxy.calm()
    asyncio.run(main())


def test_the_network_was_really_that_bad(proxy: Proxy) -> None:
    assert set(proxy.made) == set(Mischief)


@pytest.fixture(scope="module")
def people(sites: Sites, proxy: Proxy, redis: RedisProcess) -> Iterator[dict[str, Browser]]:
    proxy.calm()
    redis.flush()
    site = sites(store=f"redis://127.0.0.1:{proxy.port}/0", session='store_deadline = "200ms"')
    with contextlib.ExitStack() as stack:
        found = {}
        for sub in ("ada", "grace", "alan"):
            found[sub] = stack.enter_context(browsing(site))
            found[sub].sign_in(sub)
        yield found


def name(browser: Browser) -> str | None:
    """Whom the page would greet; None where the store cannot say."""
    answer = browser.fetch("GET", "/bff/session")
    assert cookie_lines(answer) == []
    if answer.status_code == 503:
        assert reason(answer) == "store_unavailable"
        return None
    assert answer.status_code == 200
    document = answer.json()
    assert document["authenticated"] is True
    return str(document["claims"]["name"])


def own_name(browser: Browser) -> str:
    """The same while nothing is in the way: a busy machine may need more than one question."""
    found: list[str] = []

    def named() -> bool:
        found.extend(filter(None, [name(browser)]))
        return bool(found)

    until(named)
    return found[0]


@pytest.mark.rule("S-07")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=PLANS)
def test_nobody_is_greeted_by_the_name_of_another(
    people: dict[str, Browser], proxy: Proxy, plan: list[Step]
) -> None:
    def ask(sub: str) -> set[str | None]:
        with browsing(people[sub].site) as tab:
            tab.cookies = dict(people[sub].cookies)
            return {name(tab) for _ in range(3)}

    with ThreadPoolExecutor(6) as pool:
        own = {sub: own_name(browser) for sub, browser in people.items()}
        assert len(set(own.values())) == 3
        proxy.follow(plan)
        asked = [(sub, pool.submit(ask, sub)) for sub in [*people, *people]]
        for sub, names in asked:
            assert names.result() <= {own[sub], None}
        proxy.calm()
    for sub, browser in people.items():
        assert own_name(browser) == own[sub]
