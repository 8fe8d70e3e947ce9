"""Ways back that lead elsewhere, collected from how browsers, proxies and parsers differ."""

from typing import Final

_HOSTS: Final = ("evil.example", "evil.example/%2f..", "app.example.com@evil.example")

OPEN_REDIRECTS: Final[tuple[str, ...]] = (
    # another host by slashes and backslashes
    *(f"{slashes}{host}" for host in _HOSTS for slashes in (
        "//", "///", "////", "/\\", "\\/", "\\\\", "/\\/", "\\/\\", "//\\", "/\\\\", "\\",
    )),
    # what a browser drops before it looks
    *(f"/{char}/evil.example" for char in "\t\n\r"),
    *(f"{char}//evil.example" for char in "\t\n\r \x00\x0b\x0c\x1f\x7f\u00a0\u2028\ufeff\u200b"),
    *(f"/{char}\\evil.example" for char in "\t\n\r"),
    "/\t\t//evil.example", "/\r\n/evil.example", "\t/\t/\tevil.example", "/.\t./\\evil.example",
    # schemes
    "https://evil.example", "http://evil.example", "HTTPS://evil.example", "https:evil.example",
    "https:/evil.example", "https:\\\\evil.example", "https:///evil.example", "ftp://evil.example",
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)",
    "\x01javascript:alert(1)",
    "javascript://app.example.com/%0aalert(1)", "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)", "blob:https://evil.example/1", "file:///etc/passwd", "about:blank",
    "view-source:https://evil.example", "mailto:a@evil.example", "ws://evil.example", "x:y",
    # our own name, and yet not us
    "https://app.example.com@evil.example/", "https://app.example.com.evil.example/",
    "https://app.example.com:pass@evil.example/", "//app.example.com@evil.example",
    "https://evil.example#app.example.com", "https://evil.example?app.example.com",
    "https://evil.example\\@app.example.com/", "https://app.example.com%2eevil.example",
    "//evil.example:443/", "//evil.example:80#@app.example.com", "//[::1]/", "//127.0.0.1/",
    "//2130706433/", "//0x7f.1/", "https://app.example.com/", "https://app.example.com",
    # a path that is another one, or a host, after somebody decodes it
    "/%2fevil.example", "/%2F/evil.example", "/%5cevil.example", "/%5C%5Cevil.example",
    "/%09/evil.example", "/%0a/evil.example", "/%0d%0aLocation:%20//evil.example",
    "/%00/evil.example", "/%252fevil.example", "/%252f%252fevil.example", "/%255cevil.example",
    "/%25%32%66evil.example", "/..//evil.example", "/../evil.example", "/./evil.example",
    "/.//evil.example", "/..;/evil.example", "/%2e%2e/evil.example", "/%2e/evil.example",
    "/.%2e/evil.example", "/%252e%252e/evil.example", "/a/..//evil.example", "/a//evil.example",
    "/a/%2e%2e/%2e%2e//evil.example", "/a/..", "/a/.", "/..", "/.", "/%c0%af/evil.example",
    "/%e0%80%af/evil.example", "/%ff", "/%80evil.example", "/%", "/%2", "/%zz", "/%u002fevil",
    "/a\\b", "/?next=\\evil", "/\\", "/#\\evil",
    # letters that look or fold like others
    "/\uff0fevil.example\\", "\uff0f\uff0fevil.example", "\u2215\u2215evil.example",
    "\u3002evil.example", "\uff3c\uff3cevil.example", "\u2044\u2044evil.example",
    # no path at all
    "", " ", " /", "evil.example", "evil.example/", "?next=/", "#", "#/", ".", "..", "./", "../",
    "*", "@evil.example", ":", ":443", ";//evil.example", "0;url=//evil.example", "%2f",
    "%2f%2fevil",
    # control characters
    "/a\x00b", "/a\x1fb", "/a\x7fb", "/a\x80b", "/a\x85b", "/a\x9fb", "/a\nb", "/a\rb", "/a\tb",
)  # fmt: skip

OWN_PATHS: Final[tuple[str, ...]] = (
    "/bff", "/bff/", "/bff/login", "/bff/logout", "/bff?x", "/bff#x", "/bff/callback?code=1",
    "/BFF/login", "/Bff", "/%62ff/login", "/b%66f", "/%42FF", "/bff;x=1", "/bff;/login",
    "/bff%3bx", "/bff/%6cogin", "/bff/unknown",
)  # fmt: skip

WAYS_BACK: Final[tuple[tuple[str, str], ...]] = (
    ("/", "/"),
    ("/orders", "/orders"),
    ("/orders/", "/orders/"),
    ("/orders?page=2&sort=a", "/orders?page=2&sort=a"),
    ("/orders?next=https://other.example//", "/orders?next=https://other.example//"),
    ("/orders#/a//b", "/orders#/a//b"),
    ("/bffoon", "/bffoon"),
    ("/a/bff", "/a/bff"),
    ("/caf\u00e9", "/caf%C3%A9"),
    ("/a b", "/a%20b"),
    ("/%E2%82%AC", "/%E2%82%AC"),
    ("/a%20b", "/a%20b"),
    ("/;v=1", "/;v=1"),
    ("/@evil.example", "/@evil.example"),
    ("/evil.example:443", "/evil.example:443"),
    ('/"><script>', "/%22%3E%3Cscript%3E"),
    ("/'onload=x", "/'onload=x"),
    ("/" + "a" * 2047, "/" + "a" * 2047),
)
