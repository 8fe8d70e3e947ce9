"""How many sessions there are under each key id, counted over all servers of the store.

After `servers`. A record says in plain under which key its cookie was signed; claims, markers and
tombstones name none and are no sessions.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bff.config.store_url import Address
from bff.session.nodes import Command, Refusal
from bff.session.servers import Servers

COUNT: Final = 1000  # keys that a server looks at in one step
STEPS: Final = 100  # per server: nobody's Redis is read through for a check


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Sessions by key id. `whole`: every key was looked at, and not only the first of them."""

    sessions: Mapping[str, int]
    whole: bool


async def census(servers: Servers, *, steps: int = STEPS) -> Census | None:
    """What is counted in so many steps per server; None if the user may not look.

    What comes and goes meanwhile may be missed. Raises StoreUnavailable.
    """
    counted: Counter[str] = Counter()
    whole = True
    for address in await servers.masters():
        seen: set[bytes] = set()  # a scan may name a key twice
        cursor = b"0"
        for _ in range(steps):
            (reply,) = await servers.ask(address, [_step(servers.prefix, cursor)])
            if isinstance(reply, Refusal):
                return None
            cursor, found = reply
            counted.update(await _key_ids(servers, address, [n for n in found if n not in seen]))
            seen.update(found)
            if cursor == b"0":
                break
        whole = whole and cursor == b"0"
    return Census(sessions=dict(counted), whole=whole)


def _step(prefix: str, cursor: bytes) -> Command:
    return ["SCAN", cursor, "MATCH", f"{prefix}:*", "COUNT", COUNT, "TYPE", "hash"]


async def _key_ids(servers: Servers, address: Address, names: list[bytes]) -> list[str]:
    if not names:
        return []
    replies: list[Any] = await servers.ask(address, [["HMGET", name, "k"] for name in names])
    return [
        reply[0].decode("ascii", "replace")
        for reply in replies
        if isinstance(reply, list) and reply[0]
    ]
