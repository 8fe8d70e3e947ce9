"""`bff check --online` on Redis: what the server must be, what we may do there, whose sessions.

Real servers throughout; nothing that is asked changes what they hold.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from bff.clock import StoreClock
from bff.config.store_url import parse_store_url
from bff.keys import Keyring, new_key, parse_key
from bff.operate.finding import State
from bff.operate.redis import judged, per_key
from bff.session.census import Census, census
from bff.session.redis import RedisStore
from bff.session.rights import missing
from bff.session.servers import Servers
from bff.session.survey import read_server
from tests.conftest import Sites
from tests.parts.browser import browsing
from tests.parts.checking import Checked, checked
from tests.parts.config import config_text
from tests.parts.raw_provider import RawProvider, raw_provider
from tests.parts.redis_group import cluster_of_three, watched
from tests.parts.redis_process import RedisProcess

T = TypeVar("T")
DOCS = Path(__file__).parents[2] / "docs" / "redis.md"
HERE = ("127.0.0.1", 6379)


@pytest.fixture(scope="module")
def issuer() -> Iterator[RawProvider]:
    with raw_provider() as found:
        yield found


def check(folder: Path, issuer: RawProvider, store: str, **more: str) -> Checked:
    text = config_text(issuer=issuer.url, api="http://127.0.0.1:9", store=store, **more)
    return checked(folder, text)


def asked(url: str, ask: Callable[[Servers], Awaitable[T]]) -> T:
    async def run() -> T:
        store = RedisStore(parse_store_url(url), prefix="bff", clock=StoreClock(), deadline=5)
        try:
            return await ask(store.servers)
        finally:
            await store.close()

    return asyncio.run(run())


# --- what the server is


@contextlib.contextmanager
def configured(redis: RedisProcess, **values: str) -> Iterator[None]:
    names = {name: name.replace("_", "-") for name in values}
    before = {name: redis.do("CONFIG", "GET", names[name])[1] for name in values}
    for name, value in values.items():
        redis.do("CONFIG", "SET", names[name], value)
    try:
        yield
    finally:
        for name, value in before.items():
            redis.do("CONFIG", "SET", names[name], value)


@pytest.mark.parametrize(
    ("values", "about", "state", "said"),
    [
        pytest.param({"save": "3600 1"}, "persistence", "ok", "on", id="a file now and then"),
        pytest.param({"appendonly": "yes"}, "persistence", "ok", "on", id="a log of writes"),
        pytest.param({}, "persistence", "warn", "neither RDB nor AOF", id="nothing kept"),
        pytest.param({}, "maxmemory-policy", "ok", "noeviction", id="nothing is dropped"),
        pytest.param(
            {"maxmemory_policy": "volatile-ttl"},
            "maxmemory-policy",
            "fail",
            "volatile-ttl: signs people out",
            id="sessions are dropped",
        ),
        pytest.param({"maxmemory": "1gb"}, "memory", "ok", "9", id="room enough"),
        pytest.param({"maxmemory": "1mb"}, "memory", "warn", "0 %", id="no room"),
    ],
)
def test_what_the_server_is_is_judged(
    tmp_path: Path,
    issuer: RawProvider,
    redis: RedisProcess,
    values: dict[str, str],
    about: str,
    state: str,
    said: str,
) -> None:
    with configured(redis, **values):
        found = check(tmp_path, issuer, redis.url)
    assert found.about(about)[0] == state
    assert found.about(about)[1].startswith(said)
    assert found.code == (1 if state == "fail" else 0)
    assert found.about("version")[0] == "ok"


@pytest.mark.parametrize(
    ("version", "right"),
    [("6.0.20", False), ("6.2.0", True), ("7.0.15", True), ("10.0.0", True)],
)
def test_a_version_that_is_too_old_is_told(version: str, right: bool) -> None:
    info = f"# Server\r\nredis_version:{version}\r\nmaxmemory_policy:noeviction\r\n".encode()
    server = read_server(HERE, [b"master", 0, []], info, None)
    (found,) = (each for each in judged("Redis", server, 0) if each.about.endswith("version"))
    assert (found.state is State.OK) == right
    assert found.said == version if right else found.said == f"{version} is older than 6.2"


@pytest.mark.parametrize("reply", [None, [], b"", 1, [b"save"], [b"slave", 1, 2, b"sync", 3]])
def test_what_nobody_would_reply_is_not_believed(reply: object) -> None:
    server = read_server(HERE, reply, reply, reply)
    assert not server.is_master
    assert (server.version, server.persists, server.limit) == (None, None, None)
    assert State.FAIL in {each.state for each in judged("Redis", server, 0)}


# --- what we may do there


def rights() -> list[str]:
    """What docs/redis.md gives to a user."""
    match = re.search(r"^ACL SETUSER bff (.*)$", DOCS.read_text(), re.MULTILINE)
    assert match is not None
    return match[1].replace("PASSWORD", "s3cret").replace("PREFIX", "bff").split()


@contextlib.contextmanager
def user(redis: RedisProcess, *rules: str) -> Iterator[str]:
    redis.do("ACL", "SETUSER", "bff", *rules)
    try:
        yield f"redis://bff:s3cret@127.0.0.1:{redis.port}"
    finally:
        redis.do("ACL", "DELUSER", "bff")


def writes(redis: RedisProcess) -> int:
    """How often anything was changed since the last file."""
    return int(redis.do("INFO", "persistence")["rdb_changes_since_last_save"])


def test_every_right_of_the_docs_is_asked_for_and_its_lack_named(redis: RedisProcess) -> None:
    address = ("127.0.0.1", redis.port)
    redis.do("HSET", "bff:there", "k", "01234567")
    before = writes(redis)
    for name in [rule[1:] for rule in rights() if rule[0] == "+"]:
        with user(redis, *rights(), f"-{name}") as url:
            assert asked(url, lambda servers: missing(servers, address)) == [name]
    with user(redis, *rights()) as url:
        assert asked(f"{url}/0", lambda servers: missing(servers, address)) == []
        assert asked(f"{url}/1", lambda servers: missing(servers, address)) == ["select"]
    with user(redis, *rights(), "resetchannels", "&other:changes") as url:
        found = asked(url, lambda servers: missing(servers, address))
        assert found == ["publish", "subscribe"]
    assert (redis.do("KEYS", "*"), writes(redis)) == ([b"bff:there"], before)


def test_a_user_with_a_right_too_few_fails_and_what_it_may_not_see_does_not(
    tmp_path: Path, issuer: RawProvider, redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with user(redis, *rights()) as url:
        monkeypatch.setenv("BFF_TEST_STORE", url + "/0")
        place = config_text(issuer=issuer.url, api="http://127.0.0.1:9", store="STORE")
        text = place.replace('"STORE"', '{ env = "BFF_TEST_STORE" }')
        whole = checked(tmp_path, text)
        redis.do("ACL", "SETUSER", "bff", "+info", "+config|get", "+scan")
        more = checked(tmp_path, text)
        redis.do("ACL", "SETUSER", "bff", "-evalsha", "-zadd")
        less = checked(tmp_path, text)
    assert (whole.code, whole.failed) == (0, [])
    assert whole.about("rights") == ("ok", "all that are needed")
    for about in ("version and memory", "persistence", "sessions per key"):
        state, said = whole.about(about)
        assert (state, said[:16]) == ("warn", "cannot be seen: ")
    assert not [said for _, said in more.found.values() if said.startswith("cannot be seen: ")]
    assert less.code == 1
    assert less.about("rights") == ("fail", "the user may not: evalsha, zadd")


# --- whose sessions


@pytest.mark.usefixtures("provider")
def test_sessions_are_counted_by_the_key_of_their_cookie(
    tmp_path: Path,
    issuer: RawProvider,
    sites: Sites,
    redis: RedisProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kids = {}
    for name in ("OLD", "NEXT", "GONE", "LOST"):
        monkeypatch.setenv(f"BFF_{name}", key := new_key())
        kids[name] = parse_key(key).kid
    for name, people in (("OLD", ("ada", "grace")), ("GONE", ("ada",)), ("LOST", ("ada",))):
        site = sites(store=redis.url, key=f"BFF_{name}")
        for person in people:
            with browsing(site) as browser:
                browser.sign_in(person)
    with browsing(sites(store=redis.url, key="BFF_OLD")) as browser:
        browser.sign_in("grace")
        assert browser.fetch("POST", "/bff/logout").status_code == 200  # leaves a tombstone
    before = sorted(redis.do("KEYS", "*"))
    keys = f'accepted = [{{ env = "BFF_OLD" }}]\nretired = ["{kids["GONE"]}"]'
    found = check(tmp_path, issuer, redis.url, key="BFF_NEXT", keys=keys)
    assert sorted(redis.do("KEYS", "*")) == before
    assert found.about(f"sessions under current {kids['NEXT']}") == ("ok", "0")
    assert found.about(f"sessions under accepted {kids['OLD']}") == ("ok", "2")
    assert found.about(f"sessions under retired {kids['GONE']}") == ("ok", "1")
    assert found.about("sessions under unknown keys") == ("warn", "1")
    assert found.code == 0


def test_a_count_that_was_bounded_says_so(redis: RedisProcess) -> None:
    script = "for i = 1, 3000 do redis.call('HSET', 'bff:' .. i, 'k', '01234567') end"
    redis.do("EVAL", script, 0)
    assert asked(redis.url, census) == Census(sessions={"01234567": 3000}, whole=True)
    some = asked(redis.url, lambda servers: census(servers, steps=1))
    assert some is not None
    assert not some.whole
    assert 0 < some.sessions["01234567"] < 3000
    said = [each.said for each in per_key(some, Keyring(current=parse_key(new_key())))]
    assert all(each.endswith("among the first keys alone: there are more") for each in said)


# --- several servers


def test_each_master_of_a_cluster_is_asked(tmp_path: Path, issuer: RawProvider) -> None:
    with cluster_of_three() as cluster:
        for number in range(30):
            name = f"bff:{number}"
            cluster.owner(name).do("HSET", name, "k", "01234567")
        cluster.nodes[1].do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        found = check(tmp_path, issuer, cluster.url, session="wait_replicas = 0")
    assert found.failed == [f"Redis 127.0.0.1:{cluster.nodes[1].port} maxmemory-policy"]
    for node in cluster.nodes:
        assert found.about(f"Redis 127.0.0.1:{node.port} rights")[0] == "ok"
    assert found.about("sessions under unknown keys") == ("warn", "30")


@pytest.mark.parametrize(("wanted", "state"), [(1, "ok"), (2, "fail")])
def test_replicas_count_against_those_that_a_write_waits_for(
    tmp_path: Path, issuer: RawProvider, wanted: int, state: str
) -> None:
    with watched() as group:
        found = check(tmp_path, issuer, group.url, session=f"wait_replicas = {wanted}")
        port = group.master.port
    said = f"1 connected, session.wait_replicas is {wanted}"
    assert found.about(f"Redis 127.0.0.1:{port} replicas") == (state, said)
    assert found.code == (0 if state == "ok" else 1)
