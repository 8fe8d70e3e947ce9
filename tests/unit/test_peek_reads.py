"""A peek line, read by read: what is known without the parser changes nothing of what it hears."""

import asyncio
import itertools
from functools import partial
from typing import Any

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from bff.session.batch import GLANCED, ROLE, Asked, Said, ask_for, asked, bulk, command, heard
from bff.session.peek import Node, PeekLine
from bff.session.store import Glimpse

KEYS = [str(number) * 64 for number in range(4)]
Log = list[tuple[str, Glimpse | None]]  # each key that was asked for, and what was heard


class Server(asyncio.Transport):
    """What a line writes to: it answers as Redis does, when it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.versions = dict.fromkeys(KEYS, b"first")
        self.seen = dict.fromkeys(KEYS, b"3000")
        self.aborted = False
        self._reader = hiredis.Reader()

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._reader.feed(bytes(data))

    @override
    def abort(self) -> None:
        self.aborted = True

    def replies(self) -> bytes:
        """To all that it was asked since the last time."""
        said = []
        while (asked := self._reader.gets()) is not False:
            said.append(self._reply(asked))
        return b"".join(said)

    def _reply(self, asked: list[bytes]) -> bytes:
        if asked[0] == b"HMGET":
            assert asked[2:] == list(GLANCED)
            return self.fields(asked[1].decode())
        return bulk(asked[1]) if asked[0] == b"ECHO" else command(b"master", b"0")

    def fields(self, key: str) -> bytes:
        version = self.versions[key]
        if not version:
            return b"*3\r\n" + b"$-1\r\n" * 3
        return command(key.encode(), version, self.seen[key])


async def connected(server: Server) -> PeekLine:
    async def find() -> Node:
        await asyncio.Event().wait()
        raise AssertionError

    line = PeekLine(find, 60.0, lambda _: None)
    line._node = Node(host="", port=0)
    line.connection_made(server)
    assert server.replies() == command(b"master", b"0")
    line.data_received(command(b"master", b"0"))
    return line


def question(key: str) -> Asked:
    found = asked(key, key.encode())
    ask_for(found, GLANCED)
    return found


def hear(log: Log, wanted: Asked, said: Said | None) -> None:
    log.append((wanted.key, None if said is None else heard(wanted, said)))


CHANGES = [("versions", b""), ("versions", b"x"), ("versions", b"other"), ("seen", b"4000")]
ROUNDS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(KEYS), max_size=5),  # what is asked in that turn of the loop
        st.dictionaries(st.sampled_from(KEYS), st.sampled_from(CHANGES), max_size=1),
        st.booleans(),  # whether it is asked for a master as well
        st.booleans(),  # whether the server answers by then
        st.lists(st.integers(0, 1200), max_size=4),  # where its octets are cut into reads
    ),
    min_size=1,
    max_size=8,
)


async def all_heard(rounds: list[Any], *, keep: bool) -> Log:
    """`keep`: the questions are the same ones each time, so that replies may be known."""
    log: Log = []
    server = Server()
    line = await connected(server)
    questions = {key: question(key) for key in KEYS}
    for keys, changes, checks, answers, cuts in [*rounds, ([], {}, False, True, [])]:
        for key, (name, value) in changes.items():
            getattr(server, name)[key] = value
        if checks:
            line._check()
        for key in keys:
            wanted = questions[key] if keep else question(key)
            line.ask(wanted, partial(hear, log, wanted))
        await asyncio.sleep(0)
        if answers:
            read(line, server.replies(), cuts)
    assert not server.aborted
    line.close()
    return log


def read(line: PeekLine, said: bytes, cuts: list[int]) -> None:
    at = [0, *sorted(min(cut, len(said)) for cut in cuts), len(said)]
    for start, end in itertools.pairwise(at):
        if start < end:
            line.data_received(said[start:end])


@settings(max_examples=2000)
@given(rounds=ROUNDS)
def test_however_replies_are_cut_they_mean_the_same(rounds: list[Any]) -> None:
    async def both() -> tuple[Log, Log]:
        return await all_heard(rounds, keep=True), await all_heard(rounds, keep=False)

    known, parsed = asyncio.run(both())
    assert known == parsed
    assert len(known) == sum(len(keys) for keys, *_ in rounds)


@pytest.mark.parametrize("cut", ["", "*3\r\n", "*1\r\n", "$6\r\n", "$6"])
def test_in_the_middle_of_a_reply_nothing_is_known(cut: str) -> None:
    """A server that says half a reply, and then the whole of another: nobody believes it."""

    async def main() -> Log:
        log: Log = []
        server = Server()
        line = await connected(server)
        wanted = question(KEYS[0])
        for _ in range(2):
            line.ask(wanted, partial(hear, log, wanted))
            await asyncio.sleep(0)
            line.data_received(server.replies())
        line.ask(wanted, partial(hear, log, wanted))
        await asyncio.sleep(0)
        if cut:
            line.data_received(cut.encode())
        line.data_received(server.replies())
        line.close()
        return log

    seen = Glimpse(version="first", seen_at=3.0)
    last = None if cut else seen
    assert asyncio.run(main()) == [(KEYS[0], each) for each in (seen, seen, last)]


def test_a_master_is_asked_for_as_it_was() -> None:
    assert command(b"ROLE") == ROLE
