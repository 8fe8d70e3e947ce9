"""Every set of the index, on every master there is: for an operator, who has no name to ask for.

A scan reads all the keys of a server step by step, while it serves. Nothing has to be written at a
login for it; a list of all sessions would be one key on one server that every login rewrites.
"""

from collections.abc import AsyncIterator
from typing import Any, Final

from bff.session.batch import is_master
from bff.session.deadline import NotDone, within
from bff.session.nodes import Nodes, Refusal
from bff.session.proof import Doubt
from bff.session.topology import Topology

COUNT: Final = 1000  # keys that the server looks at in one step


async def names(
    nodes: Nodes, topology: Topology, prefix: str, *, seconds: float
) -> AsyncIterator[str]:
    """The keys of all sets whose names begin so, without that beginning; some perhaps twice.

    What comes, goes or moves to another server meanwhile may be missed. `seconds` for each step.
    Raises StoreUnavailable.
    """
    for address in await within(seconds, topology.masters, operation="scan", writes=False):
        cursor = b"0"
        while True:
            command = ["SCAN", cursor, "MATCH", f"{prefix}:*", "COUNT", COUNT, "TYPE", "zset"]

            async def step(
                address: tuple[str, int] = address, command: list[Any] = command
            ) -> tuple[bytes, list[bytes]]:
                return await nodes.ask(address, [command, ["ROLE"]], _judge)

            cursor, found = await within(seconds, step, operation="scan", writes=False)
            for name in found:
                yield name.decode("ascii", "replace").removeprefix(f"{prefix}:")
            if cursor == b"0":
                break


def _judge(replies: list[Any]) -> tuple[bytes, list[bytes]]:
    """The next cursor and the names in one reply. Raises NotDone, Doubt."""
    reply, role = replies
    if isinstance(reply, Refusal):
        raise NotDone  # the user may not, or the server cannot
    if not is_master(role):
        raise Doubt
    try:
        cursor, found = reply
    except (TypeError, ValueError):
        raise Doubt from None
    if not isinstance(cursor, bytes) or not isinstance(found, list):
        raise Doubt
    return cursor, found
