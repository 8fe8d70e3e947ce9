"""The race: many requests over several processes in one moment, on a token that is over."""

import contextlib
import threading
import time

from tests.parts.browser import Browser
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import Replica
from tests.parts.volley import Hit, cookie_of, shot, volley

REQUESTS = 50  # to each process


def salvo(replicas: list[Replica], cookie: str, path: str = "/api/token") -> list[Hit]:
    """Fifty requests to each, all at once."""
    shots = [shot(each.port, each.host, cookie, path) for each in replicas]
    return volley(shots * REQUESTS)


def wait_for_the_end(redis: RedisProcess, seconds: float) -> None:
    """Return when so much of the store's own time has gone by: that is what tokens are read by."""
    with contextlib.closing(redis.client()) as store:

        def now() -> float:
            whole, micro = store.time()
            return float(whole) + float(micro) / 1e6

        end = now() + seconds
        while now() < end:
            threading.Event().wait(0.02)


def race(replicas: list[Replica], provider: Control, redis: RedisProcess, rounds: int) -> None:
    """So many rounds, each on a session whose first token lived a second; nothing is lost.

    Its successor lives long enough for the slowest machine, so that one refresh is right.
    """
    provider.switch(access_token_seconds=1)
    cookies = []
    for _ in range(rounds):
        with replicas[0].browsing() as browser:
            browser.sign_in()
            cookies.append(cookie_of(browser))
    provider.switch(access_token_seconds=300)
    wait_for_the_end(redis, 1)
    before = provider.count("token:refresh_token")
    for done, cookie in enumerate(cookies, 1):
        hits = salvo(replicas, cookie)
        failed = [(hit.status, hit.body[:200]) for hit in hits if hit.status != 200]
        assert failed == []
        assert len({hit.json()["fingerprint"] for hit in hits}) == 1
        assert provider.count("token:refresh_token") == before + done
    # A refresh token that was spent twice would have ended its grant, and the API refuse it.
    for cookie in cookies:
        alive = volley([shot(each.port, each.host, cookie) for each in replicas])
        assert [hit.status for hit in alive] == [200] * len(replicas)
    outcomes = {entry["outcome"] for entry in provider.entries("token:refresh_token")}
    assert outcomes == {"ok"}


def end_everywhere(
    replicas: list[Replica], cookies: list[str], http_for: dict[int, Browser]
) -> None:
    """Each session is used on both, ended on one, and its next request on the other is refused."""
    for number, cookie in enumerate(cookies):
        ending, other = (http_for[(number + turn) % 2] for turn in (0, 1))
        with_cookie = {"cookie": cookie}
        for browser in (ending, other):
            assert browser.fetch("GET", "/api/x", headers=with_cookie).status_code == 200
        assert ending.fetch("POST", "/bff/logout", headers=with_cookie).status_code == 200
        refused = other.fetch("GET", "/api/x", headers=with_cookie)
        assert (refused.status_code, refused.json()["reason"]) == (401, "session_ended")


def patiently(seconds: float = 60.0) -> "Patience":
    """Something to ask in a loop: it gives up what never comes."""
    return Patience(time.monotonic() + seconds)


class Patience:
    def __init__(self, until: float) -> None:
        self._until = until

    def left(self) -> bool:
        assert time.monotonic() < self._until, "it did not happen in time"
        return True
