"""Wheel and sdist hold what the package needs, and the wheel works where nothing else of it is."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from bff.keys import new_key, parse_key
from tests.ship.conftest import ROOT, Packages

SECRETS = {"BFF_CLIENT_SECRET": "secret", "BFF_KEY": new_key(), "BFF_STORE": "rediss://u:p@r:6379"}


@pytest.fixture(scope="module")
def installed(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it; its dependencies are those of these tests."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(folder / "bin/python")]
    install = [*pip, "install", "--no-deps", "--no-index", str(packages.wheel)]
    subprocess.run(install, check=True)
    # Behind its own: of the package itself only the wheel is there, since this line names a folder
    # whose .pth files are not read.
    (here,) = (each for each in sys.path if each.endswith("site-packages"))
    (site / "dependencies.pth").write_text(here + "\n")
    return folder


def said(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """What a command of that environment says, run where no source is."""
    return subprocess.run(
        [str(folder / "bin" / command[0]), *command[1:]],
        cwd=folder,
        env={"PATH": os.defpath, **SECRETS},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(packages: Packages) -> None:
    with zipfile.ZipFile(packages.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    kept = {str(each.relative_to(ROOT)) for each in (ROOT / "bff").rglob("*") if each.is_file()}
    assert held == {name for name in kept if "__pycache__" not in name}
    assert {"bff/py.typed", "bff/session/prelude.lua", "bff/simulator/panel.js"} <= held


def test_the_sdist_holds_what_the_wheel_is_built_from(packages: Packages) -> None:
    with tarfile.open(packages.sdist) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "bff/session/prelude.lua"} <= held
    assert not [name for name in held if name.startswith(("tests", "config"))]


def test_twine_finds_nothing(packages: Packages) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict"]
    subprocess.run([*command, packages.wheel, packages.sdist], check=True, capture_output=True)


def test_the_wheel_says_its_version(installed: Path) -> None:
    done = said(installed, "bff", "--version")
    assert (done.returncode, done.stdout) == (0, f"bff, version {version('bff')}\n")


def test_the_wheel_checks_the_example(installed: Path) -> None:
    example = (ROOT / "config" / "bff.toml").read_text().replace("/srv/spa", str(installed))
    (installed / "bff.toml").write_text(example)
    (installed / "index.html").write_text("<!doctype html>")
    done = said(installed, "bff", "check", "--config", "bff.toml")
    assert (done.returncode, done.stderr) == (0, "")


def test_pipx_installs_it_with_all_it_needs(packages: Packages, tmp_path: Path) -> None:
    home = {"PIPX_HOME": str(tmp_path / "home"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    command = [sys.executable, "-m", "pipx", "install", "--quiet", str(packages.wheel)]
    subprocess.run(command, env={**os.environ, **home}, check=True, timeout=300)
    done = subprocess.run(
        [tmp_path / "bin/bff", "keys", "new"], capture_output=True, text=True, check=True
    )
    assert parse_key(done.stdout.strip()).kid


def test_the_wheel_has_its_own_scripts_and_simulator(installed: Path) -> None:
    program = (
        "import bff.simulator, bff.session.scripts as s, bff.simulator.panel;"
        "print(bff.simulator.__file__, len(s.source('create')))"
    )
    done = said(installed, "python", "-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))


def test_a_wheel_has_no_example_and_dev_says_what_to_name(installed: Path) -> None:
    done = said(installed, "bff", "dev", "--port", "0")
    assert done.returncode == 1
    assert "name the folder of an application with --spa" in done.stderr
