"""The store's pure rooms: what proves an answer, what sentinels and clusters reply."""

from typing import Any

import pytest

from bff.session.batch import FIELDS, GLANCED, Batch, ask_for, bulk, command, heard, read_fields
from bff.session.batch import asked as question_for
from bff.session.proof import Doubt, asked, proven
from bff.session.store import Glimpse, StoreUnavailable
from bff.session.topology import SLOTS, agreed, read_master, read_slots

ASKED = ("10.0.0.9", 7000)


def facts(**more: bytes) -> list[bytes]:
    known = {"name": b"main", "config-epoch": b"7", **more}
    return [part for name, value in known.items() for part in (name.encode(), value)]


def test_a_sentinel_names_the_master_and_how_new_that_is() -> None:
    assert read_master([b"10.0.0.1", b"6380"], facts()) == (7, ("10.0.0.1", 6380))


@pytest.mark.parametrize(
    ("address", "about"),
    [
        pytest.param(None, facts(), id="a master of that name is not known"),
        pytest.param([b"10.0.0.1"], facts(), id="half an address"),
        pytest.param([b"10.0.0.1", b"port"], facts(), id="a port that is none"),
        pytest.param([b"10.0.0.1", b"6380"], facts()[:-1], id="half a fact"),
        pytest.param([b"10.0.0.1", b"6380"], [b"name", b"main"], id="no epoch"),
        pytest.param([b"10.0.0.1", b"6380"], 7, id="no facts"),
        pytest.param([1, b"6380"], facts(), id="a number for a host"),
    ],
)
def test_a_sentinel_that_says_something_else_is_not_believed(address: Any, about: Any) -> None:
    with pytest.raises(Doubt):
        read_master(address, about)


def test_each_slot_has_its_master() -> None:
    replica = [b"10.0.0.2", 7001, b"id"]
    slots = read_slots(
        [[0, 99, [b"10.0.0.1", 7001, b"id"], replica], [100, 100, [b"", 7002, b"id"]]], ASKED
    )
    assert len(slots) == SLOTS
    assert set(slots[:100]) == {("10.0.0.1", 7001)}
    assert slots[100] == ("10.0.0.9", 7002)  # no host: the one that was asked
    assert set(slots[101:]) == {None}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(None, id="nothing"),
        pytest.param([[0, 99]], id="slots without a server"),
        pytest.param([[0, b"99", [b"a", 1]]], id="a text for a number"),
        pytest.param([[0, SLOTS, [b"a", 1]]], id="one slot too many"),
        pytest.param([[99, 0, [b"a", 1]]], id="slots the wrong way round"),
        pytest.param([[0, 99, [1, 1]]], id="a number for a host"),
    ],
)
def test_a_map_that_is_none_is_not_believed(reply: object) -> None:
    with pytest.raises(Doubt):
        read_slots(reply, ASKED)


WAS, IS, NOTHING = (("a", 1), ("b", 1)), (("c", 1), ("b", 1)), (None, None)


@pytest.mark.parametrize(
    ("maps", "slots"),
    [
        pytest.param({WAS: 1, IS: 2}, IS, id="one whom the others no longer hear"),
        pytest.param({IS: 2, WAS: 1}, IS, id="heard last"),
        pytest.param({NOTHING: 1, IS: 2}, IS, id="one without a memory"),
        pytest.param({NOTHING: 1, IS: 1}, IS, id="and one other"),
        pytest.param({IS: 1, NOTHING: 1}, IS, id="heard last, and one other"),
        pytest.param({WAS: 1, (None, ("b", 1)): 2}, (None, ("b", 1)), id="most know of a gap"),
        pytest.param({NOTHING: 1}, NOTHING, id="nobody else"),
    ],
)
def test_the_map_that_most_have_is_taken(maps: dict[Any, int], slots: object) -> None:
    assert agreed(maps) == slots


def test_the_arguments_of_two_calls_never_have_one_digest() -> None:
    one, other = asked("k", ["a", b"b"]), asked("k", ["a", b"b"])
    assert one[:2] == other[:2] == ["a", b"b"]
    assert one[2:] != other[2:]
    assert one[3] != other[3]


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(None, id="nothing"),
        pytest.param(b"OK", id="a text"),
        pytest.param([b"digest"], id="half an answer"),
        pytest.param([b"0" * 40, [1]], id="another digest"),
        pytest.param([None, [None]], id="no digest"),
        pytest.param([b"0" * 40, [ValueError("of the wire")]], id="an error within the answer"),
    ],
)
def test_an_answer_that_proves_nothing_is_in_doubt(reply: object) -> None:
    with pytest.raises(Doubt):
        proven(reply, asked("k", []))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(2, b"12x4", id="a deadline that is no number"),
        pytest.param(1, b"\xff", id="a version that is no text"),
        pytest.param(6, ValueError("of the wire"), id="an error in place of the reason"),
        pytest.param(5, ValueError("of the wire"), id="an error in place of a time"),
        pytest.param(3, None, id="a deadline that is missing"),
    ],
)
def test_a_peek_that_was_garbled_says_nothing(place: int, value: Any) -> None:
    fields: list[Any] = [b"t", b"v", b"1", b"2", b"", b"3", None]
    assert len(fields) == len(FIELDS)
    fields[place] = value
    with pytest.raises(StoreUnavailable):
        read_fields(fields)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param([b"k", b"v", b"12x4"], id="a time that is no number"),
        pytest.param([b"k", b"\xff", b"1000"], id="a version that is no text"),
        pytest.param([b"k", ValueError("of the wire"), b"1000"], id="an error for a version"),
        pytest.param([b"k", b"v", ValueError("of the wire")], id="an error for a time"),
        pytest.param([b"k", b"v", None], id="no time"),
        pytest.param([b"k", b"v", 1000], id="a time that is no string"),
        pytest.param([b"k", None, None], id="a tombstone"),
        pytest.param([None, None, None], id="nothing"),
        pytest.param([None, b"v", b"1000"], id="no tag"),
    ],
)
def test_a_glance_shows_what_lives_or_nothing(said: list[Any]) -> None:
    """Whatever it is, `peek` is to say so; and nothing is kept that could be known again."""
    question = question_for("k", b"p:k")
    ask_for(question, GLANCED)
    glimpse = Glimpse(version="v", seen_at=1.0)
    assert heard(question, [b"k", b"v", b"1000"]) == glimpse
    assert question.said == command(b"k", b"v", b"1000")
    assert heard(question, said) is None
    assert question.glimpse is None
    batch = Batch(b"nonce", [question], [print])
    assert batch.recognise(question.said + bulk(b"nonce"), 0) == 0
    assert batch.recognise(bulk(b"nonce"), 0) == 0
