"""Which coding is looked for, by Accept-Encoding (RFC 9110 §12.5.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.relay.coding import codings

PLAIN = ("identity",)


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        pytest.param(None, PLAIN, id="nothing said"),
        pytest.param(b"", PLAIN, id="an empty field"),
        pytest.param(b"gzip, deflate, br, zstd", ("br", "gzip", "identity"), id="a browser's"),
        pytest.param(b"gzip", ("gzip", "identity"), id="one"),
        pytest.param(b"x-gzip", ("gzip", "identity"), id="by its old name"),
        pytest.param(b"GZIP;Q=0.5 , Br ; q=0.4", ("gzip", "br", "identity"), id="case and space"),
        pytest.param(b"gzip;q=0", PLAIN, id="not that one"),
        pytest.param(b"br;q=0, *", ("gzip", "identity"), id="anything but that one"),
        pytest.param(b"*", ("br", "gzip", "identity"), id="anything"),
        pytest.param(b"*;q=0", (), id="nothing at all"),
        pytest.param(b"*;q=0, gzip", ("gzip",), id="nothing but that one"),
        pytest.param(b"*;q=0, identity", PLAIN, id="nothing but plain octets"),
        pytest.param(b"identity;q=0", (), id="no plain octets, and nothing else named"),
        pytest.param(b"br, identity;q=0", ("br",), id="no plain octets"),
        pytest.param(b"identity, br;q=0.5", ("identity", "br"), id="plain octets rather"),
        pytest.param(b"gzip;q=0.001", ("gzip", "identity"), id="reluctantly, and yet"),
        pytest.param(b"gzip;q=1.000, br;q=0.999", ("gzip", "br", "identity"), id="by weight"),
        pytest.param(b"gzip;q=0.0000", PLAIN, id="a weight that is none"),
        pytest.param(b"gzip;q=-1, br;q=x, ;q=1, ,", PLAIN, id="nothing that can be read"),
        pytest.param(b"gzip;level=9", PLAIN, id="a parameter that codings do not have"),
        pytest.param(b"br," + b" " * 2000, PLAIN, id="longer than anybody means"),
        pytest.param(b"\xff\xfe, br", ("br", "identity"), id="octets of another time"),
    ],
)
def test_the_codings_to_look_for(field: bytes | None, wanted: tuple[str, ...]) -> None:
    assert codings(field) == wanted


@given(
    weights=st.dictionaries(
        st.sampled_from(["br", "gzip", "identity", "*", "zstd"]), st.integers(0, 1000)
    )
)
def test_what_has_no_weight_is_never_chosen_and_more_weight_comes_first(
    weights: dict[str, int],
) -> None:
    field = ", ".join(f"{name};q={weight / 1000:.3f}" for name, weight in weights.items())
    found = codings(field.encode())
    given_to = {name: weights.get(name, weights.get("*")) for name in ("br", "gzip", "identity")}
    for name in ("br", "gzip"):
        assert (name in found) is bool(given_to[name])
    assert ("identity" in found) is (given_to["identity"] != 0)
    order = [given_to[name] for name in found if given_to[name] is not None]
    assert order == sorted(order, key=lambda weight: -(weight or 0))
