"""Login transactions in sealed cookies, and the count of logins (rows L-06, L-07, L-17)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.caller.transactions import MOST, Transactions, _decode, _encode
from bff.session.record import LoginTransaction
from tests.parts.requests import a_request
from tests.unit.test_caller_cookies import OURS, cookies

THESE = Transactions(cookies=OURS)


def transaction(state: str, started_at: float = 0.0) -> LoginTransaction:
    return LoginTransaction(
        state=state,
        nonce="n",
        code_verifier="v",
        issuer="https://login.example.com",
        return_to="/",
        started_at=started_at,
        session_id=None,
    )


def pair(line: tuple[bytes, bytes]) -> str:
    return line[1].decode().partition(";")[0]


def written(state: str, started_at: float = 0.0, carried: str = "") -> list[str]:
    request = a_request("GET", ("cookie", carried)) if carried else a_request()
    return [pair(line) for line in THESE.write(transaction(state, started_at), request)]


@pytest.mark.rule("L-06")
@given(octets=st.binary(max_size=70))
def test_base64url_counts_only_as_our_own_encoder_writes_it(octets: bytes) -> None:
    text = _encode(octets)
    assert _decode(text) == octets
    for other in (text + "=", text + "==", text + "\n", " " + text, text + "+", text + "A" * 5):
        decoded = _decode(other)
        assert decoded is None or (decoded != octets and _encode(decoded) == other)


@pytest.mark.rule("L-06")
@given(text=st.text(max_size=40))
def test_no_text_decodes_to_what_would_be_written_otherwise(text: str) -> None:
    decoded = _decode(text)
    assert decoded is None or _encode(decoded) == text


@pytest.mark.rule("L-06")
@given(state=st.text(min_size=1, max_size=50), data=st.data())
def test_an_attempt_opens_by_its_own_state_and_with_no_bit_changed(
    state: str, data: st.DataObject
) -> None:
    if any(0xD800 <= ord(char) < 0xE000 for char in state):
        return  # no query decodes to half a character
    (carried,) = written(state)
    assert THESE.read(state, a_request("GET", ("cookie", carried))) == transaction(state)
    assert THESE.read(state + "x", a_request("GET", ("cookie", carried))) is None
    name, _, value = carried.partition("=")
    octets = bytearray(_decode(value) or b"")
    bit = data.draw(st.integers(0, 8 * len(octets) - 1))
    octets[bit // 8] ^= 1 << bit % 8
    bent = f"{name}={_encode(bytes(octets))}"
    assert THESE.read(state, a_request("GET", ("cookie", bent))) is None


@pytest.mark.rule("L-06")
@pytest.mark.rule("T-03")
def test_an_attempt_opens_under_its_own_name_and_origin_only() -> None:
    (carried,) = written("one")
    value = carried.partition("=")[2]
    moved = f"{THESE.name('two')}={value}"
    assert THESE.read("two", a_request("GET", ("cookie", moved))) is None
    elsewhere = Transactions(cookies=cookies("http://localhost:8080"))
    there = f"{elsewhere.name('one')}={value}"
    assert elsewhere.read("one", a_request("GET", ("cookie", there))) is None


@pytest.mark.rule("L-07")
@pytest.mark.parametrize("open_ones", range(9))
def test_beyond_five_the_oldest_go(open_ones: int) -> None:
    carried = [written(f"s{number}", float(number))[0] for number in range(open_ones)]
    fresh, *evicted = written("new", 99.0, "; ".join(carried))
    too_many = max(0, open_ones - MOST + 1)
    assert [line.partition("=")[0] for line in evicted] == [
        line.partition("=")[0] for line in carried[:too_many]
    ]
    assert all(line.endswith("=") for line in evicted)
    assert len(fresh) < 4096


@pytest.mark.rule("L-17")
@pytest.mark.parametrize(
    ("ages", "loops"),
    [((), False), ((1,), False), ((1, 2), False), ((1, 2, 3), True), ((1, 2, 61), False)],
)
def test_three_logins_within_a_minute_are_a_loop(ages: tuple[int, ...], loops: bool) -> None:
    now, carried = 1000.0, a_request()
    for age in sorted(ages, reverse=True):
        line = THESE.count_login(carried, now - age)
        carried = a_request("GET", ("cookie", pair(line)))
    assert THESE.is_looping(carried, now) == loops


@pytest.mark.rule("L-17")
@given(value=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=80))
def test_no_count_that_somebody_made_up_counts(value: str) -> None:
    name = OURS.name("-loop")
    request = a_request("GET", ("cookie", f"{name}={value.replace(';', '')}"))
    assert not THESE.is_looping(request, 0.0)
    assert pair(THESE.count_login(request, 5.0)).startswith(f"{name}=")
