"""What a test reads out of an answer."""

import re
from urllib.parse import parse_qsl, urlsplit

import httpx

from bff.problem import PROBLEMS, Reason


def reason(answer: httpx.Response) -> str:
    """Why the BFF refused: from a problem or from a page, which say the same (E-01)."""
    if answer.headers["content-type"] == "application/problem+json":
        document = answer.json()
        assert document["status"] == answer.status_code
        found = str(document["reason"])
    else:
        match = re.search(r"Reason: (\w+) · Request: [\w-]+", answer.text)
        assert match is not None, answer.text
        found = match[1]
    assert PROBLEMS[Reason(found)].status == answer.status_code
    assert (answer.status_code == 503) == ("retry-after" in answer.headers)  # E-04
    return found


def query(url: str) -> dict[str, str]:
    """The parameters of a URL, each of which stands there once."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def cookie_lines(answer: httpx.Response) -> list[str]:
    return answer.headers.get_list("set-cookie")
