"""Transfer-Encoding, written so that one reader sees it and another does not."""

from typing import Final

from tests.parts.tricks.trick import ENDS, SMUGGLED, Trick, length, refused, relayed, request

_CODINGS: Final = {
    "a space before the colon": b"Transfer-Encoding : chunked",
    "a tab before the colon": b"Transfer-Encoding\t: chunked",
    "a vertical tab before the colon": b"Transfer-Encoding\x0b: chunked",
    "a NUL before the colon": b"Transfer-Encoding\0: chunked",
    "a CR before the colon": b"Transfer-Encoding\r: chunked",
    "a line end before the colon": b"Transfer-Encoding\r\n : chunked",
    "a bare LF before the colon": b"Transfer-Encoding\n: chunked",
    "a space before the name": b" Transfer-Encoding: chunked",
    "a tab before the name": b"\tTransfer-Encoding: chunked",
    "a NUL before the name": b"\0Transfer-Encoding: chunked",
    "a CR before the name": b"\rTransfer-Encoding: chunked",
    "a bare LF before the name": b"X-A: 1\nTransfer-Encoding: chunked",
    "a bare CR before the name": b"X-A: 1\rTransfer-Encoding: chunked",
    "LF and CR turned before the name": b"X-A: 1\n\rTransfer-Encoding: chunked",
    "two CR before the name": b"X-A: 1\r\r\nTransfer-Encoding: chunked",
    "a NUL in the line before": b"X-A: 1\0\r\nTransfer-Encoding: chunked",
    "an octet beyond ASCII in the name": b"Transfer-Encoding\xa0: chunked",
    "a soft hyphen in the name": b"Transfer\xad-Encoding: chunked",
    "a space for the hyphen": b"Transfer Encoding: chunked",
    "two colons": b"Transfer-Encoding:: chunked",
    "an equals sign for the colon": b"Transfer-Encoding= chunked",
    "folded onto the next line": b"Transfer-Encoding:\r\n chunked",
    "folded by a tab": b"Transfer-Encoding:\r\n\tchunked",
    "folded with a bare LF": b"Transfer-Encoding:\n chunked",
    "hidden in a folded line": b"X-A: 1\r\n Transfer-Encoding: chunked",
    "a fold after the value": b"Transfer-Encoding: chunked\r\n ,identity",
    "a vertical tab before the value": b"Transfer-Encoding:\x0bchunked",
    "a form feed before the value": b"Transfer-Encoding:\x0cchunked",
    "a NUL before the value": b"Transfer-Encoding: \0chunked",
    "a CR before the value": b"Transfer-Encoding: \rchunked",
    "an octet beyond ASCII before the value": b"Transfer-Encoding: \xffchunked",
    "a no-break space before the value": b"Transfer-Encoding: \xa0chunked",
    "a vertical tab after the value": b"Transfer-Encoding: chunked\x0b",
    "a NUL after the value": b"Transfer-Encoding: chunked\0",
    "a CR after the value": b"Transfer-Encoding: chunked\r",
    "a DEL after the value": b"Transfer-Encoding: chunked\x7f",
    "an unknown coding that ends alike": b"Transfer-Encoding: xchunked",
    "an unknown coding that begins alike": b"Transfer-Encoding: chunkedx",
    "a part of the word": b"Transfer-Encoding: chunk",
    "a parameter": b"Transfer-Encoding: chunked;q=1",
    "a semicolon": b"Transfer-Encoding: chunked;",
    "double quotes": b'Transfer-Encoding: "chunked"',
    "single quotes": b"Transfer-Encoding: 'chunked'",
    "an empty value": b"Transfer-Encoding:",
    "identity": b"Transfer-Encoding: identity",
    "chunked, then identity": b"Transfer-Encoding: chunked, identity",
    "chunked twice in a list": b"Transfer-Encoding: chunked, chunked",
    "a comma after it": b"Transfer-Encoding: chunked,",
    "an empty member after it": b"Transfer-Encoding: chunked, ,",
    "cow before chunked on two lines": b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
    "chunked before cow on two lines": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
    "chunked twice on two lines": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "two lines in two cases": b"Transfer-Encoding: chunked\r\ntransfer-encoding: identity",
    "an empty second line": b"Transfer-Encoding: chunked\r\nTransfer-Encoding:",
}  # fmt: skip

# Codings that are none of ours to take off; and where one cannot read the list in one way.
_FOREIGN: Final = {
    "identity, then chunked": b"Transfer-Encoding: identity, chunked",
    "gzip, then chunked": b"Transfer-Encoding: gzip, chunked",
    "a comma before it": b"Transfer-Encoding: , chunked",
}

_GOOD_CODINGS: Final = {
    "upper case": b"TRANSFER-ENCODING: CHUNKED",
    "mixed case": b"tRANSFER-eNCODING: cHuNkEd",
    "no space at all": b"Transfer-Encoding:chunked",
    "a space and a tab before it": b"Transfer-Encoding: \tchunked",
    "a space after it": b"Transfer-Encoding: chunked ",
}


def _codings() -> list[Trick]:
    rows = []
    inner = ENDS + SMUGGLED
    for sentence, line in _CODINGS.items():
        name = f"TE alone with {sentence}"
        rows.append(refused(name, request(line, body=inner)))
        rows.append(
            refused(f"CL.TE with {sentence}", request(length(len(inner)), line, body=inner))
        )
        rows.append(refused(f"TE.CL with {sentence}", request(line, length(4), body=inner)))
    for sentence, line in _FOREIGN.items():
        rows.append(refused(f"TE alone with {sentence}", request(line, body=inner), 501))
        rows.append(refused(f"TE.CL with {sentence}", request(line, length(5), body=inner)))
    for sentence, line in _GOOD_CODINGS.items():
        body = b"3\r\nabc\r\n" + ENDS
        rows.append(relayed(f"TE in {sentence}", request(line, body=body), b"abc"))
        rows.append(refused(f"CL.TE in {sentence}", request(length(len(inner)), line, body=inner)))
    return rows


CODINGS: Final = _codings()
