"""`bff dev` as a process: one command to a page that is served, and Ctrl-C to its end."""

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bff.cli.dev import dev_config
from bff.simulator import bind
from tests.wire.serve_process import Process, run, running

PORTS = ("dev", "--port", "0", "--provider-port", "0", "--api-port", "0")


@contextlib.contextmanager
def _dev() -> Iterator[tuple[Process, str]]:
    with running(*PORTS) as process:
        url = process.line(lambda line: "Open" in line).split()[-1]
        process.line(lambda line: "Ctrl-C" in line)
        yield process, url


def test_dev_serves_page_api_and_provider_and_ends_in_two_seconds() -> None:
    with _dev() as (process, url), httpx.Client(trust_env=False, timeout=5) as http:
        page = http.get(url + "/")
        issuer = next(line for line in process.output if "provider" in line).split()[3].strip(",")
        assert (page.status_code, page.headers["content-type"][:9]) == (200, "text/html")
        assert page.headers["content-security-policy"] == (
            f"default-src 'self'; img-src 'self' https: {issuer} data:; object-src 'none'; "
            "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
        )
        assert (
            http.get(url + "/api/tasks", headers={"x-csrf": "1"}).json()["reason"] == "no_session"
        )
        login = http.get(
            url + "/bff/login",
            headers={
                "sec-fetch-mode": "navigate",
                "sec-fetch-site": "none",
                "sec-fetch-dest": "document",
            },
        )
        assert login.headers["location"].startswith(issuer + "/authorize?")
        began = time.monotonic()
        process.signal(signal.SIGINT)
        assert process.ended() == 0
        assert time.monotonic() - began < 2
        assert "Traceback" not in "".join(process.output)


def test_dev_answers_on_ipv6_too_where_there_is_any() -> None:
    with _dev() as (_, url), httpx.Client(trust_env=False, timeout=5) as http:
        try:
            bind("::1", 0).close()
        except OSError:
            pytest.skip("this machine has no IPv6")
        headers = {"host": url.partition("://")[2]}
        answer = http.get(url.replace("localhost", "[::1]") + "/bff/session", headers=headers)
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("option", "change"),
    [("--port", "--port (with make: PORT=)"), ("--provider-port", "--provider-port"),
     ("--api-port", "--api-port")],
)  # fmt: skip
def test_a_taken_port_is_named_with_its_option(option: str, change: str) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        arguments = list(PORTS)
        arguments[arguments.index(option) + 1] = port
        done = run(*arguments)
    assert done.returncode == 1
    assert done.stderr == f"Error: 127.0.0.1:{port} is taken by another process; change {change}\n"


def test_a_port_that_is_taken_on_ipv6_only_is_taken() -> None:
    try:
        taken = bind("::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with taken:
        port = str(taken.getsockname()[1])
        done = run("dev", "--port", port, *PORTS[3:])
    assert done.returncode == 1
    assert f"[::1]:{port} is taken by another process; change --port" in done.stderr


def test_a_folder_without_an_application_is_named(tmp_path: Path) -> None:
    done = run(*PORTS, "--spa", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: no index.html in {tmp_path}: name the folder of an application with --spa\n"
    )


@pytest.mark.rule("D-06")
def test_what_dev_serves_has_other_secrets_each_time_and_odd_paths_do_no_harm(
    tmp_path: Path,
) -> None:
    odd = tmp_path / 'a "b" \\ c'
    odd.mkdir()
    parts = {
        "origin": "http://localhost:1",
        "issuer": "http://127.0.0.1:2",
        "api": "http://127.0.0.1:3",
        "client_secret": json.dumps("s3cret"),
    }
    one, two = (dev_config(**parts, spa=odd) for _ in range(2))
    assert one.keyring.current.kid != two.keyring.current.kid
    assert one.frontends[0].routes[1].static == odd
    assert one.dev
