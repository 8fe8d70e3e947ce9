"""How files go out: conditions, ranges, codings, caching, and how much of them is in memory."""

import asyncio
import gzip
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bff.relay.folder import HASHED_OCTETS
from bff.relay.static import _in_thread
from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.raw import RawAnswer, raw
from tests.parts.site import Site, serving

APP = b"export const answer = 42\n" * 10_000  # 250 KB: several pieces
HASHED = "/assets/app-CSliV9zW.js"
KEPT = "public, max-age=31536000, immutable"
LARGE = HASHED_OCTETS + 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("srv")
    (root / "outside.br").write_bytes(b"secret")
    spa = root / "spa"
    (spa / "assets").mkdir(parents=True)
    (spa / "index.html").write_text("<!doctype html><title>shell</title>")
    (spa / "index.html.gz").write_bytes(gzip.compress(b"<!doctype html><title>shell</title>"))
    (spa / "about-CSliV9zW.html").write_text("<!doctype html><title>about</title>")
    app = spa / HASHED[1:]
    app.write_bytes(APP)
    (spa / f"{HASHED[1:]}.br").write_bytes(b"pretended brotli")
    (spa / f"{HASHED[1:]}.gz").write_bytes(gzip.compress(APP))
    (spa / "sw.js").write_text("self.skipWaiting()")
    (spa / "sw.js.br").mkdir()
    (spa / "link.js").write_text("export {}")
    (spa / "link.js.br").symlink_to(root / "outside.br")
    (spa / "pipe.js").write_text("export {}")
    os.mkfifo(spa / "pipe.js.gz")
    os.mkfifo(spa / "pipe")
    (spa / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (spa / "empty.txt").write_bytes(b"")
    (spa / "release").mkdir()
    (spa / "release" / "font.woff2").write_bytes(b"wOF2")
    (spa / "current").symlink_to(spa / "release")
    (spa / "set.txt").write_text("a build that can be repeated")
    os.utime(spa / "set.txt", (1, 1))
    (spa / "tomorrow.txt").write_text("from a clock that is wrong")
    os.utime(spa / "tomorrow.txt", (4_000_000_000, 4_000_000_000))
    with (spa / "large.bin").open("wb") as large:
        large.truncate(LARGE)
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


def ask(site: Site, path: str, *fields: str, method: str = "GET") -> RawAnswer:
    """The answer as its octets, undone by no client."""
    lines = [f"{method} {path} HTTP/1.1", f"host: {site.host}", *fields]
    with raw(site.port) as wire:
        wire.send("\r\n".join([*lines, "", ""]).encode())
        return wire.answer(method)


# --- conditions


def test_a_tag_is_strong_and_the_same_after_a_copy_with_another_time(
    site: Site, folder: Path
) -> None:
    one = ask(site, "/sw.js").get("etag")
    assert one is not None
    assert one.startswith('"')
    copy = folder / "copy.js"
    copy.write_bytes((folder / "sw.js").read_bytes())
    os.utime(copy, (1_600_000_000, 1_600_000_000))
    assert ask(site, "/copy.js").get("etag") == one


def test_a_file_that_changes_within_one_moment_has_another_tag(site: Site, folder: Path) -> None:
    """Same length, same time: what a build that can be repeated leaves behind."""
    page = folder / "build.html"
    page.write_text("<script src=app-AAAA.js></script>")
    os.utime(page, (1, 1))
    one = ask(site, "/build.html")
    replacement = folder / "next"
    replacement.write_text("<script src=app-BBBB.js></script>")
    os.utime(replacement, (1, 1))
    replacement.rename(page)
    two = ask(site, "/build.html", f"if-none-match: {one.get('etag')}")
    assert (two.status, b"BBBB" in two.body) == (200, True)


def test_what_is_known_is_not_sent_again_but_its_policy_is(site: Site) -> None:
    page = ask(site, "/")
    again = ask(site, "/", f"if-none-match: {page.get('etag')}")
    assert (again.status, again.body) == (304, b"")
    for name in (
        "etag", "cache-control", "vary", "content-security-policy", "referrer-policy",
        "cross-origin-opener-policy", "strict-transport-security", "x-content-type-options",
    ):  # fmt: skip
        assert again.get(name) == page.get(name) is not None
    assert again.get("content-type") is None


def test_last_modified_is_believed_where_nothing_better_is_said(site: Site) -> None:
    told = ask(site, "/sw.js").get("last-modified")
    assert ask(site, "/sw.js", f"if-modified-since: {told}").status == 304
    assert ask(site, "/sw.js", f"if-modified-since: {told}", 'if-none-match: "x"').status == 200


def test_times_that_a_build_has_set_are_not_told_and_none_lies_in_the_future(site: Site) -> None:
    assert ask(site, "/set.txt").get("last-modified") is None
    tomorrow = ask(site, "/tomorrow.txt")
    assert "2096" not in (tomorrow.get("last-modified") or "")
    assert tomorrow.get("last-modified") is not None


def test_a_precondition_that_fails_is_412_without_a_body(site: Site) -> None:
    answer = ask(site, HASHED, 'if-match: "x"')
    assert (answer.status, answer.body, answer.get("content-length")) == (412, b"", "0")
    assert (answer.get("cache-control"), answer.get("etag")) == ("no-store", None)


# --- ranges


@pytest.mark.parametrize(
    ("wanted", "expected", "about"),
    [
        ("bytes=0-0", APP[:1], f"bytes 0-0/{len(APP)}"),
        ("bytes=100-200000", APP[100:200001], f"bytes 100-200000/{len(APP)}"),
        ("bytes=-10", APP[-10:], f"bytes {len(APP) - 10}-{len(APP) - 1}/{len(APP)}"),
    ],
)
def test_a_range_is_exactly_those_octets(
    site: Site, wanted: str, expected: bytes, about: str
) -> None:
    answer = ask(site, HASHED, f"range: {wanted}")
    assert (answer.status, answer.get("content-range")) == (206, about)
    assert answer.body == expected


def test_a_range_outside_is_416_and_says_how_long_the_file_is(site: Site) -> None:
    answer = ask(site, HASHED, "range: bytes=999999999-")
    assert (answer.status, answer.get("content-range")) == (416, f"bytes */{len(APP)}")
    assert (answer.get("cache-control"), answer.get("etag")) == ("no-store", None)
    assert ask(site, "/empty.txt", "range: bytes=0-").status == 416


def test_a_range_of_a_coding_is_one_of_its_own_octets(site: Site) -> None:
    answer = ask(site, HASHED, "accept-encoding: br", "range: bytes=0-8")
    assert (answer.status, answer.body) == (206, b"pretended")
    assert answer.get("content-encoding") == "br"
    plain = ask(site, HASHED).get("etag")
    other = ask(site, HASHED, "accept-encoding: br", "range: bytes=0-8", f"if-range: {plain}")
    assert (other.status, other.body) == (200, b"pretended brotli")


# --- codings


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0.1, gzip;q=0.2", "gzip"),
        ("br;q=0, *;q=0.5", "gzip"),
        ("zstd", None),
        ("gzip;q=0, br;q=0", None),
        ("identity;q=0, zstd", None),
        ("identity, br;q=0.9", None),
    ],
)
def test_what_lies_compressed_beside_a_file_goes_out_as_the_browser_likes_it(
    site: Site, accepted: str, coding: str | None
) -> None:
    answer = ask(site, HASHED, f"accept-encoding: {accepted}")
    expected = {"br": b"pretended brotli", "gzip": gzip.compress(APP), None: APP}[coding]
    assert answer.get("content-encoding") == coding
    assert len(answer.body) == len(expected)
    assert answer.get("content-length") == str(len(expected))
    assert answer.get("content-type") == "text/javascript; charset=utf-8"
    assert answer.get("vary") == "Accept-Encoding"
    assert answer.get("cache-control") == KEPT


def test_each_coding_has_a_tag_of_its_own(site: Site) -> None:
    fields = ("accept-encoding: br", "accept-encoding: gzip", "accept-encoding: identity")
    tags = {ask(site, HASHED, each).get("etag") for each in fields}
    assert len(tags) == 3
    for tag in tags:
        statuses = [ask(site, HASHED, each, f"if-none-match: {tag}").status for each in fields]
        assert sorted(statuses) == [200, 200, 304]


@pytest.mark.rule("D-07")
@pytest.mark.parametrize("path", ["/link.js", "/sw.js", "/pipe.js"])
def test_a_sibling_that_is_no_file_of_the_folder_is_no_coding(site: Site, path: str) -> None:
    answer = ask(site, path, "accept-encoding: br, gzip")
    assert (answer.status, answer.get("content-encoding")) == (200, None)
    assert b"secret" not in answer.body


def test_a_compressed_file_asked_for_by_name_is_that_file(site: Site) -> None:
    answer = ask(site, f"{HASHED}.gz", "accept-encoding: br, gzip")
    assert gzip.decompress(answer.body) == APP
    assert answer.get("content-encoding") is None
    assert answer.get("content-type") == "application/gzip"


def test_the_shell_has_its_codings_too(browser: Browser) -> None:
    answer = browser.navigate("/orders/5", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "shell" in answer.text
    assert answer.headers["vary"] == "Accept, Accept-Encoding, Sec-Fetch-Mode"


# --- caching


def test_hashed_names_are_kept_and_everything_else_is_asked_for(site: Site) -> None:
    assert ask(site, HASHED).get("cache-control") == KEPT
    for path in ("/", "/index.html", "/about-CSliV9zW.html", "/sw.js", "/logo.svg"):
        assert ask(site, path).get("cache-control") == "no-cache"


@pytest.mark.rule("D-07")
def test_a_hashed_name_that_is_not_there_is_never_kept(browser: Browser) -> None:
    """After a deployment an old page asks for an old script: the shell in its place, kept for a
    year, would be the end of it."""
    script = browser.request("GET", "/assets/app-OldV9zW1.js", mode="cors", dest="script")
    assert (script.status_code, script.headers["cache-control"]) == (404, "no-store")
    page = browser.navigate("/assets/app-OldV9zW1.js")
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    ("immutable", "kept"),
    [("[]", []), ('["assets/*"]', [HASHED]), ('["s[hash:1]*"]', None), ('["*.svg-[hash]"]', [])],
)
def test_the_templates_can_be_changed_and_switched_off(
    folder: Path, immutable: str, kept: list[str] | None
) -> None:
    routes = f'[[routes]]\npath = "/"\nstatic = "{folder}"\nimmutable = {immutable}\n'
    parts = {"issuer": "http://127.0.0.1:1", "api": "http://127.0.0.1:1", "routes": routes}
    if kept is None:
        with pytest.raises(Exception, match="immutable"):
            config(**parts)
        return
    with serving(config(**parts)) as other:
        paths = (HASHED, "/sw.js", "/logo.svg", "/")
        assert [each for each in paths if ask(other, each).get("cache-control") == KEPT] == kept


# --- types and policy


@pytest.mark.parametrize(
    ("path", "kind", "document"),
    [
        ("/", "text/html; charset=utf-8", True),
        ("/logo.svg", "image/svg+xml", True),
        ("/sw.js", "text/javascript; charset=utf-8", False),
        ("/release/font.woff2", "font/woff2", False),
        ("/current/font.woff2", "font/woff2", False),
        ("/large.bin", "application/octet-stream", False),
    ],
)
@pytest.mark.rule("D-02")
def test_what_a_browser_could_run_as_a_page_carries_the_policy(
    site: Site, path: str, kind: str, document: bool
) -> None:
    answer = ask(site, path, method="HEAD")
    assert answer.get("content-type") == kind
    assert (answer.get("content-security-policy") is not None) is document


# --- octets


@pytest.mark.parametrize("path", ["/", HASHED, "/empty.txt", "/large.bin", "/logo.svg"])
def test_head_is_get_without_the_body(site: Site, path: str) -> None:
    got, head = ask(site, path), ask(site, path, method="HEAD")
    assert head.body == b""
    assert [each for each in head.headers if each[0] != "date"] == [
        each for each in got.headers if each[0] != "date"
    ]
    assert got.get("content-length") == str(len(got.body))


def test_a_large_file_is_told_apart_without_being_read(site: Site) -> None:
    tag = ask(site, "/large.bin", method="HEAD").get("etag") or ""
    assert tag.startswith('W/"')
    assert ask(site, "/large.bin", f"if-none-match: {tag}").status == 304


def test_a_file_that_is_cut_off_while_it_goes_out_breaks_the_answer(
    site: Site, folder: Path
) -> None:
    path = folder / "log.bin"
    with path.open("wb") as growing:
        growing.truncate(64 * 1024 * 1024)
    with raw(site.port) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send(f"GET /log.bin HTTP/1.1\r\nhost: {site.host}\r\n\r\n".encode())
        assert wire.head()[0] == 200
        os.truncate(path, 1000)
        with pytest.raises(ConnectionError):
            wire.take(64 * 1024 * 1024)
    path.unlink()


def test_a_browser_that_goes_away_leaves_no_file_open(site: Site, folder: Path) -> None:
    path = folder / "film.bin"
    with path.open("wb") as growing:
        growing.truncate(256 * 1024 * 1024)
    with raw(site.port) as wire:
        wire.send(f"GET /film.bin HTTP/1.1\r\nhost: {site.host}\r\n\r\n".encode())
        assert wire.head()[0] == 200
        assert _is_open(path)
    while _is_open(path):
        assert ask(site, "/sw.js").status == 200  # and meanwhile it serves others
    path.unlink()


def _is_open(path: Path) -> bool:
    links = []
    for each in Path("/proc/self/fd").iterdir():
        try:
            links.append(os.readlink(each))
        except FileNotFoundError:
            continue  # closed while we looked
    return str(path) in links


def test_whoever_is_cancelled_waits_for_the_thread_that_reads_for_it() -> None:
    """What it reads from would be closed under it, and the number be another file's."""
    begun, go_on, read = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        go_on.wait(30)
        read.append(True)
        raise OSError

    async def main() -> None:
        task = asyncio.create_task(_in_thread(work))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert read == [True]

    asyncio.run(main())


def test_a_pipe_is_no_file_and_nobody_waits_for_it(site: Site) -> None:
    assert ask(site, "/pipe").status == 404


def test_a_folder_is_no_file(site: Site) -> None:
    for path in ("/assets", "/assets/", "/sw.js/", "/sw.js.br"):
        assert ask(site, path).status == 404
