"""What a person reads who opens something of the upstream's and is refused."""

import pytest

from bff.app.endpoints import refused_answer
from bff.problem import Reason, Refused
from tests.parts.config import config
from tests.parts.requests import a_request

FRONTEND = config(issuer="https://login.example.com", api="http://127.0.0.1:9").frontends[0]
OPENED = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"))
BACK = "return_to=%2Ffiles%2Fa%2520b%3Fpage%3D2"


def said(reason: Reason, *fields: tuple[str, str], opened: bool = True) -> str:
    request = a_request("GET", *fields, path=b"/files/a%20b", query=b"page=2")
    return refused_answer(FRONTEND, request, Refused(reason), opened=opened).body.decode()


def test_after_an_interrupted_refresh_the_page_asks_the_provider_silently_by_itself() -> None:
    page = said(Reason.REFRESH_INTERRUPTED, *OPENED)
    assert f'content="0;url=/bff/login?prompt=none%20login&amp;{BACK}"' in page


@pytest.mark.parametrize("reason", [Reason.NO_SESSION, Reason.SESSION_ENDED])
def test_otherwise_it_waits_for_a_click(reason: Reason) -> None:
    page = said(reason, *OPENED)
    assert "http-equiv" not in page
    assert f'href="/bff/login?{BACK}"' in page


@pytest.mark.parametrize(
    ("fields", "opened"),
    [(OPENED, False), ((("sec-fetch-mode", "cors"),), True), ((("accept", "text/html"),), True)],
)
def test_who_does_not_open_it_reads_json(fields: tuple[tuple[str, str], ...], opened: bool) -> None:
    assert said(Reason.REFRESH_INTERRUPTED, *fields, opened=opened).startswith('{"type"')
