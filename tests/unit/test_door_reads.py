"""Reads of one connection, one after the other: a head that is known changes nothing of them."""

import asyncio
import gc
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override
from uvicorn.config import Config
from uvicorn.server import ServerState

from bff.caller.peer import Proxies
from bff.caller.request import BrowserRequest
from bff.door.head import TARGET_OCTETS, sections
from bff.door.known import OCTETS, known
from bff.door.protocol import CROWDED, Door
from bff.door.rules import Rules
from bff.wire import Answering, Turn

HOST = b"Host: app.example\r\n"
Log = list[tuple[object, ...]]

HOSTS: Mapping[bytes, str] = {b"app.example": "default", b"shop.example": "shop"}


class Transport(asyncio.Transport):
    """A connection on which each read is what a test says."""

    def __init__(self, log: Log) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.log = log
        self.closing = False

    @override
    def is_closing(self) -> bool:
        return self.closing

    @override
    def write(self, data: Any) -> None:
        # Of a refusal what has no id and no date: its status, and whether it has content.
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        self.log.append(("written", head.split(b"\r\n")[0]))
        self.log.append(("with content", bool(body)))

    @override
    def close(self) -> None:
        self.log.append(("closed",))
        self.closing = True

    @override
    def abort(self) -> None:
        self.log.append(("aborted",))
        self.closing = True

    @override
    def can_write_eof(self) -> bool:
        return False

    @override
    def pause_reading(self) -> None:
        self.log.append(("paused",))

    @override
    def resume_reading(self) -> None:
        self.log.append(("resumed",))


class Exchange:
    """Answers when its request is here whole and its turn has come, and writes down both."""

    def __init__(self, request: BrowserRequest, turn: Turn, log: Log) -> None:
        self.turn, self.log = turn, log
        self.keep_alive = turn.keep_alive
        self.response_started = self.response_complete = False
        self._here = self._started = False
        self._held = request.target == b"/slow"  # until all reads are done
        said = (request.method, request.target, tuple(request.headers), dict(request.beside))
        log.append((*said, turn.version, turn.keep_alive, turn.expects_continue, turn.upgrade))

    def start(self) -> None:
        self._started = True
        self._answer()

    def take_body(self, data: bytes) -> None:
        self.log.append(("body", data))

    def end_body(self) -> None:
        self._here = True
        self._answer()

    def release(self) -> None:
        """Let a slow one be answered."""
        self._held = False
        self._answer()

    def _answer(self) -> None:
        ready = self._started and self._here and not self._held
        if ready and not self.response_complete:
            self.response_started = self.response_complete = True
            self.log.append(("answered",))
            self.turn.wire.answered(keep_alive=self.keep_alive, body_unread=False)

    def flush(self) -> None:
        self.log.append(("flush",))

    def congested(self) -> None: ...

    def writable(self) -> None: ...

    def gone(self) -> None:
        self.log.append(("gone",))

    def drain(self) -> None: ...


class Behind:
    def __init__(self, log: Log) -> None:
        self.log = log
        self.asked: list[Exchange] = []

    @property
    def hosts(self) -> Mapping[bytes, str]:
        return HOSTS

    @property
    def trusted(self) -> Proxies:
        return Proxies(())

    def lane(self, frontend: str, request: BrowserRequest, turn: Turn) -> Answering | None:
        if request.target == b"/broken":
            raise KeyError
        self.log.append((frontend,))
        self.asked.append(Exchange(request, turn, self.log))
        return self.asked[-1]


RULES = Rules(
    secure=True,
    head_timeout=60.0,
    progress_timeout=60.0,
    write_timeout=60.0,
    keep_alive=60.0,
    connections=100,
)


async def heard(reads: list[bytes]) -> Log:
    """What comes of these reads on a connection of their own."""
    log: Log = []
    door, behind = a_door(log)
    transport = Transport(log)
    door.connection_made(transport)
    for data in reads:
        log.append(("read",))
        if not transport.closing:
            door.data_received(data)
    for each in behind.asked:
        each.release()
    door.connection_lost(None)
    return log


def a_door(log: Log) -> tuple[Door, Behind]:
    """One that nobody has connected to."""
    behind = Behind(log)
    kind = type("Told", (Door,), {"rules": RULES, "behind": behind})
    config = Config(app=object(), log_config=None)  # type: ignore[arg-type]
    config.load()
    return kind(config=config, server_state=ServerState(), app_state={}), behind


GET = b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"
OTHER = GET.replace(b"/a", b"/other?b=c")
SLOW = GET.replace(b"/a", b"/slow")
CLOSE = HOST + b"Connection: close\r\n"
READS = [
    GET,
    OTHER,
    SLOW,
    SLOW.replace(HOST, CLOSE),
    GET.replace(b"GET", b"HEAD"),
    GET.replace(b"GET", b"DELETE"),
    GET.replace(b"/a", b"/broken"),
    GET.replace(b"GET", b"HEAD").replace(b"/a", b"/broken"),
    GET.replace(b"/a", b"/\x01"),
    GET.replace(b"/a", b"http://app.example/a"),
    GET.replace(b"/a", b"http://shop.example/a"),
    GET.replace(HOST, b"Host: shop.example\r\n"),
    GET.replace(b"GET", b"OPTIONS"),
    GET.replace(b"GET", b"OPTIONS").replace(HOST, HOST + b"Max-Forwards: 0\r\n"),
    GET.replace(b"/a", b"/a#b"),
    GET.replace(b"1.1", b"1.0"),
    GET.replace(HOST, CLOSE),
    GET.replace(HOST, HOST + b"X-Request-Id: 1\r\n"),
    GET.replace(HOST, b"Host: other.example\r\n"),
    GET.replace(HOST, HOST + b"Expect: 100-continue\r\n"),
    GET.replace(HOST, HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\n"),
    b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nab",
    b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n",
    b"ab",
    b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n",
    b"1\r\na\r\n0\r\nTrailer: x\r\n\r\n",
    GET + GET,
    GET + GET[:20],
    GET[:20],
    GET[20:],
    GET[:-1],
    GET[-1:],
    b"\r\n",
    b"\r",
    b"\n",
    b"\r\n" + GET,
    GET + b"\r\n",
    b"\x16\x03\x01",
]
ENTRIES = st.lists(st.sampled_from([*READS, GET, OTHER, SLOW, GET, OTHER]), max_size=12)


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    forget_all()
    yield
    forget_all()


def forget_all() -> None:
    known.forget()
    sections.forget()


@settings(max_examples=5000)
@given(reads=ENTRIES)
def test_known_heads_change_nothing_of_what_a_connection_says_and_does(reads: list[bytes]) -> None:
    forget_all()
    asyncio.run(compared(reads))


async def compared(reads: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "get", lambda _: None)
        expected = await heard(reads)
    for _ in range(3):
        assert await heard(reads) == expected


def test_whoever_names_another_host_in_a_target_leads_nobody_there() -> None:
    """Not even those who send the same section: it is known for its own host (Q-13)."""
    elsewhere = GET.replace(b"/a", b"http://shop.example/a")
    log = asyncio.run(heard([GET, GET, elsewhere, GET, elsewhere, elsewhere, GET]))
    told = [each[0] for each in log if each in (("default",), ("shop",))]
    assert told == ["default", "default", "shop", "default", "shop", "shop", "default"]


def test_what_the_door_answers_itself_it_goes_on_to_answer() -> None:
    last = GET.replace(b"GET", b"OPTIONS").replace(HOST, HOST + b"Max-Forwards: 0\r\n")
    log = asyncio.run(heard([last] * 4))
    assert log.count(("written", b"HTTP/1.1 200 OK")) == 4
    assert ("default",) not in log


def test_a_known_head_is_of_the_front_end_that_its_host_has_by_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another configuration is served: the host is another's, and then nobody's."""
    assert [each for each in asyncio.run(heard([GET] * 3)) if each == ("default",)] != []
    for hosts, told in (({b"app.example": "new"}, ("new",)), ({}, ("default",))):
        monkeypatch.setattr(f"{__name__}.HOSTS", hosts)
        log = asyncio.run(heard([GET] * 3))
        assert (told in log) is bool(hosts)
        assert ("default",) not in log


def test_a_known_head_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []
    complete = Door.on_headers_complete

    def spy(door: Door) -> None:
        parsed.append(1)
        complete(door)

    monkeypatch.setattr(Door, "on_headers_complete", spy)
    log = asyncio.run(heard([GET, OTHER, GET, OTHER, GET]))
    assert [each[0] for each in log].count("GET") == 5
    assert len(parsed) == 2
    assert len(known) == 1


@pytest.mark.rule("E-05")
@pytest.mark.parametrize("before", [[], [GET, GET, GET]], ids=["parsed", "known"])
def test_what_breaks_at_the_door_is_refused(before: list[bytes]) -> None:
    log = asyncio.run(heard([*before, GET.replace(b"/a", b"/broken")]))
    assert ("written", b"HTTP/1.1 500 Internal Server Error") in log
    assert log[-1] == ("closed",)


def test_no_bound_of_the_door_is_passed_by() -> None:
    assert OCTETS <= CROWDED <= TARGET_OCTETS


def test_of_a_tls_handshake_that_failed_nothing_is_left() -> None:
    """The door was made for it, and nobody tells it of anything."""

    async def main() -> weakref.ref[Door]:
        return weakref.ref(a_door([])[0])

    gc.disable()
    try:
        assert asyncio.run(main())() is None
    finally:
        gc.enable()
