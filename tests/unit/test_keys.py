"""The keyring: keys as lines of text, and what is derived from them (T-03 to T-05, T-08)."""

import ast
import base64
import hashlib
import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bff
from bff.keys import Key, Keyring, derive, derive_for, new_key, parse_key


def hkdf(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 in two lines, to judge what the library was told."""
    extracted = hmac.digest(salt or bytes(32), material, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)[:length]


@pytest.mark.rule("T-03")
@given(material=st.binary(min_size=32, max_size=32), salt=st.binary(max_size=43))
def test_a_key_is_used_only_through_hkdf_by_purpose_origin_and_salt(
    material: bytes, salt: bytes
) -> None:
    key = Key(kid="00000000", material=material)
    for purpose in ("cookie", "record"):
        info = f"bff/1/{purpose}/https://a.example".encode()
        assert derive(key, purpose, "https://a.example") == hkdf(material, b"", info, 32)
        bound = derive_for(key, purpose, "https://a.example", salt)
        assert bound == hkdf(material, salt, info, 32)


@given(material=st.binary(min_size=32, max_size=32))
def test_a_line_of_text_is_the_key_it_was_made_of(material: bytes) -> None:
    text = "bff1_" + base64.urlsafe_b64encode(material).decode().rstrip("=")
    for line in (text, f"  {text}\n"):
        key = parse_key(line)
        assert key.material == material
        assert key.kid == hkdf(material, b"", b"bff/1/kid/", 4).hex()


def test_every_new_key_is_another_one() -> None:
    keys = [new_key() for _ in range(50)]
    assert len({parse_key(text).kid for text in keys}) == len(set(keys)) == 50


@pytest.mark.rule("T-05")
@pytest.mark.parametrize(
    "text",
    [
        *("", "bff1_", "bff1_AAAA", "secret-canary", "bff2_" + "A" * 43, "bff1_" + "A" * 42),
        *("bff1_" + "A" * 44, "bff1_" + "A" * 86, "bff1_" + "!" * 43, "bff1_" + "é" * 43, "A" * 43),
        "bff1_ " + "A" * 42,
    ],
)
def test_what_is_no_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="not a key") as refused:
        parse_key(text)
    assert refused.value.__cause__ is None
    assert not text.strip() or text not in str(refused.value)


@pytest.mark.rule("T-05")
def test_no_repr_shows_a_key() -> None:
    text = new_key()
    key = parse_key(text)
    ring = Keyring(current=key, accepted=(parse_key(new_key()),))
    for shown in (repr(key), repr(ring), str(ring)):
        assert text[5:] not in shown
        assert repr(key.material) not in shown
        assert key.kid in shown


@pytest.mark.rule("T-04")
def test_the_ring_finds_what_may_open() -> None:
    now, then, never = (parse_key(new_key()) for _ in range(3))
    ring = Keyring(current=now, accepted=(then,), retired=frozenset({never.kid}))
    assert [ring.find(key.kid) for key in (now, then, never)] == [now, then, None]
    assert ring.all() == (now, then)


@pytest.mark.rule("T-08")
def test_all_random_values_come_from_the_operating_system() -> None:
    """No module of the product imports another generator, and none makes a value of a UUID."""
    root = Path(bff.__file__).parent
    for path in root.rglob("*.py"):
        tree = ast.parse(path.read_text())
        imported = {
            name.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for name in node.names
        } | {
            (node.module or "").partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
        }
        assert imported.isdisjoint({"random", "uuid", "numpy"}), path
