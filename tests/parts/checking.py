"""`bff check --online` on a configuration, as a machine reads it."""

import json
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from bff.cli import main


@dataclass(frozen=True)
class Checked:
    """The exit status, and each finding's state and words by what it is about."""

    code: int
    found: dict[str, tuple[str, str]]

    def about(self, beginning: str) -> tuple[str, str]:
        """The one finding about something that begins or ends so."""
        (only,) = (
            said
            for name, said in self.found.items()
            if name.startswith(beginning) or name.endswith(f" {beginning}")
        )
        return only

    @property
    def failed(self) -> list[str]:
        return [name for name, (state, _) in self.found.items() if state == "fail"]


def checked(folder: Path, text: str) -> Checked:
    file = folder / "bff.toml"
    file.write_text(text)
    result = CliRunner().invoke(main, ["check", "--online", "--json", "--config", str(file)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    online = json.loads(result.stdout)["online"]
    assert all(set(each) == {"about", "state", "said"} for each in online)
    found = {each["about"]: (each["state"], each["said"]) for each in online}
    assert len(found) == len(online)
    return Checked(result.exit_code, found)
