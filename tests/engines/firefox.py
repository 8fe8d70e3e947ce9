"""Firefox, by WebDriver BiDi: commands and answers as JSON on one WebSocket."""

import contextlib
import itertools
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.engines.engine import PATIENCE, Engine, Kept
from tests.parts.socket_server import SILENT

READY = "WebDriver BiDi listening on "
# Nothing of its own on the network, and no page of its own in the way.
PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}


class Firefox:
    """A running Firefox."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer: dict[str, Any] = json.loads(self._connection.recv(timeout=PATIENCE))
            if answer.get("id") == number:
                break
        if answer["type"] == "error":
            raise RuntimeError(f"{method}: {answer['error']}")
        found: dict[str, Any] = answer["result"]
        return found


class Window:
    """One tab of a container of its own."""

    def __init__(self, firefox: Firefox, tab: str) -> None:
        self._ask = firefox.ask
        self._tab = tab

    def go(self, url: str) -> None:
        self._ask("browsingContext.navigate", context=self._tab, url=url, wait="none")

    def back(self) -> None:
        self._ask("browsingContext.traverseHistory", context=self._tab, delta=-1)

    def cookies(self) -> list[Kept]:
        partition = {"type": "context", "context": self._tab}
        return [
            Kept(
                name=each["name"],
                value=each["value"]["value"],
                path=each["path"],
                secure=each["secure"],
                http_only=each["httpOnly"],
                same_site=each["sameSite"],
                session="expiry" not in each,
            )
            for each in self._ask("storage.getCookies", partition=partition)["cookies"]
        ]

    def evaluate(self, function: str) -> str:
        answer = self._ask(
            "script.callFunction",
            functionDeclaration=function,
            awaitPromise=True,
            target={"context": self._tab},
        )
        if answer["type"] != "success":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return str(answer["result"]["value"])


@contextlib.contextmanager
def firefox() -> Iterator[Firefox]:
    with tempfile.TemporaryDirectory(prefix="bff-firefox-") as folder:
        lines = [f'user_pref("{key}", {json.dumps(value)});' for key, value in PREFERENCES.items()]
        (Path(folder) / "user.js").write_text("\n".join(lines))
        command = ["firefox-esr", "--headless", "--no-remote", "--profile", folder]
        with subprocess.Popen(
            [*command, "--remote-debugging-port=0"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stderr is not None
            try:
                said = next(line for line in process.stderr if READY in line)
                url = said.partition(READY)[2].strip() + "/session"
                with connect(url, logger=SILENT, max_size=None) as connection:
                    found = Firefox(connection)
                    wanted = {"alwaysMatch": {"acceptInsecureCerts": True}}
                    found.ask("session.new", capabilities=wanted)
                    yield found
            finally:
                process.terminate()
                process.communicate()


@contextlib.contextmanager
def window(running: Firefox) -> Iterator[Engine]:
    container = running.ask("browser.createUserContext")["userContext"]
    tab = running.ask("browsingContext.create", type="tab", userContext=container)["context"]
    yield Window(running, tab)
    running.ask("browser.removeUserContext", userContext=container)
