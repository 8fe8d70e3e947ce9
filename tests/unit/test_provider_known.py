"""Which settings and files a provider's metadata and keys outlive, and which not (P-11)."""

import os
from pathlib import Path

import pytest

from bff.config.load import parse
from bff.config.provider_section import Provider
from bff.provider.known import Known, known
from tests.parts.certificates import Authority, authority
from tests.parts.config import config_text

TEXT = config_text(issuer="https://op.example.com", api="http://127.0.0.1:1")

pytestmark = pytest.mark.rule("P-11")

# How we show ourselves to people and to the endpoints that tokens come from.
OUTLIVED = {
    "acr_values", "client_keys", "client_secret", "connections", "default", "parameters",
    "resource", "scopes", "silent_login", "title", "userinfo",
}  # fmt: skip
FILES = ("ca_file", "client_certificate", "client_key")


@pytest.fixture
def files(tmp_path: Path) -> Authority:
    return authority(tmp_path / "ca", "127.0.0.1")


@pytest.fixture
def config(files: Authority) -> Provider:
    provider = parse(TEXT, dev=True).frontends[0].provider
    shown = {"client_certificate": files.certificate, "client_key": files.key}
    return provider.model_copy(update={"ca_file": files.ca, **shown})


@pytest.fixture
def former(config: Provider) -> Known:
    return known(config, None)


def test_the_same_settings_and_files_keep_it(config: Provider, former: Known) -> None:
    assert known(config.model_copy(), former) is former


@pytest.mark.parametrize("name", sorted(Provider.model_fields.keys() - set(FILES)))
def test_a_setting_that_the_answers_might_depend_on_asks_anew(
    config: Provider, former: Known, name: str
) -> None:
    changed = config.model_copy(update={name: object()})
    assert (known(changed, former) is former) == (name in OUTLIVED)


@pytest.mark.parametrize("name", FILES)
def test_another_file_asks_anew(config: Provider, former: Known, name: str) -> None:
    assert known(config.model_copy(update={name: None}), former) is not former


@pytest.mark.rule("P-03")
@pytest.mark.parametrize("name", ["ca", "certificate", "key"])
def test_another_content_of_the_same_file_asks_anew(
    config: Provider, former: Known, files: Authority, tmp_path: Path, name: str
) -> None:
    renewed = authority(tmp_path / "renewed", "127.0.0.1")
    getattr(files, name).write_bytes(getattr(renewed, name).read_bytes())
    assert known(config, former) is not former


@pytest.mark.rule("P-03")
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_other_roots_of_the_system_ask_anew(
    config: Provider, files: Authority, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    roots = files.ca if variable == "SSL_CERT_FILE" else files.ca.parent
    monkeypatch.setenv(variable, str(roots))
    former = known(config, None)
    assert known(config, former) is former
    os.utime(roots, ns=(0, 1))
    assert known(config, former) is not former


def test_what_is_asked_anew_is_not_known(config: Provider, former: Known) -> None:
    former.metadata.fetched_at = former.keys.fetched_at = 1.0
    found = known(config.model_copy(update={"issuer": "https://other.example"}), former)
    assert (found.metadata.fetched_at, found.keys.fetched_at) == (None, None)
