"""The command line: what each command says, and its exit status."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner, Result

from bff.cli import main
from bff.config.load import load
from bff.config.risk_codes import RiskCode
from bff.keys import parse_key
from tests.canary import RECORDER
from tests.parts.config import SECRET, config_text
from tests.parts.frontends import frontend_text, several_text
from tests.parts.providers import provider_text
from tests.parts.providers import several_text as providers_text

# Root may enter every folder, unless it has to do without that.
_LESS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
GOOD = {
    "issuer": "https://login.example.com",
    "api": "https://api.internal/v1",
    "store": "redis://127.0.0.1:9/0",
}


def bff(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    RECORDER.told(result.output, "process")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "index.html").touch()
    return _written(tmp_path)


def _written(folder: Path, **parts: str) -> Path:
    static = f'[[routes]]\npath = "/"\nstatic = "{folder}"'
    path = folder / "bff.toml"
    path.write_text(config_text(**{**GOOD, "routes": static, **parts}))
    return path


# --- check


@pytest.mark.rule("D-10")
def test_check_says_that_there_is_no_fault(file: Path) -> None:
    result = bff("check", "--config", str(file))
    assert (result.exit_code, result.output) == (0, "no faults\n")


@pytest.mark.rule("D-10")
@pytest.mark.parametrize("key", ["static", "ca_file"])
def test_check_names_what_lies_in_a_folder_that_is_closed_to_this_user(
    tmp_path: Path, key: str
) -> None:
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    (closed / "ca.pem").touch()
    parts = {
        "static": {"routes": f'[[routes]]\npath = "/"\nstatic = "{closed}/inner"'},
        "ca_file": {"provider": f'ca_file = "{closed}/ca.pem"'},
    }
    path = _written(tmp_path, **parts[key])
    closed.chmod(0)
    try:
        said = subprocess.run(
            [*_LESS, sys.executable, "-m", "bff", "check", "--config", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        closed.chmod(0o700)
    assert (said.returncode, said.stderr) == (1, "")
    assert f"{key} cannot be read by this user; give it the right to read it" in said.stdout


@pytest.mark.rule("D-10")
def test_check_names_every_fault_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = _written(
        tmp_path, issuer="http://a.example", session='idle = "1y"', route="documents = 1"
    )
    result = bff("check", "--config", str(path))
    assert result.exit_code == 1
    assert re.findall(r"^line \d+: (\S+) .+; .+$", result.output, re.MULTILINE) == [
        "provider.issuer",
        "session.idle",
        "routes.0.documents",
    ]


def test_check_warns_with_a_code_and_is_content(tmp_path: Path) -> None:
    path = _written(tmp_path, route="documents = true")
    result = bff("check", "--config", str(path))
    assert result.exit_code == 0
    warning = r"no faults\nwarning: routes\.0\.documents .+ \[documents\]\n"
    assert re.fullmatch(warning, result.output)


def test_a_risk_that_the_file_accepts_is_no_warning(tmp_path: Path) -> None:
    accept = '[operate]\naccepted_risks = ["documents"]'
    path = _written(tmp_path, route="documents = true", more=accept)
    result = bff("check", "--config", str(path))
    said = r"no faults\naccepted: routes\.0\.documents .+ \[documents\]\n"
    assert re.fullmatch(said, result.output)


def test_only_a_risk_that_there_is_can_be_accepted(tmp_path: Path) -> None:
    path = _written(tmp_path, more='[operate]\naccepted_risks = ["everything"]')
    result = bff("check", "--config", str(path))
    assert result.exit_code == 1
    assert "operate.accepted_risks.0 is not a choice; write 'admin_without_tls'" in result.output


def test_check_says_the_same_to_machines(tmp_path: Path) -> None:
    path = _written(tmp_path, route="documents = true")
    said = json.loads(bff("check", "--json", "--config", str(path)).output)
    assert [each["code"] for each in said["risks"]] == ["documents"]
    assert said["faults"] == said["accepted"] == said["online"] == []
    path = _written(tmp_path, session='idle = "1y"')
    result = bff("check", "--json", "--config", str(path))
    (fault,) = json.loads(result.output)["faults"]
    assert (result.exit_code, fault["key"]) == (1, "session.idle")
    assert fault["line"] > 0


def test_every_code_of_a_risk_can_be_accepted() -> None:
    source = (Path(__file__).parents[2] / "bff" / "config" / "risks.py").read_text()
    assert sorted(re.findall(r'code="(\w+)"', source)) == sorted(get_args(RiskCode))


@pytest.mark.parametrize("command", [("check",), ("explain", "GET", "/api"), ("serve",)])
def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path, command: tuple[str, ...]) -> None:
    result = bff(*command, "--config", str(tmp_path / "none.toml"))
    assert result.exit_code == 1
    assert "none.toml cannot be read; name a readable UTF-8 file" in result.output


# --- keys


def test_keys_new_prints_a_key_and_says_its_id_aside() -> None:
    result = CliRunner().invoke(main, ("keys", "new"))
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    assert result.stderr == f"key id: {parse_key(result.stdout).kid}\n"


# --- explain


def _explained(file: Path, method: str, path: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(
        bff("explain", method, path, "--config", str(file), "--json").output
    )
    return document


def test_explain_says_route_policy_upstream_and_header_changes(file: Path) -> None:
    found = _explained(file, "post", "/api/orders?page=2")
    assert found["answered_by"] == "upstream https://api.internal"
    assert found["route"] == "/api"
    assert found["policy"] == "user: only with a session, whose access token goes along"
    assert found["upstream_url"] == "https://api.internal/v1/orders?page=2"
    assert found["dropped"] == ["connection", "cookie", "x-csrf"]
    assert found["rewritten"] == {"host": "api.internal"}
    added = found["added"]
    assert isinstance(added, dict)
    assert added["authorization"] == "Bearer <access token>"
    assert added["x-forwarded-host"] == "app.example.com"
    assert found["who_may_ask"] == {
        "our own page": "let through",
        "a person, by a link or the address bar": "403 not_same_origin",
        "another site's page": "403 cross_site",
        "a program that is no browser": "403 not_same_origin",
    }
    assert found["reason"] == ""


@pytest.mark.rule("P-09")
def test_explain_says_that_a_proof_goes_along(tmp_path: Path) -> None:
    added = _explained(_written(tmp_path, provider="dpop = true"), "GET", "/api/orders")["added"]
    assert isinstance(added, dict)
    assert added["authorization"] == "DPoP <access token>"
    assert added["dpop"] == "<proof>"


@pytest.mark.rule("D-11")
def test_explain_shows_what_is_bounded(file: Path) -> None:
    assert set(_explained(file, "GET", "/api")["limits"]) == {  # type: ignore[call-overload]  # JSON
        "connections", "connect", "answer", "body", "retries",
    }  # fmt: skip


def test_explain_shows_the_rule_of_a_route(tmp_path: Path) -> None:
    rule = 'scopes = ["a", "org:{org_id}"]\nrequire = { g = ["x", "y"], email_verified = true }'
    path = _written(tmp_path, route=rule)
    assert _explained(path, "GET", "/api")["rule"] == {
        "scopes": "a org:{org_id}",
        "g": "x or y",
        "email_verified": "true",
    }
    shown = bff("explain", "GET", "/api", "--config", str(path)).output
    assert re.search(r"rule +scopes: a org:\{org_id\}\n +g: x or y\n", shown)


def test_a_route_for_navigation_is_open_to_a_person(tmp_path: Path) -> None:
    found = _explained(_written(tmp_path, route="navigation = true"), "GET", "/api/file.pdf")
    asked = found["who_may_ask"]
    assert isinstance(asked, dict)
    assert asked["a person, by a link or the address bar"] == "let through"
    assert asked["another site's page"] == "403 cross_site"


@pytest.mark.parametrize(
    ("method", "path", "answered_by", "refusal"),
    [
        pytest.param("GET", "/", "files in", "", id="files"),
        pytest.param("GET", "/bff/session", "endpoint /bff/session", "", id="an endpoint"),
        pytest.param("DELETE", "/bff/session", "endpoint", "405 method_not_allowed", id="not so"),
        pytest.param("GET", "/bff/no", "nobody", "404 no_route", id="no endpoint"),
        pytest.param("GET", "/api/../bff", "nobody", "400 ambiguous_path", id="two readings"),
        pytest.param("GET", "/API/x", "nobody", "400 ambiguous_path", id="another case"),
        pytest.param("GET", "nonsense", "nobody", "400 bad_request", id="no path"),
        pytest.param("GET", "/ü", "nobody", "400 ambiguous_path", id="not ASCII"),
        pytest.param("TRACE", "/api", "nobody", "405 method_not_allowed", id="never relayed"),
        pytest.param("OPTIONS", "*", "the door", "", id="of the server as a whole"),
        pytest.param(
            "GET", "https://other.example/api", "nobody", "421 unknown_origin", id="another host"
        ),
        pytest.param(
            "GET", "/api?access_token=x", "upstream", "400 bad_request", id="brings a token"
        ),
    ],
)
def test_explain_shows_who_answers_or_the_refusal(
    file: Path, method: str, path: str, answered_by: str, refusal: str
) -> None:
    found = _explained(file, method, path)
    assert str(found["answered_by"]).startswith(answered_by)
    assert (f"{found['status']} {found['reason']}" if found["reason"] else "") == refusal


def test_explain_says_whose_token_the_route_gets(tmp_path: Path) -> None:
    more = """
[[routes]]
path = "/reports"
upstream = "https://reports.internal"
auth = "client"
resource = "https://reports.example.com/"
scopes = ["a", "b"]
[[routes]]
path = "/mine"
upstream = "https://mine.internal"
audience = "mine"
scopes = ["a"]
[[routes]]
path = "/open"
upstream = "https://open.internal"
auth = "none"
"""
    path = _written(tmp_path, routes=more)
    issuer = load(path).frontends[0].provider.issuer
    assert _explained(path, "GET", "/api")["token"] == "the access token of the session"
    assert _explained(path, "GET", "/open")["token"] == "none"
    found = _explained(path, "GET", "/mine")
    assert found["token"] == (
        "the person's, for this route alone, through the refresh token, audience mine, scope a"
    )
    assert found["rule"] == {}  # its scopes are those of that token
    found = _explained(path, "GET", "/reports/1")
    assert found["token"] == (
        f"our own, of {issuer}, resource https://reports.example.com/, scope a b"
    )
    assert found["rule"] == {}


def test_explain_knows_the_callbacks_of_several_providers(tmp_path: Path) -> None:
    names = {name: provider_text(name, f"https://{name}.example.com") for name in ("a", "b")}
    path = tmp_path / "bff.toml"
    path.write_text(providers_text(*names.values(), api=GOOD["api"], store=GOOD["store"]))
    for name, status in (("/a", 0), ("/b", 0), ("", 404), ("/c", 404)):
        assert _explained(path, "GET", f"/bff/callback{name}")["status"] == status


def test_explain_asks_the_front_end_of_the_host(tmp_path: Path) -> None:
    shop = frontend_text("shop", origin="https://shop.example.com", api="https://shop.internal")
    desk = frontend_text("desk", origin="https://desk.example.com", api="https://desk.internal")
    path = tmp_path / "bff.toml"
    path.write_text(several_text(shop, desk, issuer=GOOD["issuer"], store=GOOD["store"]))
    for name in ("shop", "desk"):
        found = _explained(path, "GET", f"https://{name}.example.com/api/x?a=1")
        assert (found["frontend"], found["reason"]) == (name, "")
        assert found["upstream_url"] == f"https://{name}.internal/x?a=1"
    assert _explained(path, "GET", "https://other.example.com/api/x")["status"] == 421
    result = bff("explain", "GET", "/api/x", "--config", str(path))
    assert result.exit_code == 2
    assert "https://shop.example.com/api/x, https://desk.example.com/api/x" in result.output


def test_explain_without_json_is_one_screen(file: Path) -> None:
    lines = bff("explain", "GET", "/api/x", "--config", str(file)).output.splitlines()
    assert lines[0] == "GET /api/x"
    assert "  upstream     https://api.internal/v1/x" in lines
    assert len(lines) < 40
    refused = bff("explain", "GET", "/api/%2e%2e", "--config", str(file)).output
    assert "  refused      400 ambiguous_path" in refused


@pytest.mark.rule("T-05")
def test_neither_check_nor_explain_shows_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BFF_TEST_STORE", "redis://:store-s3cret@redis/0")
    route = 'auth = "optional"\nheaders = { X-Api-Key = "route-s3cret" }'
    path = _written(tmp_path, route=route)
    text = path.read_text().replace('"redis://127.0.0.1:9/0"', '{ env = "BFF_TEST_STORE" }')
    path.write_text(text)
    shown = bff("check", "--config", str(path)).output
    for more in ((), ("--json",)):
        shown += bff("explain", "GET", "/api/x", "--config", str(path), *more).output
    assert "x-api-key" in shown
    for secret in (SECRET, "store-s3cret", "route-s3cret"):
        assert secret not in shown


def test_check_shows_what_a_preset_has_set_and_nothing_that_the_file_says(tmp_path: Path) -> None:
    path = _written(tmp_path, provider='preset = "google"')
    result = bff("check", "--config", str(path))
    shown = 'preset: provider.parameters = { access_type = "offline", prompt = "consent" }'
    assert result.output == f"no faults\n{shown}\n"
    said = json.loads(bff("check", "--json", "--config", str(path)).output)
    assert said["preset"] == [shown]
    path = _written(tmp_path, provider='preset = "google"\nparameters = {}')
    assert bff("check", "--config", str(path)).output == "no faults\n"


def test_explain_shows_what_each_preset_sets() -> None:
    shown = bff("explain", "provider.preset").output
    assert 'subject_claim = "id"' in shown
    assert "curity, keycloak: nothing" in " ".join(shown.split())
