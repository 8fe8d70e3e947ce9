"""Every `nginx` block is what nginx takes, and people sign in through those before bff."""

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest
from typing_extensions import override
from websockets.sync.client import connect
from websockets.typing import Origin

from bff.simulator import Simulator
from tests.conftest import SECURE, Told
from tests.parts.browser import Browser, browsing
from tests.parts.certificates import Authority, authority
from tests.parts.config import config
from tests.parts.control import Control
from tests.parts.redis_process import free_port
from tests.parts.site import serving
from tests.parts.socket_server import SILENT
from tests.ship.fenced import BLOCKS, Block, every

NGINX: Final = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin") or "nginx"
ELSEWHERE: Final = "127.0.0.2"  # where the person is: not nginx' own address
HOST: Final = SECURE.partition("://")[2]
# Its workers read pytest's folders, which are nobody else's; who is not root may not say so.
US: Final = "" if os.geteuid() else "user root;"
MAIN: Final = """
daemon off;
{us}
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    {block}
}}
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("house"), HOST, "localhost")


@dataclass(frozen=True, slots=True)
class Put:
    """A block in a file of its own, with the ports and files of this machine."""

    file: Path
    tls_port: int


def put(block: Block, folder: Path, house: Authority, port: int) -> Put:
    """`port`: where bff listens."""
    tls = free_port()
    text = block.text
    for pattern, real in (
        (r"listen 443 ssl", f"listen 127.0.0.1:{tls} ssl"),
        (r"listen 80\b", f"listen 127.0.0.1:{free_port()}"),
        (r"127\.0\.0\.1:8000\b", f"127.0.0.1:{port}"),
        (r"/etc/ssl/app\.pem", str(house.certificate)),
        (r"/etc/ssl/app\.key", str(house.key)),
        (r"root /\S+;", f"root {folder};"),
    ):
        text = re.sub(pattern, real, text)
    file = folder / "nginx.conf"
    file.write_text(MAIN.format(us=US, folder=folder, block=text))
    return Put(file, tls)


@every("nginx")
def test_nginx_takes_it(block: Block, tmp_path: Path, house: Authority) -> None:
    made = put(block, tmp_path, house, free_port())
    command = [NGINX, "-t", "-q", "-e", "stderr", "-p", str(tmp_path), "-c", str(made.file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


class ThroughTls(httpx.BaseTransport):
    """What a test says in the clear to a port of 127.0.0.1 is said to that nginx over TLS."""

    def __init__(self, port: int, house: Authority) -> None:
        self._port = port
        tls = ssl.create_default_context(cafile=str(house.ca))
        self._inner = httpx.HTTPTransport(verify=tls, local_address=ELSEWHERE)

    @override
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="https", host="localhost", port=self._port)
        request.extensions["sni_hostname"] = HOST
        return self._inner.handle_request(request)

    @override
    def close(self) -> None:
        self._inner.close()


@contextlib.contextmanager
def nginx(block: Block, folder: Path, house: Authority, port: int) -> Iterator[int]:
    """Its port for TLS."""
    made = put(block, folder, house, port)
    command = [NGINX, "-e", "stderr", "-p", str(folder), "-c", str(made.file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        while "start worker process " not in said:  # by then it listens
            said = process.stderr.readline()
            assert said, "nginx has ended"
        try:
            yield made.tls_port
        finally:
            process.terminate()
            process.communicate(timeout=30)


def block_of(page: str) -> Block:
    (found,) = (each for each in BLOCKS if each.page == page and each.language == "nginx")
    return found


@dataclass(frozen=True, slots=True)
class Visit:
    """A person behind that nginx, at an address of their own."""

    browser: Browser
    port: int
    house: Authority


@pytest.fixture(params=["docs/how-to/nginx.md", "docs/how-to/cdn.md"])
def visit(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    house: Authority,
    simulator: Simulator,
    provider: Control,
) -> Iterator[Visit]:
    (tmp_path / "index.html").write_text("<!doctype html><title>Shell</title>")
    behind = config(
        issuer=simulator.issuer,
        api=simulator.api,
        route="websocket = true",
        more='[operate]\ntrusted_proxies = ["127.0.0.1/32"]',
    )
    with (
        serving(behind) as site,
        nginx(block_of(request.param), tmp_path, house, site.port) as port,
        browsing(site) as browser,
        httpx.Client(transport=ThroughTls(port, house), timeout=30) as client,
    ):
        browser.http = client
        yield Visit(browser, port, house)


def test_people_sign_in_and_out_through_it(visit: Visit, told: Told) -> None:
    browser = visit.browser
    browser.sign_in()
    assert browser.fetch("GET", "/api/tasks").status_code == 200
    assert browser.fetch("GET", "/api/a%2Fb").json()["reason"] == "ambiguous_path"
    assert browser.fetch("POST", "/bff/logout").json() == {"logout_url": "/bff/logout/provider"}
    assert browser.fetch("GET", "/api/tasks").status_code == 401
    (login,) = [line for line in told() if line["event"] == "login"]
    assert login["peer"] == ELSEWHERE
    assert re.fullmatch(r"[0-9a-f]{32}", login["request_id"])  # as nginx makes them


@pytest.mark.parametrize("visit", ["docs/how-to/cdn.md"], indirect=True)
def test_the_files_that_lie_in_front_are_served_there(visit: Visit) -> None:
    shell = visit.browser.navigate("/orders/7")
    assert "<title>Shell</title>" in shell.text
    assert shell.headers["content-security-policy"].endswith("form-action 'self'")


def test_events_come_at_once_and_sockets_open_through_it(visit: Visit) -> None:
    browser = visit.browser
    browser.sign_in()
    pairs = "; ".join(f"{name}={each.value}" for name, each in browser.cookies.items())
    headers = {"host": HOST, "cookie": pairs, "sec-fetch-site": "same-origin"}
    with browser.http.stream("GET", "http://127.0.0.1:1/bff/events", headers=headers) as stream:
        assert next(stream.iter_lines()) == "event: session"
    tls = ssl.create_default_context(cafile=str(visit.house.ca))
    with connect(
        f"wss://{HOST}/api/chat",
        sock=socket.create_connection(("127.0.0.1", visit.port)),
        ssl=tls,
        origin=Origin(SECURE),
        additional_headers={"cookie": pairs},
        proxy=None,
        logger=SILENT,
    ) as chat:
        chat.send("hello")
        assert "hello" in chat.recv(timeout=30)
