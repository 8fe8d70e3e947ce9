"""The people of a chaos run: each is signed in, asks the API at times, and notes each answer."""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from bff.session.seal import store_key
from bff.simulator import Person

HEADERS = {"x-csrf": "1", "sec-fetch-site": "same-origin"}
WAITS = 20.0  # seconds for one answer
PATIENCE = 30.0  # seconds until somebody who gets no answer that counts is called stuck


class Door(Protocol):
    """Where a process listens."""

    name: str
    port: int


@dataclass(frozen=True)
class End:
    """A session that was over when its person came."""

    at: float  # monotonic seconds
    key: str  # of the record
    reason: str


class People:
    """All of them, and the ledger of what they were told."""

    def __init__(
        self, doors: Sequence[Door], origin: str, chance: secrets.SystemRandom, pause: float
    ) -> None:
        """`pause`: seconds between two visits of one person, on average."""
        self._pause = pause
        self.answers: Counter[str] = Counter()
        self.ends: list[End] = []
        self.stuck = 0
        self._doors = doors
        self._origin = origin
        self._host = urlsplit(origin).netloc
        self._chance = chance
        self._signing_in = asyncio.Semaphore(4)
        self._over = asyncio.Event()
        self._cookies: dict[int, str] = {}

    async def sign_in(self, number: int) -> None:
        """A new session for that person, however often it takes."""
        async with self._signing_in:
            while True:
                port = self._chance.choice(self._doors).port
                cookie = await asyncio.to_thread(signed_in, port, self._origin)
                if cookie is not None:
                    self._cookies[number] = cookie
                    return
                await asyncio.sleep(0.2)

    async def live(self, number: int) -> None:
        """Come and go until `finish`; then once more, until there is an answer that counts."""
        while not self._over.is_set():
            await asyncio.sleep(self._pause * self._chance.uniform(0.1, 1.9))
            tabs = [self._ask(number) for _ in range(self._chance.choice((1, 1, 1, 3)))]
            if "over" in await asyncio.gather(*tabs):
                await self.sign_in(number)
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE
        while await self._ask(number) == "later":
            if loop.time() > end:
                self.stuck += 1
                return
            await asyncio.sleep(0.5)

    def finish(self) -> None:
        """It is time to go."""
        self._over.set()

    async def _ask(self, number: int) -> str:
        """Ask the API once, by whichever process: "well", "later" or "over"."""
        cookie, door = self._cookies[number], self._chance.choice(self._doors)
        headers = {**HEADERS, "host": self._host, "cookie": f"bff={cookie}"}
        try:
            status, body = await _get(door.port, "/api/tasks", headers)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.answers[f"no answer ({type(error).__name__})"] += 1
            return "later"
        reason = json.loads(body).get("reason", "of the API") if status != 200 else ""
        self.answers[f"{status} {reason}".strip()] += 1
        if status != 401 or reason == "of the API":  # K-13: that ends no session
            return "well" if status == 200 else "later"
        if cookie == self._cookies[number]:  # another tab may have been told before
            key = store_key("session", "default", cookie.split(".")[1])
            if all(end.key != key for end in self.ends):
                self.ends.append(End(asyncio.get_running_loop().time(), key, reason))
        return "over"


async def _get(port: int, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body, over a connection of its own.

    A pool of hundreds, as httpx has it, takes longer to look through than the answer takes."""
    async with asyncio.timeout(WAITS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            lines = [f"GET {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
            writer.write("\r\n".join([*lines, "connection: close", "", ""]).encode())
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
            if not head:
                raise EOFError
            return int(head.split(b" ", 2)[1]), body
        finally:
            writer.close()


def signed_in(port: int, origin: str) -> str | None:
    """The cookie of a new session, or None: not now."""
    base, host = f"http://127.0.0.1:{port}", urlsplit(origin).netloc
    navigation = {"host": host, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    try:
        with Person() as person, httpx.Client(trust_env=False, timeout=10) as http:
            headers = {**navigation, "sec-fetch-site": "none"}
            begun = http.get(f"{base}/bff/login?return_to=/", headers=headers)
            if begun.status_code != 303:
                return None
            pairs = "; ".join(_pairs(begun))
            back = urlsplit(person.visit(begun.headers["location"]))
            headers = {**navigation, "sec-fetch-site": "cross-site", "cookie": pairs}
            ended = http.get(f"{base}{back.path}?{back.query}", headers=headers)
            found = [each for each in _pairs(ended) if each.startswith("bff=")]
            return found[0].removeprefix("bff=") if ended.status_code == 200 and found else None
    except httpx.TransportError:
        return None


def _pairs(answer: httpx.Response) -> list[str]:
    return [line.partition(";")[0] for line in answer.headers.get_list("set-cookie")]
