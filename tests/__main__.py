"""`python -m tests`: all tests, in two processes side by side, since two cores are what CI has.

They share the files between them as they go. The first prints meanwhile, the second when both have
ended; the last line is the sum. The exit status is 1 unless both have passed. Canaries are looked
for in both: each knows its own secrets.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from tests.conformance.__main__ import RESULTS

TESTS: Final = Path(__file__).parent
CANARIES: Final = "tests/test_zz_canaries.py"
LONGEST: Final = "tests/wire"


def orders() -> tuple[list[str], list[str]]:
    """All there is, as each of the two goes through it: they meet when little is left."""
    folders = {f"tests/{each.parent.name}" for each in TESTS.glob("*/test_*.py")} - {LONGEST}
    return [LONGEST, *sorted(folders), CANARIES], [*sorted(folders), LONGEST, CANARIES]


@contextlib.contextmanager
def started(
    paths: list[str], shared: str, output: int | IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Pytest over these paths under coverage; whatever it has started ends with it."""
    command = [sys.executable, "-m", "coverage", "run", "-m", "pytest", *paths]
    command += ["-p", "tests.sharing", "--shared", shared, "--each", CANARIES]
    running = subprocess.Popen(
        command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def counts(printed: bytes) -> dict[str, int]:
    """From pytest's last line, how many passed, failed and so on."""
    last = printed.strip().rpartition(b"\n")[2].decode()
    return {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", last)}


def main() -> int:
    """Run both; see the module."""
    RESULTS.unlink(missing_ok=True)  # both add to it
    said = bytearray()
    first, second = orders()
    with (
        tempfile.TemporaryDirectory() as shared,
        tempfile.TemporaryFile() as kept,
        started(second, shared, kept) as other,
        started(first, shared, subprocess.PIPE) as one,
    ):
        assert one.stdout is not None
        while chunk := os.read(one.stdout.fileno(), 65536):
            said += chunk
            _print(chunk)
        codes = [one.wait(), other.wait()]
        kept.seek(0)
        rest = kept.read()
    _print(rest)
    both = [counts(bytes(said)), counts(rest)]
    passed = sum(each.get("passed", 0) for each in both)
    failed = sum(each.get("failed", 0) + each.get("errors", each.get("error", 0)) for each in both)
    _print(f"{passed} passed, {failed} failed\n".encode())
    return int(any(codes))


def _print(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
