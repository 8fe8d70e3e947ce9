"""Content-Length, written so that two readers see two numbers."""

from typing import Final

from tests.parts.tricks.trick import SMUGGLED, Trick, refused, relayed, request

_LENGTHS: Final = {
    "a plus": b"Content-Length: +%d",
    "a minus": b"Content-Length: -%d",
    "a hexadecimal prefix": b"Content-Length: 0x%x",
    "a comma list of equal ones": b"Content-Length: %d, 5",
    "a comma list of others": b"Content-Length: %d, 0",
    "a comma after it": b"Content-Length: %d,",
    "a comma before it": b"Content-Length: ,%d",
    "a space within": b"Content-Length: %d 0",
    "a semicolon": b"Content-Length: %d;0",
    "a fraction": b"Content-Length: %d.0",
    "an exponent": b"Content-Length: %de0",
    "an underscore": b"Content-Length: %d_0",
    "double quotes": b'Content-Length: "%d"',
    "a letter": b"Content-Length: %da",
    "a vertical tab before it": b"Content-Length: \x0b%d",
    "a vertical tab after it": b"Content-Length: %d\x0b",
    "a NUL after it": b"Content-Length: %d\0",
    "a CR after it": b"Content-Length: %d\r",
    "an octet beyond ASCII after it": b"Content-Length: %d\xff",
    "a fold": b"Content-Length:\r\n %d",
    "a fold after it": b"Content-Length: %d\r\n 0",
    "a space before the colon": b"Content-Length : %d",
    "a tab before the colon": b"Content-Length\t: %d",
    "a space before the name": b" Content-Length: %d",
    "two equal ones": b"Content-Length: %d\r\nContent-Length: 5",
    "two of them, the second zero": b"Content-Length: %d\r\nContent-Length: 0",
    "two of them, the first zero": b"Content-Length: 0\r\nContent-Length: %d",
    "two of them in two cases": b"Content-Length: %d\r\ncontent-length: 0",
    "three of them": b"Content-Length: %d\r\nContent-Length: 5\r\nContent-Length: 5",
    "an empty one beside it": b"Content-Length:\r\nContent-Length: %d",
    "a bare LF before it": b"X-A: 1\nContent-Length: %d",
    "a bare CR before it": b"X-A: 1\rContent-Length: %d",
    "an octet beyond ASCII for a digit": b"Content-Length: \xd9\xa5%d",
}  # fmt: skip

_NO_LENGTHS: Final = {
    "nothing": b"Content-Length:",
    "spaces": b"Content-Length:   ",
    "a word": b"Content-Length: five",
    "2 to the 64th and five": b"Content-Length: 18446744073709551621",
    "2 to the 63rd": b"Content-Length: 9223372036854775808",
    "ten thousand digits": b"Content-Length: " + b"9" * 10_000,
    "infinity": b"Content-Length: inf",
}

_GOOD_LENGTHS: Final = {
    "leading zeros": b"Content-Length: 0005",
    "a tab before it and a space after": b"Content-Length:\t5 ",
    "no space": b"Content-Length:5",
    "upper case": b"CONTENT-LENGTH: 5",
}


def _lengths() -> list[Trick]:
    rows = []
    for sentence, line in _LENGTHS.items():
        rows.append(refused(f"CL with {sentence}", request(line % 5, body=b"hello" + SMUGGLED)))
        all_of_it = request(line % len(SMUGGLED), body=SMUGGLED)
        rows.append(refused(f"CL over a request with {sentence}", all_of_it))
    for sentence, line in _NO_LENGTHS.items():
        rows.append(refused(f"CL that is {sentence}", request(line, body=SMUGGLED)))
    for sentence, line in _GOOD_LENGTHS.items():
        rows.append(relayed(f"CL with {sentence}", request(line, body=b"hello"), b"hello"))
    return rows


LENGTHS: Final = _lengths()
