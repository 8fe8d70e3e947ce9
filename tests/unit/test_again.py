"""What comes again is kept, up to a bound and while it is used; what comes once is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.again import SHORT, Again, Recent, remembered


def learn(kept: Again[int], octets: bytes, value: int) -> None:
    if kept.note(octets):
        kept.keep(octets, value)


def test_what_has_come_twice_is_kept() -> None:
    kept: Again[int] = Again(2)
    learn(kept, b"a", 1)
    assert kept.get(b"a") is None
    learn(kept, b"a", 2)
    assert kept.get(b"a") == 2
    assert kept.get(b"b") is None


def test_the_oldest_goes_first() -> None:
    kept: Again[int] = Again(1)
    for number, key in enumerate((b"a", b"b", b"c")):
        learn(kept, key, number)
        learn(kept, key, number)
    assert len(kept) == 2
    assert (kept.get(b"a"), kept.get(b"b")) == (None, 1)


@pytest.mark.parametrize(
    ("steps", "there"),
    [("a", True), ("aa", False), ("-aa", False), ("a-a", True), ("a-aa", False), ("a-a-a-a", True)],
)
def test_what_is_not_used_between_two_agings_goes(steps: str, there: bool) -> None:
    """`a`: it grows older. `-`: it is used."""
    kept: Recent[bytes, int] = Recent(8)
    kept.keep(b"x", 1)
    for step in steps:
        if step == "a":
            kept.age()
        else:
            assert kept.get(b"x") == 1
    assert (kept.get(b"x") is not None) is there


def test_as_many_as_there_are_places_are_never_lost_while_they_are_used() -> None:
    kept: Recent[int, int] = Recent(100)
    for number in range(100):
        kept.keep(number, number)
    for _ in range(5):
        kept.age()
        assert [kept.get(number) for number in range(100)] == list(range(100))


@given(steps=st.lists(st.one_of(st.none(), st.integers(0, 12)), max_size=200))
def test_there_are_never_more_than_two_generations_of_it(steps: list[int | None]) -> None:
    kept: Recent[int, int] = Recent(4)
    for step in steps:
        if step is None:
            kept.age()
        elif (found := kept.get(step)) is None:
            kept.keep(step, step)
        else:
            assert found == step
        assert len(kept) <= 8


def test_what_came_long_ago_has_not_come() -> None:
    kept: Again[int] = Again(8)
    assert not kept.note(b"a")
    kept.age()
    assert kept.note(b"a")
    kept.age()
    kept.age()
    assert not kept.note(b"a")


def test_what_never_comes_again_takes_no_place() -> None:
    kept: Again[int] = Again(2)
    learn(kept, b"a", 0)
    learn(kept, b"a", 0)
    for number in range(1, 1000):
        learn(kept, b"%d" % number, number)
        assert len(kept._noted) <= 4
    assert kept.get(b"a") == 0
    assert len(kept) == 1


def test_all_of_it_can_be_forgotten() -> None:
    kept: Again[int] = Again(2)
    learn(kept, b"a", 1)
    learn(kept, b"a", 1)
    kept.forget()
    learn(kept, b"a", 1)
    assert kept.get(b"a") is None


def test_of_what_is_long_nothing_is_remembered() -> None:
    asked: list[bytes] = []

    @remembered(2)
    def length(text: bytes) -> int:
        asked.append(text)
        return len(text)

    short, long = b"x" * SHORT, b"x" * (SHORT + 1)
    for text in (short, long):
        assert [length(text) for _ in range(3)] == [len(text)] * 3
    assert asked == [short, long, long, long]
