"""What `bff check --online` asks of Redis: each master, the rights we hold, sessions per key.

After `survey`, `rights` and `census` of `session`, which ask. What is right: docs/redis.md.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Final

from bff.keys import Keyring
from bff.operate.finding import Finding, State, finding
from bff.session.census import Census, census
from bff.session.rights import missing
from bff.session.servers import Servers
from bff.session.store import StoreUnavailable
from bff.session.survey import MINIMUM, Server, survey

_HEADROOM: Final = 20  # per cent of maxmemory
_UNSEEN: Final = "cannot be seen: the user may not {}"


async def examine_redis(servers: Servers, keyring: Keyring) -> AsyncIterator[Finding]:
    """What every master says, and what it holds. Raises nothing."""
    try:
        for host, port in await servers.masters():
            name = f"Redis {host}:{port}"
            refused = await missing(servers, (host, port))
            yield finding(
                f"{name} rights",
                f"the user may not: {', '.join(refused)}" if refused else "all that are needed",
                right=not refused,
            )
            found = await survey(servers, (host, port))
            for each in judged(name, found, servers.replicas):
                yield each
        for each in per_key(await census(servers), keyring):
            yield each
    except StoreUnavailable:
        yield finding("Redis", "a master cannot be asked", right=False)


def judged(name: str, server: Server, wanted: int) -> Iterator[Finding]:
    """What a server's own words amount to; `wanted`: replicas that must have a write."""
    if not server.is_master:
        yield finding(f"{name} role", "is no master", right=False)
    if wanted or server.replicas:
        said = f"{server.replicas} connected, session.wait_replicas is {wanted}"
        yield finding(f"{name} replicas", said, right=server.replicas >= wanted)
    if server.version is None:
        yield _unseen(f"{name} version and memory", "INFO")
    else:
        yield _version(f"{name} version", server.version)
        yield from _memory(name, server)
    if server.persists is None:
        yield _unseen(f"{name} persistence", "INFO and CONFIG GET")
    else:
        said = "on" if server.persists else "neither RDB nor AOF: a restart signs everybody out"
        yield finding(f"{name} persistence", said, right=server.persists, otherwise=State.WARN)


def _unseen(about: str, command: str) -> Finding:
    return finding(about, _UNSEEN.format(command), right=False, otherwise=State.WARN)


def _version(about: str, version: tuple[int, ...]) -> Finding:
    shown, least = (".".join(map(str, each)) for each in (version, MINIMUM))
    right = version >= MINIMUM
    return finding(about, shown if right else f"{shown} is older than {least}", right=right)


def _memory(name: str, server: Server) -> Iterator[Finding]:
    policy = server.policy or "unknown"
    right = policy == "noeviction"
    said = policy if right else f"{policy}: signs people out at random; set noeviction"
    yield finding(f"{name} maxmemory-policy", said, right=right)
    if server.limit and server.used is not None:
        free = max(0, server.limit - server.used) * 100 // server.limit
        said = f"{free} % of maxmemory free"
        yield finding(f"{name} memory", said, right=free >= _HEADROOM, otherwise=State.WARN)


def per_key(counted: Census | None, keyring: Keyring) -> Iterator[Finding]:
    """Sessions under each key id: one that counts none may leave `keys.accepted`."""
    if counted is None:
        yield _unseen("sessions per key", "SCAN")
        return
    roles = {keyring.current.kid: "current"}
    roles |= {key.kid: "accepted" for key in keyring.accepted}
    roles |= dict.fromkeys(sorted(keyring.retired), "retired")
    among = "" if counted.whole else ", among the first keys alone: there are more"
    for kid, role in roles.items():
        yield finding(f"sessions under {role} {kid}", f"{counted.sessions.get(kid, 0)}{among}")
    unknown = sum(number for kid, number in counted.sessions.items() if kid not in roles)
    said = f"{unknown}{among}"
    yield finding("sessions under unknown keys", said, right=not unknown, otherwise=State.WARN)
