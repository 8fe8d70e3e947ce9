"""Where the simulator runs: on loopback only, in a thread, in a loop, or as a process."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import httpx
import pytest

from bff.simulator import (
    ACCOUNTS,
    Client,
    Person,
    Plan,
    Settings,
    SettingsError,
    bind,
    provider_app,
    running,
    start,
)
from tests.unit.simulator_client import CALLBACK, PLAN, Party

COMMAND = [sys.executable, "-m", "bff.simulator", "--issuer-port", "0", "--api-port", "0"]
ENV = {**os.environ, "SIMULATOR_CLIENT_SECRET": "s3cret"}


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "localhost.evil.example", ""]
)
def test_nothing_but_loopback_is_bound(host: str) -> None:
    with pytest.raises(SettingsError, match="loopback only"):
        bind(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.8.8"])
def test_loopback_is_bound(host: str) -> None:
    with bind(host, 0) as listening:
        assert listening.getsockname()[0].startswith("127.")


def test_a_taken_port_is_an_os_error_and_leaves_nothing_open() -> None:
    with bind("127.0.0.1", 0) as taken:
        plan = replace(PLAN, api_port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"), running(plan):
            pass


def test_a_plan_that_is_refused_leaves_nothing_open() -> None:
    with pytest.raises(SettingsError, match="query"), running(replace(PLAN, issuer_path="?x")):
        pass
    gc.collect()  # an unclosed socket would warn now, and a warning is an error


CLIENT: dict[str, Any] = {"client_id": "a", "client_secret": "b", "redirect_uris": (CALLBACK,)}


@pytest.mark.parametrize(
    "issuer",
    [
        "http://192.0.2.1:9400",
        "http://login.example.com",
        "https://127.0.0.1:9400",
        "http://127.0.0.1:9400?x=1",
        "http://user@127.0.0.1:9400",
        "127.0.0.1:9400",
    ],
)
def test_an_issuer_is_refused(issuer: str) -> None:
    with pytest.raises(SettingsError):
        Settings(issuer=issuer, clients=(Client(**CLIENT),))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"redirect_uris": ("/callback",)}, id="a relative URI"),
        pytest.param({"redirect_uris": (CALLBACK + "#x",)}, id="a fragment"),
        pytest.param({"post_logout_redirect_uris": ("javascript:x",)}, id="another scheme"),
        pytest.param({"client_secret": ""}, id="no secret"),
        pytest.param({"id_token_signed_response_alg": "none"}, id="alg none"),
    ],
)
def test_a_client_is_refused_with(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Client(**(CLIENT | changes))


def test_names_are_unique() -> None:
    client = Client(**CLIENT)
    with pytest.raises(SettingsError, match="client_id"):
        Settings(issuer="http://127.0.0.1:1", clients=(client, client))
    with pytest.raises(SettingsError, match="sub"):
        Settings(issuer="http://127.0.0.1:1", clients=(client,), accounts=ACCOUNTS * 2)


def test_the_bare_application_needs_settings_only() -> None:
    app = provider_app(Settings(issuer="http://127.0.0.1:1", clients=(Client(**CLIENT),)))
    assert app.routes


@pytest.mark.parametrize("path", ["/realms/dev", "/realms/dev/", "/"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_issuer_may_have_a_path_and_a_final_slash(host: str, path: str) -> None:
    plan = replace(PLAN, issuer_host=host, issuer_path=path)
    with running(plan) as simulator:
        assert simulator.issuer.startswith(f"http://{host}:")
        assert simulator.issuer.endswith(path)
        base = simulator.issuer.rstrip("/")
        with Party(simulator) as party, Person() as ada:
            metadata = party.http.get(f"{base}/.well-known/openid-configuration").json()
            assert metadata["issuer"] == simulator.issuer
            party.issuer = base
            assert party.callback(ada)["iss"] == simulator.issuer
            assert "code" in party.callback(ada, prompt="none")


def test_it_runs_in_the_current_loop_beside_others() -> None:
    async def main() -> int:
        simulator = await start(PLAN)
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{simulator.issuer}/jwks")
        await simulator.stop()
        return answer.status_code

    assert asyncio.run(main()) == 200


def test_a_held_request_does_not_keep_it_from_stopping() -> None:
    async def main() -> int:
        simulator = await start(PLAN)
        async with httpx.AsyncClient(trust_env=False) as http:
            fault = {"endpoint": "jwks", "hold": True}
            await http.post(f"{simulator.control}/faults", json=fault)
            answer = asyncio.create_task(http.get(f"{simulator.issuer}/jwks"))
            await http.get(f"{simulator.control}/held?endpoint=jwks")
            await simulator.stop()
            return (await answer).status_code

    assert asyncio.run(main()) == 200


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_as_a_process_it_says_where_it_is_and_ends_cleanly(name: signal.Signals) -> None:
    options = ["--redirect-uri", CALLBACK, "--switches", '{"access_token_seconds": 7}']
    with subprocess.Popen(
        [*COMMAND, *options], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        switches = httpx.get(f"{addresses['control']}/switches").json()
        assert switches["access_token_seconds"] == 7
        assert httpx.get(addresses["api"]).json() == {"api": "tasks"}
        assert httpx.get(f"{addresses['issuer']}/authorize?code=x").status_code == 400
        process.send_signal(name)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")


@pytest.mark.parametrize(
    ("options", "env", "message"),
    [
        pytest.param(["--issuer-host", "0.0.0.0"], ENV, "loopback only", id="all addresses"),
        pytest.param(["--api-host", "0.0.0.0"], ENV, "loopback only", id="the API too"),
        pytest.param(["--client-secret-env", "NOT_SET"], ENV, "NOT_SET", id="no secret"),
        pytest.param(["--switches", '{"rotat": true}'], ENV, "rotat", id="a misspelt switch"),
        pytest.param(["--issuer-path", "/a?b"], ENV, "no query", id="a query in the issuer"),
        pytest.param(
            ["--backchannel-logout-uri", "https://app.example.com/x"],
            ENV,
            "loopback only",
            id="a call to another machine",
        ),
    ],
)
def test_as_a_process_it_refuses(options: list[str], env: dict[str, str], message: str) -> None:
    command = [*COMMAND, "--redirect-uri", CALLBACK, *options]
    ended = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=20, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert message in ended.stderr


def test_a_plan_shows_no_secret() -> None:
    assert "s3cret" not in repr(Plan(clients=(Client(**(CLIENT | {"client_secret": "s3cret"})),)))
