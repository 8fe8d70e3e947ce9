"""The hot question against a Redis that lies: no request is ever judged by another's answer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from bff.session.batch import FIELDS, GLANCED, Asked, Batch, Fields, Said, ask_for, asked, heard
from bff.session.deadline import ConnectionLost
from bff.session.peek import Node, Peeker
from bff.session.store import Glimpse, Question

Answer = Callable[[list[list[bytes]]], bytes]


MASTER = b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"


def bulk(value: bytes | None) -> bytes:
    return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)


def fields(tag: bytes | None, names: Sequence[bytes] = FIELDS) -> bytes:
    """The reply for that tag; None: there is nothing."""
    there = {b"t": tag, b"v": b"v", b"ia": b"1", b"ab": b"2", b"rf": b"", b"se": b"3"}
    found = [None if tag is None else there.get(name) for name in names]
    return b"*%d\r\n" % len(names) + b"".join(bulk(each) for each in found)


def truthful(commands: list[list[bytes]]) -> bytes:
    said = b""
    for command in commands:
        if command[0] == b"HMGET":
            said += fields(command[1].removeprefix(b"p:"), command[2:])
        elif command[0] == b"ECHO":
            said += bulk(command[1])
        elif command[0] == b"ROLE":
            said += MASTER
        else:
            said += b"+OK\r\n"
    return said


def swapped(commands: list[list[bytes]]) -> bytes:
    asked = [command for command in commands if command[0] == b"HMGET"]
    if len(asked) < 2:
        return truthful(commands)
    asked[0][1], asked[1][1] = asked[1][1], asked[0][1]
    return truthful(commands)


def shifted(commands: list[list[bytes]]) -> bytes:
    """One reply too many before the rest: a late answer of an earlier question."""
    said = truthful(commands)
    return fields(b"late") + said if commands[0][0] == b"HMGET" else said


def wrong_nonce(commands: list[list[bytes]]) -> bytes:
    return truthful([[b"ECHO", b"other"] if each[0] == b"ECHO" else each for each in commands])


def missing(commands: list[list[bytes]]) -> bytes:
    asked = [command for command in commands if command[0] == b"HMGET"]
    return truthful([each for each in commands if each not in asked[-1:]])


def extra(commands: list[list[bytes]]) -> bytes:
    said = truthful(commands)
    return said + fields(b"extra") if commands[0][0] == b"HMGET" else said


def an_error(commands: list[list[bytes]]) -> bytes:
    if commands[0][0] == b"HMGET":
        return b"-LOADING Redis is loading\r\n" * len(commands)
    return truthful(commands)


def garbage(commands: list[list[bytes]]) -> bytes:
    return b"!?\r\n" if commands[0][0] == b"HMGET" else truthful(commands)


def refuses_login(_: list[list[bytes]]) -> bytes:
    return b"-WRONGPASS invalid\r\n"


def silent(commands: list[list[bytes]]) -> bytes:
    return b"" if commands[0][0] == b"HMGET" else truthful(commands)


def a_peeker(node: Node, patience: float) -> Peeker:
    async def find() -> Node:
        return node

    return Peeker(find, patience, lambda _: None)


def named(tag: bytes) -> Asked:
    return asked(tag.decode(), b"p:" + tag)


def glanced(tag: bytes) -> Asked:
    """A question for no more than must be known on every request."""
    found = named(tag)
    ask_for(found, GLANCED)
    return found


def run(answer: Answer, ask: Callable[[Peeker], Awaitable[None]]) -> None:
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            serving.add(task)
        try:
            while True:
                commands = [await _command(reader)]
                while commands[-1][0] == b"HMGET":
                    commands.append(await _command(reader))
                writer.write(answer(commands))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        node = Node(host="127.0.0.1", port=port, username="u", password="p", database=3)
        peeker = a_peeker(node, 0.5)
        try:
            await ask(peeker)
        finally:
            peeker.close()
            server.close()
            await asyncio.gather(*serving, return_exceptions=True)

    asyncio.run(main())


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    count = int((await reader.readuntil(b"\r\n"))[1:])
    parts = []
    for _ in range(count):
        size = int((await reader.readuntil(b"\r\n"))[1:])
        parts.append((await reader.readexactly(size + 2))[:-2])
    return parts


def test_questions_of_one_turn_travel_together_and_each_gets_its_own_answer() -> None:
    async def ask(peeker: Peeker) -> None:
        for _ in range(3):
            tags = [b"%064d" % number for number in range(50)]
            answers = await asyncio.gather(*(peeker.ask(named(tag)) for tag in tags))
            assert [answer[0] for answer in answers] == tags

    run(truthful, ask)


@pytest.mark.parametrize(
    "lie",
    [swapped, shifted, wrong_nonce, missing, an_error, garbage, refuses_login, silent],
)
def test_whoever_doubts_fails_the_whole_batch(lie: Answer) -> None:
    async def ask(peeker: Peeker) -> None:
        futures = [peeker.ask(named(tag)) for tag in (b"a" * 64, b"b" * 64)]
        answers = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(answer) for answer in answers] == [ConnectionLost] * 2

    run(lie, ask)


def test_a_reply_that_nobody_asked_for_closes_the_connection_before_the_next_question() -> None:
    async def ask(peeker: Peeker) -> None:
        for number in range(4):
            tag = b"%064d" % number
            try:
                answer = await peeker.ask(named(tag))
            except ConnectionLost:
                continue
            assert answer[0] == tag

    run(extra, ask)


def test_no_redis_is_a_connection_lost_at_once() -> None:
    async def main() -> None:
        peeker = a_peeker(Node(host="127.0.0.1", port=1), 5)
        with pytest.raises(ConnectionLost):
            await peeker.ask(named(b"a"))
        peeker.close()

    asyncio.run(main())


def test_questions_asked_while_a_line_connects_open_no_second_connection() -> None:
    connections = 0

    async def ask(peeker: Peeker) -> None:
        async def late(tag: bytes, turns: int) -> Fields:
            for _ in range(turns):  # in every turn of the loop that connecting and greeting take
                await asyncio.sleep(0)
            return await peeker.ask(named(tag))

        tags = [b"%064d" % number for number in range(200)]
        answers = await asyncio.gather(*(late(tag, at) for at, tag in enumerate(tags)))
        assert [answer[0] for answer in answers] == tags

    def counting(commands: list[list[bytes]]) -> bytes:
        nonlocal connections
        connections += commands[0][0] == b"AUTH"
        return truthful(commands)

    run(counting, ask)
    assert connections <= 2


# What is known without the parser.


def glance(peeker: Peeker, question: Question) -> asyncio.Future[Glimpse | None]:
    """As the store does."""
    future: asyncio.Future[Glimpse | None] = asyncio.get_running_loop().create_future()

    def answer(said: Said | None) -> None:
        assert not future.done()
        future.set_result(None if said is None else heard(question, said))

    peeker.glance(question, answer)
    return future


async def versions(peeker: Peeker, questions: list[Asked]) -> list[str | None]:
    lives = await asyncio.gather(*(glance(peeker, each) for each in questions))
    return [None if each is None else each.version for each in lives]


class Changing:
    """A server whose records change when told, and that lies from then on if told so."""

    def __init__(self) -> None:
        self.version = b"v"
        self.lie: Answer = truthful

    def __call__(self, commands: list[list[bytes]]) -> bytes:
        return self.lie(commands).replace(b"$1\r\nv\r\n", bulk(self.version))


TWO = (b"a" * 64, b"b" * 64)


def test_a_reply_that_is_what_it_was_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[object] = []
    take = Batch.take

    def spy(batch: Batch, reply: object) -> bool:
        parsed.append(reply)
        return take(batch, reply)

    monkeypatch.setattr(Batch, "take", spy)
    server = Changing()

    async def ask(peeker: Peeker) -> None:
        questions = [glanced(tag) for tag in TWO]
        for _ in range(5):
            assert await versions(peeker, questions) == ["v", "v"]
        assert len(parsed) == 2
        server.version = b"another"
        assert await versions(peeker, questions) == ["another", "another"]
        assert await versions(peeker, questions) == ["another", "another"]
        assert len(parsed) == 4

    run(server, ask)


@pytest.mark.parametrize(
    "lie", [swapped, shifted, wrong_nonce, missing, an_error, garbage, silent, extra]
)
def test_a_lie_about_what_is_known_is_found_out_as_any_other(lie: Answer) -> None:
    server = Changing()

    async def ask(peeker: Peeker) -> None:
        questions = [glanced(tag) for tag in TWO]
        for _ in range(3):
            assert await versions(peeker, questions) == ["v", "v"]
        server.lie = lie
        # What comes after the nonce was asked by nobody: it is the next batch that is in doubt.
        assert await versions(peeker, questions) == (["v", "v"] if lie is extra else [None, None])

    run(server, ask)


def gone(commands: list[list[bytes]]) -> bytes:
    said = [fields(None, each[2:]) for each in commands if each[0] == b"HMGET"]
    return b"".join(said) + truthful([each for each in commands if each[0] != b"HMGET"])


@pytest.mark.rule("S-07")
def test_a_record_that_is_gone_is_not_what_it_was() -> None:
    server = Changing()

    async def ask(peeker: Peeker) -> None:
        questions = [glanced(tag) for tag in TWO]
        for _ in range(3):
            assert await versions(peeker, questions) == ["v", "v"]
        server.lie = gone
        assert await versions(peeker, questions) == [None, None]
        assert [each.glimpse for each in questions] == [None, None]
        server.lie = truthful
        assert await versions(peeker, questions) == ["v", "v"]

    run(server, ask)
