"""The example application, and the npm programs that read it."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
SPA: Final = HERE.parents[1] / "example-spa"
MODULES: Final = HERE / "node_modules"


def node_program(name: str) -> str:
    """A program of an npm package."""
    program = MODULES / ".bin" / name
    assert program.exists(), f"{name} is missing: run `make npm`, or `make test` for everything"
    return str(program)


def run(*command: str, cwd: Path | None = None) -> str:
    """What it printed; a test fails with it if it fails."""
    program = shutil.which(command[0])
    assert program, f"{command[0]} is missing: run `make test` as root, or install it"
    done = subprocess.run([program, *command[1:]], cwd=cwd, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout.decode()


def minified(entry: Path, *more: str) -> bytes:
    """The module and all that it imports, as a bundler would send it."""
    command = [node_program("esbuild"), str(entry), "--bundle", "--minify", "--format=esm", *more]
    return subprocess.run(command, capture_output=True, check=True).stdout
