"""`bff check --online`: store and provider are asked, and nothing that they say is shown."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from bff.cli import main
from tests.parts.certificates import authority
from tests.parts.checking import Checked, checked
from tests.parts.config import config_text
from tests.parts.control import Control
from tests.parts.raw_provider import RawProvider, raw_provider
from tests.parts.redis_process import RedisProcess
from tests.parts.tls_villain import tls_villain

STORE_GONE = "redis://127.0.0.1:9/0"
API = "http://127.0.0.1:9"


def check(folder: Path, provider: RawProvider, store: str, clock_off: float = 0) -> Checked:
    provider.clock_off = clock_off
    return checked(folder, config_text(issuer=provider.url, api=API, store=store))


def test_a_world_in_order_is_said_to_be(
    tmp_path: Path, redis: RedisProcess, provider: Control
) -> None:
    file = tmp_path / "bff.toml"
    file.write_text(config_text(issuer=provider.simulator.issuer, api=API, store=redis.url))
    result = CliRunner().invoke(main, ["check", "--online", "--config", str(file)])
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0] == "no faults"
    rows = [line for line in lines[1:] if not line.startswith(("warning: ", "accepted: "))]
    assert {row[:6] for row in rows} == {"ok    ", "warn  "}
    # The Redis of the tests keeps nothing, and that is all there is to warn of.
    (risky,) = (row for row in rows if row.startswith("warn"))
    assert "neither RDB nor AOF" in risky
    said = {row[6:].partition("  ")[0]: row[6:].partition("  ")[2].strip() for row in rows}
    assert said["store"] == "answers"
    assert said["provider keys"] == "read"
    assert said["the provider's clock"].startswith("agrees")
    assert said["PKCE"] == "S256 announced"
    assert said["client authentication"] == "the token endpoint lets us in"
    column = rows[0].index("answers")
    assert all(row[column - 2 : column] == "  " != row[column] for row in rows)


@pytest.mark.parametrize("off", [-300.0, 300.0])
def test_the_difference_of_the_providers_clock_is_told(
    tmp_path: Path, redis: RedisProcess, off: float
) -> None:
    with raw_provider() as provider:
        found = check(tmp_path, provider, redis.url, off)
    assert (found.code, found.failed) == (1, ["the provider's clock"])
    seconds = float(found.about("the provider's clock")[1].partition(" s")[0])
    assert abs(seconds - off) <= 2  # Date counts whole seconds


def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    with raw_provider() as provider:
        found = check(tmp_path, provider, STORE_GONE)
    assert found.code == 1
    assert found.about("store") == ("fail", "does not answer")
    assert found.about("provider metadata")[0] == "ok"


def test_a_provider_that_is_not_there_is_told(tmp_path: Path, redis: RedisProcess) -> None:
    found = check(tmp_path, RawProvider(url="http://127.0.0.1:9"), redis.url)
    assert (found.code, found.failed) == (1, ["provider metadata"])
    assert found.about("store") == ("ok", "answers")


def test_another_issuer_is_told_beside_the_configured_one(
    tmp_path: Path, redis: RedisProcess
) -> None:
    with raw_provider() as provider:
        provider.metadata = {"issuer": f"{provider.url}/\x1b[31m"}
        found = check(tmp_path, provider, redis.url)
    assert (found.code, found.failed) == (1, ["provider metadata"])
    said = found.about("provider metadata")[1]
    assert f"provider.issuer is {provider.url}," in said
    assert said.endswith(f"names {provider.url}/\\x1b[31m")


@pytest.mark.rule("L-05")
def test_what_the_metadata_lacks_is_told(tmp_path: Path, redis: RedisProcess) -> None:
    with raw_provider() as provider:
        provider.metadata = {"code_challenge_methods_supported": ["plain"]}
        found = check(tmp_path, provider, redis.url)
        provider.metadata = {
            "code_challenge_methods_supported": ["plain", "S256"],
            "authorization_response_iss_parameter_supported": True,
            "end_session_endpoint": f"{provider.url}/end",
            "revocation_endpoint": None,
        }
        other = check(tmp_path, provider, redis.url)
    assert found.code == other.code == 0
    assert found.about("PKCE")[0] == "warn"
    assert other.about("PKCE") == ("ok", "S256 announced")
    words = [[each.about(name)[1] for each in (found, other)] for name in LACKING]
    assert [[said.startswith("not ") for said in row] for row in words] == [
        [True, False],
        [True, False],
        [False, True],
    ]


LACKING = ("iss parameter", "end_session", "revocation")


# --- client authentication


def test_credentials_that_are_refused_are_told_and_the_right_ones_are_let_in(
    tmp_path: Path, redis: RedisProcess, provider: Control
) -> None:
    issuer = provider.simulator.issuer
    text = config_text(issuer=issuer, api=API, store=redis.url, secret="BFF_TEST_WRONG_SECRET")
    found = checked(tmp_path, text)
    assert (found.code, found.failed) == (1, ["client authentication"])
    assert "invalid_client" in found.about("client authentication")[1]
    (asked,) = provider.entries("token")
    assert asked["grant_type"] == "refresh_token"


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        pytest.param({"status": 503, "body": "no"}, "503", id="an outage"),
        pytest.param({"status": 401, "body": "no"}, "401", id="no code"),
        pytest.param({"status": 400, "error": "\x1b[31m"}, "400", id="a code of its own"),
        pytest.param({"drop": True}, "did not answer", id="nothing"),
    ],
)
def test_an_answer_that_proves_nothing_is_no_failure(
    tmp_path: Path, redis: RedisProcess, provider: Control, trouble: dict[str, object], said: str
) -> None:
    provider.fault("token", **trouble)
    issuer = provider.simulator.issuer
    found = checked(tmp_path, config_text(issuer=issuer, api=API, store=redis.url))
    assert found.code == 0
    state, words = found.about("client authentication")
    assert state == "warn"
    assert words.startswith("cannot be told: ")
    assert words.endswith(said)


# --- TLS of the provider


@pytest.mark.parametrize(
    ("endpoint", "hours", "trusted", "code", "state", "said"),
    [
        pytest.param("jwks_uri", 24 * 15 + 1, True, 1, "ok", "good for 15 days", id="in order"),
        pytest.param("jwks_uri", 24 * 14, True, 1, "warn", "good for 13 days", id="ends soon"),
        pytest.param("revocation_endpoint", 24, False, 1, "fail", "vouched for", id="unknown"),
        pytest.param("end_session_endpoint", 24, False, 0, "warn", "vouched for", id="browsers"),
    ],
)
def test_certificates_of_the_providers_endpoints_are_told(
    tmp_path: Path,
    redis: RedisProcess,
    endpoint: str,
    hours: int,
    trusted: bool,
    code: int,
    state: str,
    said: str,
) -> None:
    own = authority(tmp_path / "own", "localhost", hours=hours)
    with tls_villain(own) as there, raw_provider() as provider:
        provider.metadata = {endpoint: f"{there.url}/x"}
        ca_file = f'ca_file = "{own.ca}"' if trusted else ""
        text = config_text(issuer=provider.url, api=API, store=redis.url, provider=ca_file)
        found = checked(tmp_path, text)
    assert found.code == code  # the villain has no keys
    assert found.about("TLS of localhost:")[0] == state
    assert found.about("TLS of localhost:")[1].endswith(said)


def test_the_issuers_own_certificate_is_told_though_it_says_nothing_of_use(
    tmp_path: Path, redis: RedisProcess
) -> None:
    own = authority(tmp_path / "own", "localhost", hours=24 * 40)
    with tls_villain(own) as there:
        trust = f'ca_file = "{own.ca}"\ntotal_timeout = "5s"'
        found = checked(
            tmp_path, config_text(issuer=there.url, api=API, store=redis.url, provider=trust)
        )
    assert (found.code, found.failed) == (1, ["provider metadata"])
    assert found.about("TLS of localhost:")[1] == "verified; its certificate is good for 39 days"
