"""A header section that comes again is the same value again, and nothing else is."""

import pytest

from bff.caller.request import Section
from bff.door.head import read_section, sections
from bff.problem import Headers, Reason, Refused

FIELDS: Headers = [(b"host", b"app.example"), (b"cookie", b"bff=1.a.b"), (b"accept", b"*/*")]


def read(
    method: str = "GET",
    version: str = "1.1",
    headers: Headers = FIELDS,
    *,
    asked: bool = False,
    remember: bool = True,
) -> Section:
    # Octets anew each time, as they come from a socket.
    anew = [(bytes(bytearray(name)), bytes(bytearray(value))) for name, value in headers]
    return read_section(method, version, anew, asked=asked, remember=remember)


def test_the_same_octets_are_the_same_section() -> None:
    assert read() is read()


@pytest.mark.parametrize(
    "other",
    [
        {"method": "POST"},
        {"headers": [*FIELDS, (b"x-csrf", b"1")]},
        {"headers": FIELDS[::-1]},
        {"headers": [(b"host", b"app.example"), (b"cookie", b"bff=1.a.c"), (b"accept", b"*/*")]},
        {"headers": [(b"host", b"app.example"), (b"cookie", b"bff=1.a.b"), (b"accep", b"t*/*")]},
    ],
)
def test_one_octet_makes_it_another(other: dict[str, object]) -> None:
    assert read(**other) is not read()  # type: ignore[arg-type]


def test_what_is_large_is_not_kept() -> None:
    assert read(remember=False) is not read(remember=False)


def test_what_was_read_in_one_version_is_not_taken_for_another() -> None:
    chunked: Headers = [(b"host", b"app.example"), (b"transfer-encoding", b"chunked")]
    assert read("POST", "1.1", chunked).chunked
    for _ in range(2):  # refused each time: a refusal is not kept either
        with pytest.raises(Refused) as caught:
            read("POST", "1.0", chunked)
        assert caught.value.reason is Reason.BAD_REQUEST


def test_an_upgrade_that_the_parser_saw_is_not_taken_for_one_that_it_did_not() -> None:
    upgrade: Headers = [
        (b"host", b"app.example"),
        (b"connection", b"upgrade"),
        (b"upgrade", b"h2c"),
        (b"content-length", b"2"),
    ]
    assert not read("POST", headers=upgrade, asked=False).upgrade
    with pytest.raises(Refused):
        read("POST", headers=upgrade, asked=True)


def test_it_shows_nothing_of_what_it_holds() -> None:
    assert "bff=1" not in repr(read())


def test_all_of_it_can_be_forgotten() -> None:
    before = read()
    sections.forget()
    assert read() is not before


@pytest.mark.rule("W-03")
def test_a_websocket_needs_the_version_that_has_upgrades() -> None:
    handshake: Headers = [
        *FIELDS,
        (b"connection", b"upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        (b"sec-websocket-version", b"13"),
    ]
    assert read(headers=handshake, asked=True).upgrade
    with pytest.raises(Refused) as caught:
        read(version="1.0", headers=handshake, asked=True)
    assert caught.value.reason is Reason.BAD_REQUEST
