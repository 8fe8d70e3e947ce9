"""Record ↔ sealed bytes: what opens where, and what never does (T-02, T-03)."""

import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.keys import Keyring, Purpose, new_key, parse_key
from bff.session.seal import KeyUnknown, SealBroken, Sealer, store_key

OLD, NEW, OTHER = (parse_key(new_key()) for _ in range(3))
RING = Keyring(current=NEW, accepted=(OLD,))
SEALER = Sealer(RING, "record", "https://a.example")

JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=10,
)


@pytest.mark.rule("T-02")
@given(
    value=JSONISH,
    place=st.text(st.characters(codec="utf-8"), max_size=20),
    salt=st.binary(max_size=40),
)
def test_what_was_sealed_opens_again(value: object, place: str, salt: bytes) -> None:
    sealed = SEALER.seal(value, place=place, salt=salt)
    assert SEALER.open(sealed, object, place=place, salt=salt) == value
    assert sealed[1:9].decode() == NEW.kid
    assert SEALER.seal(value, place=place, salt=salt) != sealed  # a nonce of its own


@pytest.mark.rule("T-02")
@given(text=st.text(st.sampled_from("abcdefgh"), min_size=12, max_size=60))
def test_nothing_of_the_value_is_readable(text: str) -> None:
    sealed = SEALER.seal(text, place="p", salt=b"s")
    assert text.encode()[:6] not in sealed


@pytest.mark.rule("T-03")
@given(data=st.data())
def test_one_bit_and_nothing_opens(data: st.DataObject) -> None:
    sealed = bytearray(SEALER.seal({"a": "value"}, place="p", salt=b"s"))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(KeyUnknown if 8 <= bit < 72 else SealBroken) as broken:
        SEALER.open(bytes(sealed), object, place="p", salt=b"s")
    assert broken.value.__cause__ is None
    assert str(broken.value) == ""


@pytest.mark.rule("T-03")
@given(cut=st.integers(0, 50))
def test_a_part_of_it_opens_nothing(cut: int) -> None:
    sealed = SEALER.seal("a value of some length", place="p")
    for part in (sealed[:cut], sealed[: -1 - cut], sealed[cut + 1 :]):
        with pytest.raises((SealBroken, KeyUnknown)):
            SEALER.open(part, object, place="p")


@pytest.mark.rule("T-03")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"place": "q"}, id="another place"),
        pytest.param({"place": "P"}, id="another case"),
        pytest.param({"salt": b"t"}, id="another session id"),
        pytest.param({"salt": b""}, id="no session id"),
        pytest.param({"purpose": "index"}, id="another purpose"),
        pytest.param({"origin": "https://b.example"}, id="another origin"),
    ],
)
def test_it_opens_only_where_it_belongs(change: dict[str, object]) -> None:
    sealed = SEALER.seal("a value", place="p", salt=b"s")
    sealer = dataclasses.replace(
        SEALER,
        **{name: value for name, value in change.items() if name in ("purpose", "origin")},  # type: ignore[arg-type]
    )
    where = {"place": "p", "salt": b"s"} | {
        k: v for k, v in change.items() if k in ("place", "salt")
    }
    with pytest.raises(SealBroken):
        sealer.open(sealed, str, **where)  # type: ignore[arg-type]


@pytest.mark.rule("T-03")
@pytest.mark.parametrize("kind", [int, list[int], dict[str, str]])
def test_a_value_of_another_kind_is_refused(kind: type[object]) -> None:
    with pytest.raises(SealBroken):
        SEALER.open(SEALER.seal("a text", place="p"), kind, place="p")


@pytest.mark.rule("T-04")
def test_an_accepted_key_opens_and_an_unknown_one_is_not_known_yet() -> None:
    before = Sealer(Keyring(current=OLD), "record", SEALER.origin)
    assert SEALER.open(before.seal("v", place="p"), str, place="p") == "v"
    strangers = Sealer(Keyring(current=OTHER), "record", SEALER.origin)
    with pytest.raises(KeyUnknown) as unknown:
        SEALER.open(strangers.seal("v", place="p"), str, place="p")
    assert not unknown.value.retired
    rid_of_it = dataclasses.replace(SEALER.keyring, retired=frozenset({OTHER.kid}))
    with pytest.raises(KeyUnknown) as unknown:
        dataclasses.replace(SEALER, keyring=rid_of_it).open(
            strangers.seal("v", place="p"), str, place="p"
        )
    assert unknown.value.retired


@pytest.mark.rule("T-03")
def test_a_strangers_text_under_our_key_id_is_broken() -> None:
    strangers = Sealer(Keyring(current=OTHER), "record", SEALER.origin).seal("v", place="p")
    with pytest.raises(SealBroken):
        SEALER.open(strangers[:1] + NEW.kid.encode() + strangers[9:], str, place="p")


@pytest.mark.rule("T-02")
@given(parts=st.lists(st.text(st.characters(codec="utf-8"), max_size=9), max_size=4))
def test_a_store_key_is_a_hash_of_its_parts_each_with_its_length(parts: list[str]) -> None:
    digest = b"".join(
        len(part.encode()).to_bytes(4, "big") + part.encode() for part in ("session", "f", *parts)
    )
    assert store_key("session", "f", *parts) == hashlib.sha256(digest).hexdigest()


@pytest.mark.rule("T-03")
def test_no_two_parts_run_into_each_other() -> None:
    keys = {
        store_key("claim", "f", "ab", "c"),
        store_key("claim", "f", "a", "bc"),
        store_key("claim", "f", "abc"),
        store_key("claim", "fab", "c"),
        store_key("ticket", "f", "ab", "c"),
    }
    assert len(keys) == 5


def test_every_purpose_has_a_key_of_its_own() -> None:
    purposes: list[Purpose] = [
        "cookie",
        "login",
        "loop",
        "record",
        "index",
        "ticket",
        "revocation",
        "log",
    ]
    sealed = {
        purpose: Sealer(RING, purpose, "https://a.example").seal("v", place="p")
        for purpose in purposes
    }
    for mine in purposes:
        for theirs in set(purposes) - {mine}:
            with pytest.raises(SealBroken):
                Sealer(RING, mine, "https://a.example").open(sealed[theirs], str, place="p")
