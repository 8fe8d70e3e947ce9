"""The frame of every page: its head, its navigation, its header fields.

No script anywhere, and the policy allows none. Referrer-Policy is same-origin and not no-referrer,
with which browsers would send `Origin: null` along with our own forms.
"""

from html import escape
from pathlib import Path
from typing import Final

from bff.problem import Answer

STYLE: Final = Path(__file__).with_name("admin.css").read_bytes()

_POLICY: Final = (
    b"default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none';"
    b" frame-ancestors 'none'"
)
_PLACES: Final = (("/admin", "Overview"), ("/admin/people", "People"))


def page(title: str, content: str, *, at: str, status: int = 200) -> Answer:
    """A whole page; `content` is HTML already, `at` the place it has in the navigation."""
    links = "".join(
        f'<a href="{path}"{" aria-current=page" if path == at else ""}>{name}</a>'
        for path, name in _PLACES
    )
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} · bff</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/admin/style.css">
</head>
<body>
<header><a class="brand" href="/admin">bff</a><nav aria-label="Pages">{links}</nav></header>
<main>
<h1>{escape(title)}</h1>
{content}
</main>
</body>
</html>
"""
    return answer(status, b"text/html; charset=utf-8", html.encode())


def message(status: int, title: str, text: str) -> Answer:
    """A page that only says something."""
    return page(title, f'<p class="card">{escape(text)}</p>', at="", status=status)


def see_other(where: str) -> Answer:
    """Go there with GET."""
    said = answer(303, b"text/plain", b"")
    said.headers.append((b"location", where.encode("ascii")))
    return said


def answer(status: int, kind: bytes, body: bytes) -> Answer:
    """An answer with the header fields that all of ours have."""
    return Answer(
        status=status,
        headers=[
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", _POLICY),
            (b"referrer-policy", b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ],
        body=body,
    )
