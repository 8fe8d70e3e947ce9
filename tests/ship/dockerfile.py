"""A Dockerfile's own steps, carried out in a folder instead of an image.

As far as can be without Docker: another Python may be at hand than the image's, and the user is not
created, only become. Absolute paths of the image are those below the folder.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

# The image's own folders that the file names.
_PLACES: Final = re.compile(r"(?<![\w.])/(?=(?:opt|src|etc/bff)\b)")


@dataclass(slots=True)
class Stage:
    """What one `FROM` says, after it was carried out."""

    env: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    workdir: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)


def instructions(text: str) -> list[tuple[str, str]]:
    """Each with its arguments on one line."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    pairs = (line.partition(" ") for line in joined.splitlines() if line)
    return [(name, rest.strip()) for name, _, rest in pairs]


def carry_out(source: Path, root: Path, **arguments: str) -> list[Stage]:
    """Do what `source`/Dockerfile says, below `root`, with these for its ARGs.

    Raises CalledProcessError if a step fails."""
    stages: list[Stage] = []
    (root / "bin").mkdir()
    (root / "bin/python").symlink_to(_python())
    for name, rest in instructions((source / "Dockerfile").read_text()):
        if name == "FROM":
            stages.append(Stage())
        elif name == "ARG":
            argument, _, default = rest.partition("=")
            stages[-1].env[argument] = arguments.get(argument, default)
        else:
            _STEPS[name](stages[-1], rest, source, root)
    return stages


def _python() -> Path:
    """One that every user may run: these tests' own if it lies in nobody's home, else Debian's.

    Raises LookupError: there is none (Debian and Ubuntu: apt-get install python3-venv)."""
    for python in (Path(sys.base_prefix) / "bin/python3", Path("/usr/bin/python3")):
        around = [python.resolve(), *python.resolve().parents]
        if python.exists() and all(each.stat().st_mode & stat.S_IXOTH for each in around):
            return python
    raise LookupError("no Python that every user may run")


def _env(stage: Stage, rest: str, _source: Path, root: Path) -> None:
    for name, value in re.findall(r"(\w+)=(\S+)", rest):
        stage.env[name] = inside(root, value.replace("$PATH", f"{root}/bin:{os.defpath}"))


def _workdir(stage: Stage, rest: str, _source: Path, root: Path) -> None:
    stage.workdir = inside(root, rest)
    Path(stage.workdir).mkdir(exist_ok=True)


def _copy(stage: Stage, rest: str, source: Path, _root: Path) -> None:
    if rest.startswith("--from="):
        return  # both stages have one root here, and the place is the same in both
    *names, target = rest.split()
    for name in names:
        place = Path(stage.workdir, target)
        if (source / name).is_dir():
            shutil.copytree(source / name, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source / name, place)


def _run(stage: Stage, rest: str, _source: Path, root: Path) -> None:
    if rest.startswith("useradd "):
        return
    path = f"{root}/bin:{os.defpath}"
    command = ["sh", "-e", "-c", inside(root, rest)]
    # What pip has fetched before may serve: its hashes are looked at all the same.
    env = {**os.environ, "PATH": path, **stage.env, "PIP_NO_CACHE_DIR": "0"}
    subprocess.run(command, cwd=stage.workdir, env=env, check=True, capture_output=True)


def _user(stage: Stage, rest: str, _source: Path, _root: Path) -> None:
    stage.user = rest


def _entrypoint(stage: Stage, rest: str, _source: Path, root: Path) -> None:
    stage.entrypoint = [inside(root, each) for each in json.loads(rest)]


def _healthcheck(stage: Stage, rest: str, _source: Path, _root: Path) -> None:
    stage.healthcheck = json.loads(rest.partition("CMD ")[2])


def _nothing(_stage: Stage, _rest: str, _source: Path, _root: Path) -> None:
    pass


_STEPS: Final = {
    "ENV": _env,
    "WORKDIR": _workdir,
    "COPY": _copy,
    "RUN": _run,
    "USER": _user,
    "ENTRYPOINT": _entrypoint,
    "HEALTHCHECK": _healthcheck,
    "EXPOSE": _nothing,
    "STOPSIGNAL": _nothing,
}


def inside(root: Path, text: str) -> str:
    """The text with the image's places below the root."""
    return _PLACES.sub(f"{root}/", text)
