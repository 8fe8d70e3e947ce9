"""Whose connection it is, through proxies that are trusted and others that are not (Q-16, E-10)."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.caller.peer import Proxies, client_address, request_id

TRUSTED = Proxies([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")])


@pytest.mark.rule("Q-16")
@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        pytest.param("10.0.0.1", "198.51.100.7", "198.51.100.7", id="one trusted proxy"),
        pytest.param(
            "10.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7", id="a forged entry before"
        ),
        pytest.param(
            "10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7", id="two trusted proxies"
        ),
        pytest.param("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", id="all trusted"),
        pytest.param("10.0.0.1", None, "10.0.0.1", id="nothing said"),
        pytest.param("198.51.100.9", "1.1.1.1", "198.51.100.9", id="an untrusted peer"),
        pytest.param("10.0.0.1", "evil", "10.0.0.1", id="no address"),
        pytest.param("10.0.0.1", "1.1.1.1, evil", "10.0.0.1", id="no address last"),
        pytest.param("10.0.0.1", "1.1.1.1, evil, 10.0.0.2", "10.0.0.2", id="no address between"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="empty"),
        pytest.param("10.0.0.1", "1.1.1.1,", "10.0.0.1", id="a comma at the end"),
        pytest.param("10.0.0.1", "1.1.1.1:80", "10.0.0.1", id="with a port"),
        pytest.param("10.0.0.1", "127.1", "10.0.0.1", id="short form"),
        pytest.param("10.0.0.1", "2001:db8::1", "2001:db8::1", id="IPv6"),
        pytest.param("fd00::1", "2001:db8::1", "2001:db8::1", id="an IPv6 proxy"),
        pytest.param("10.0.0.1", '::1%";host=evil;for="', "10.0.0.1", id="a zone that says more"),
        pytest.param("10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7", id="mapped to IPv6"),
        pytest.param("10.0.0.1", "fe80::1%eth0", "10.0.0.1", id="a zone"),
        pytest.param("", "1.1.1.1", "", id="a socket without an address"),
    ],
)
def test_the_rightmost_address_that_is_no_proxy_of_ours_counts(
    peer: str, forwarded: str | None, address: str
) -> None:
    said = None if forwarded is None else forwarded.encode()
    assert client_address(peer, said, TRUSTED) == address


@pytest.mark.rule("Q-16")
@given(forwarded=st.binary(max_size=60), peer=st.ip_addresses().map(str))
def test_without_trusted_proxies_nothing_that_is_said_counts(forwarded: bytes, peer: str) -> None:
    assert client_address(peer, forwarded, Proxies()) == peer
    assert Proxies().include(peer) is False


@pytest.mark.rule("Q-16")
@given(forwarded=st.binary(max_size=60))
def test_whatever_a_proxy_says_the_result_is_an_address(forwarded: bytes) -> None:
    ipaddress.ip_address(client_address("10.0.0.1", forwarded, TRUSTED))


@pytest.mark.rule("E-10")
@given(text=st.binary(max_size=80))
def test_an_id_from_outside_is_short_and_plain_or_ours(text: bytes) -> None:
    taken = request_id(text, hop="10.0.0.1", trusted=TRUSTED)
    assert taken.isascii()
    assert 8 <= len(taken) <= 64
    assert set(taken) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert request_id(text, hop="192.0.2.1", trusted=TRUSTED).encode() != text


@pytest.mark.rule("E-10")
def test_ids_of_our_own_are_all_different() -> None:
    assert len({request_id(None, hop="10.0.0.1", trusted=TRUSTED) for _ in range(1000)}) == 1000
