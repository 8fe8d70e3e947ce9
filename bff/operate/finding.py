"""What came of one question of `bff check --online`: right, risky or wrong, and a sentence."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Only `FAIL` makes the check fail; `WARN` also says that something could not be seen."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One question and what came of it."""

    about: str
    state: State
    said: str


def finding(about: str, said: str, *, right: bool = True, otherwise: State = State.FAIL) -> Finding:
    """What was found: in order if `right`, else as bad as `otherwise`."""
    return Finding(about=about, state=State.OK if right else otherwise, said=said)
