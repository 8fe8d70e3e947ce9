"""What a server of the store says of itself: version, persistence, memory, replicas.

After `servers`. `read_server` decides, `survey` asks. A user need have none of these rights but
ROLE, so whatever is forbidden is unknown, and that is no fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bff.config.store_url import Address
from bff.session.servers import Servers

# Scripts write after TIME, which Redis takes since 5.0 (it replicates effects); SCAN … TYPE and
# users came with 6.0, rights on channels (docs/redis.md) with 6.2.
MINIMUM: Final = (6, 2)

_QUESTIONS: Final = (("ROLE",), ("INFO",), ("CONFIG", "GET", "save"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A master by its own words; None: it does not tell us. Sizes in octets."""

    address: Address
    is_master: bool
    replicas: int
    version: tuple[int, ...] | None = None
    persists: bool | None = None
    policy: str | None = None  # maxmemory-policy
    used: int | None = None
    limit: int | None = None  # 0: none


async def survey(servers: Servers, address: Address) -> Server:
    """How that server is. Raises StoreUnavailable."""
    role, info, save = await servers.ask(address, _QUESTIONS)
    return read_server(address, role, info, save)


def read_server(address: Address, role: object, info: object, save: object) -> Server:
    """What the replies to ROLE, INFO and CONFIG GET save say."""
    facts = _facts(info)
    is_master = isinstance(role, list) and len(role) == 3 and role[0] == b"master"
    return Server(
        address=address,
        is_master=is_master,
        replicas=len(role[2]) if isinstance(role, list) and is_master else 0,
        version=_version(facts.get("redis_version")),
        persists=_persists(facts.get("aof_enabled"), _saves(save)),
        policy=facts.get("maxmemory_policy"),
        used=_number(facts.get("used_memory")),
        limit=_number(facts.get("maxmemory")),
    )


def _facts(info: object) -> Mapping[str, str]:
    if not isinstance(info, bytes):
        return {}
    lines = info.decode("ascii", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _saves(reply: Any) -> bool | None:
    """Whether there are points at which the whole is written to disk (RDB)."""
    if not isinstance(reply, list) or len(reply) != 2 or not isinstance(reply[1], bytes):
        return None
    return reply[1] != b""


def _persists(aof: str | None, saves: bool | None) -> bool | None:
    if aof == "1" or saves:
        return True
    return None if aof is None or saves is None else False


def _version(text: str | None) -> tuple[int, ...] | None:
    parts = (text or "").split(".")
    return tuple(int(part) for part in parts) if all(map(_is_number, parts)) else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _is_number(text) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
