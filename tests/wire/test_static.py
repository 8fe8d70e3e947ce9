"""The SPA's own files: none outside the folder, the shell for navigations only."""

import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.raw import raw
from tests.parts.site import Site, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("srv")
    (root / "secret.txt").write_text("secret")
    spa = root / "spa"
    (spa / "assets").mkdir(parents=True)
    (spa / "index.html").write_text("<!doctype html><title>shell</title>")
    (spa / "assets" / "app.js").write_text("export {}")
    (spa / "assets" / "[id].js").write_text("bracket")
    (spa / ".env").write_text("secret")
    (spa / "assets" / ".hidden").write_text("secret")
    (spa / "link.txt").symlink_to(root / "secret.txt")
    (spa / "with space.txt").write_text("space")
    return spa


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Site]:
    routes = f'[[routes]]\npath = "/"\nstatic = "{folder}"\n'
    with serving(config(issuer="http://127.0.0.1:1", api="http://127.0.0.1:1", routes=routes)) as s:
        yield s


@pytest.fixture
def browser(site: Site) -> Iterator[Browser]:
    with browsing(site) as found:
        yield found


@pytest.mark.rule("D-07")
@pytest.mark.parametrize("path", ["/", "/orders/5", "/orders?page=2", "/index.html", "/x.y/z"])
def test_a_navigation_gets_the_shell(browser: Browser, path: str) -> None:
    answer = browser.navigate(path)
    assert (answer.status_code, "shell" in answer.text) == (200, True)
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.rule("D-07")
@pytest.mark.parametrize("path", ["/orders/5", "/assets/none.js", "/assets", "/assets/"])
def test_what_is_no_navigation_and_no_file_is_404(browser: Browser, path: str) -> None:
    answer = browser.request("GET", path, mode="no-cors", dest="script")
    assert (answer.status_code, answer.json()["reason"]) == (404, "no_route")


@pytest.mark.rule("D-06", "D-07")
@pytest.mark.parametrize("path", ["/.env", "/assets/.hidden", "/link.txt", "/.git/config"])
def test_what_is_hidden_or_elsewhere_is_never_served(browser: Browser, path: str) -> None:
    assert browser.request("GET", path).status_code == 404
    assert "secret" not in browser.navigate(path).text


@pytest.mark.rule("D-07")
@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt", "/..%5csecret.txt", "/%252e%252e/secret.txt",
        "//secret.txt", "/assets/..;/secret.txt",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_folder(site: Site, path: str) -> None:
    with raw(site.port) as wire:
        head = f"GET {path} HTTP/1.1\r\nHost: {site.host}\r\nSec-Fetch-Mode: navigate\r\n\r\n"
        wire.send(head.encode())
        answer = wire.answer()
    assert (answer.status, b"secret" in answer.body.replace(path.encode(), b"")) == (400, False)


@pytest.mark.rule("D-02", "Q-07")
def test_a_page_carries_a_strict_policy_and_a_script_does_not_need_one(browser: Browser) -> None:
    shell, script = browser.navigate("/"), browser.request("GET", "/assets/app.js")
    policy = shell.headers["content-security-policy"]
    for part in ("default-src 'self'", "object-src 'none'", "base-uri 'none'"):
        assert part in policy
    assert "frame-ancestors 'none'" in policy
    assert shell.headers["cross-origin-opener-policy"] == "same-origin"
    assert script.headers["content-type"].startswith("text/javascript")
    for answer in (shell, script):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_a_file_is_revalidated_and_head_has_no_body(browser: Browser) -> None:
    answer = browser.request("GET", "/assets/app.js")
    tag = answer.headers["etag"]
    again = browser.request("GET", "/assets/app.js", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    head = browser.request("HEAD", "/assets/app.js")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(answer.content))


def test_files_are_read_and_nothing_else(browser: Browser) -> None:
    answer = browser.fetch("POST", "/index.html")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert browser.request("GET", "/with%20space.txt").text == "space"


def test_what_is_there_but_cannot_be_opened_just_now_is_500_and_not_404(site: Site) -> None:
    asked = f"GET /index.html HTTP/1.1\r\nHost: {site.host}\r\n\r\n".encode()
    with raw(site.port) as wire:
        wire.send(asked)
        assert wire.answer().status == 200  # all that a request needs besides is open by now
        with no_descriptor_left():
            wire.send(asked)
            answer = wire.answer()
        assert (answer.status, b"internal_error" in answer.body) == (500, True)
        wire.send(asked)
        assert wire.answer().status == 200


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """This process can open nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # the standard ones are open
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_is_no_file_is_404(site: Site, folder: Path) -> None:
    os.mkfifo(folder / "pipe.js")
    with socket.socket(socket.AF_UNIX) as listening, raw(site.port) as wire:
        listening.bind(str(folder / "socket.js"))
        (folder / "loop.js").symlink_to("loop.js")
        long = "x" * 300 + ".js"
        for path in ("pipe.js", "socket.js", "loop.js", "assets", "index.html/x.js", long):
            wire.send(f"GET /{path} HTTP/1.1\r\nHost: {site.host}\r\n\r\n".encode())
            assert wire.answer().status == 404, path


@pytest.mark.rule("Q-03")
@pytest.mark.parametrize("path", ["/assets/[id].js", "/assets/%5Bid%5D.js", "/assets/%5bid].js"])
def test_a_bracket_in_a_name_is_one_however_it_is_written(site: Site, path: str) -> None:
    """Frameworks name files after routes, and browsers send a bracket as it is."""
    with raw(site.port) as wire:
        wire.send(f"GET {path} HTTP/1.1\r\nHost: {site.host}\r\n\r\n".encode())
        assert wire.answer().body == b"bracket"
