"""People from a file: what may be left out, and what is refused by name."""

from pathlib import Path

import pytest

from bff.simulator import SettingsError, read_accounts


def read(folder: Path, text: str) -> object:
    path = folder / "people.toml"
    path.write_text(text)
    return read_accounts(path)


def test_what_is_left_out_follows_from_the_name(tmp_path: Path) -> None:
    (tmp_path / "people.toml").write_text(
        '[[accounts]]\nsub = "17"\nname = "Mira Okafor"\nclaims = { groups = ["admin"] }\n'
        '[[accounts]]\nsub = "18"\nname = "Cher"\nemail = "cher@other.example"\n'
    )
    mira, cher = read_accounts(tmp_path / "people.toml")
    assert (mira.given_name, mira.family_name) == ("Mira", "Okafor")
    assert mira.email == "17@example.com"
    assert mira.claims == {"groups": ["admin"]}
    assert (cher.given_name, cher.family_name, cher.initials) == ("Cher", "", "C")
    assert cher.email == "cher@other.example"
    assert mira.hue != cher.hue


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[accounts]]\nsub = "1"\n', "name"),
        ('[[accounts]]\nsub = "1"\nname = "A"\npassword = "x"\n', "password"),
        ('[[accounts]]\nsub = 1\nname = "A"\n', "sub"),
        ("accounts = []\n", "holds nobody"),
        ("people = []\n", "people"),
        ("[[accounts]\n", "line 1"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nobody\\.toml cannot be read"):
        read_accounts(tmp_path / "nobody.toml")
