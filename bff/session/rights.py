"""Which commands the store's user may not do, found out by asking for each of them.

After `servers`. Redis looks at the rights before it looks at anything else, so every question is
one that writes nothing: about a key that is not there, or with arguments that are refused.
What scripts do is asked for by itself: within them Redis asks for the same rights.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from bff.config.store_url import Address
from bff.session.deadline import within
from bff.session.nodes import Command, Nodes, Refusal
from bff.session.proof import Doubt
from bff.session.servers import Servers

_NO_SCRIPT: Final = "0" * 40
_FORBIDDEN: Final = "NoPermissionError"
_NOT_KNOWN: Final = "ResponseError"  # renamed away; none of the questions deserves it else


def questions(name: str, channel: str) -> Mapping[str, Command]:
    """A harmless use of each command that the store needs; `name`: a key that is not there."""
    return {
        "eval": ["EVAL", "return 1", 1, name],
        "evalsha": ["EVALSHA", _NO_SCRIPT, 1, name],
        "hmget": ["HMGET", name, "t"],
        "echo": ["ECHO", "1"],
        "role": ["ROLE"],
        "wait": ["WAIT", 0, 1],
        "ping": ["PING"],
        "publish": ["PUBLISH", channel, "check"],  # a hint that nobody waits for
        "time": ["TIME"],
        "hset": ["HSET", name, "t", "1", "v"],  # a field without a value is refused
        "hdel": ["HDEL", name, "t"],
        "del": ["DEL", name],
        "pexpire": ["PEXPIRE", name, 1],
        "pexpireat": ["PEXPIREAT", name, 1],
        "zadd": ["ZADD", name, "XX", 0, "m"],  # XX: changes what is there, adds nothing
        "zrem": ["ZREM", name, "m"],
        "zrange": ["ZRANGE", name, 0, -1],
        "zrangebyscore": ["ZRANGEBYSCORE", name, 0, 0],
        "zremrangebyscore": ["ZREMRANGEBYSCORE", name, 0, 0],
    }


async def missing(servers: Servers, address: Address) -> list[str]:
    """The commands that the server refuses us, by name. Raises StoreUnavailable."""
    name, channel = f"{servers.prefix}:check-{secrets.token_hex(16)}", f"{servers.prefix}:changes"
    asked = dict(questions(name, channel))
    if servers.is_cluster:
        asked |= {"cluster|slots": ["CLUSTER", "SLOTS"], "asking": ["ASKING"]}
    access = servers.nodes.access
    # Without SELECT no connection to another database would come about, and none be asked.
    nodes = Nodes(replace(access, database=0), servers.deadline)
    try:
        if access.database:
            asked = {"select": ["SELECT", access.database], **asked}
        replies = await servers.ask(address, list(asked.values()), nodes)
        found = [
            command
            for command, reply in zip(asked, replies, strict=True)
            if _is_refused(command, reply)
        ]
        return found + await _subscription(servers, nodes, address, channel)
    finally:
        await nodes.close()


def _is_refused(command: str, reply: object) -> bool:
    if not isinstance(reply, Refusal):
        return False
    return reply.kind == _FORBIDDEN or (reply.kind == _NOT_KNOWN and command != "hset")


async def _subscription(
    servers: Servers, nodes: Nodes, address: Address, channel: str
) -> list[str]:
    commands: list[Command] = [["SUBSCRIBE", channel], ["UNSUBSCRIBE", channel]]

    def judge(replies: list[Any]) -> list[str]:
        found = []
        for command, reply in zip(("subscribe", "unsubscribe"), replies, strict=True):
            if isinstance(reply, Refusal):
                found.append(command)
            elif reply[0] != command.encode():
                raise Doubt  # a message came in between; the connection is not used again
        return found

    async def ask() -> list[str]:
        return await nodes.ask(address, commands, judge)

    return await within(servers.deadline, ask, operation="survey", writes=False)
