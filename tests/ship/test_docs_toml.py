"""Every `toml` block is a configuration that loads.

One with an `origin`, or with `[frontends]`, is whole and is loaded as it stands. Any other is put
into a plain one: its tables key by key, client keys in the place of the secret, `[providers]` in
that of the provider, a route in that of the one with its path, `[routes.…]` into a route of files.
`[[accounts]]` are those of `bff dev`. Files and secrets that it names are made; the URL of the
store is that of the comment beside it.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from bff.config.load import Config, parse
from bff.config.risks import risks
from bff.keys import new_key
from bff.simulator import read_accounts
from tests.parts.certificates import Authority, authority
from tests.ship.fenced import Block, every

PLAIN: Final = """
origin = "https://app.example.com"
provider.issuer = "https://login.example.com"
provider.client_id = "spa"
provider.client_secret = { env = "BFF_CLIENT_SECRET" }
session.store = { env = "BFF_STORE" }
keys.current = { env = "BFF_KEY" }
routes = [{ path = "/api", upstream = "https://orders.internal" }]
"""
FILES: Final = '[[routes]]\npath = "/"\nstatic = "/srv/spa"\n'
SECRET: Final = "a secret of sixteen letters, and more"
STORE: Final = "rediss://bff:a-password@redis.internal:6379/0"
PEM: Final = {  # by the last part of the key
    "ca_file": "ca",
    "tls_certificate": "certificate",
    "client_certificate": "certificate",
    "tls_key": "key",
    "client_key": "key",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("house"), "localhost")


def document(text: str) -> dict[str, Any]:
    """The block as a whole file: put into a plain one where it is none."""
    if text.lstrip().startswith("[routes."):
        text = FILES + text
    found = tomllib.loads(text)
    if {"origin", "frontends"} & found.keys():
        return found
    whole = tomllib.loads(PLAIN)
    if "providers" in found:
        del whole["provider"]
    if "client_keys" in found.get("provider", {}):
        del whole["provider"]["client_secret"]
    return merged(whole, found)


def merged(whole: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(whole)
    for name, value in part.items():
        if isinstance(value, dict) and isinstance(made.get(name), dict) and not placed(value):
            made[name] = merged(made[name], value)
        elif name == "routes":
            kept = {route["path"]: route for route in made.get(name, [])}
            made[name] = list((kept | {route["path"]: route for route in value}).values())
        else:
            made[name] = value
    return made


def placed(value: object) -> bool:
    """Whether it is the place of a secret."""
    return isinstance(value, dict) and len(value) == 1 and value.keys() <= {"env", "file"}


def real(value: Any, key: str, folder: Path, house: Authority) -> Any:
    """The same with places that there are."""
    name = key.rpartition(".")[2]
    if placed(value):
        return {"file": str(secret(key, folder, house))}
    if isinstance(value, dict):
        return {each: real(inner, f"{key}.{each}".lstrip("."), folder, house)
                for each, inner in value.items()}  # fmt: skip
    if isinstance(value, list):
        return [real(inner, key, folder, house) for inner in value]
    if name in PEM:
        return str(getattr(house, PEM[name]))
    return str(folder) if name == "static" else value


def secret(key: str, folder: Path, house: Authority) -> Path:
    """A file with a secret of the kind that belongs there."""
    file = folder / f"{key}-{len(list(folder.iterdir()))}"
    if key.startswith("keys."):
        text = new_key()
    elif key.endswith("session.store"):
        text = STORE
    else:
        text = house.key.read_text() if key.endswith("private_key") else SECRET
    file.write_text(text)
    return file


def written(value: Any) -> str:
    """A value as TOML has it; of its strings JSON's escapes are TOML's too."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name)} = {written(inner)}" for name, inner in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return json.dumps(value, ensure_ascii=False)


def configuration(text: str, folder: Path, house: Authority) -> Config:
    """What the block configures. Raises ConfigFaults."""
    made = real(document(text), "", folder, house)
    if url := re.search(r"# (redis\S+://\S+)", text):
        Path(made["session"]["store"]["file"]).write_text(url[1])
    dev = made.get("session", {}).get("store") == "memory:"  # only `bff dev` takes that
    return parse("\n".join(f"{name} = {written(value)}" for name, value in made.items()), dev=dev)


@every("toml")
def test_it_loads(block: Block, tmp_path: Path, house: Authority) -> None:
    if "[[accounts]]" in block.text:
        (tmp_path / "people.toml").write_text(block.text)
        assert read_accounts(tmp_path / "people.toml")
        return
    config = configuration(block.text, tmp_path, house)
    meant = {risk.code for risk in risks(config)}
    page = (Path(__file__).parents[2] / block.page).read_text()
    assert [code for code in meant if code not in page] == [], "it is risky, and does not say so"
