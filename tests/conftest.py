"""What the tests have in common: the parts, the recorder behind them, the rules they prove."""

import contextlib
import fcntl
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import settings
from typing_extensions import override

from bff.journal import log
from bff.simulator import Client, Plan, Simulator, Switches, running
from bff.simulator.ledger import Secrets
from tests.canary import RECORDER
from tests.parts.browser import Browser, browsing
from tests.parts.config import SECRET, config
from tests.parts.control import Control, client
from tests.parts.raw import Villain, villain
from tests.parts.redis_process import RedisProcess, redis_process
from tests.parts.site import Site, serving

SECURE = "https://app.example.com"  # behind a terminator of TLS: tests speak to 127.0.0.1
LOOPBACK = "http://localhost:8080"  # as Host says; the port that listens is another
ORIGINS = (SECURE, LOOPBACK)
RESULTS = "bff/conformance"  # in pytest's cache; `python -m tests.conformance` reads it

# The same examples in each run: what fails, fails again. No deadline: the machine may be busy.
settings.register_profile("bff", deadline=None, derandomize=True)
settings.load_profile("bff")

Sites = Callable[..., Site]
Told = Callable[[], list[dict[str, Any]]]


# --- the recorder


class _Lines(logging.Handler):
    """Every logger at every level, as if somebody had turned all of them on."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        RECORDER.told(f"{record.name} {self.format(record)}", "logging")


class _Stream:
    def write(self, text: str) -> None:
        if text.strip():
            RECORDER.told(text)

    def flush(self) -> None:
        pass


@pytest.fixture(scope="session", autouse=True)
def _recorded() -> Iterator[None]:
    """Python's logging at DEBUG with the libraries as `bff serve` leaves them, and all secrets."""
    log.quiet_libraries()
    root, handler, level = logging.getLogger(), _Lines(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    add = Secrets.add

    def noticed(self: Secrets, kind: str, value: str | None) -> None:
        RECORDER.secret(kind, value)
        add(self, kind, value)

    Secrets.add = noticed  # type: ignore[method-assign]  # a witness at every simulator of the run
    yield
    Secrets.add = add  # type: ignore[method-assign]
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _log() -> None:
    """The BFF's own log, as it is configured in earnest, written to the recorder."""
    with contextlib.redirect_stdout(_Stream()):  # type: ignore[type-var]  # a stream by its methods
        log.configure(human=False)
    # What a test before this one configured is forgotten, also by the logger that has cached it.
    vars(log._log).pop("bind", None)
    structlog.configure(cache_logger_on_first_use=False)


# --- the parts


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """One provider for all; `provider` makes it as new for each test."""
    application = Client(
        client_id="spa",
        client_secret=SECRET,
        redirect_uris=tuple(f"{origin}/bff/callback" for origin in ORIGINS),
        post_logout_redirect_uris=tuple(f"{origin}/" for origin in ORIGINS),
    )
    plan = Plan(clients=(application,), switches=Switches(access_token_seconds=300))
    with running(plan) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def _channel(simulator: Simulator) -> Iterator[Control]:
    with client() as http:
        yield Control(simulator, http)


@pytest.fixture
def provider(_channel: Control) -> Iterator[Control]:
    """The simulator as after its start."""
    _channel.do("reset")
    yield _channel
    _channel.do("reset")  # whatever is held goes on


@pytest.fixture(scope="module")
def upstream() -> Iterator[Villain]:
    """A raw upstream of a module's tests, which does what it is told."""
    with villain() as found:
        yield found


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisProcess]:
    with redis_process() as process:
        yield process


@pytest.fixture
def redis(redis_server: RedisProcess) -> Iterator[RedisProcess]:
    """A Redis that runs and is empty; what it holds in the end is recorded."""
    if redis_server.process is None:
        redis_server.start()
    redis_server.resume()
    redis_server.flush()
    yield redis_server
    if redis_server.process is None:
        redis_server.start()
    redis_server.resume()
    RECORDER.dumped(redis_server.dump())


@pytest.fixture
def redis_url(redis_server: RedisProcess) -> str:
    return redis_server.url


@pytest.fixture(scope="module")
def sites(simulator: Simulator, request: pytest.FixtureRequest) -> Iterator[Sites]:
    """Sites of a module by their configuration; `store="redis"` means the one of the tests."""
    running_sites: dict[tuple[tuple[str, str], ...], Site] = {}
    with contextlib.ExitStack() as stack:

        def site(**parts: str) -> Site:
            wanted = tuple(sorted(parts.items()))
            if wanted not in running_sites:
                if parts.get("store") == "redis":
                    parts["store"] = request.getfixturevalue("redis_server").url
                # Else the bound on logins of one address would be met by the tests themselves.
                if "connections" not in parts.get("provider", ""):
                    parts["provider"] = "connections = 1000\n" + parts.get("provider", "")
                parts = {"issuer": simulator.issuer, "api": simulator.api, **parts}
                running_sites[wanted] = stack.enter_context(serving(config(**parts)))
            return running_sites[wanted]

        yield site


@pytest.fixture(params=["memory:", "redis"])
def store(request: pytest.FixtureRequest) -> str:
    """Both stores, where it matters which one remembers."""
    if request.param == "redis":
        request.getfixturevalue("redis")
    name: str = request.param
    return name


@pytest.fixture
def site(sites: Sites, provider: Control) -> Site:
    """The plainest site: https, in memory."""
    return sites()


@pytest.fixture
def browser(site: Site) -> Iterator[Browser]:
    with browsing(site) as browser:
        yield browser


@pytest.fixture
def told() -> Told:
    """What the BFF has written into its log since the test began."""
    before = len(RECORDER.records)

    def lines() -> list[dict[str, Any]]:
        records = RECORDER.records[before:]
        return [json.loads(each.data) for each in records if each.name == "log"]

    return lines


# --- the rules


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The canaries are looked for when everything else has been done."""
    items.sort(key=lambda item: item.path.name == "test_zz_canaries.py")


_results: dict[str, dict[str, Any]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember which rules a test stands for, and whether it passed in all its phases."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    rules = sorted({rule for mark in item.iter_markers("rule") for rule in mark.args})
    if rules:
        result = _results.setdefault(item.nodeid, {"rules": rules, "passed": True, "ran": False})
        result["passed"] = result["passed"] and not report.failed
        result["ran"] = result["ran"] or (report.when == "call" and report.passed)
    return report  # type: ignore[return-value]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep the results: all of a whole run, else over those of the run before, or beside it."""
    cache = getattr(session.config, "cache", None)
    if cache is None or not _results:
        return
    whole = session.config.args == session.config.getini("testpaths")
    with (cache.mkdir("bff") / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before: dict[str, Any] = {} if whole else cache.get(RESULTS, {})
        cache.set(RESULTS, {**before, **_results})
