"""What is wrong with a file: each fault with its key, its line and the mend.

No text of a fault quotes a value: it may be a secret.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: its key, its line in the file (0: nowhere), what is wrong, how to mend it."""

    key: str
    message: str
    mend: str
    line: int = 0

    def text(self) -> str:
        """The fault as one line for a person."""
        place = f"line {self.line}: " if self.line else ""
        return one_line(f"{place}{self.key} {self.message}; {self.mend}")


class ConfigFaults(Exception):
    """The file cannot be used; `faults` says all that is wrong with it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(each.text() for each in faults))
        self.faults = faults


def one_line(text: str) -> str:
    """The text with everything escaped that a terminal would act on: a key may be quoted TOML."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
