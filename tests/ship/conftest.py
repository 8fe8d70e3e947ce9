"""What several of these tests build once."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Packages:
    """As they would be published."""

    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A new folder that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="bff-ship-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        subprocess.run(["chmod", "-R", "u+w", name], check=True)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Built from a copy: what lies about in the tree must not slip in, nor stay behind there."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "bff", source / "bff", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", "out", "."],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (wheel,), (sdist,) = ((source / "out").glob(end) for end in ("*.whl", "*.tar.gz"))
    return Packages(wheel, sdist)
