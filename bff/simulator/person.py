"""A person with a browser, as a script: answers the simulator's pages, for tests and benchmarks.

It keeps cookies, follows the provider's redirects and stops at the first address elsewhere.
"""

import ssl
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
from typing_extensions import override


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.ticket = ""

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form":
            self.action = found.get("action") or ""
        if tag == "input" and found.get("name") == "ticket":
            self.ticket = found.get("value") or ""


class Stuck(Exception):
    """The provider shows a page that has no way on; the status is its only fact."""


class Person:
    """Signs in as `sub` and answers the consent page. Close it, or use it in a `with`."""

    def __init__(self, sub: str = "ada", *, allows: bool = True) -> None:
        self.sub = sub
        self.allows = allows
        # Loopback http only: a context that trusts nobody spares reading all the CA files.
        self.http = httpx.Client(trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def __enter__(self) -> "Person":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def visit(self, url: str) -> str:
        """Where the provider sends the browser in the end: the client's callback, say."""
        home = urlsplit(url).netloc
        response = self.http.get(url)
        while True:
            if response.has_redirect_location:
                url = urljoin(str(response.url), response.headers["location"])
                if urlsplit(url).netloc != home:
                    return url
                response = self.http.get(url)
            else:
                response = self._answer(response)

    def _answer(self, page: httpx.Response) -> httpx.Response:
        form = _Form()
        form.feed(page.text)
        answers = {
            "choose": {"account": self.sub},
            "consent": {"decision": "allow" if self.allows else "deny"},
            "confirm": {"decision": "sign_out"},
        }.get(form.action.rpartition("/")[2])
        if answers is None:
            raise Stuck(page.status_code)
        return self.http.post(
            urljoin(str(page.url), form.action), data={"ticket": form.ticket, **answers}
        )
