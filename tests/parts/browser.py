"""A browser's manners without a browser: cookies by SameSite, Fetch Metadata, no redirects.

It keeps what browsers keep and sends what browsers send, so that a test says only who asks for
what. What a real engine does is tested with a real engine.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import httpx

from bff.simulator import Person
from tests.canary import RECORDER
from tests.parts.control import client
from tests.parts.site import Site


@dataclass
class Cookie:
    value: str
    same_site: str
    attributes: str


@dataclass
class Browser:
    site: Site
    http: httpx.Client
    cookies: dict[str, Cookie] = field(default_factory=dict)

    def request(
        self,
        method: str,
        path: str,
        *,
        site: str | None = "same-origin",
        mode: str = "cors",
        dest: str = "empty",
        strict: bool | None = None,
        headers: dict[str, str] | None = None,
        **more: object,
    ) -> httpx.Response:
        """One request with the cookies that a browser would send with it."""
        sent = {"host": self.site.host}
        if site is not None:
            sent |= {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
        with_strict = site in (None, "same-origin", "none") if strict is None else strict
        pairs = [
            f"{name}={cookie.value}"
            for name, cookie in self.cookies.items()
            if cookie.same_site == "Lax" or with_strict
        ]
        if pairs:
            sent["cookie"] = "; ".join(pairs)
        sent |= headers or {}
        url = f"http://127.0.0.1:{self.site.port}{path}"
        response = self.http.request(method, url, headers=sent, **more)  # type: ignore[arg-type]
        self._keep(response)
        here: object = self.site  # some tests have another take its place
        if not isinstance(here, Site):
            _record(method, path, response)  # the door of another process is not tapped
        return response

    def _keep(self, response: httpx.Response) -> None:
        self.http.cookies.clear()  # the client's own jar knows nothing of SameSite
        for line in response.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0]
            same_site = "Strict" if "SameSite=Strict" in line else "Lax"
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = Cookie(value, same_site, line.partition(";")[2])

    def fetch(self, method: str, path: str, **more: object) -> httpx.Response:
        """What `fetch` on our own page sends, with the library's header."""
        headers = {"x-csrf": "1", **more.pop("headers", {})}  # type: ignore[dict-item]
        if method not in ("GET", "HEAD"):
            headers.setdefault("origin", self.site.origin)
        return self.request(method, path, headers=headers, **more)  # type: ignore[arg-type]

    def navigate(self, path: str, *, site: str = "none", **more: object) -> httpx.Response:
        """What following a link, or typing an address, sends."""
        return self.request(
            "GET",
            path,
            site=site,
            mode="navigate",
            dest="document",
            **more,  # type: ignore[arg-type]
        )

    def to_provider(self, return_to: str = "/", **query: str) -> str:
        """Begin to sign in; the URL at the provider."""
        asked = httpx.QueryParams({"return_to": return_to, **query})
        answer = self.navigate(f"/bff/login?{asked}", site="same-origin")
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def callback(self, url: str, **more: object) -> httpx.Response:
        """Come back from the provider: a cross-site navigation, without Strict cookies."""
        parts = urlsplit(url)
        return self.navigate(f"{parts.path}?{parts.query}", site="cross-site", **more)

    def from_provider(self, sub: str = "ada", return_to: str = "/", **query: str) -> str:
        """Sign in at the provider; the URL that leads back."""
        with Person(sub) as person:
            return person.visit(self.to_provider(return_to, **query))

    def sign_in(self, sub: str = "ada", return_to: str = "/") -> httpx.Response:
        """The whole way to a session."""
        answer = self.callback(self.from_provider(sub, return_to))
        assert answer.status_code == 200, answer.text
        return answer

    @property
    def session_cookie(self) -> str | None:
        name = next((name for name in self.cookies if name in ("bff", "__Host-Http-bff")), None)
        return None if name is None else self.cookies[name].value


def _record(method: str, path: str, response: httpx.Response) -> None:
    """An answer for the recorder, as it came over the wire."""
    lines = [b"HTTP/1.1 %d" % response.status_code]
    lines += [name.lower() + b": " + value for name, value in response.headers.raw]
    record = RECORDER.answer(f"{method} {path.partition('?')[0]}")
    record.add(b"\r\n".join([*lines, b"", response.content]))


@contextlib.contextmanager
def browsing(site: Site) -> Iterator[Browser]:
    with client() as http:
        yield Browser(site, http)
    site.settle()


def cookie_attributes(line: str) -> SimpleCookie:
    return SimpleCookie(line)
