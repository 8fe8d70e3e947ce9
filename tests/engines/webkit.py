"""WebKitGTK, by WebDriver: a small server that the engine brings along."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.engines.engine import PATIENCE, Engine, Kept
from tests.parts.control import client
from tests.parts.redis_process import free_port

BROWSERS = "/usr/lib/*/webkit2gtk-4.1/MiniBrowser"


class Driver:
    """The driver, which starts a browser for each window."""

    def __init__(self, port: int, http: httpx.Client) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._http = http

    def ask(self, method: str, path: str, body: object = None) -> Any:
        sent = {} if method in ("GET", "DELETE") else {"json": body or {}}
        answer = self._http.request(method, self._url + path, **sent)  # type: ignore[arg-type]
        value = answer.json()["value"]
        if answer.status_code != 200:
            raise RuntimeError(f"{method} {path.rpartition('/')[2]}: {value['error']}")
        return value

    def answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self._http.get(self._url + "/status").status_code == 200
        return False


class Window:
    """One browser with one page."""

    def __init__(self, driver: Driver, session: str) -> None:
        self._ask = driver.ask
        self._at = f"/session/{session}"

    def go(self, url: str) -> None:
        self._ask("POST", f"{self._at}/url", {"url": url})

    def back(self) -> None:
        self._ask("POST", f"{self._at}/back")

    def cookies(self) -> list[Kept]:
        return [
            Kept(
                name=each["name"],
                value=each["value"],
                path=each["path"],
                secure=each["secure"],
                http_only=each["httpOnly"],
                same_site=each["sameSite"].lower(),
                session="expiry" not in each,
            )
            for each in self._ask("GET", f"{self._at}/cookie")
        ]

    def evaluate(self, function: str) -> str:
        script = (
            "const done = arguments[arguments.length - 1];"
            f"({function})().then((text) => done([text]), (error) => done(String(error)));"
        )
        body = {"script": script, "args": []}
        answer = self._ask("POST", f"{self._at}/execute/async", body)
        if not isinstance(answer, list):
            raise RuntimeError(answer)
        return str(answer[0])


@contextlib.contextmanager
def webkit() -> Iterator[Driver]:
    port = free_port()
    command = ["xvfb-run", "-a", "WebKitWebDriver", f"--port={port}"]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
        client() as http,
    ):
        try:
            driver = Driver(port, http)
            for _ in range(int(PATIENCE / 0.1)):
                if driver.answers():
                    break
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
            yield driver
        finally:
            process.terminate()


@contextlib.contextmanager
def window(driver: Driver) -> Iterator[Engine]:
    browser = str(next(Path("/").glob(BROWSERS.lstrip("/"))))
    wanted = {
        "acceptInsecureCerts": True,
        "webkitgtk:browserOptions": {"binary": browser, "args": ["--automation"]},
    }
    body = {"capabilities": {"alwaysMatch": wanted}}
    session = driver.ask("POST", "/session", body)["sessionId"]
    driver.ask("POST", f"/session/{session}/timeouts", {"script": PATIENCE * 1000})
    try:
        yield Window(driver, session)
    finally:
        driver.ask("DELETE", f"/session/{session}")
