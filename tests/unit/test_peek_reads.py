"""A peek line, read by read: what is known without the parser changes nothing of what it hears."""

import asyncio
import itertools
from functools import partial
from typing import Any

import hiredis
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from bff.session.batch import GLANCED, ROLE, Asked, Said, ask_for, asked, bulk, command, heard
from bff.session.peek import Node, PeekLine

KEYS = [str(number) * 64 for number in range(4)]
Log = list[tuple[str, str | None]]  # each key that was asked for, and the version that was heard


class Server(asyncio.Transport):
    """What a line writes to: it answers as Redis does, when it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.versions = dict.fromkeys(KEYS, b"first")
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
        return command(key.encode(), version, b"3000")


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
    glimpse = None if said is None else heard(wanted, said)
    log.append((wanted.key, None if glimpse is None else glimpse.version))


ROUNDS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(KEYS), max_size=5),  # what is asked in that turn of the loop
        st.dictionaries(st.sampled_from(KEYS), st.sampled_from([b"", b"x", b"other"]), max_size=1),
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
    for keys, changed, answers, cuts in [*rounds, ([], {}, True, [])]:
        server.versions |= changed
        for key in keys:
            wanted = questions[key] if keep else question(key)
            line.ask(wanted, partial(hear, log, wanted))
        await asyncio.sleep(0)
        if answers:
            said = server.replies()
            at = [0, *sorted(min(cut, len(said)) for cut in cuts), len(said)]
            for start, end in itertools.pairwise(at):
                if start < end:
                    line.data_received(said[start:end])
    assert not server.aborted
    line.close()
    return log


@settings(max_examples=2000)
@given(rounds=ROUNDS)
def test_however_replies_are_cut_they_mean_the_same(rounds: list[Any]) -> None:
    async def both() -> tuple[Log, Log]:
        return await all_heard(rounds, keep=True), await all_heard(rounds, keep=False)

    known, parsed = asyncio.run(both())
    assert known == parsed
    assert len(known) == sum(len(keys) for keys, *_ in rounds)


def test_a_master_is_asked_for_as_it_was() -> None:
    assert command(b"ROLE") == ROLE
