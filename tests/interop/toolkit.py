"""django-oauth-toolkit as a process, and a person whom it knows."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx

from tests.canary import RECORDER
from tests.parts.config import SECRET
from tests.parts.control import client

SITE: Final = Path(__file__).parent / "toolkit_site.py"


@dataclass(frozen=True)
class Toolkit:
    """What the tests ask of it, beside what the BFF does."""

    issuer: str
    http: httpx.Client

    def tokens(self) -> dict[str, Any]:
        """The access tokens that live, and every refresh token with whether it does."""
        found: dict[str, Any] = self.http.get(urljoin(self.issuer, "/test/tokens")).json()
        for each in found["access_tokens"]:
            RECORDER.secret("access_tokens", each)
        for each, _ in found["refresh_tokens"]:
            RECORDER.secret("refresh_tokens", each)
        return found

    def living(self) -> list[str]:
        """The refresh tokens that live."""
        return [each for each, lives in self.tokens()["refresh_tokens"] if lives]


@contextlib.contextmanager
def toolkit(folder: Path, *, origin: str, access_token_seconds: int) -> Iterator[Toolkit]:
    """The provider in a process of its own, which ends with the block."""
    given = {
        "client_id": "spa",
        "client_secret": SECRET,
        "origin": origin,
        "access_token_seconds": access_token_seconds,
        "folder": str(folder),
    }
    with (
        subprocess.Popen(
            [sys.executable, str(SITE), json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        client() as http,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        try:
            yield Toolkit(json.loads(line)["issuer"], http)
        finally:
            process.kill()


class Visitor:
    """A browser at the provider, where whoever comes is Ada and has consented."""

    def __init__(self) -> None:
        self._http = httpx.Client(trust_env=False, timeout=30)

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def visit(self, url: str) -> str:
        """Follow the provider's redirects; the first address that is not its own."""
        here = urlsplit(url).netloc
        for _ in range(10):
            answer = self._http.get(url)
            assert answer.is_redirect, (answer.status_code, answer.text[:500])
            url = urljoin(url, answer.headers["location"])
            if urlsplit(url).netloc != here:
                return url
        raise AssertionError("it goes round and round")
