"""`bff dev` as a process: one command to a page that is served, and Ctrl-C to its end."""

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bff.cli.dev import dev_config
from bff.keys import new_key
from bff.simulator import Person, bind
from tests.parts.control import client
from tests.parts.redis_process import free_port
from tests.wire.serve_process import Process, run, running

PORTS = ("dev", "--port", "0", "--provider-port", "0", "--api-port", "0")


@contextlib.contextmanager
def _dev(*options: str) -> Iterator[tuple[Process, str]]:
    with running(*PORTS, *options) as process:
        url = process.line(lambda line: "Open" in line).split()[-1]
        process.line(lambda line: "Ctrl-C" in line)
        yield process, url


def test_dev_serves_page_api_and_provider_and_ends_at_ctrl_c() -> None:
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
        process.signal(signal.SIGINT)
        assert process.ended() == 0
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


OWN = """
origin = "{origin}"

[provider]
issuer = "https://login.corp.example"
client_id = "the-real-one"
client_secret = {{ env = "NOT_ON_THIS_MACHINE" }}
client_authentication = "client_secret_post"
scopes = ["openid", "profile", "orders:read"]
ca_file = "/etc/ssl/not-on-this-machine.pem"

[session]
store = "memory:"
claims = ["name", "groups"]

[keys]
current = "{key}"

[[routes]]
path = "/api"
upstream = "http://127.0.0.1:1"
"""
PEOPLE = """
[[accounts]]
sub = "17"
name = "Mira Okafor"
claims = { groups = ["admin"] }
"""


def _own(folder: Path, origin: str) -> tuple[str, ...]:
    (folder / "mine.toml").write_text(OWN.format(origin=origin, key=new_key()))
    (folder / "people.toml").write_text(PEOPLE)
    return (
        "--config", str(folder / "mine.toml"), "--accounts", str(folder / "people.toml"),
        "--audience", "urn:orders",
    )  # fmt: skip


def test_a_configuration_of_ones_own_gets_another_provider_and_people_from_a_file(
    tmp_path: Path,
) -> None:
    origin = f"http://localhost:{free_port()}"
    with _dev(*_own(tmp_path, origin)) as (process, url), client() as http, Person("17") as mira:
        assert url == origin
        assert "Mira Okafor; no password" in "".join(process.output)
        login = http.get(url + "/bff/login")
        back = http.get(mira.visit(login.headers["location"]))
        assert back.status_code == 200
        session = http.get(url + "/bff/session", headers={"x-csrf": "1"}).json()
        assert session["claims"] == {"name": "Mira Okafor", "groups": ["admin"]}
        panel = login.headers["location"].partition("/authorize")[0] + "/control/exchanges"
        (claims,) = [each["claims"] for each in http.get(panel).json() if each["claims"]]
        assert claims["access_token"]["aud"] == "urn:orders"
        assert "orders:read" in claims["access_token"]["scope"]


def test_several_applications_are_served_on_one_port(tmp_path: Path) -> None:
    port = free_port()
    own = OWN.format(origin="", key=new_key())
    top = own.partition("\n\n")[2].partition("[[routes]]")[0]
    for name in ("shop", "desk"):
        top += (
            f'[frontends.{name}]\norigin = "http://{name}.localhost:{port}"\n'
            f'[[frontends.{name}.routes]]\npath = "/api"\nupstream = "http://127.0.0.1:1"\n'
        )
    (tmp_path / "mine.toml").write_text(top)
    with _dev("--config", str(tmp_path / "mine.toml")) as (_, url), client() as http:
        assert url == f"http://shop.localhost:{port}"
        for name in ("shop", "desk"):
            host = f"{name}.localhost:{port}"
            login = http.get(f"http://127.0.0.1:{port}/bff/login", headers={"host": host})
            with Person("ada") as person:
                back = person.visit(login.headers["location"])
            assert back.startswith(f"http://{host}/bff/callback?code=")
    other = top.replace(f"desk.localhost:{port}", f"desk.localhost:{port + 1}")
    (tmp_path / "mine.toml").write_text(other)
    done = run(*PORTS, "--config", str(tmp_path / "mine.toml"))
    assert "its origins have several ports" in done.stderr


def test_a_configuration_of_another_machine_is_not_served(tmp_path: Path) -> None:
    done = run(*PORTS, *_own(tmp_path, "https://app.example.com"))
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: {tmp_path}/mine.toml: origin https://app.example.com is not on this machine; "
        'write a file of its own for development, with origin = "http://localhost:8080"\n'
    )


def test_faults_of_a_configuration_and_of_people_are_named(tmp_path: Path) -> None:
    options = _own(tmp_path, "http://localhost:1")
    (tmp_path / "mine.toml").write_text('origin = "http://localhost:1"\nprovider = 3\n')
    done = run(*PORTS, *options)
    assert done.returncode == 1
    assert "mine.toml" in done.stderr
    assert "provider" in done.stderr
    (tmp_path / "people.toml").write_text("accounts = []")
    assert "holds nobody" in run(*PORTS, *options).stderr
