"""The files in config/: they load, they hold every key, and the schema is fresh."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bff.config import schema
from bff.config.load import load, parse
from bff.config.model import File
from bff.config.risks import risks
from bff.config.route_section import Route
from bff.config.section import Section
from bff.keys import new_key
from tests.parts.config import config_text
from tests.wire.test_serve_tls import write_pair

DEV_SERVER = 'auth = "none"\nnavigation = true\ndocuments = true'
FOLDER = Path(__file__).parents[2] / "config"
FULL = FOLDER / "bff.full.toml"

# What the full example sets to another value than the default, to show what it is for.
EXAMPLES = {
    "provider.client_secret", "provider.scopes", "provider.parameters", "routes.0.upstream",
    "routes.0.strip", "routes.0.methods", "routes.0.headers", "routes.1.static",
    "routes.1.content_security_policy", "routes.1.security_headers", "operate.trusted_proxies",
}  # fmt: skip


# What is of providers without OpenID Connect, and a fault at the one that the example shows; and
# what is of tokens of our own, and a fault at its route.
ELSEWHERE = (
    "authorization_endpoint", "token_endpoint", "revocation_endpoint", "end_session_endpoint",
    "identity_endpoint",
    "subject_claim", "provider", "resource", "audience",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFF_CLIENT_SECRET", "s3cret")
    monkeypatch.setenv("BFF_STORE", "rediss+sentinel://:s3cret@redis.internal/main/0")
    monkeypatch.setenv("BFF_SENTINEL_PASSWORD", "s3cret")
    monkeypatch.setenv("BFF_KEY", new_key())
    monkeypatch.setenv("BFF_ADMIN_PASSWORD", "sixteen letters, and more")


def _here(text: str, folder: Path) -> str:
    """The text with paths that exist on this machine."""
    certificate, key = write_pair(folder)
    return (
        text.replace("/srv/spa", str(folder))
        .replace("/etc/ssl/corp.pem", str(certificate))
        .replace("/etc/ssl/app.pem", str(certificate))
        .replace("/etc/ssl/app.key", str(key))
        .replace("/run/secrets/client-key.pem", str(key))
    )


def _uncommented(text: str) -> str:
    return re.sub(r"^#(?=[a-z_]+ = )", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.toml")), ids=lambda file: str(file.name))
def test_an_example_has_neither_fault_nor_risk(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / file.name
    copy.write_text(_here(file.read_text(), tmp_path))
    assert risks(load(copy)) == ()


def test_what_is_commented_out_in_the_full_example_is_right_too(tmp_path: Path) -> None:
    text = FULL.read_text()
    for name in ELSEWHERE:
        text = re.sub(rf"^#{name} = .*$", "", text, flags=re.MULTILINE)
    parse(_here(_uncommented(text), tmp_path))


def _keys(section: type[Section], where: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of the file that is not a table, with its default."""
    for name, about in section.model_fields.items():
        kind = about.annotation
        if name == "routes":
            for place in range(2):
                yield from _keys(Route, f"routes.{place}.")
        elif isinstance(kind, type) and issubclass(kind, Section):
            yield from _keys(kind, f"{where}{name}.")
        else:
            yield f"{where}{name}", about.default


def _leaves(table: dict[str, Any], where: str = "") -> Iterator[str]:
    for name, value in table.items():
        if name == "routes":
            for place, each in enumerate(value):
                yield from _leaves(each, f"routes.{place}.")
        elif isinstance(value, dict) and f"{where}{name}" in File.model_fields:
            yield from _leaves(value, f"{where}{name}.")
        else:
            yield f"{where}{name}"


def test_the_full_example_names_every_key() -> None:
    named = {re.sub(r"routes\.\d", "routes", key) for key in _leaves(_full())}
    assert named == {re.sub(r"routes\.\d", "routes", key) for key, _ in _keys(File)}


def _full() -> dict[str, Any]:
    return tomllib.loads(_uncommented(FULL.read_text()))


def test_the_full_example_shows_the_defaults(tmp_path: Path) -> None:
    """What it sets is the default, but for the examples and what has none."""
    written = set(_leaves(tomllib.loads(FULL.read_text())))
    config = parse(_here(FULL.read_text(), tmp_path))
    front = config.frontends[0]
    sections: dict[str, Any] = {
        "provider": front.provider, "session": front.session, "refresh": front.refresh,
        "logout": front.logout, "server": config.server, "operate": config.operate,
        "routes.0": front.routes[0], "routes.1": front.routes[1],
    }  # fmt: skip
    differing = set()
    for key, default in _keys(File):
        where, _, name = key.rpartition(".")
        has_default = "Undefined" not in repr(default)
        shown = key in written and where in sections and has_default
        if shown and getattr(sections[where], name) != default:
            differing.add(key)
    assert differing == EXAMPLES


def test_the_schema_is_fresh() -> None:
    """If not: python -m bff.config.schema > config/bff.schema.json."""
    assert (FOLDER / "bff.schema.json").read_text() == schema.text()


def test_the_schema_speaks_as_the_file_does() -> None:
    document = json.loads(schema.text())
    tables = document["$defs"]
    assert document["additionalProperties"] is False
    assert document["required"] == ["keys"]
    assert document["oneOf"] == [
        {"required": ["origin", "session", "routes", "provider"]},
        {"required": ["origin", "session", "routes", "providers"]},
        {"required": ["frontends"]},
    ]
    assert tables["SessionSection"]["properties"]["idle"]["default"] == "30m"
    assert tables["Provider"]["properties"]["clock_skew"] == {
        "type": "string", "pattern": r"^\d+(ms|s|m|h|d)$", "default": "30s",
    }  # fmt: skip
    assert tables["Route"]["properties"]["max_body"]["default"] == "100MiB"
    assert tables["Route"]["properties"]["upstream"] == {"type": "string", "format": "uri"}
    assert tables["Operate"]["properties"]["listen"]["default"] == "127.0.0.1:9090"
    assert "null" not in schema.text()


@pytest.mark.parametrize(
    ("parts", "codes"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"store": "redis://127.0.0.1/0"}, [], id="a store on loopback"),
        pytest.param(
            {"store": "redis://redis/0"},
            ["session.store store_without_tls", "session.store store_without_password"],
            id="a store off loopback, in the clear and open",
            marks=pytest.mark.rule("T-09"),
        ),
        pytest.param(
            {"store": "rediss://redis/0"},
            ["session.store store_without_password"],
            id="a store off loopback that is open",
            marks=pytest.mark.rule("T-09"),
        ),
        pytest.param(
            {"provider": 'client_authentication = "client_secret_post"'},
            ["provider.client_authentication client_secret_post"],
            id="the secret in bodies",
        ),
        pytest.param(
            {"more": "[logout]\nfront_channel = true"},
            ["logout.front_channel front_channel_logout"],
            id="a logout without a proof",
        ),
        pytest.param(
            {"api": "http://orders.internal", "route": "plaintext = true"},
            ["routes.0.plaintext plaintext_upstream"],
            id="tokens in the clear",
        ),
        pytest.param(
            {"route": "documents = true"}, ["routes.0.documents documents"], id="foreign pages"
        ),
        pytest.param(
            {"api": "http://127.0.0.1:5173", "route": DEV_SERVER},
            ["routes.0.upstream dev_server", "routes.0.documents documents"],
            id="a dev server behind a public origin",
        ),
        pytest.param(
            {
                "origin": "http://localhost:8080",
                "api": "http://127.0.0.1:5173",
                "route": DEV_SERVER,
            },
            [],
            id="a dev server where it belongs",
        ),
    ],
)
def test_a_risky_choice_has_a_code(parts: dict[str, str], codes: list[str]) -> None:
    given = {"issuer": "https://login.example.com", "api": "https://api.internal", **parts}
    config = parse(config_text(**given), dev="store" not in parts)
    assert [f"{each.key} {each.code}" for each in risks(config)] == codes
