"""provider.preset: what each sets, that each says why, and that the file always wins."""

from importlib import resources
from typing import Any

import pytest

from bff.config.load import ConfigFaults, parse
from bff.config.preset import PRESETS, departures, keys, text, title
from bff.config.provider_section import Provider
from tests.parts.config import config_text

# Whose these are no document of a provider can know.
_OURS = {
    "issuer", "client_id", "client_secret", "client_keys", "client_certificate", "client_key",
    "ca_file", "preset", "title", "default", "organization",
}  # fmt: skip


def file(provider: str) -> str:
    whole = config_text(
        issuer="https://login.example.com", api="https://api.internal", provider=provider
    )
    return whole.replace('scopes = ["openid", "profile", "email", "offline_access"]\n', "")


def read(provider: str) -> Provider:
    return parse(file(provider), dev=True).frontends[0].provider


def as_written(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def test_each_name_has_its_file_and_each_file_its_name() -> None:
    folder = resources.files("bff.config") / "presets"
    files = sorted(each.name for each in folder.iterdir() if each.name.endswith(".toml"))
    assert files == [f"{name}.toml" for name in PRESETS]
    assert list(PRESETS) == sorted(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_minimal_file_is_good_with_each(name: str) -> None:
    found = read(f'preset = "{name}"')
    plain = read("")
    for key in Provider.model_fields.keys() - {"preset"}:
        wanted = keys(name)[key] if key in keys(name) else getattr(plain, key)
        assert getattr(found, key) == as_written(wanted), key


@pytest.mark.parametrize("name", PRESETS)
def test_each_departure_has_its_reason_and_its_source(name: str) -> None:
    told = departures(name)
    assert told
    assert all(each.why.endswith(".") and each.sources for each in told)
    assert all(source.startswith("https://") for each in told for source in each.sources)
    # One key in a paragraph: none stands under another's source.
    assert [each.line.partition(" = ")[0] for each in told if each.line] == list(keys(name))
    assert title(name)
    assert "nobody here has run it" in text(name).partition("\n")[0]


@pytest.mark.parametrize("name", PRESETS)
def test_none_sets_what_only_the_file_can_know(name: str) -> None:
    assert not keys(name).keys() & _OURS
    assert keys(name).keys() <= Provider.model_fields.keys()


@pytest.mark.parametrize("name", [name for name in PRESETS if "scopes" in keys(name)])
def test_the_file_wins(name: str) -> None:
    scopes = '["user:email"]' if name == "github" else '["openid", "email"]'
    assert "profile" not in read(f'preset = "{name}"\nscopes = {scopes}').scopes


def test_a_preset_does_not_weaken_a_profile() -> None:
    with pytest.raises(ConfigFaults, match=r"provider\.client_authentication is .client_secret_p"):
        read('preset = "github"\nprofile = "fapi2"')


@pytest.mark.parametrize("name", ['"azure"', '"../full"', '""', "7", '["entra"]'])
def test_an_unknown_name_is_a_fault_that_lists_the_known(name: str) -> None:
    with pytest.raises(ConfigFaults) as found:
        read(f"preset = {name}")
    (fault,) = found.value.faults
    assert fault.key == "provider.preset"
    assert fault.line == file(f"preset = {name}").splitlines().index(f"preset = {name}") + 1
    assert all(each in fault.mend for each in PRESETS)


def test_a_fault_of_the_whole_is_found_under_the_key_that_the_preset_set() -> None:
    with pytest.raises(ConfigFaults) as found:
        read('preset = "github"\nuserinfo = true')
    assert "provider.userinfo" in {fault.key for fault in found.value.faults}


def test_bff_dev_has_a_provider_of_its_own_and_no_preset() -> None:
    own = {"issuer": "http://127.0.0.1:9400", "client_id": "spa", "client_secret": "s"}
    found = parse(file('preset = "github"'), dev=True, provider=own).frontends[0].provider
    assert (found.preset, found.identity, found.token_endpoint) == (None, "openid", None)


def test_each_of_several_providers_has_its_own() -> None:
    one = file('preset = "google"').replace("[provider]", "[providers.google]")
    two = '[providers.okta]\npreset = "okta"\nissuer = "https://okta.example.com"\n'
    two += 'client_id = "spa"\nclient_secret = { env = "BFF_TEST_SECRET" }\n'
    providers = parse(f"{one}\n{two}", dev=True).frontends[0].providers
    assert providers["google"].parameters == {"access_type": "offline", "prompt": "consent"}
    assert providers["okta"].scopes == ("openid", "profile", "offline_access")
