"""Three processes refresh one session, and everything that can happen between two steps happens.

Crash, pause, lapse of the lease, lost and late answers, sign-out, slides, a grant that dies: on
the memory store and on a real Redis. `BFF_SOAK=1` looks much longer and elsewhere each time.
"""

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bff.problem import Reason
from bff.session.record import Deadlines
from bff.session.store import Ended, Live, Loaded
from tests.model.actor import BUDGET, Actor, Call, Fate
from tests.model.bench import Bench, MemoryBench, RedisBench, Trouble
from tests.model.ledger import Death, Ledger
from tests.parts.redis_process import RedisProcess

IDLE = 10_050.0  # seconds, and again no hundred
SOAK = bool(os.environ.get("BFF_SOAK"))

actors = st.integers(0, 2)
# Mostly nothing goes wrong with a call: what goes wrong elsewhere needs steps that succeed.
troubles = st.sampled_from([Trouble.NONE] * 6 + list(Trouble))
fates = st.sampled_from([Fate.ANSWERED] * 4 + list(Fate))
pauses = st.sampled_from([300.0, 500.0, 1100.0])
# What ends a session ends most of what could still go wrong with it: once in a long while.
seldom = st.sampled_from([False] * 40 + [True])


class OneSession(RuleBasedStateMachine):
    """One session, three processes, and what is true of them after each step."""

    _numbers = itertools.count()

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench
        self.key = f"{next(self._numbers):064x}"
        self.ledger = Ledger()
        self.actors = [Actor(name, self.key, bench, self.ledger) for name in "abc"]
        self.late: list[Call] = []
        self.call: Call | None = None  # what changed the record in this step, if anything did
        self.idle_at = bench.time + IDLE
        self.before: Loaded | Ended | None = None
        self.there: Loaded | Ended | None = None
        self.moved = False

    # --- what happens

    @initialize()
    def somebody_signs_in(self) -> None:
        assert self.bench.ask(self.create)
        self.look()
        self.before = self.there

    async def create(self) -> bool:
        absolute = self.bench.store_time(self.bench.time + 1e6)
        deadlines = Deadlines(idle=IDLE, absolute=absolute, refresh=None)
        return await self.bench.store.create(self.key, b"1", deadlines, owner="first", kid="k")

    @rule(actor=actors, steps=st.integers(1, 5), trouble=troubles, fate=fates)
    def goes_on(self, actor: int, steps: int, trouble: Trouble, fate: Fate) -> None:
        """Some steps without a pause; what goes wrong goes wrong in the last."""
        for left in reversed(range(steps)):
            self.did(self.actors[actor].step(Trouble.NONE if left else trouble, fate))
            self.judge()

    @rule(actor=actors)
    def reads_anew(self, actor: int) -> None:
        if self.actors[actor].held is None:
            self.actors[actor].read()
        self.did(None)

    @rule(actor=actors)
    def crashes(self, actor: int) -> None:
        self.actors[actor].crash()
        self.did(None)

    @rule(seconds=pauses, arrived=st.booleans())
    def time_passes(self, seconds: float, arrived: bool) -> None:
        """No token request outlives its budget: then it has ended, and nobody knows how."""
        for actor in self.actors:
            if actor.asked_at is not None and actor.asked_at + BUDGET <= self.bench.time + seconds:
                actor.hear(Fate.ANSWER_LOST if arrived else Fate.NEVER_ARRIVED)
        self.bench.move(self.key, seconds)
        self.did(None, moved=True)

    @rule(actor=actors, steps=st.integers(2, 4), fate=fates, seconds=pauses, arrived=st.booleans())
    def stops_for_long_between_two_steps(
        self, actor: int, steps: int, fate: Fate, seconds: float, arrived: bool
    ) -> None:
        """Long enough for others to go on: where most of what can go wrong does."""
        self.goes_on(actor, steps, Trouble.NONE, fate)
        self.time_passes(seconds, arrived)

    @rule(seldom=seldom, arrived=st.booleans())
    def hours_pass(self, seldom: bool, arrived: bool) -> None:
        if seldom:
            self.time_passes(9000.0, arrived)
        else:
            self.did(None)

    @precondition(lambda self: self.late)
    @rule(which=st.integers(0, 9))
    def a_late_call_arrives(self, which: int) -> None:
        call = self.late.pop(which % len(self.late))
        self.bench.ask(call.ask)
        self.did(call)

    @rule(trouble=troubles)
    def the_person_is_there(self, trouble: Trouble) -> None:
        async def touch() -> bool:
            return await self.bench.store.touch(self.key)

        slid = self.bench.ask(touch, trouble)
        assert slid in (None, isinstance(self.there, Loaded))
        self.did(Call(operation="touch", ask=touch, trouble=trouble))

    @rule(seldom=seldom, trouble=troubles)
    def the_person_signs_out(self, seldom: bool, trouble: Trouble) -> None:
        if not seldom:
            self.did(None)
            return
        self.ledger.logouts += 1
        owner, reason = f"logout-{self.ledger.logouts}", Reason.SESSION_ENDED.value

        async def end() -> object:
            return await self.bench.store.end(self.key, owner=owner, reason=reason)

        self.bench.ask(end, trouble)
        self.did(Call(operation="end", ask=end, trouble=trouble, reason=reason))

    @rule(seldom=seldom)
    def the_grant_dies_at_the_provider(self, seldom: bool) -> None:
        if seldom:
            self.ledger.grant.death = self.ledger.grant.death or Death.REVOKED
        self.did(None)

    @precondition(lambda self: self.there is not None)  # what nobody remembers can be written anew
    @rule()
    def the_first_write_arrives_once_more(self) -> None:
        written = self.bench.ask(self.create)
        assert written is isinstance(self.there, Loaded)
        self.did(None)

    @rule()
    def somebody_peeks(self) -> None:
        there = self.bench.ask(lambda: self.bench.store.peek(self.key))
        if isinstance(self.there, Loaded):
            assert isinstance(there, Live)
            assert there.version == self.there.version
        else:
            assert there == self.there
        self.did(None)

    # --- what is looked at after it

    def did(self, call: Call | None, *, moved: bool = False) -> None:
        if call is not None and call.trouble is Trouble.LATE and call not in self.late:
            self.late.append(Call(**{**vars(call), "trouble": Trouble.NONE}))
        self.call = call if call is not None and call.trouble.done else None
        self.moved = moved
        if self.call is not None and self.call.operation == "touch" and self.lived:
            self.idle_at = self.bench.time + IDLE
        self.before = self.there
        self.look()

    @property
    def lived(self) -> bool:
        return isinstance(self.there, Loaded)

    def look(self) -> None:
        self.there = self.bench.ask(lambda: self.bench.store.load(self.key))
        if isinstance(self.there, Loaded):
            self.ledger.contents.setdefault(self.there.version, int(self.there.sealed))

    def judge(self) -> None:
        """All that is true, where a rule takes more than one step."""
        for sentence in (
            self.nobody_who_could_know_that_a_token_was_spent_presents_it,
            self.a_gone_session_never_returns,
            self.no_version_is_used_twice,
            self.at_most_one_live_lease,
            self.nobody_is_warned_without_cause,
            self.a_session_is_ended_only_for_a_reason_that_was_true,
            self.whoever_has_lost_the_lease_changes_nothing,
        ):
            sentence()

    # --- what is true

    @invariant()
    def nobody_who_could_know_that_a_token_was_spent_presents_it(self) -> None:
        for each in self.ledger.presented:
            assert each.warned or not each.was_spent, "spent by another, and the lease did not warn"
            assert not each.successor_stored, "its successor was in the store already"

    @invariant()
    def a_gone_session_never_returns(self) -> None:
        if not isinstance(self.before, Loaded):
            assert not isinstance(self.there, Loaded)

    @invariant()
    def no_version_is_used_twice(self) -> None:
        if isinstance(self.there, Loaded):
            *_, newest = self.ledger.contents
            assert self.there.version == newest, "an earlier version came back"
            assert int(self.there.sealed) == self.ledger.contents[newest], "one version, two values"

    @invariant()
    def at_most_one_live_lease(self) -> None:
        """A lease dies with its version, also where its owner never hears of its own write."""
        leased = [
            actor.held.known.version for actor in self.actors if actor.held and actor.believes
        ]
        assert len(leased) == len(set(leased))

    @invariant()
    def nobody_is_warned_without_cause(self) -> None:
        for held in (actor.held for actor in self.actors):
            if held is not None and held.warned:
                assert self.ledger.interrupted(held.known.version, but=held.owner)

    @invariant()
    def a_session_is_ended_only_for_a_reason_that_was_true(self) -> None:
        if isinstance(self.before, Loaded) and self.there is None:
            assert self.bench.time >= self.idle_at, "it vanished before its end"
        if isinstance(self.there, Loaded):
            assert self.bench.time < self.idle_at, "it lives beyond its end"
        if isinstance(self.before, Ended) and isinstance(self.there, Ended):
            assert self.there.reason == self.before.reason, "the first reason stays"
        elif isinstance(self.there, Ended):
            self._is_true(self.there.reason)

    def _is_true(self, reason: str) -> None:
        call, ledger = self.call, self.ledger
        assert call is not None
        assert reason == call.reason
        match reason:
            case Reason.SESSION_ENDED:
                assert call.operation == "end"
                assert ledger.logouts
            case Reason.REFRESH_REJECTED:
                assert ledger.grant.death is Death.REVOKED
                assert ledger.contents[call.version] not in ledger.grant.spent
            case Reason.REFRESH_INTERRUPTED:
                assert ledger.grant.death is not None
                assert ledger.interrupted(call.version, but=call.owner)
            case _:
                raise AssertionError(reason)

    @invariant()
    def whoever_has_lost_the_lease_changes_nothing(self) -> None:
        before, call = self.before, self.call
        if not isinstance(before, Loaded) or self.there == before or self.there is None:
            return
        assert call is not None
        assert call.operation in ("replace", "end_if", "end")
        if call.operation != "end":
            assert call.version == before.version
            if call.operation == "end_if":
                assert call.until > self.bench.time
            else:  # it may be late, but for another whom the store has told that the turn is his
                assert self.ledger.leased.get(call.version) in (None, call.owner)
        if isinstance(self.there, Loaded):
            assert self.there.version == call.new_version


Benches = Callable[[], Bench]


@pytest.fixture(params=["memory", "redis"])
def benches(request: pytest.FixtureRequest) -> Iterator[Benches]:
    with asyncio.Runner() as runner:  # it ends what the store still means to do later
        loop = runner.get_loop()
        if request.param == "memory":
            yield lambda: MemoryBench(loop)
        else:
            redis: RedisProcess = request.getfixturevalue("redis")
            bench = RedisBench(loop, redis.port)
            yield lambda: bench
            bench.close()


@pytest.mark.rule("R-03")
@pytest.mark.rule("R-04")
@pytest.mark.rule("R-05")
@pytest.mark.rule("R-06")
def test_three_processes_keep_one_session_whatever_happens(benches: Benches) -> None:
    # Many short searches: one remembers all it has tried, and that of 20,000 is gigabytes.
    for _ in range(40 if SOAK else 1):
        run_state_machine_as_test(
            lambda: OneSession(benches()),  # type: ignore[arg-type]  # a class, or what makes one
            settings=settings(
                max_examples=500 if SOAK else 250,
                stateful_step_count=100 if SOAK else 50,
                derandomize=not SOAK,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink],
            ),
        )
