"""SIGHUP: another configuration without a restart, the keyring above all; and what is refused.

Two replicas, each a real `bff serve`, on one Redis; requests go on all the time.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bff.keys import new_key, parse_key
from bff.simulator import Simulator
from tests.canary import RECORDER
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.raw import raw, villain
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site
from tests.parts.socket_server import open_socket, socketeer
from tests.wire.serve_process import PATIENCE, QUICK_TO_STOP, Served, run, served
from tests.wire.test_streams import Streaming, listening
from tests.wire.test_websocket import closed

COOKIE = "__Host-Http-bff"
OLD = 'current = { env = "BFF_TEST_KEY" }'

pytestmark = pytest.mark.usefixtures("provider")


@dataclass
class Replica:
    """One `bff serve`, its file, and a browser's way to it."""

    served: Served
    file: Path

    @property
    def site(self) -> Site:
        """As far as a browser looks at it."""
        seen = SimpleNamespace(
            origin="https://app.example.com",
            host="app.example.com",
            port=int(self.served.public.rpartition(":")[2]),
            settle=lambda: None,
        )
        return cast(Site, seen)

    @property
    def supervisor(self) -> int:
        return self.served.process.popen.pid

    def keys(self, text: str) -> None:
        """These lines instead of the former under [keys], and the word to read them."""
        head, _, rest = self.file.read_text().partition("[keys]\n")
        self.file.write_text(f"{head}[keys]\n{text}\n\n[[routes]]{rest.partition('[[routes]]')[2]}")
        self.hup()

    def hup(self) -> None:
        self.served.process.signal(signal.SIGHUP)

    def reloaded(self, workers: int = 1) -> None:
        """Return when the supervisor has taken it and each worker serves it."""
        told = [self.served.process.event("reloaded") for _ in range(1 + workers)]
        assert self.supervisor in {each["pid"] for each in told}

    def sign_in(self) -> str:
        with browsing(self.site) as browser:
            browser.sign_in()
            return browser.session_cookie or ""

    def get(self, cookie: str, path: str = "/api/tasks") -> tuple[int, str]:
        with browsing(self.site) as browser:
            return get(browser, cookie, path)


def get(browser: Browser, cookie: str, path: str = "/api/tasks") -> tuple[int, str]:
    answer = browser.request("GET", path, headers={"cookie": f"{COOKIE}={cookie}", "x-csrf": "1"})
    assert "set-cookie" not in answer.headers
    return answer.status_code, answer.json().get("reason", "") if answer.status_code > 399 else ""


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A new key in a file."""
    text = new_key()
    RECORDER.secret("keys", text.removeprefix("bff1_"))
    path = tmp_path / "new.key"
    path.write_text(text)
    return path


@contextlib.contextmanager
def replica(
    folder: Path, simulator: Simulator, redis: RedisProcess, **more: Any
) -> Iterator[Replica]:
    folder.mkdir()
    parts = {"issuer": simulator.issuer, "api": simulator.api, "store": redis.url, **more}
    with served(folder, **parts) as one:
        one.ready()
        yield Replica(one, folder / "bff.toml")


@pytest.fixture
def two(tmp_path: Path, simulator: Simulator, redis: RedisProcess) -> Iterator[list[Replica]]:
    with (
        replica(tmp_path / "a", simulator, redis) as a,
        replica(tmp_path / "b", simulator, redis, workers=2) as b,
    ):
        yield [a, b]


@pytest.fixture
def one(tmp_path: Path, simulator: Simulator, redis: RedisProcess) -> Iterator[Replica]:
    with replica(tmp_path / "a", simulator, redis) as a:
        yield a


@dataclass
class Traffic:
    """Every session on every replica, over and over."""

    replicas: list[Replica]
    cookies: list[str] = field(default_factory=list)
    answers: set[tuple[int, str]] = field(default_factory=set)
    rounds: list[int] = field(default_factory=list)
    done: threading.Condition = field(default_factory=threading.Condition)
    over: bool = False

    def flow(self, number: int) -> None:
        with browsing(self.replicas[number].site) as browser:
            while not self.over:
                found = {get(browser, cookie) for cookie in list(self.cookies)}
                with self.done:
                    self.answers |= found
                    self.rounds[number] += 1
                    self.done.notify_all()

    def more(self, rounds: int = 3) -> None:
        """Return when so many more rounds have been made everywhere."""
        with self.done:
            wanted = [count + rounds for count in self.rounds]
            assert self.done.wait_for(
                lambda: all(a >= b for a, b in zip(self.rounds, wanted, strict=True)), PATIENCE
            )


@contextlib.contextmanager
def flowing(replicas: list[Replica], *cookies: str) -> Iterator[Traffic]:
    traffic = Traffic(replicas, list(cookies), rounds=[0] * len(replicas))
    threads = [
        threading.Thread(target=traffic.flow, args=(number,)) for number in range(len(replicas))
    ]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        traffic.over = True
        for thread in threads:
            thread.join()


@pytest.mark.rule("S-06")
def test_a_key_is_rotated_in_two_stages_and_nobody_is_signed_out(
    two: list[Replica], key: Path, provider: Control
) -> None:
    a, b = two
    new, former = f'{{ file = "{key}" }}', '{ env = "BFF_TEST_KEY" }'
    with flowing(two, a.sign_in(), b.sign_in()) as traffic:
        for each, workers in ((a, 1), (b, 2)):  # accept everywhere
            each.keys(f"current = {former}\naccepted = [{new}]")
            each.reloaded(workers)
            traffic.more()
        a.keys(f"current = {new}\naccepted = [{former}]")  # then make current, one by one
        a.reloaded()
        traffic.cookies.append(a.sign_in())
        traffic.more()
        b.keys(f"current = {new}\naccepted = [{former}]")
        b.reloaded(2)
        traffic.cookies.append(b.sign_in())
        traffic.more()
    assert traffic.answers == {(200, "")}
    kids = {cookie.partition(".")[0] for cookie in traffic.cookies}
    assert kids == {parse_key(os.environ["BFF_TEST_KEY"]).kid, parse_key(key.read_text()).kid}


@pytest.mark.rule("S-06")
def test_a_key_that_one_replica_does_not_know_yet_is_a_503_and_no_sign_out(
    two: list[Replica], key: Path
) -> None:
    a, b = two
    early = a.sign_in()
    a.keys(f'current = {{ file = "{key}" }}\naccepted = [{{ env = "BFF_TEST_KEY" }}]')
    a.reloaded()
    late = a.sign_in()
    for path in ("/api/tasks", "/bff/session"):
        assert b.get(late, path) == (503, "key_unknown")
    assert (a.get(late), b.get(early)) == ((200, ""), (200, ""))
    b.keys(f'{OLD}\naccepted = [{{ file = "{key}" }}]')
    b.reloaded(2)
    assert b.get(late) == (200, "")


@pytest.mark.rule("S-06")
def test_a_retired_key_ends_the_sessions_under_it_and_no_others(one: Replica, key: Path) -> None:
    early = one.sign_in()
    one.keys(f'current = {{ file = "{key}" }}\naccepted = [{{ env = "BFF_TEST_KEY" }}]')
    one.reloaded()
    late = one.sign_in()
    kid = parse_key(os.environ["BFF_TEST_KEY"]).kid
    one.keys(f'current = {{ file = "{key}" }}\nretired = ["{kid}"]')
    one.reloaded()
    assert one.get(early) == (401, "session_ended")
    assert one.get(late) == (200, "")


@pytest.mark.rule("T-04", "W-05", "W-07")
@pytest.mark.parametrize(
    ("retired", "reason"),
    [
        pytest.param(True, "session_ended", id="retired"),
        pytest.param(False, "key_unknown", id="not in the ring any more"),
    ],
)
def test_a_key_that_is_gone_ends_the_streams_under_it_and_no_others(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess, key: Path, retired: bool, reason: str
) -> None:
    former = '{ env = "BFF_TEST_KEY" }'
    with contextlib.ExitStack() as stack:
        sockets, events = stack.enter_context(socketeer()), stack.enter_context(villain())
        streaming = [Streaming(), Streaming()]
        events.script(*streaming)
        more = {"api": sockets.url, "route": "websocket = true"}
        more["routes"] = f'[[routes]]\npath = "/events"\nupstream = "{events.url}"'
        one = stack.enter_context(replica(tmp_path / "a", simulator, redis, **more))
        early, late = (stack.enter_context(browsing(one.site)) for _ in range(2))
        early.sign_in()
        one.keys(f'current = {{ file = "{key}" }}\naccepted = [{former}]')
        one.reloaded()
        late.sign_in()
        opened = [stack.enter_context(open_socket(each, "/api/ws")) for each in (early, late)]
        read = [stack.enter_context(listening(each)) for each in (early, late)]
        # Once more on the way, so that they stand on a site that has been left before.
        one.keys(f'current = {{ file = "{key}" }}\naccepted = [{former}]\n')
        one.reloaded()
        kid = parse_key(os.environ["BFF_TEST_KEY"]).kid
        gone = f'retired = ["{kid}"]' if retired else ""
        one.keys(f'current = {{ file = "{key}" }}\n{gone}')
        one.reloaded()
        assert closed(opened[0]) == (1008, reason)
        assert read[0].closed
        assert streaming[0].cut.wait(PATIENCE)
        _, server = sockets.take(), sockets.take()
        server.send("still here")
        assert opened[1].recv(timeout=PATIENCE) == "still here"
        assert not streaming[1].cut.is_set()


def test_the_key_file_is_read_again_although_the_file_of_configuration_is_the_same(
    one: Replica, key: Path
) -> None:
    one.keys(f'{OLD}\naccepted = [{{ file = "{key}" }}]')
    one.reloaded()
    another = new_key()
    RECORDER.secret("keys", another.removeprefix("bff1_"))
    key.write_text(another)
    one.hup()
    one.reloaded()
    one.keys(f'current = {{ file = "{key}" }}\naccepted = [{{ env = "BFF_TEST_KEY" }}]')
    one.reloaded()
    assert one.sign_in().partition(".")[0] == parse_key(another).kid


@pytest.mark.rule("D-10")
def test_a_bad_file_changes_nothing_and_is_told_as_bff_check_tells_it(
    one: Replica, key: Path
) -> None:
    cookie = one.sign_in()
    before = one.served.ready()["workers"]
    key.write_text("bff1_not-a-key")
    one.file.write_text(one.file.read_text() + "[serve]\n")
    one.keys(f'current = {{ file = "{key}" }}')
    told = [one.served.process.event("reload_refused") for _ in range(2)]
    checked = run("check", "--config", str(one.file))
    assert checked.returncode == 1
    for each in told:
        assert each["level"] == "error"
        assert each["reason"] in checked.stdout
    assert {each["key"] for each in told} == {"keys.current", "serve"}
    assert one.get(cookie) == (200, "")
    assert one.sign_in().partition(".")[0] == cookie.partition(".")[0]
    assert {each["pid"] for each in one.served.ready()["workers"]} == {
        each["pid"] for each in before
    }


@pytest.mark.parametrize(
    ("key", "now", "then"),
    [
        ("origin", 'origin = "https://app.', 'origin = "https://other.'),
        ("operate.listen", "127.0.0.1:0", "127.0.0.1:1"),
        ("server.head_timeout", "[operate]", '[server]\nhead_timeout = "9s"\n[operate]'),
    ],
)
def test_what_needs_a_restart_is_refused_by_its_key(
    one: Replica, key: str, now: str, then: str
) -> None:
    text = one.file.read_text()
    assert now in text
    one.file.write_text(text.replace(now, then))
    one.hup()
    told = one.served.process.event("reload_refused")
    assert told["key"] == key
    assert "needs a restart" in told["reason"]


def test_a_worker_that_comes_later_serves_the_newest_good_configuration(
    one: Replica, key: Path
) -> None:
    one.keys(f'current = {{ file = "{key}" }}\naccepted = [{{ env = "BFF_TEST_KEY" }}]')
    one.reloaded()
    one.keys("current = 7")
    one.served.process.event("reload_refused")
    (worker,) = one.served.ready()["workers"]
    os.kill(worker["pid"], signal.SIGKILL)
    one.served.process.event("worker_died")
    one.served.ready()
    assert one.sign_in().partition(".")[0] == parse_key(key.read_text()).kid


def test_a_request_under_way_finishes_on_what_it_began_with(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    with villain() as upstream:
        route = f'[[routes]]\npath = "/open"\nupstream = "{upstream.url}"\nauth = "none"'
        held: list[Any] = []
        upstream.script(lambda connection, _: held.append(connection))
        with (
            replica(tmp_path / "a", simulator, redis, routes=route) as one,
            raw(one.site.port) as busy,
        ):
            busy.send(b"GET /open/x HTTP/1.1\r\nHost: app.example.com\r\nX-CSRF: 1\r\n\r\n")
            assert upstream.arrived.acquire(timeout=PATIENCE)
            one.file.write_text(one.file.read_text().replace('"/open"', '"/elsewhere"'))
            one.hup()
            one.reloaded()
            with browsing(one.site) as browser:
                assert browser.fetch("GET", "/open/x").status_code == 404
            held[0].sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate")
            assert busy.answer().body == b"late"


def test_nothing_is_reloaded_while_draining(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    with replica(tmp_path / "a", simulator, redis, drain_delay="1h") as one:
        one.served.process.signal(signal.SIGTERM)
        one.served.until(lambda health: "draining" in health["troubles"])
        one.hup()
        assert one.served.process.event("reload_refused")["reason"] == "draining"
        one.served.process.signal(signal.SIGTERM)


OPEN = b"GET /open/x HTTP/1.1\r\nHost: app.example.com\r\nX-CSRF: 1\r\n"


def test_whose_word_counts_is_read_again_too(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    with villain() as upstream:
        route = f'[[routes]]\npath = "/open"\nupstream = "{upstream.url}"\nauth = "none"'
        with (
            replica(tmp_path / "a", simulator, redis, routes=route) as one,
            raw(one.site.port) as wire,
        ):
            asked = OPEN + b"X-Forwarded-For: 203.0.113.7\r\n\r\n"
            wire.send(asked)
            assert wire.answer().status == 200
            text = one.file.read_text()
            trusting = '[operate]\ntrusted_proxies = ["127.0.0.0/8"]\n'
            one.file.write_text(text.replace("[operate]\n", trusting))
            one.hup()
            one.reloaded()
            wire.send(asked)
            assert wire.answer().status == 200
            before, after = (each.all(b"x-forwarded-for") for each in upstream.received)
    assert (before, after) == ([b"127.0.0.1"], [b"203.0.113.7"])


@pytest.mark.rule("D-08")
def test_a_request_on_a_former_configuration_does_not_hold_up_the_stop(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    with villain() as upstream:
        route = f'[[routes]]\npath = "/open"\nupstream = "{upstream.url}"\nauth = "none"'
        upstream.script(lambda *_: None)
        with (
            replica(tmp_path / "a", simulator, redis, routes=route, **QUICK_TO_STOP) as one,
            raw(one.site.port) as stuck,
        ):
            stuck.send(OPEN + b"\r\n")
            assert upstream.arrived.acquire(timeout=PATIENCE)
            one.file.write_text(one.file.read_text().replace('"/open"', '"/elsewhere"'))
            one.hup()
            one.reloaded()
            one.served.process.signal(signal.SIGTERM)
            answer = stuck.answer()
            assert (answer.status, b'"reason":"draining"' in answer.body) == (503, True)
            assert one.served.process.ended() == 0
