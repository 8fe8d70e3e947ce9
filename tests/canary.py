"""Every secret of the test run is a canary: searched for in all that leaves the BFF.

The recorder keeps what the BFF sends to browsers (each answer with the request it belongs to),
every log line and process output, and the dumps of Redis. The search finds a fragment of 23 octets
of any secret, plain, percent-, JSON- or HTML-escaped, in hex, base64 or base64url at any alignment,
and inside gzip. What is searched where:

- client secrets, keys, access and refresh tokens, ID tokens, codes, verifiers and session ids:
  everywhere, with the two EXCEPTIONS;
- states, nonces, challenges and references to pushed requests, which the browser must carry to the
  provider: everywhere but in `Location` of `GET /bff/login`, and a sign-out's state in that of
  `GET /bff/logout/provider`, where the ID token holds the nonce of its login too.
"""

import base64
import html
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import quote, quote_plus

Place = Literal["browser", "log", "store"]

GRAM: Final = 16  # octets that must coincide
STRIDE: Final = 8  # so that a fragment of GRAM + STRIDE - 1 octets is found wherever it begins
KEPT: Final = 512 * 1024  # octets of one answer; a test of large bodies fills it with noise
_ALPHABET: Final = bytes.maketrans(b"+/", b"-_")  # base64 and base64url are searched as one


@dataclass(slots=True)
class Record:
    """Octets that left the BFF, and where they went: `name` is method and path of an answer."""

    place: Place
    name: str
    data: bytearray = field(repr=False)

    def add(self, data: bytes) -> None:
        self.data += data[: max(0, KEPT - len(self.data))]


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret where it must not be. It says which kind and where, and does not repeat it."""

    kind: str
    place: Place
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Exempt:
    """Where one kind of secret belongs: a group of a pattern in the head of some answers."""

    kinds: frozenset[str]
    request: re.Pattern[str]
    where: re.Pattern[bytes]


EXCEPTIONS: Final[Mapping[str, Exempt]] = {
    "the session id in Set-Cookie of the session cookie": Exempt(
        frozenset({"session_ids"}),
        re.compile(r"GET /bff/callback(/[a-z0-9_-]+)?"),
        re.compile(rb"\r\nset-cookie: (?:__Host-Http-)?bff=([^;\r\n]*)"),
    ),
    "the ID token in Location of GET /bff/logout/provider": Exempt(
        frozenset({"id_tokens"}),
        re.compile(r"GET /bff/logout/provider"),
        re.compile(rb"\r\nlocation: ([^\r\n]*)"),
    ),
}
PROTOCOL: Final[Mapping[str, Exempt]] = {
    "state, nonce and challenge in Location of GET /bff/login": Exempt(
        frozenset({"states", "nonces", "code_challenges", "request_uris"}),
        re.compile(r"GET /bff/login"),
        re.compile(rb"\r\nlocation: ([^\r\n]*)"),
    ),
    "state and the ID token's nonce in Location of GET /bff/logout/provider": Exempt(
        frozenset({"states", "nonces"}),
        re.compile(r"GET /bff/logout/provider"),
        re.compile(rb"\r\nlocation: ([^\r\n]*)"),
    ),
}
_SESSION_COOKIE: Final = re.compile(
    rb"set-cookie: (?:__Host-Http-)?bff=[0-9a-f]{8}\.([\w-]+)\.([\w-]+);"
)


class Recorder:
    """All that was sent, told and stored in this run, and every secret there was."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._secrets: dict[str, set[str]] = {}
        self._dumps: set[bytes] = set()

    def answer(self, name: str) -> Record:
        """A new answer to a browser, to be filled."""
        record = Record("browser", name, bytearray())
        self.records.append(record)
        return record

    def told(self, line: str, name: str = "log") -> None:
        """A log line, or the output of a process."""
        self.records.append(Record("log", name, bytearray(line.encode("utf-8", "replace"))))

    def dumped(self, dump: bytes) -> None:
        """All that Redis holds at some moment."""
        if dump not in self._dumps:
            self._dumps.add(dump)
            self.records.append(Record("store", "redis", bytearray(dump)))

    def secret(self, kind: str, value: str | None) -> None:
        """A value to be searched for at the end."""
        if value:
            self._secrets.setdefault(kind, set()).add(value)

    def secrets(self) -> dict[str, set[str]]:
        """Every secret by kind; session ids are read off the cookies that were set."""
        found = {kind: set(values) for kind, values in self._secrets.items()}
        ids = found.setdefault("session_ids", set())
        for record in self.records:
            if record.place == "browser":
                for session_id, signature in _SESSION_COOKIE.findall(record.data):
                    ids |= {session_id.decode(), signature.decode()}
        return found


RECORDER: Final = Recorder()


class Search:
    """Finds fragments of secrets. Made once for many records."""

    def __init__(self, secrets: Mapping[str, Iterable[str]]) -> None:
        self._grams: dict[bytes, tuple[str, str]] = {}  # kind, and the secret itself
        self.exempted: set[str] = set()  # the names of exceptions that were needed
        values = [(kind, value) for kind in secrets for value in secrets[kind] if _is_one(value)]
        for kind, value in values:
            for form in _forms(value):
                self._learn(kind, value, form)
        for token in (value for _, value in values if _is_jwt(value)):
            self._forget_common(token)

    def _learn(self, kind: str, value: str, form: bytes) -> None:
        folded = form.translate(_ALPHABET)
        for start in range(0, len(folded) - GRAM + 1, STRIDE):
            self._grams[folded[start : start + GRAM]] = (kind, value)

    def _forget_common(self, value: str) -> None:
        """What two tokens share is no secret of either: issuer, times, names of claims."""
        folded, grams = value.encode().translate(_ALPHABET), self._grams
        for at in range(len(folded) - GRAM + 1):
            gram = folded[at : at + GRAM]
            if gram in grams and grams[gram][1] != value and _is_jwt(grams[gram][1]):
                del grams[gram]

    def leaks(self, records: Iterable[Record]) -> list[Leak]:
        """Where a secret is that must not be there; at most one for each place."""
        return [leak for record in records for leak in self._of(record)]

    def _of(self, record: Record) -> Iterator[Leak]:
        exempt = list(_exempt(record))
        for at, kind in self._hits(bytes(record.data)):
            pardons = [
                name
                for name, kinds, start, end in exempt
                if kind in kinds and start <= at and at + GRAM <= end
            ]
            self.exempted.update(pardons)
            if not pardons:
                yield Leak(kind, record.place, record.name, at)
                return
        for inner in _unpacked(bytes(record.data)):
            for at, kind in self._hits(inner):
                yield Leak(kind, record.place, record.name, at)
                return

    def _hits(self, data: bytes) -> Iterator[tuple[int, str]]:
        folded, grams = data.translate(_ALPHABET), self._grams
        for at in range(len(folded) - GRAM + 1):
            if (gram := folded[at : at + GRAM]) in grams:
                yield at, grams[gram][0]


def _exempt(record: Record) -> Iterator[tuple[str, frozenset[str], int, int]]:
    head = bytes(record.data).partition(b"\r\n\r\n")[0] + b"\r\n"
    for name, each in {**EXCEPTIONS, **PROTOCOL}.items():
        if record.place == "browser" and each.request.fullmatch(record.name):
            for match in each.where.finditer(head):
                yield name, each.kinds, match.start(1), match.end(1)


def _is_one(value: str) -> bool:
    """Whether it is a secret at all: tests of the simulator send forty-three times the letter a."""
    return len(set(value)) >= 8


def _is_jwt(value: str) -> bool:
    return value.startswith("eyJ") and value.count(".") == 2


def _forms(value: str) -> Iterator[bytes]:
    """How a secret may look on its way out."""
    whole = value.encode()
    parts = [whole]
    if _is_jwt(value):
        parts = [part.encode() for part in value.split(".")[1:]]  # every token has that header
    for part in parts:
        plain = [part]
        if part == whole:
            text = part.decode()
            plain += [quote(text).encode(), quote_plus(text).encode()]
            plain += [json.dumps(text)[1:-1].encode(), html.escape(text).encode()]
        plain += _octets(part)
        for form in dict.fromkeys(plain):
            yield form
            yield from _encoded(form)
            if len(form) <= 128:
                yield from (form.hex().encode(), form.hex().upper().encode())


def _octets(part: bytes) -> list[bytes]:
    """What 32 random octets were before they became text."""
    if not re.fullmatch(rb"[\w-]{43}", part):
        return []
    return [base64.urlsafe_b64decode(part + b"=")]


def _encoded(form: bytes) -> Iterator[bytes]:
    """The inside of the form's base64url, for each place it may have in a longer text."""
    for before in range(3):
        text = base64.urlsafe_b64encode(b"\0" * before + form).rstrip(b"=")
        yield text[(0, 2, 3)[before] : -2]


_CHUNK: Final = re.compile(rb"\r\n[0-9a-fA-F]{1,8}\r\n")


def _unpacked(data: bytes) -> Iterator[bytes]:
    """What is inside the chunks of a body, and inside gzip there or anywhere."""
    joined = _CHUNK.sub(b"", data) if b"chunked" in data else data
    if joined is not data:
        yield joined
    for match in re.finditer(rb"\x1f\x8b\x08", joined):
        try:
            yield zlib.decompressobj(31).decompress(joined[match.start() :], KEPT)
        except zlib.error:
            continue
