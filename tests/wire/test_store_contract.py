"""One contract for every store, with faults: lost answers, delay, expiry in mid-call.

Each test runs on the memory store, a real Redis and a real cluster of three. A scenario is a
coroutine over one store.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bff.clock import StoreClock
from bff.config.store_url import parse_store_url
from bff.session.deadline import ConnectionLost
from bff.session.memory import MemoryStore, _nothing_special
from bff.session.opened import AtHand
from bff.session.record import Deadlines
from bff.session.redis import RedisStore
from bff.session.store import (
    EndAnswer,
    Ended,
    Glimpse,
    LeaseOutcome,
    Live,
    Loaded,
    OutcomeUnknown,
    Release,
    Store,
    StoreUnavailable,
)
from tests.parts.redis_group import ClusterOfThree, cluster_of_three
from tests.parts.redis_process import RedisProcess, redis_process

KEY = "a" * 64
OTHER = "b" * 64


@dataclass
class Faults:
    """What goes wrong around an operation: answers lost, a gate held, messages dropped."""

    lost: dict[str, int] = field(default_factory=dict)
    gates: dict[tuple[str, str], asyncio.Event] = field(default_factory=dict)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[str] = field(default_factory=list)

    async def hook(self, operation: str, stage: str) -> None:
        await asyncio.sleep(0)
        if stage == "after":
            self.calls.append(operation)
            if self.lost.get(operation, 0) > 0:
                self.lost[operation] -= 1
                raise ConnectionLost
        if gate := self.gates.get((operation, stage)):
            self.reached.set()
            await gate.wait()


@dataclass(frozen=True)
class Bench:
    store: Store
    clock: StoreClock
    faults: Faults

    def deadlines(
        self, idle: float = 60, absolute: float = 600, refresh: float | None = None
    ) -> Deadlines:
        now = self.clock.now()
        end = None if refresh is None else now + refresh
        return Deadlines(idle=idle, absolute=now + absolute, refresh=end)

    async def create(self, **lengths: float) -> None:
        await self.store.ping()  # sets the clock
        deadlines = self.deadlines(**lengths)
        assert await self.store.create(KEY, b"sealed-1", deadlines, owner="v1", kid="k")

    async def live(self, key: str = KEY) -> Live:
        there = await self.store.peek(key)
        assert isinstance(there, Live)
        return there

    async def gone(self, key: str = KEY) -> None:
        """Return when nothing is there any more."""
        async with asyncio.timeout(5):
            while await self.store.peek(key) is not None:
                pass

    @asynccontextmanager
    async def hearing(self) -> AsyncIterator[Callable[[], Awaitable[str | None]]]:
        """The next change, again and again; that everything may have changed comes first."""
        seen: asyncio.Queue[str | None] = asyncio.Queue()

        async def listen() -> None:
            async for key in self.store.changes():
                seen.put_nowait(key)

        async def hear() -> str | None:
            return await asyncio.wait_for(seen.get(), 5)

        listening = asyncio.create_task(listen())
        assert await hear() is None
        yield hear
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def glanced(store: Store, kept: AtHand) -> str | None:
    """The version that a glance shows; and it was seen when a peek says so."""
    shown: asyncio.Future[Glimpse | None] = asyncio.get_running_loop().create_future()
    store.glance(kept, shown.set_result)
    glimpse, there = await shown, await store.peek(kept.key)
    if glimpse is None:
        return None
    assert isinstance(there, Live)
    assert glimpse.seen_at == there.seen_at
    return glimpse.version


Scenario = Callable[[Bench], Awaitable[None]]
Run = Callable[[Scenario], None]


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisProcess]:
    with redis_process() as process:
        yield process


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterOfThree]:
    with cluster_of_three() as nodes:
        yield nodes


@pytest.fixture(params=["memory", "redis", "cluster"])
def run(request: pytest.FixtureRequest, redis: RedisProcess) -> Run:
    redis.flush()
    url = redis.url
    if request.param == "cluster":
        nodes = request.getfixturevalue("cluster")
        nodes.flush()
        url = nodes.url

    @asynccontextmanager
    async def bench() -> AsyncIterator[Bench]:
        clock, faults = StoreClock(), Faults()
        store: Store
        if request.param == "memory":
            store = MemoryStore(clock, deadline=1.0, hook=faults.hook)
        else:
            store = RedisStore(
                parse_store_url(url),
                prefix="t",
                clock=clock,
                deadline=1.0,
                replicas=0,
                hook=faults.hook,
            )
        yield Bench(store, clock, faults)
        await store.close()

    def runner(scenario: Scenario) -> None:
        async def main() -> None:
            async with bench() as one:
                await scenario(one)

        asyncio.run(main())

    return runner


def test_create_refuses_an_existing_key_and_knows_its_own_token(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create()
        again = bench.deadlines()
        assert await bench.store.create(KEY, b"sealed-1", again, owner="v1", kid="k")
        assert not await bench.store.create(KEY, b"other", again, owner="v2", kid="k")
        assert (await bench.live()).version == "v1"

    run(scenario)


def test_create_refuses_a_tombstone_even_with_its_own_token(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create()
        await bench.store.end(KEY, owner="e", reason="session_ended")
        for owner in ("v1", "v2"):
            deadlines = bench.deadlines()
            assert not await bench.store.create(KEY, b"x", deadlines, owner=owner, kid="k")
        assert await bench.store.peek(KEY) == Ended(reason="session_ended")

    run(scenario)


def test_peek_tells_version_and_deadlines_and_load_the_bytes(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        assert await bench.store.peek(KEY) is None
        assert await bench.store.load(KEY) is None
        await bench.create(idle=60, absolute=600, refresh=300)
        now = bench.clock.now()
        live = await bench.live()
        assert live.version == "v1"
        assert live.idle_at == pytest.approx(now + 60, abs=1)
        assert live.absolute_at == pytest.approx(now + 600, abs=1)
        assert live.refresh_at == pytest.approx(now + 300, abs=1)
        assert live.seen_at == pytest.approx(now, abs=1)
        assert await bench.store.load(KEY) == Loaded(version="v1", sealed=b"sealed-1")
        assert await bench.store.peek(OTHER) is None

    run(scenario)


@pytest.mark.rule("S-10")
@pytest.mark.parametrize(
    "lengths",
    [
        pytest.param({"idle": 0.2}, id="idle"),
        pytest.param({"absolute": 0.2}, id="absolute"),
        pytest.param({"refresh": 0.2}, id="the refresh token's"),
    ],
)
def test_a_record_ends_at_the_earliest_of_its_deadlines(
    run: Run, lengths: dict[str, float]
) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create(**lengths)
        await bench.gone()
        assert await bench.store.load(KEY) is None
        assert not await bench.store.touch(KEY)
        lease = await bench.store.lease(KEY, "v1", owner="l", seconds=5)
        assert lease.outcome is LeaseOutcome.GONE

    run(scenario)


@pytest.mark.rule("S-14")
def test_touch_slides_keeps_the_version_and_never_recreates(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        assert not await bench.store.touch(KEY)
        assert await bench.store.peek(KEY) is None
        await bench.create(idle=60)
        before = await bench.live()
        assert await bench.store.touch(KEY)
        after = await bench.live()
        assert after.idle_at >= before.idle_at
        assert (after.version, after.absolute_at) == (before.version, before.absolute_at)
        await bench.store.end(KEY, owner="e", reason="session_ended")
        assert not await bench.store.touch(KEY)
        assert await bench.store.peek(KEY) == Ended(reason="session_ended")

    run(scenario)


@pytest.mark.rule("W-08")
def test_touch_is_a_change_only_where_somebody_may_have_been_warned(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        async with bench.hearing() as hear:
            await bench.create(idle=0.5)
            assert await hear() == KEY
            await bench.store.touch(KEY)  # right after: nobody hears of it
            half = bench.clock.now() + 0.3
            while bench.clock.now() <= half:
                await bench.store.ping()
            await bench.store.touch(KEY)
            assert await hear() == KEY
            await bench.store.end(OTHER, owner="e", reason="session_ended")
            assert await hear() == OTHER  # and that was the only one

    run(scenario)


def test_touch_never_passes_the_absolute_deadline(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create(idle=60, absolute=0.3)
        assert await bench.store.touch(KEY)
        await bench.gone()

    run(scenario)


def test_one_lease_at_a_time_and_only_over_the_version_read(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create()
        store = bench.store
        stale = await store.lease(KEY, "v0", owner="l1", seconds=5)
        gone = await store.lease(OTHER, "v1", owner="l1", seconds=5)
        mine = await store.lease(KEY, "v1", owner="l1", seconds=5)
        again = await store.lease(KEY, "v1", owner="l1", seconds=5)
        theirs = await store.lease(KEY, "v1", owner="l2", seconds=5)
        assert [each.outcome.value for each in (stale, gone, mine, again, theirs)] == [
            "stale",
            "gone",
            "granted",
            "granted",
            "held",
        ]
        assert theirs.until == pytest.approx(bench.clock.now() + 5, abs=1)
        assert not theirs.backing_off

    run(scenario)


def test_a_lease_that_lapsed_tells_the_next_owner_until_a_replace(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create()
        store = bench.store
        await store.lease(KEY, "v1", owner="l1", seconds=0.05)
        async with asyncio.timeout(5):
            while True:
                lease = await store.lease(KEY, "v1", owner="l2", seconds=5)
                if lease.outcome is not LeaseOutcome.HELD:
                    break
        assert lease.outcome is LeaseOutcome.GRANTED_AFTER_LAPSE
        await store.release(KEY, owner="l2", how=Release.CLEAN)
        third = await store.lease(KEY, "v1", owner="l3", seconds=5)
        assert third.outcome is LeaseOutcome.GRANTED_AFTER_LAPSE
        assert not await store.replace(
            KEY, "v1", b"x", owner="l1", new_version="v2", refresh_at=None
        )
        assert await store.replace(KEY, "v1", b"x", owner="l3", new_version="v2", refresh_at=None)
        fourth = await store.lease(KEY, "v2", owner="l4", seconds=5)
        assert fourth.outcome is LeaseOutcome.GRANTED

    run(scenario)


@pytest.mark.parametrize(
    ("how", "then"),
    [
        (Release.CLEAN, LeaseOutcome.GRANTED),
        (Release.UNSURE, LeaseOutcome.GRANTED_AFTER_LAPSE),
        (Release.DEFINITE_400, LeaseOutcome.GRANTED),
    ],
)
def test_release_says_how_the_lease_was_used(run: Run, how: Release, then: LeaseOutcome) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create()
        store = bench.store
        await store.lease(KEY, "v1", owner="l1", seconds=5)
        await store.release(KEY, owner="not me", how=Release.UNSURE)
        held = await store.lease(KEY, "v1", owner="l2", seconds=5)
        assert held.outcome is LeaseOutcome.HELD
        await store.release(KEY, owner="l1", how=how)
        lease = await store.lease(KEY, "v1", owner="l2", seconds=5)
        assert lease.outcome is then
        assert (lease.definite_400_at is not None) == (how is Release.DEFINITE_400)

    run(scenario)


@pytest.mark.rule("R-05")
def test_whose_lease_has_lapsed_may_write_until_another_is_granted_one_and_end_nothing(
    run: Run,
) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create()
        store = bench.store
        lease = await store.lease(KEY, "v1", owner="l1", seconds=0.05)
        assert lease.outcome is LeaseOutcome.GRANTED
        end = bench.clock.now() + 0.1
        while bench.clock.now() < end:  # it is over when the store says so
            await store.ping()
        assert not (await store.end_if(KEY, "v1", owner="l1", reason="refresh_rejected")).ended
        assert await store.replace(KEY, "v1", b"x", owner="l1", new_version="v2", refresh_at=None)
        assert (await bench.live()).version == "v2"

    run(scenario)


def test_a_definite_400_that_other_credentials_meet_is_a_first_one_again(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create()
        store = bench.store
        leases = []
        for owner, credentials in (("l1", "a"), ("l2", "a"), ("l3", "b"), ("l4", "b")):
            await store.lease(KEY, "v1", owner=owner, seconds=5)
            await store.release(KEY, owner=owner, how=Release.DEFINITE_400, credentials=credentials)
            leases.append(await store.lease(KEY, "v1", owner=f"{owner} looks", seconds=5))
            await store.release(KEY, owner=f"{owner} looks", how=Release.CLEAN)
        assert [each.definite_400_by for each in leases] == ["a", "a", "b", "b"]
        first, second, third, fourth = (each.definite_400_at for each in leases)
        assert first == second is not None
        assert third == fourth is not None

    run(scenario)


def test_the_time_of_the_first_definite_400_stays_until_a_replace(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create()
        store = bench.store
        times = []
        for owner in ("l1", "l2", "l3"):
            lease = await store.lease(KEY, "v1", owner=owner, seconds=5)
            times.append(lease.definite_400_at)
            await store.release(KEY, owner=owner, how=Release.DEFINITE_400)
        assert times[0] is None
        assert times[1] == times[2] is not None
        await store.lease(KEY, "v1", owner="l4", seconds=5)
        await store.replace(KEY, "v1", b"x", owner="l4", new_version="v2", refresh_at=None)
        lease = await store.lease(KEY, "v2", owner="l5", seconds=5)
        assert lease.definite_400_at is None

    run(scenario)


def test_a_replace_that_spent_nothing_keeps_what_is_known_of_the_refresh_token(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create()
        store = bench.store
        for owner, how in (("l1", Release.DEFINITE_400), ("l2", Release.UNSURE)):
            await store.lease(KEY, "v1", owner=owner, seconds=5)
            await store.release(KEY, owner=owner, how=how, credentials="c")
        await store.lease(KEY, "v1", owner="l3", seconds=5)
        assert await store.replace(
            KEY, "v1", b"x", owner="l3", new_version="v2", refresh_at=None, renewed=False
        )
        lease = await store.lease(KEY, "v2", owner="l4", seconds=5)
        assert lease.outcome is LeaseOutcome.GRANTED_AFTER_LAPSE
        assert lease.definite_400_at is not None
        assert lease.definite_400_by == "c"

    run(scenario)


def test_nobody_gets_a_lease_before_not_before(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create()
        store = bench.store
        await store.lease(KEY, "v1", owner="l1", seconds=5)
        until = bench.clock.now() + 30
        await store.release(KEY, owner="l1", how=Release.CLEAN, not_before=until)
        lease = await store.lease(KEY, "v1", owner="l2", seconds=5)
        assert (lease.outcome, lease.backing_off) == (LeaseOutcome.HELD, True)
        assert lease.until == pytest.approx(until, abs=0.1)

    run(scenario)


@pytest.mark.rule("S-12")
def test_replace_writes_only_under_the_live_lease_and_moves_the_refresh_deadline(
    run: Run,
) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create(refresh=100)
        store = bench.store
        no_lease = await store.replace(
            KEY, "v1", b"x", owner="l1", new_version="v2", refresh_at=None
        )
        await store.lease(KEY, "v1", owner="l1", seconds=5)
        other_version = await store.replace(
            KEY, "v0", b"x", owner="l1", new_version="v2", refresh_at=None
        )
        before = await bench.live()
        end = bench.clock.now() + 200
        done = await store.replace(
            KEY, "v1", b"sealed-2", owner="l1", new_version="v2", refresh_at=end
        )
        assert (no_lease, other_version, done) == (False, False, True)
        after = await bench.live()
        assert after.version == "v2"
        assert after.refresh_at == pytest.approx(end, abs=0.01)
        assert (after.idle_at, after.absolute_at) == (before.idle_at, before.absolute_at)
        assert await store.load(KEY) == Loaded(version="v2", sealed=b"sealed-2")
        again = await store.lease(KEY, "v2", owner="l2", seconds=5)
        assert again.outcome is LeaseOutcome.GRANTED

    run(scenario)


@pytest.mark.rule("R-11", "S-14")
def test_what_was_under_way_does_not_bring_an_ended_record_back(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create()
        store = bench.store
        await store.lease(KEY, "v1", owner="l1", seconds=5)
        ended = await store.end(KEY, owner="e1", reason="session_ended")
        assert ended == EndAnswer(ended=True, reason="session_ended", sealed=b"sealed-1")
        assert not await store.replace(
            KEY, "v1", b"x", owner="l1", new_version="v2", refresh_at=None
        )
        await store.release(KEY, owner="l1", how=Release.UNSURE)
        assert not await store.touch(KEY)
        lease = await store.lease(KEY, "v1", owner="l1", seconds=5)
        assert lease.outcome is LeaseOutcome.GONE
        assert await store.peek(KEY) == Ended(reason="session_ended")
        assert await store.load(KEY) == Ended(reason="session_ended")

    run(scenario)


def test_the_first_reason_stays_and_the_bytes_are_for_who_ended_it(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create()
        store = bench.store
        await store.end(KEY, owner="e1", reason="session_ended")
        theirs = await store.end(KEY, owner="e2", reason="refresh_rejected")
        mine = await store.end(KEY, owner="e1", reason="session_ended")
        assert theirs == EndAnswer(ended=False, reason="session_ended", sealed=None)
        assert mine == EndAnswer(ended=True, reason="session_ended", sealed=b"sealed-1")

    run(scenario)


def test_end_leaves_a_tombstone_also_where_nothing_was(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        answer = await bench.store.end(KEY, owner="e", reason="session_ended")
        assert answer == EndAnswer(ended=True, reason="session_ended", sealed=None)
        assert await bench.store.peek(KEY) == Ended(reason="session_ended")

    run(scenario)


@pytest.mark.rule("R-06")
def test_end_if_ends_only_over_that_version_by_the_owner_of_the_live_lease(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        store = bench.store
        nothing = await store.end_if(KEY, "v1", owner="l1", reason="refresh_rejected")
        await bench.create()
        no_lease = await store.end_if(KEY, "v1", owner="l1", reason="refresh_rejected")
        await store.lease(KEY, "v1", owner="l1", seconds=5)
        other = await store.end_if(KEY, "v0", owner="l1", reason="refresh_rejected")
        another = await store.end_if(KEY, "v1", owner="l2", reason="refresh_rejected")
        assert [each.ended for each in (nothing, no_lease, other, another)] == [False] * 4
        assert (await bench.live()).version == "v1"
        answer = await store.end_if(KEY, "v1", owner="l1", reason="refresh_rejected")
        assert (answer.ended, answer.reason) == (True, "refresh_rejected")
        assert await store.peek(KEY) == Ended(reason="refresh_rejected")

    run(scenario)


Write = Callable[[Store, Bench], Awaitable[object]]

WRITES: dict[str, tuple[str, Write]] = {
    "create": ("create", lambda s, b: s.create(OTHER, b"x", b.deadlines(), owner="o", kid="k")),
    "touch": ("touch", lambda s, b: s.touch(KEY)),
    "lease": ("lease", lambda s, b: s.lease(KEY, "v1", owner="l2", seconds=5)),
    "release": ("release", lambda s, b: s.release(KEY, owner="l1", how=Release.CLEAN)),
    "replace": (
        "replace",
        lambda s, b: s.replace(KEY, "v1", b"y", owner="l1", new_version="v2", refresh_at=None),
    ),
    "end": ("end", lambda s, b: s.end(KEY, owner="e", reason="session_ended")),
    "end_if": ("end_if", lambda s, b: s.end_if(KEY, "v1", owner="l1", reason="x")),
    "index_add": ("index_add", lambda s, b: s.index_add("i", KEY, b"e", b.clock.now() + 60)),
    "note": ("note", lambda s, b: s.note(KEY + "n", 5.0, seconds=60)),
    "index_remove": ("index_remove", lambda s, b: s.index_remove("i", KEY)),
}


async def _prepare(bench: Bench, name: str) -> None:
    await bench.create()
    if name in ("release", "replace", "end_if"):
        await bench.store.lease(KEY, "v1", owner="l1", seconds=5)


def _operation(bench: Bench, name: str) -> str:
    # On Redis `end_if` is the same script as `end`.
    return "end" if name == "end_if" and isinstance(bench.store, RedisStore) else name


@pytest.mark.parametrize("name", WRITES)
def test_a_lost_answer_is_asked_for_again_and_is_the_same(run: Run, name: str) -> None:
    async def scenario(bench: Bench) -> None:
        await _prepare(bench, name)
        bench.faults.lost[_operation(bench, name)] = 1
        bench.faults.calls.clear()
        answer = await WRITES[name][1](bench.store, bench)
        assert bench.faults.calls.count(_operation(bench, name)) == 2
        if name == "lease":
            assert getattr(answer, "outcome", None) is LeaseOutcome.GRANTED
        elif isinstance(answer, EndAnswer):
            assert (answer.ended, answer.sealed) == (True, b"sealed-1")
        else:
            assert answer in (True, None)

    run(scenario)


@pytest.mark.parametrize("name", WRITES)
def test_a_write_whose_answers_stay_lost_is_unknown_and_may_have_been_done(
    run: Run, name: str
) -> None:
    async def scenario(bench: Bench) -> None:
        await _prepare(bench, name)
        bench.faults.lost[_operation(bench, name)] = 2
        with pytest.raises(OutcomeUnknown):
            await WRITES[name][1](bench.store, bench)
        if name == "replace":
            assert (await bench.live()).version == "v2"
        if name in ("end", "end_if"):
            assert isinstance(await bench.store.peek(KEY), Ended)

    run(scenario)


@pytest.mark.parametrize("operation", ["load", "index_members"])
def test_a_read_whose_answers_stay_lost_is_unavailable_and_nothing_is_unknown(
    run: Run, operation: str
) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create()
        bench.faults.lost[operation] = 2
        with pytest.raises(StoreUnavailable) as raised:
            await (
                bench.store.load(KEY) if operation == "load" else bench.store.index_members(["i"])
            )
        assert not isinstance(raised.value, OutcomeUnknown)

    run(scenario)


@pytest.mark.parametrize("name", WRITES)
def test_a_store_that_does_not_answer_is_given_up_within_its_deadline(run: Run, name: str) -> None:
    async def scenario(bench: Bench) -> None:
        await _prepare(bench, name)
        bench.faults.gates[_operation(bench, name), "after"] = asyncio.Event()
        async with asyncio.timeout(5):
            with pytest.raises(OutcomeUnknown):
                await WRITES[name][1](bench.store, bench)

    run(scenario)


def test_a_record_that_expires_in_mid_call_is_gone_for_the_call(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.create(idle=0.2)
        gate = bench.faults.gates["touch", "before"] = asyncio.Event()
        touching = asyncio.create_task(bench.store.touch(KEY))
        await bench.faults.reached.wait()
        await bench.gone()
        gate.set()
        assert not await touching
        assert await bench.store.peek(KEY) is None

    run(scenario)


def test_of_the_times_noted_at_a_key_the_latest_stays_until_its_life_is_over(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        store = bench.store
        assert await store.noted(KEY) is None
        for at in (1000.5, 900.0, 1001.25, 1001.25):
            await store.note(KEY, at, seconds=60)
        assert (await store.noted(KEY), await store.noted(OTHER)) == (1001.25, None)
        await store.note(OTHER, 7.0, seconds=0.05)
        async with asyncio.timeout(5):
            while await store.noted(OTHER) is not None:
                pass
        assert await store.noted(KEY) == 1001.25

    run(scenario)


def test_changes_begin_with_a_resynchronisation_and_name_what_changed(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        async with bench.hearing() as hear:
            await bench.create()
            assert await hear() == KEY
            await bench.store.lease(KEY, "v1", owner="l", seconds=5)
            await bench.store.replace(KEY, "v1", b"x", owner="l", new_version="v2", refresh_at=None)
            assert await hear() == KEY
            await bench.store.end(KEY, owner="e", reason="x")
            assert await hear() == KEY

    run(scenario)


@pytest.mark.rule("S-17")
def test_the_sets_of_an_index_are_found_wherever_they_are(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        store = bench.store
        await bench.create()  # which is no set
        until = bench.clock.now() + 60
        wanted = {f"set-{number}" for number in range(50)}
        for name in wanted:
            await store.index_add(name, KEY, b"entry", until)
        assert {name async for name in store.index_names()} == wanted

    run(scenario)


@pytest.mark.rule("S-17")
def test_a_store_that_is_away_names_no_sets_but_says_so(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        async def hang(_operation: str, _stage: str) -> None:
            await asyncio.sleep(30)

        await bench.store.close()
        if isinstance(bench.store, MemoryStore):
            bench.store._hook = hang
        else:
            away = parse_store_url("redis://127.0.0.1:9/0")
            store = RedisStore(away, prefix="t", clock=bench.clock, deadline=0.2)
            bench = Bench(store, bench.clock, bench.faults)
        with pytest.raises(StoreUnavailable):
            _ = [name async for name in bench.store.index_names()]
        await bench.store.close()

    run(scenario)


def test_index_entries_are_found_replaced_removed_and_pruned(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        store = bench.store
        await store.ping()
        now = bench.clock.now()
        await store.index_add("i", KEY, b"one:\x00\xff", now + 60)
        await store.index_add("i", KEY, b"two", now + 60)
        await store.index_add("i", OTHER, b"three", now + 60)
        await store.index_add("j", KEY, b"four", now + 0.2)
        found = sorted(await store.index_members(["i", "j", "none"]))
        assert found == [(KEY, b"four"), (KEY, b"two"), (OTHER, b"three")]
        await store.index_remove("i", KEY)
        await store.index_remove("i", KEY)
        async with asyncio.timeout(5):
            while await store.index_members(["j"]):
                pass
        assert await store.index_members(["i", "j"]) == [(OTHER, b"three")]

    run(scenario)


def test_a_copy_of_what_was_stored_is_returned(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        sealed = bytes(range(256)) * 64
        deadlines = bench.deadlines()
        assert await bench.store.create(KEY, sealed, deadlines, owner="v1", kid="k")
        loaded = await bench.store.load(KEY)
        assert loaded == Loaded(version="v1", sealed=sealed)

    run(scenario)


@pytest.mark.rule("S-07")
def test_a_glance_shows_what_lives_by_then_and_nothing_else(run: Run) -> None:
    """Asked again and again with one question, as on every request."""

    async def scenario(bench: Bench) -> None:
        store = bench.store
        if isinstance(store, MemoryStore):
            store._hook = _nothing_special  # else it leaves everything to `peek`
        kept, other = AtHand(KEY), AtHand(OTHER)
        for question in (kept, other):
            store.prepare(question)
        assert await glanced(store, kept) is None
        await bench.create()
        for _ in range(3):
            assert await glanced(store, kept) == "v1"
            assert await glanced(store, other) is None
        assert await store.touch(KEY)
        for _ in range(3):
            assert await glanced(store, kept) == "v1"
        lease = await store.lease(KEY, "v1", owner="o", seconds=5)
        assert lease.outcome is LeaseOutcome.GRANTED
        assert await glanced(store, kept) == "v1"
        assert await store.replace(
            KEY, "v1", b"sealed-2", owner="o", new_version="v2", refresh_at=None
        )
        for _ in range(3):
            assert await glanced(store, kept) == "v2"
        await store.end(KEY, owner="o", reason="session_ended")
        for _ in range(3):
            assert await glanced(store, kept) is None
        assert not await store.touch(KEY)
        assert await glanced(store, kept) is None

    run(scenario)
