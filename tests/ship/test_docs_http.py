"""What an `http` block shows is what a site answers; a line of the log is one that is written.

A block is a request, an empty line, and the answer. With a `Cookie` it comes from somebody who is
signed in. Shown are the status, some of the fields, and all of the JSON: the same names, and values
of the same kind. `…` stands for anything.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import httpx

from tests.conftest import Sites, Told
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.ship.fenced import Block, every

OURS: Final = {"host", "cookie", "origin"}  # which the browser of the tests writes itself


@dataclass(frozen=True, slots=True)
class Message:
    """A head's first line, its fields by their names in lower case, and what follows."""

    start: str
    fields: dict[str, str]
    body: str


def message(text: str) -> Message:
    head, _, body = text.strip().partition("\n\n")
    start, *lines = head.splitlines()
    pairs = (line.partition(": ") for line in lines)
    return Message(start, {name.lower(): value for name, _, value in pairs}, body)


def exchange(block: Block) -> tuple[Message, Message]:
    """The request and the answer of a block."""
    asked, answered = re.split(r"\n\n(?=HTTP/1\.1 )", block.text, maxsplit=1)
    return message(asked), message(answered)


def alike(shown: Any, real: Any) -> bool:
    """Whether both have the same names, and values of the same kind."""
    match shown:
        case dict():
            return shown.keys() == real.keys() and all(alike(shown[k], real[k]) for k in shown)
        case list():
            return bool(real) and all(alike(shown[0], each) for each in real)
        case _:
            return type(shown) is type(real)


def said(shown: str, real: str | None) -> bool:
    return real is not None and re.fullmatch(re.escape(shown).replace("…", ".*"), real) is not None


@every("http")
def test_it_is_what_a_site_answers(block: Block, sites: Sites, provider: Control) -> None:
    asked, shown = exchange(block)
    with browsing(sites()) as browser:
        if "cookie" in asked.fields:
            browser.sign_in()
        answer = ask(browser, asked)
    assert f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}" == shown.start
    for name, value in shown.fields.items():
        assert any(said(value, each) for each in answer.headers.get_list(name)), name
    if shown.body:
        document, real = json.loads(shown.body), answer.json()
        assert alike(document, real), real
        for name in {"reason", "type", "title", "status", "authenticated"} & set(document):
            assert document[name] == real[name]


def ask(browser: Browser, asked: Message) -> httpx.Response:
    method, path, _ = asked.start.split(" ")
    headers = {name: value for name, value in asked.fields.items() if name not in OURS}
    if asked.fields.get("origin"):
        headers["origin"] = browser.site.origin
    return browser.request(method, path, headers=headers)


@every("json")
def test_it_is_a_line_of_our_log(block: Block, sites: Sites, provider: Control, told: Told) -> None:
    """Of the login that these tests make."""
    document = json.loads(block.text)
    with browsing(sites()) as browser:
        browser.sign_in()
    (real,) = [line for line in told() if line["event"] == document["event"]]
    assert alike(document, real), real
