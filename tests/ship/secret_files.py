"""The secrets, made as the manual says."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.parts.config import SECRET
from tests.ship.conftest import ROOT


def make_secrets(folder: Path) -> Path:
    """Run the manual's own lines for a folder that does not exist yet."""
    manual = (ROOT / "docs/deploy.md").read_text()
    (script,) = (each for each in re.findall(r"```sh\n(.*?)```", manual, re.DOTALL) if "$1" in each)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(
        ["sh", "-e", "-c", script, "sh", str(folder)],
        input=SECRET + "\n",
        text=True,
        env=env,
        check=True,
        capture_output=True,
    )
    return folder
