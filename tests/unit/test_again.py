"""What comes again is kept, up to a bound; what comes once is not."""

from bff.again import Again


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
    kept: Again[int] = Again(2)
    for number, key in enumerate((b"a", b"b", b"c")):
        learn(kept, key, number)
        learn(kept, key, number)
    assert (kept.get(b"a"), kept.get(b"b"), kept.get(b"c"), len(kept)) == (None, 1, 2, 2)


def test_what_never_comes_again_takes_no_place() -> None:
    kept: Again[int] = Again(2)
    learn(kept, b"a", 0)
    learn(kept, b"a", 0)
    for number in range(1, 1000):
        learn(kept, b"%d" % number, number)
        assert len(kept._noted) <= 2
    assert kept.get(b"a") == 0
    assert len(kept) == 1


def test_all_of_it_can_be_forgotten() -> None:
    kept: Again[int] = Again(2)
    learn(kept, b"a", 1)
    learn(kept, b"a", 1)
    kept.forget()
    learn(kept, b"a", 1)
    assert kept.get(b"a") is None
